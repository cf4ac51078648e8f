"""A process that serves looks for garbage seldom, and finds it."""

import subprocess
import sys

import pytest

from tests.processes import ROOT, environment

BEFORE = "import gc, weakref; from config.asgi import application"


def serving(program: str) -> str:
    """What it prints, in a process of its own that is ready to serve."""
    command = [sys.executable, "-c", f"{BEFORE}\n{program}"]
    return subprocess.run(command, cwd=ROOT, env=environment(), check=True, capture_output=True, text=True).stdout


def test_it_works() -> None:
    frozen, left, is_on = serving("print(gc.get_freeze_count(), len(gc.get_objects()), gc.isenabled())").split()
    assert int(frozen) > 100_000
    assert int(left) < 1_000
    assert is_on == "True"


@pytest.mark.parametrize(("collections", "objects"), [(0, 50_000), (2, 1_500_000)], ids=["young", "old"])
def test_circles_that_are_garbage_go(collections: int, objects: int) -> None:
    program = f"""
class Circle: pass
circle, kept, gone = Circle(), [], []
circle.itself = circle
reference = weakref.ref(circle, gone.append)
for _ in range({collections}):
    gc.collect(1)
del circle
while not gone and len(kept) < 5_000_000:
    kept.append([])
print(len(kept))
"""
    assert int(serving(program)) < objects
