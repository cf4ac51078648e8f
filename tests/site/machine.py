"""`Dockerfile` and `docker-compose.yml` without Docker: what they say, and a machine that does as they say."""

import json
import os
import random
import re
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import yaml

from tests.site.test_environment import variables_read

ROOT = Path(__file__).resolve().parents[2]
DATABASE_URL = os.environ.get("DATABASE_URL", "")
REDIS_URL = os.environ.get("REDIS_URL", "")
# This machine's environment, without what would configure the site, and with this Python's commands first.
OUTSIDE = {name: value for name, value in os.environ.items() if name not in variables_read()} | {
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    "DJANGO_SETTINGS_MODULE": "config.settings",
}


def read_dockerfile() -> list[tuple[str, str]]:
    """Its instructions, each a name and the rest of the line."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines if line and not line.startswith("#")]


def read_compose(**variables: str) -> dict[str, Any]:
    def fill_in(match: re.Match[str]) -> str:
        return variables.get(match["name"], match["default"])

    text = re.sub(r"\$\{(?P<name>\w+):-(?P<default>[^}]*)\}", fill_in, (ROOT / "docker-compose.yml").read_text())
    compose: dict[str, Any] = yaml.safe_load(text)
    return compose


DOCKERFILE = read_dockerfile()
SERVICES: dict[str, dict[str, Any]] = read_compose()["services"]


def instruction(name: str) -> str:
    """The one that counts: the last."""
    return [argument for each, argument in DOCKERFILE if each == name][-1]


# What all its processes have in their environment.
IMAGE = dict(pair.split("=") for name, argument in DOCKERFILE if name == "ENV" for pair in argument.split())


def docker_ignores(path: Path) -> bool:
    """What the patterns that we use mean: `**/name` is anywhere, every other one at the root."""
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    anywhere = [each.removeprefix("**/") for each in patterns if each.startswith("**/")]
    return any(fnmatch(path.name, each) for each in anywhere) or any(fnmatch(str(path), each) for each in patterns)


def free_port() -> str:
    """Below those that the system gives to whoever asks for any: nobody else gets it before it is used."""
    while True:
        port = random.randrange(10_000, 30_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return str(port)


def build_image(app: Path) -> None:
    """What `docker build` does with our own files; it leaves out installing packages and making a user."""

    def ignored(folder: str, names: list[str]) -> set[str]:
        return {name for name in names if docker_ignores((Path(folder) / name).relative_to(ROOT))}

    for name, argument in DOCKERFILE:
        if name == "COPY":
            *sources, target = argument.split()
            for source in sources:
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, app / target, ignore=ignored, dirs_exist_ok=True)
                else:
                    (app / target).mkdir(exist_ok=True)
                    shutil.copy(ROOT / source, app / target)
        elif name == "RUN" and "manage.py" in argument:
            subprocess.run(argument, shell=True, cwd=app, env=OUTSIDE, check=True, stdout=subprocess.DEVNULL)


class MailCatcher(socketserver.ThreadingTCPServer):
    """In the place of `mail`: as much SMTP as a sender needs. `lines` is what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        super().__init__(("127.0.0.1", 0), self.Conversation)

    class Conversation(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            assert isinstance(self.server, MailCatcher)
            self.wfile.write(b"220 here\r\n")
            in_message = False
            for line in self.rfile:
                self.server.lines.append(line.decode().strip())
                if in_message and line != b".\r\n":
                    continue
                in_message = line.upper() == b"DATA\r\n"
                self.wfile.write(b"354 go on\r\n" if in_message else b"250 fine\r\n")


class Machine:
    """Runs what the containers of `web` and `migrate` would; use it in a `with`, which ends all that it started.

    PostgreSQL and Redis are in the place of `db` and `redis` where DATABASE_URL and REDIS_URL say so; elsewhere SQLite
    and the in-memory channel layer are.
    """

    def __init__(self, app: Path, volumes: Path) -> None:
        self.app, self.volumes = app, volumes
        self.stack = ExitStack()
        build_image(app)

    def __enter__(self) -> "Machine":
        self.mail = self.stack.enter_context(MailCatcher())
        threading.Thread(target=self.mail.serve_forever, daemon=True).start()
        self.stack.callback(self.mail.shutdown)
        self.database_url = self._make_database()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stack.close()

    def _make_database(self) -> str:
        if not DATABASE_URL.startswith("postgres"):
            return f"sqlite:///{self.volumes / 'db.sqlite3'}"
        server, name = urlsplit(DATABASE_URL), f"starter_deployment_{os.getpid()}"
        connection = psycopg.connect(server._replace(path="/postgres").geturl(), autocommit=True)
        self.stack.callback(connection.close)
        connection.execute(f"CREATE DATABASE {name}")
        self.stack.callback(connection.execute, f"DROP DATABASE {name} WITH (FORCE)")
        return server._replace(path=f"/{name}").geturl()

    def environment(self, service: str) -> dict[str, str]:
        """The service's own, with this machine's addresses for the names of the other services."""
        own: dict[str, str] = SERVICES[service]["environment"]
        return {
            **OUTSIDE,
            **IMAGE,
            **own,
            "DATABASE_URL": self.database_url,
            "REDIS_URL": REDIS_URL,
            "EMAIL_URL": own["EMAIL_URL"].replace("mail:1025", f"127.0.0.1:{self.mail.server_address[1]}"),
            "MEDIA_ROOT": str(self.volumes / "media"),
        }

    def run(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Without `command` the service's own."""
        return subprocess.run(
            command or SERVICES[service]["command"],
            cwd=self.app,
            env=self.environment(service),
            capture_output=True,
            text=True,
            timeout=120,
        )

    def start_web(self) -> "Web":
        """Returns when the image's own health check says that it serves."""
        web = Web(self, free_port())
        self.stack.callback(web.process.wait)
        self.stack.callback(web.process.kill)
        deadline = time.monotonic() + 60
        while not web.healthy():
            assert web.process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not become healthy"
        return web


class Web:
    """The image's own command, on another port."""

    def __init__(self, machine: Machine, port: str) -> None:
        self.machine, self.port = machine, port
        environment = machine.environment("web") | {"PORT": port}
        self.process = subprocess.Popen(json.loads(instruction("CMD")), cwd=machine.app, env=environment)

    def healthy(self) -> bool:
        check = instruction("HEALTHCHECK").partition("CMD ")[2].replace("8000", self.port)
        return self.machine.run("web", *json.loads(check)).returncode == 0

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}")
