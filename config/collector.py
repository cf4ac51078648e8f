"""When garbage is looked for, in a process that serves.

Nearly all of it goes without being looked for, as soon as nobody refers to it. What is left, circles, is found by
walking along all that there is: what the site itself consists of, which never becomes garbage, and what thousands of
sockets keep for hours. With Python's defaults that took an eighth of the time for each event, and with 3,000 sockets it
held everybody up for a second now and then. Here circles wait longer, in some megabytes; and they do go, so that
nothing grows without end.
"""

import gc

NEW_OBJECTS = 10_000
"""More than have gone again; then those are looked through. By Python's default 2,000."""
ROUNDS = 10
"""After so many times, what these left over is looked through again; and after as many of those, all that is kept."""


def collect_seldom() -> None:
    """From now on, in this process; and what there is by now is never looked through again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, ROUNDS, ROUNDS)
