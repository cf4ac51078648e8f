"""The process that decodes one picture: from standard input to standard output, with what it may use limited.

It knows nothing of Django, and has neither its settings nor its secrets.
"""

import sys
from contextlib import suppress
from io import BytesIO

from apps.profiles.images import ImageTooLarge, ImageTooSmall, InvalidImage, squares

STATUS: dict[type[InvalidImage], int] = {InvalidImage: 65, ImageTooLarge: 66, ImageTooSmall: 67}
"""With what it ends where it refuses the picture."""
LENGTH = 4
"""Bytes of the number before each picture that says how long it is."""


def main(memory: int, seconds: int) -> None:
    """`memory`: bytes of address space. `seconds`: of processor time."""
    content = sys.stdin.buffer.read()
    _limit(memory, seconds)
    try:
        pictures = squares(BytesIO(content))
    except InvalidImage as refusal:
        sys.stderr.write(str(refusal))
        sys.exit(STATUS[type(refusal)])
    for picture in pictures.values():
        sys.stdout.buffer.write(len(picture).to_bytes(LENGTH) + picture)


def _limit(memory: int, seconds: int) -> None:
    """Where the system can: Linux does, macOS only in part, Windows not at all."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
