"""`make bench` measures what it says: here on a few users, for a moment, and whatever the times are."""

import json
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from django.conf import settings

from tests.bench import report
from tests.bench.charts import chart, number
from tests.bench.contenders import CONTENDERS
from tests.bench.meter import quantiles_ms
from tests.bench.report import figures
from tests.bench.subscribers import TEXT, frame
from tests.bench.workloads import at_best, leaves
from tests.delivery.services import postgresql_programs
from tests.processes import ROOT

CHOSEN = ("site", "site-granian", "plain", "limit")
CHARTS = ("query", "event", "broadcast", "subscription")


def can_run() -> bool:
    """It starts PostgreSQL and Redis, as `make faults` does."""
    try:
        return bool(postgresql_programs() and shutil.which("redis-server"))
    except AssertionError:
        return False


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not settings.REDIS_URL:
        pytest.skip("It takes a minute: once is enough, where there is a PostgreSQL and a Redis.")
    if not can_run():
        pytest.skip("the programs of PostgreSQL and Redis are not installed")
    folder = tmp_path_factory.mktemp("bench")
    command = [sys.executable, "-m", "tests.bench", "--tiny", "--only", *CHOSEN, "--out", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def rows(results: Path) -> list[dict[str, Any]]:
    return json.loads((results / "results.json").read_text())["rows"]


def test_it_works(rows: list[dict[str, Any]]) -> None:
    """Each answer was right and each socket opened, else it ends at once; and each event came once."""
    by_work = defaultdict(set)
    for row in rows:
        by_work[row["work"] if "times" not in row else f"{row['work']} of {row['times']}"].add(row["contender"])
        assert not row.get("lost")
        assert not row.get("twice")
    ours = ("notify", *(f"{work} of {times}" for work in ("w1", "w2", "w4") for times in (1, 10)))
    each = ("w1", "w2", "w2 at best", "w3", "w4")
    assert by_work == {work: {"site"} for work in ours} | {work: set(CHOSEN) for work in each}


def test_ten_times_as_much_takes_as_many_statements(rows: list[dict[str, Any]]) -> None:
    growing = [row for row in rows if "times" in row]
    assert [row["sockets"] for row in growing if row["work"] == "w4"] == [6, 60]
    few, many = (row["statements"] for row in growing if row["work"] == "w1")
    assert 0 < many <= few + 1


def test_every_figure_is_one_of_a_server_that_did_something(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        assert row["work"] == "w2 at best" or any(row.get(name) for name in ("queries", "published", "sockets", "rows"))
        assert row.get("cpu_us", 1) > 0
        assert row.get("p50_ms", 0) <= row.get("p99_ms", 0)
        assert row.get("kib", 1) >= 0


def test_it_is_written_down(results: Path) -> None:
    table = (results / "results.md").read_text()
    for contender in CONTENDERS:
        assert (f" {contender.what} |" in table) == (contender.name in CHOSEN)
    assert table.count("| query: SQL statements |") == 2
    for name in CHARTS:
        assert ElementTree.parse(results / f"{name}.svg").getroot().get("viewBox")


def test_the_readme_shows_it(
    results: Path, rows: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert all((ROOT / "README.md").read_text().count(mark) == 1 for mark in (report.BEGIN, report.END))
    monkeypatch.setattr(report, "ROOT", tmp_path)
    monkeypatch.setattr(report, "CHARTS", tmp_path / "charts")
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.write_readme("| table |", rows)
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| table |" in text
    assert "old" not in text
    images = re.findall('<img src="([^"]+)" width="390" alt="[^"]*this site: [^"]*limit: [^"]*">', text)
    assert len(images) == len(CHARTS)
    assert all((tmp_path / image).exists() for image in images)


def test_a_rate_counts_if_nothing_was_lost_and_nothing_late() -> None:
    names = ("published_per_second", "lost", "p99_ms", "p99_ms_from_commit")
    steps = [(1_000, 0, 20, 10), (2_000, 0, 99, 10), (4_000, 0, 101, 99), (8_000, 0, 999, 100), (16_000, 1, 10, 10)]
    rows = [dict(zip(names, step, strict=True)) for step in steps]
    assert at_best(rows) == {"work": "w2 at best", "per_second": 2_000, "per_second_from_commit": 4_000}
    assert at_best(rows[3:])["per_second"] == 0


def test_medians_of_several_runs() -> None:
    rows = [{"work": "w1", "clients": 16, "cpu_us": cpu} for cpu in (500, 300, 400)]
    rows += [{"work": "w1", "clients": 1, "cpu_us": 700}]
    assert figures(rows)[0].of(rows) == 400


def test_small_things() -> None:
    assert quantiles_ms([3, 1, 2]) == {"p50_ms": 2_000, "p99_ms": 3_000}
    assert list(leaves({"a": [{"id": 1, "b": 2}], "c": None})) == [2, None]
    assert [number(each) for each in (0.0, 1.234, 1234.5)] == ["0", "1.23", "1,234"]
    assert frame(TEXT, b"hi") == b"\x81\x82\0\0\0\0hi"
    assert frame(TEXT, bytes(200))[:4] == b"\x81\xfe\x00\xc8"
    assert "&lt;" in chart("a < b", {"this site": 1, "limit": 2})
