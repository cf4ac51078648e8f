"""`manage.py serve` starts what the environment says, or tells what is wrong with that."""

import os
import subprocess
import sys

import pytest

from tests.processes import ROOT


def serve(**variables: str) -> str:
    """What it complains about."""
    own = {"DEBUG": "1", "DJANGO_SETTINGS_MODULE": "config.settings", "REDIS_URL": "redis://127.0.0.1"}
    command = [sys.executable, "manage.py", "serve"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | own | variables, capture_output=True, text=True)
    assert done.returncode == 1
    return done.stderr.strip()


def test_a_server_that_nobody_knows() -> None:
    assert (
        serve(SERVER="gunicorn") == "CommandError: SERVER is 'gunicorn'. It can be daphne, uvicorn, granian, hypercorn."
    )


@pytest.mark.parametrize("name", ["daphne", "hypercorn"])
def test_several_processes_of_one_that_has_one(name: str) -> None:
    assert f"SERVER={name} is one process, and WEB_CONCURRENCY is 2." in serve(SERVER=name, WEB_CONCURRENCY="2")


def test_several_processes_with_nothing_between_them() -> None:
    assert "site.E004" in serve(SERVER="uvicorn", WEB_CONCURRENCY="2", REDIS_URL="")
