"""`Dockerfile` and `docker-compose.yml`, taken at their word: their commands run, in a folder with just the files that
the image has. There may be no Docker here; see `machine.py` for what is in its place.
"""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.site.machine import (
    DATABASE_URL,
    DOCKERFILE,
    REDIS_URL,
    SERVICES,
    Machine,
    Web,
    docker_ignores,
    free_port,
    instruction,
    read_compose,
)
from tests.site.test_environment import variables_read

on_postgres = pytest.mark.skipif(not DATABASE_URL.startswith("postgres"), reason="DATABASE_URL names no PostgreSQL")
on_redis = pytest.mark.skipif(not REDIS_URL, reason="REDIS_URL is not set")

# A whole version, and no registry: `postgres:17.6-alpine`.
PINNED = re.compile(r"([a-z]+/)?[a-z]+:v?\d+\.\d+(\.\d+)?(-[a-z]+)*")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with Machine(tmp_path_factory.mktemp("app"), tmp_path_factory.mktemp("volumes")) as machine:
        migrate = machine.run("migrate")
        assert migrate.returncode == 0, migrate.stderr
        yield machine


@pytest.fixture(scope="module")
def web(machine: Machine) -> Web:
    return machine.start_web()


# ------------------------------------------------------------------------------------------------- what they do


def test_it_works(web: Web) -> None:
    page = web.get("/")
    assert page.status_code == 200
    files = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)
    assert files
    assert {web.get(file).status_code for file in files} == {200}


def test_it_is_ready(web: Web) -> None:
    answer = web.get("/health/ready/")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


def test_migrating_again_changes_nothing(machine: Machine) -> None:
    migrate = machine.run("migrate")
    assert migrate.returncode == 0, migrate.stderr
    assert "No migrations to apply" in migrate.stdout
    assert "0 new demo users, 3 were there" in migrate.stdout


def test_mail_reaches_the_catcher(machine: Machine) -> None:
    sent = machine.run("web", "python", "manage.py", "sendtestemail", "alice@example.com")
    assert sent.returncode == 0, sent.stderr
    assert "To: alice@example.com" in machine.mail.lines


def test_the_server_stops_when_told_and_is_not_healthy_then(machine: Machine) -> None:
    web = machine.start_web()
    web.process.terminate()
    web.process.wait(timeout=10)  # what Docker allows before it kills
    assert not web.healthy()


@on_postgres
def test_the_check_of_db_tells_up_from_down() -> None:
    _, *check = SERVICES["db"]["healthcheck"]["test"]
    up = {**os.environ, "PGPORT": str(urlsplit(DATABASE_URL).port or 5432)}
    assert subprocess.run(check, env=up, capture_output=True).returncode == 0
    assert subprocess.run(check, env=up | {"PGPORT": free_port()}, capture_output=True).returncode != 0


@on_redis
def test_redis_starts_keeps_nothing_and_its_check_tells_up_from_down(tmp_path: Path) -> None:
    port = free_port()
    _, client, *ping = SERVICES["redis"]["healthcheck"]["test"]

    def healthy() -> bool:
        return subprocess.run([client, "-p", port, *ping], capture_output=True).returncode == 0

    assert not healthy()
    command = [*SERVICES["redis"]["command"], "--port", port]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while not healthy():
            assert process.poll() is None, "redis-server does not like its arguments"
            assert time.monotonic() < deadline
    finally:
        process.terminate()
        process.wait()
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------- what they say


def test_every_image_is_pinned() -> None:
    images = [argument.split()[0] for name, argument in DOCKERFILE if name == "FROM"]
    images += [service["image"] for service in SERVICES.values() if "image" in service]
    assert len(images) == 4
    assert [image for image in images if not PINNED.fullmatch(image)] == []


def test_every_service_that_stays_is_checked() -> None:
    assert "/health/live/" in instruction("HEALTHCHECK")
    unchecked = {name for name, service in SERVICES.items() if "healthcheck" not in service and "build" not in service}
    assert unchecked == set()
    assert {name for name, service in SERVICES.items() if service.get("healthcheck", {}).get("disable")} == {"migrate"}


def test_web_waits_for_migrate_and_migrate_for_the_database() -> None:
    assert SERVICES["web"]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert SERVICES["migrate"]["depends_on"]["db"]["condition"] == "service_healthy"


def test_settings_know_every_variable() -> None:
    ours = [service for service in SERVICES.values() if "build" in service]
    assert {name for service in ours for name in service["environment"]} <= variables_read()


def test_addresses_name_services_and_the_database_lets_us_in() -> None:
    environment, database = SERVICES["web"]["environment"], SERVICES["db"]["environment"]
    url = urlsplit(environment["DATABASE_URL"])
    credentials = (database["POSTGRES_USER"], database["POSTGRES_PASSWORD"], database["POSTGRES_DB"])
    assert (url.username, url.password, url.path.removeprefix("/")) == credentials
    hosts = {urlsplit(environment[name]).hostname for name in ("DATABASE_URL", "REDIS_URL", "EMAIL_URL")}
    assert hosts == {"db", "redis", "mail"}


def test_a_clean_clone_has_all_it_needs() -> None:
    mounts = {mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])}
    assert mounts == set(read_compose()["volumes"]), "volumes by name, no folders of the machine"
    assert not any("env_file" in service for service in SERVICES.values())


def test_only_this_machine_reaches_it_on_a_port_that_can_be_chosen() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert all(port.startswith("127.0.0.1:") for port in ports)
    web = read_compose(PORT="9000")["services"]["web"]
    assert web["ports"] == ["127.0.0.1:9000:8000"]
    assert web["environment"]["SITE_URL"] == "http://localhost:9000"


def test_the_image_has_no_secrets_no_root_and_only_locked_packages() -> None:
    private = (".env", ".git", ".venv", "db.sqlite3", "db.sqlite3-wal", "media", "tests")
    assert [name for name in private if not docker_ignores(Path(name))] == []
    assert instruction("USER") == "app"
    installs = [argument for name, argument in DOCKERFILE if name == "RUN" and "pip" in argument]
    assert len(installs) == 1
    assert "--require-hashes -r requirements/base.txt" in installs[0]
