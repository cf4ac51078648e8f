"""A client that reads nothing for a minute is cut off, whatever server it is connected to.

Uvicorn, Granian and Hypercorn never give up on one: a connection that they have closed stays for as long as there is
something left to send. So the kernel does it (`TCP_USER_TIMEOUT` of Linux, tcp(7); elsewhere nothing is done).
"""

import os
import socket
import threading
from contextlib import suppress
from functools import cache

SECONDS = 60


@cache
def cut_off_stalled_clients() -> None:
    """All that connect from now on, to whatever this process listens at. Free after the first call."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        threading.Thread(target=_limit_listeners, name="stalled-clients", daemon=True).start()  # it reads a directory


def _limit_listeners() -> None:
    for file in map(int, os.listdir("/proc/self/fd")):
        with suppress(OSError):  # it is no socket, or not of TCP
            one = socket.socket(fileno=file)
            try:
                if one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):  # who is accepted here inherits it
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SECONDS * 1_000)
            finally:
                one.detach()
