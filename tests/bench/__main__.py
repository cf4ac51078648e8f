"""`make bench`: how fast this site is, beside a plain set-up of the same libraries, and beside the limit.

It starts a PostgreSQL and a Redis of its own, and one server process at a time; yours are not touched. What counts is
the server's CPU for each query and event, by its processes' clocks: that hardly depends on what else the machine does.
"""

import argparse
import asyncio
import json
import os
import platform
import resource
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.contenders import CONTENDERS, Contender
from tests.bench.report import write_charts, write_readme, write_table
from tests.bench.workloads import NOTIFICATIONS, Bench, Row, Scale
from tests.delivery.site import Site
from tests.processes import ROOT

RATES = (500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000)
SCALES = {
    "full": Scale(3_000, 3, (1, 16), RATES, (1_000, 3_000), broadcasts=3, crowd=100_000),
    "quick": Scale(200, 1, (16,), (1_000,), (100, 200), broadcasts=1, crowd=5_000),
    "tiny": Scale(30, 0.2, (2,), (50,), (10, 30), broadcasts=1, crowd=100),  # does it work?
}
PACKAGES = ("django", "strawberry-graphql", "channels", "uvicorn", "daphne", "psycopg", "redis")


@asynccontextmanager
async def prepared(scale: Scale) -> AsyncIterator[Bench]:
    with TemporaryDirectory(prefix="bench-") as directory:
        site = Site(Path(directory))
        async with AsyncExitStack() as stack:
            for service in (site.postgresql, site.redis):
                stack.push_async_callback(service.stop)
                await service.start()
            await site.python("manage.py", "migrate", "-v0")
            seed = ("--users", str(scale.users), "--notifications", str(NOTIFICATIONS + 5), "--force")
            await site.python("manage.py", "seed_demo", *seed, seconds=300)
            users = json.loads(await site.python("-m", "tests.bench.users", str(scale.users)))
            await site.postgresql.ask("VACUUM ANALYZE")
            yield Bench(site, scale, users)


async def measure(scale: Scale, contenders: list[Contender]) -> AsyncIterator[Row]:
    async with prepared(scale) as bench:
        for contender in contenders:
            async for row in bench.queries(contender):
                yield {"contender": contender.name, **row}
        for contender in contenders:
            if contender.publisher:
                async for row in bench.events(contender):
                    yield {"contender": contender.name, **row}
        if contenders[0].is_ours:
            async for row in bench.writing():
                yield {"contender": contenders[0].name, **row}


async def main(options: argparse.Namespace) -> None:
    chosen = [each for each in CONTENDERS if any(each.name.startswith(name) for name in options.only or [""])]
    if not chosen:
        raise SystemExit(f"--only takes these, or how they begin: {' '.join(each.name for each in CONTENDERS)}")
    rows: list[Row] = []
    for _ in range(options.runs):
        async for row in measure(SCALES[options.scale], chosen):
            rows.append(row)
            shown = {name: f"{value:.5g}" if isinstance(value, float) else value for name, value in row.items()}
            say(" ".join(f"{name}={value}" for name, value in shown.items() if name != "answer"))
    answers = {tuple(row.pop("answer")) for row in rows if "answer" in row}
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
    parser.add_argument("--quick", dest="scale", action="store_const", const="quick", default="full", help="in 90 s")
    parser.add_argument("--tiny", dest="scale", action="store_const", const="tiny", help="only to see that it works")
    parser.add_argument("--runs", type=int, default=1, help="medians of so many")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="site-daphne, plain, limit, …")
    parser.add_argument("--out", type=Path, default=ROOT / "bench-results")
    parser.add_argument("--readme", action="store_true", help="also writes the README's table and charts")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that nothing stays behind
    began = time.monotonic()
    asyncio.run(main(parser.parse_args()))
    say(f"It took {time.monotonic() - began:.0f} s.")
