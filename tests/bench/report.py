"""The results for people: a table, and a chart for each workload."""

import re
from collections.abc import Callable
from math import isnan, nan
from pathlib import Path
from statistics import median
from typing import NamedTuple
from xml.sax.saxutils import escape

from tests.bench.contenders import CONTENDERS
from tests.bench.workloads import STEADY_RATE, Row
from tests.processes import ROOT

CHARTS = Path(__file__).parent / "charts"
"""For the README. Beside what makes them: `static/` would be served by every site that is made from this one."""
BEGIN, END = "<!-- bench: written by `make bench` -->", "<!-- /bench -->"
LATE_MS = 100
"""The p99 up to which a rate counts."""


class Figure(NamedTuple):
    title: str
    work: str
    of: Callable[[list[Row]], float]
    """Of one contender's rows of that work."""
    chart: str = ""
    """The name of the file with its chart."""


def value(name: str, at: Callable[[Row], bool] = lambda row: True) -> Callable[[list[Row]], float]:
    """The median of all runs."""
    return lambda rows: median([row[name] for row in rows if at(row)] or [nan])


def highest_rate(rows: list[Row]) -> float:
    kept_up = [row["published_per_second"] for row in rows if not row["lost"] and row["p99_ms"] < LATE_MS]
    return max(kept_up, default=nan)


def figures(rows: list[Row]) -> list[Figure]:
    few, many = (pick({row["sockets"] for row in rows if row["work"] == "w4"} or {0}) for pick in (min, max))
    clients = max((row["clients"] for row in rows if row["work"] == "w1"), default=0)
    rate = min({row["rate"] for row in rows if row["work"] == "w2"} or {0}, key=lambda rate: abs(rate - STEADY_RATE))

    def busy(row: Row) -> bool:
        return row["clients"] == clients

    def steady(row: Row) -> bool:
        return row["rate"] == rate

    return [
        Figure(f"query: µs of CPU, {clients} at a time", "w1", value("cpu_us", busy), "query"),
        Figure("query: answers a second", "w1", value("per_second", busy)),
        Figure("query: p50, ms", "w1", value("p50_ms", busy)),
        Figure("query: p99, ms", "w1", value("p99_ms", busy)),
        Figure("query: µs of PostgreSQL's CPU", "w1", value("postgresql_us", busy)),
        Figure("query: µs of CPU, one at a time", "w1", value("cpu_us", lambda row: row["clients"] == 1)),
        Figure(f"event to one of {few:,}: µs of CPU, at {rate:,}/s", "w2", value("cpu_us", steady), "event"),
        Figure(f"event to one of {few:,}: p99, ms", "w2", value("p99_ms", steady)),
        Figure(f"event to one of {few:,}: p99 from the commit, ms", "w2", value("p99_ms_from_commit", steady)),
        Figure(f"events a second, none lost, p99 < {LATE_MS} ms", "w2", highest_rate),
        Figure("events lost", "w2", lambda rows: sum(row["lost"] for row in rows) if rows else nan),
        Figure(f"event to all of {many:,}: the last after ms", "w3", value("last_ms")),
        Figure(f"event to all of {many:,}: from the commit, ms", "w3", value("last_ms_from_commit")),
        Figure(f"subscribing: µs of CPU, {few:,} at once", "w4", value("cpu_us", lambda row: row["sockets"] == few)),
        Figure("subscribing: sockets a second", "w4", value("per_second", lambda row: row["sockets"] == few)),
        Figure(
            f"idle subscription: KiB, of {many:,}",
            "w4",
            value("kib", lambda row: row["sockets"] == many),
            "subscription",
        ),
        Figure("process: MiB, before", "w4", value("fresh_mib")),
        Figure("`notify` to many: rows a second", "notify", value("per_second")),
    ]


def of_each(figure: Figure, rows: list[Row]) -> dict[str, float]:
    """The figure of each contender that was measured at all, by its name for people."""
    measured = {row["contender"] for row in rows}
    return {
        each.what: figure.of([row for row in rows if (row["contender"], row["work"]) == (each.name, figure.work)])
        for each in CONTENDERS
        if each.name in measured
    }


def number(figure: float) -> str:
    return "" if isnan(figure) else f"{figure:,.0f}" if figure >= 100 or figure == int(figure) else f"{figure:.3g}"


def write_table(about: Row, rows: list[Row]) -> str:
    every = [(figure.title, of_each(figure, rows)) for figure in figures(rows)]
    lines = [["", *every[0][1]], ["---", *["--:"] * len(every[0][1])]]
    lines += [[title, *map(number, each.values())] for title, each in every if not all(map(isnan, each.values()))]
    known = ", ".join(f"{name} {about[name]}" for name in ("python", "django", "strawberry-graphql", "uvicorn"))
    head = f"{about['at'][:10]}, {about['processors']} processors, medians of {about['runs']}, {known}.\n\n"
    return head + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def write_charts(rows: list[Row], directory: Path) -> list[tuple[str, str]]:
    """Returns the names of the files, and their titles."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for figure in figures(rows):
        bars = {what: value for what, value in of_each(figure, rows).items() if not isnan(value)}
        if figure.chart and bars:
            (directory / f"{figure.chart}.svg").write_text(chart(figure.title, bars))
            written.append((f"{figure.chart}.svg", figure.title))
    return written


def chart(title: str, bars: dict[str, float]) -> str:
    """Readable on a phone as it is, and on light and dark: the browser says which of them it is."""
    longest = max(bars.values())
    rows = "".join(
        f'<text y="{52 + 40 * row}">{escape(what)}</text>'
        f'<text class="n" x="380" y="{52 + 40 * row}">{number(value)}</text>'
        f'<rect class="{"ours" if what.startswith("this") else "others"}" y="{58 + 40 * row}" rx="2" height="10"'
        f' width="{max(2, 380 * value / longest):.0f}"/>'
        for row, (what, value) in enumerate(bars.items())
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-5 0 390 {40 * len(bars) + 42}" role="img">'
        f"<title>{escape(title)}</title><style>text{{font:14px system-ui,sans-serif;fill:#1f2328}}.n{{text-anchor:end}}"
        ".t{font-weight:600}.ours{fill:#0969da}.others{fill:#8c959f}"
        "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.ours{fill:#4493f8}.others{fill:#7d8590}}</style>"
        f'<text class="t" y="20">{escape(title)}</text>{rows}</svg>\n'
    )


def write_readme(table: str, rows: list[Row]) -> None:
    """Between its two marks."""
    readme = ROOT / "README.md"
    images = [
        f'<img src="{(CHARTS / name).relative_to(ROOT)}" width="390" alt="{escape(title)}">'
        for name, title in write_charts(rows, CHARTS)
    ]
    written = "\n".join([BEGIN, *images, "", table.strip(), END])
    readme.write_text(
        re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: written, readme.read_text(), flags=re.DOTALL)
    )
