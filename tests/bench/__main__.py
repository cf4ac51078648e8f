"""`make bench`: how fast this site is, beside a plain set-up of the same libraries, and beside the limit.

It starts a PostgreSQL and a Redis of its own, and one server process at a time; yours are not touched. What counts is
the server's CPU for each query and event, by its processes' clocks: that hardly depends on what else the machine does.
"""

import argparse
import asyncio
import gc
import json
import os
import platform
import random
import resource
import signal
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.bench.contenders import CONTENDERS, SITE, Contender
from tests.bench.meter import Row
from tests.bench.report import write_charts, write_readme, write_table
from tests.bench.workloads import Bench, Scale
from tests.processes import ROOT

RATES = (500, 1_000, 2_000, 4_000, 6_000, 8_000, 10_000, 12_000, 16_000, 20_000)
SCALES = {
    "full": Scale(3_000, 300, 3, (1, 16), RATES, crowd=100_000),
    "quick": Scale(200, 20, 1, (16,), (500, 1_000, 2_000), crowd=5_000),
    "tiny": Scale(60, 6, 0.2, (2,), (50,), crowd=100),  # does it work?
}
PACKAGES = ("django", "strawberry-graphql", "channels", "uvicorn", "uvloop", "daphne", "psycopg", "redis")


async def measure(scale: Scale, contenders: list[Contender]) -> AsyncIterator[Row]:
    async with Bench.prepared() as bench:
        if SITE in contenders:
            async for row in bench.growth(scale):
                yield {"contender": SITE.name, **row}
        else:
            await bench.grow(scale.users, 10)
        for contender in contenders:
            async for row in bench.queries(contender, scale):
                yield {"contender": contender.name, **row}
        for contender in contenders:
            if contender.publisher:
                async for row in bench.events(contender, scale):
                    yield {"contender": contender.name, **row}
        if SITE in contenders:
            async for row in bench.writing(scale.crowd):
                yield {"contender": SITE.name, **row}


async def main(options: argparse.Namespace) -> None:
    chosen = [each for each in CONTENDERS if each.name in options.only]
    rows: list[Row] = []
    for _ in range(options.runs):
        async for row in measure(SCALES[options.scale], chosen):
            rows.append(row)
            shown = {name: f"{value:.5g}" if isinstance(value, float) else value for name, value in row.items()}
            say(" ".join(f"{name}={value}" for name, value in shown.items() if name != "answer"))
    answers = {json.dumps(row.pop("answer")) for row in rows if "answer" in row}
    assert len(answers) == options.runs, "The contenders gave different answers"
    about = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "scale": options.scale,
        "runs": options.runs,
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "results.json").write_text(json.dumps({"about": about, "rows": rows}, indent=1))
    table = write_table(about, rows)
    (options.out / "results.md").write_text(table)
    write_charts(rows, options.out)
    if options.readme:
        write_readme(table, rows)
    say(f"\n{table}\nAlso in {options.out}/")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--quick", dest="scale", action="store_const", const="quick", default="full", help="in three minutes"
    )
    parser.add_argument("--tiny", dest="scale", action="store_const", const="tiny", help="only to see that it works")
    parser.add_argument("--runs", type=int, default=1, help="medians of so many")
    names, usual = [each.name for each in CONTENDERS], [each.name for each in CONTENDERS if each.is_usual]
    parser.add_argument("--only", nargs="+", choices=names, default=usual, metavar="NAME", help=", ".join(names))
    parser.add_argument("--out", type=Path, default=ROOT / "bench-results")
    parser.add_argument("--readme", action="store_true", help="also writes the README's table and charts")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that nothing stays behind
    gc.disable()  # a pause here would count as one of the server
    random.seed(7)
    began = time.monotonic()
    asyncio.run(main(parser.parse_args()))
    say(f"It took {time.monotonic() - began:.0f} s.")
