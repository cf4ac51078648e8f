"""Bars in an SVG: readable on a phone as it is, and on light and dark, of which the browser says which it is."""

from xml.sax.saxutils import escape

STYLE = (
    "text{font:14px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600}.number{text-anchor:end}"
    ".ours{fill:#0969da}.others{fill:#8c959f}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.ours{fill:#4493f8}.others{fill:#7d8590}}"
)


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def description(title: str, bars: dict[str, float]) -> str:
    """For those who do not see it."""
    return f"{title}. " + ", ".join(f"{name}: {number(value)}" for name, value in bars.items())


def chart(title: str, bars: dict[str, float]) -> str:
    """The first bar is ours."""
    longest = max(bars.values()) or 1
    rows = "".join(
        f'<g transform="translate(0 {40 * row + 52})"><text>{escape(name)}</text>'
        f'<text class="number" x="380">{number(value)}</text>'
        f'<rect class="{"others" if row else "ours"}" y="6" width="{380 * value / longest:.0f}" height="10" rx="2"/>'
        "</g>"
        for row, (name, value) in enumerate(bars.items())
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-5 0 390 {40 * len(bars) + 42}" role="img">'
        f"<title>{escape(description(title, bars))}</title><style>{STYLE}</style>"
        f'<text class="title" y="20">{escape(title)}</text>{rows}</svg>\n'
    )
