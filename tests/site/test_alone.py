"""What is marked `alone` waits until the others have left, and they wait until it has."""

import fcntl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.alone import Turns


def wait_until_shut(turns: Turns) -> None:
    while True:
        try:
            fcntl.flock(turns.door, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        fcntl.flock(turns.door, fcntl.LOCK_UN)


def test_it_works(tmp_path: Path) -> None:
    one, other, alone = (Turns(tmp_path) for _ in range(3))
    one.take(alone=False)
    other.take(alone=False)  # at the same time
    other.give_back()
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(alone.take, alone=True)
        wait_until_shut(Turns(tmp_path))
        late = pool.submit(other.take, alone=False)
        assert not waiting.done()
        one.give_back()
        waiting.result(10)
        assert not late.done()
        alone.give_back()
        late.result(10)
    other.give_back()
    alone.take(alone=True)
    alone.take(alone=True)  # it goes on with the next one
    alone.give_back()
