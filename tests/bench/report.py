"""The results for people: two tables, and charts."""

import re
from dataclasses import dataclass, field
from math import isnan, nan
from pathlib import Path
from statistics import median
from xml.sax.saxutils import quoteattr

from tests.bench.charts import chart, description, number
from tests.bench.contenders import CONTENDERS
from tests.bench.meter import Row
from tests.bench.workloads import LATE_MS, STEADY_RATE
from tests.processes import ROOT

CHARTS = Path(__file__).parent / "charts"
"""For the README. Beside what makes them: `static/` would be served by every site that is made from this one."""
BEGIN, END = "<!-- bench: written by `make bench` -->", "<!-- /bench -->"

type Columns = dict[str, list[Row]]


@dataclass(frozen=True)
class Figure:
    title: str
    work: str
    name: str
    where: Row = field(default_factory=dict)
    chart: str = ""
    """The name of the file with its chart."""

    def of(self, rows: list[Row]) -> float:
        """The median of all runs."""
        wanted = {"work": self.work, **self.where}.items()
        return median([row[self.name] for row in rows if wanted <= row.items()] or [nan])


def figures(rows: list[Row]) -> list[Figure]:
    rows = [row for row in rows if "times" not in row]
    many = max((row["sockets"] for row in rows if row["work"] == "w4"), default=0)
    clients = max((row["clients"] for row in rows if row["work"] == "w1"), default=0)
    rate = min({row["rate"] for row in rows if row["work"] == "w2"} or {0}, key=lambda rate: abs(rate - STEADY_RATE))
    busy, steady = {"clients": clients}, {"rate": rate}
    one, every = f"event to one of {many:,}, {rate:,}/s", f"event to all of {many:,}"
    return [
        Figure(f"query, {clients} at a time: µs of CPU", "w1", "cpu_us", busy, "query"),
        Figure("query: answers a second", "w1", "per_second", busy),
        Figure("query: p50, ms", "w1", "p50_ms", busy),
        Figure("query: p99, ms", "w1", "p99_ms", busy),
        Figure("query: SQL statements", "w1", "statements", busy),
        Figure("query: µs of PostgreSQL's CPU", "w1", "postgresql_us", busy),
        Figure("query, one at a time: µs of CPU", "w1", "cpu_us", {"clients": 1}),
        Figure(f"{one}: µs of CPU", "w2", "cpu_us", steady, "event"),
        Figure(f"{one}: p50, ms", "w2", "p50_ms", steady),
        Figure(f"{one}: p99, ms", "w2", "p99_ms", steady),
        Figure(f"{one}: p99 from the commit, ms", "w2", "p99_ms_from_commit", steady),
        Figure(f"{one}: lost", "w2", "lost", steady),
        Figure(f"events a second, none lost, p99 < {LATE_MS} ms", "w2 at best", "per_second"),
        Figure("the same, from the commit", "w2 at best", "per_second_from_commit"),
        Figure(f"{every}: ms until the last has it", "w3", "last_ms", chart="broadcast"),
        Figure(f"{every}: the same, from the commit", "w3", "last_ms_from_commit"),
        Figure(f"{every}: µs of CPU for each", "w3", "cpu_us"),
        Figure(f"{every}: lost", "w3", "lost"),
        Figure(f"connecting {many:,}: a second", "w4", "per_second"),
        Figure(f"connecting {many:,}: µs of CPU for each", "w4", "cpu_us"),
        Figure(f"idle subscription, of {many:,}: KiB", "w4", "kib", chart="subscription"),
        Figure("process before: MiB", "w4", "fresh_mib"),
        Figure("`notify` to many: rows a second", "notify", "per_second"),
    ]


def growth_figures(rows: list[Row]) -> list[Figure]:
    rate = max((row["rate"] for row in rows if row["work"] == "w2"), default=0)
    busy = {"clients": max((row["clients"] for row in rows if row["work"] == "w1"), default=0)}
    return [
        Figure("sockets", "w4", "sockets"),
        Figure("query: SQL statements", "w1", "statements", busy),
        Figure("query: µs of CPU", "w1", "cpu_us", busy),
        Figure("query: µs of PostgreSQL's CPU", "w1", "postgresql_us", busy),
        Figure("query: p99, ms", "w1", "p99_ms", busy),
        Figure(f"event, {rate:,}/s: SQL statements", "w2", "statements"),
        Figure("event: µs of CPU", "w2", "cpu_us"),
        Figure("event: p99, ms", "w2", "p99_ms"),
        Figure("idle subscription: KiB", "w4", "kib"),
    ]


def contenders_in(rows: list[Row]) -> Columns:
    """The rows of each that was measured, by its name for people."""
    measured = [row for row in rows if "times" not in row]
    of_each = {each.what: [row for row in measured if row["contender"] == each.name] for each in CONTENDERS}
    return {what: own for what, own in of_each.items() if own}


def table(figures: list[Figure], columns: Columns) -> str:
    lines = [["", *columns], ["---", *["--:"] * len(columns)]]
    for figure in figures:
        values = [figure.of(rows) for rows in columns.values()]
        if not all(map(isnan, values)):
            lines.append([figure.title, *("" if isnan(value) else number(value) for value in values)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def write_table(about: Row, rows: list[Row]) -> str:
    known = ", ".join(
        f"{name} {about[name]}" for name in ("python", "django", "strawberry-graphql", "uvicorn", "uvloop")
    )
    head = f"{about['at'][:10]}, {about['processors']} processors, medians of {about['runs']}, {known}.\n"
    written = f"{head}\n{table(figures(rows), contenders_in(rows))}"
    if grown := [row for row in rows if "times" in row]:
        small, large = ([row for row in grown if row["times"] == times] for times in (1, 10))
        written += "\nThis site small, and with ten times the users, notifications of each, and sockets:\n\n"
        written += table(growth_figures(grown), {"small": small, "ten times": large})
    return written


def write_charts(rows: list[Row], directory: Path) -> dict[str, str]:
    """Returns the names of the files, and what they show in words."""
    directory.mkdir(parents=True, exist_ok=True)
    written = {}
    for figure in figures(rows):
        values = {what: figure.of(own) for what, own in contenders_in(rows).items()}
        bars = {what: value for what, value in values.items() if not isnan(value)}
        if figure.chart and bars:
            (directory / f"{figure.chart}.svg").write_text(chart(figure.title, bars))
            written[f"{figure.chart}.svg"] = description(figure.title, bars)
    return written


def write_readme(table: str, rows: list[Row]) -> None:
    """Between its two marks."""
    readme, folder = ROOT / "README.md", CHARTS.relative_to(ROOT)
    images = [
        f'<img src="{folder / name}" width="390" alt={quoteattr(shown)}>'
        for name, shown in write_charts(rows, CHARTS).items()
    ]
    written = "\n".join([BEGIN, *images, "", table.strip(), END])
    between = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    readme.write_text(between.sub(lambda _: written, readme.read_text()))
