"""`make dev`: the database brought up to date, demo data once, then `manage.py runserver`.

Starting Django is what takes the time, so that happens once. The process that `make` starts does not load it: it only
watches over the one that serves, as Django's reloader does. The first that serves prepares the database before.
"""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WATCHED = "RUN_MAIN"  # the variable by which Django's reloader knows that somebody watches over it,
RELOAD = 3  # and the exit status by which it asks to be started again


def watch() -> int:
    # An exit is an exception, and `subprocess.call` kills its process on every exception.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a script that starts us in the background ignores it
    environment = {"DEBUG": "1", **os.environ, WATCHED: "true"}
    status, arguments = RELOAD, ["--prepare"]
    try:
        while status == RELOAD:
            status = subprocess.call([sys.executable, __file__, *arguments], cwd=ROOT, env=environment)  # noqa: S603
            arguments = []
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return status


def prepare() -> None:
    import django
    from django.conf import settings
    from django.core.management import call_command

    django.setup()
    try:
        socket.create_server((settings.HOST, int(settings.PORT))).close()
    except OSError as error:  # Daphne would say so and stay, serving nothing
        sys.exit(f"{error}\nTry another port: make dev PORT=8001")
    call_command("migrate", interactive=False)
    call_command("seed_demo")


def serve() -> None:
    from django.conf import settings
    from django.core.management import execute_from_command_line

    execute_from_command_line(["manage.py", "runserver", f"{settings.HOST}:{settings.PORT}"])


if __name__ == "__main__":
    if WATCHED not in os.environ:
        sys.exit(watch())
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if "--prepare" in sys.argv:
        prepare()
    serve()
