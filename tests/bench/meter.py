"""What processes use, as the kernel counts it."""

import os
import time
from collections.abc import Sequence
from math import nan
from pathlib import Path
from typing import Any

from tests.delivery.services import PostgreSQL, Service

type Row = dict[str, Any]


class Meter:
    """What a server and its database use from now on."""

    def __init__(self, web: Service, postgresql: PostgreSQL) -> None:
        self._pids = {"cpu_us": web.pid, "postgresql_us": postgresql.pid}
        self._log = postgresql.log
        self._logged = self._log.stat().st_size
        self._before = {name: cpu_us(pid) for name, pid in self._pids.items()}

    def per(self, count: int) -> Row:
        """For each of so many; the statements are those of the web process."""
        used = {name: cpu_us(pid) - self._before[name] for name, pid in self._pids.items()}
        with self._log.open("rb") as log:
            log.seek(self._logged)
            statements = sum(b" LOG:  statement: " in line or b" LOG:  execute " in line for line in log)
        return {name: value / count for name, value in (used | {"statements": statements}).items()}


def cpu_us(pid: int) -> float:
    """Microseconds of CPU that a process and its children have used: by their clocks, and those that ended by ticks."""
    used = 0.0
    for each in family(pid):
        try:
            ended = sum(map(int, Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[13:15]))
            used += ended * 1e6 / os.sysconf("SC_CLK_TCK") + time.clock_gettime_ns((~each << 3) | 2) / 1e3
        except OSError:  # it ended meanwhile: its parent has its time
            continue
    return used


def memory_kib(pid: int) -> int:
    """Resident."""
    lines = [line for each in family(pid) for line in Path(f"/proc/{each}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def family(pid: int) -> list[int]:
    pids = [pid]
    for each in pids:
        for children in Path(f"/proc/{each}/task").glob("*/children"):
            try:
                pids.extend(map(int, children.read_text().split()))
            except OSError:
                continue
    return pids


def quantiles_ms(seconds: Sequence[float]) -> Row:
    ordered = sorted(seconds) or [nan]
    return {f"p{share}_ms": 1e3 * ordered[len(ordered) * share // 100] for share in (50, 99)}
