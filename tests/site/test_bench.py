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
from tests.bench.contenders import CONTENDERS
from tests.bench.report import chart, figures, highest_rate, number, of_each
from tests.bench.subscribers import TEXT, frame
from tests.bench.workloads import leaves, quantiles_ms
from tests.delivery.services import postgresql_programs
from tests.processes import ROOT

CHOSEN = ("site-uvicorn", "plain-uvicorn", "limit")


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
        by_work[row["work"]].add(row["contender"])
        assert not row.get("lost")
        assert not row.get("twice")
    assert by_work == {work: set(CHOSEN) for work in ("w1", "w2", "w3", "w4")} | {"notify": {"site-uvicorn"}}


def test_every_figure_is_one_of_a_server_that_did_something(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        assert any(row.get(name, 0) > 0 for name in ("queries", "published", "sockets", "rows"))
        assert row.get("cpu_us", 1) > 0
        assert row.get("p50_ms", 0) <= row.get("p99_ms", 0)
        assert row.get("kib", 1) >= 0


def test_it_is_written_down(results: Path) -> None:
    table = (results / "results.md").read_text()
    for contender in CONTENDERS:
        assert (contender.what in table) == (contender.name in CHOSEN)
    for name in ("query", "event", "subscription"):
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
    images = re.findall('src="([^"]+)"', text)
    assert len(images) == 3
    assert all((tmp_path / image).exists() for image in images)


def test_a_rate_counts_if_nothing_was_lost_and_nothing_late() -> None:
    steps = [
        {"published_per_second": 1_000, "lost": 0, "p99_ms": 20},
        {"published_per_second": 2_000, "lost": 0, "p99_ms": 99},
        {"published_per_second": 4_000, "lost": 0, "p99_ms": 101},
        {"published_per_second": 8_000, "lost": 1, "p99_ms": 10},
    ]
    assert highest_rate(steps) == 2_000


def test_medians_of_several_runs() -> None:
    rows = [
        {"contender": "limit", "work": "w1", "clients": 16, "cpu_us": cpu, "per_second": 1, "p50_ms": 1, "p99_ms": 1}
        | {"postgresql_us": 1}
        for cpu in (500, 300, 400)
    ]
    assert of_each(figures(rows)[0], rows) == {"limit, Uvicorn": 400}


def test_small_things() -> None:
    assert quantiles_ms([3, 1, 2]) == {"p50_ms": 2_000, "p99_ms": 3_000}
    assert list(leaves({"a": [{"id": 1, "b": 2}], "c": None})) == [2, None]
    assert [number(each) for each in (float("nan"), 0.0, 1.234, 1234.5)] == ["", "0", "1.23", "1,234"]
    assert frame(TEXT, b"hi") == b"\x81\x82\0\0\0\0hi"
    assert frame(TEXT, bytes(200))[:4] == b"\x81\xfe\x00\xc8"
    assert "&lt;" in chart("a < b", {"this site": 1, "limit": 2})
