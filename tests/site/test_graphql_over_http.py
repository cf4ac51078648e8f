"""`/graphql/` as the specification GraphQL over HTTP has it, by the audits of npm's `graphql-http`."""

import json
import subprocess
from collections.abc import Callable

import httpx
import pytest

from tests.clients import session_cookies
from tests.conftest import User
from tests.node import command
from tests.processes import Server

pytestmark = pytest.mark.node

AUDITS = 61
OVER_GET = {"5A70", "6A70", "D6D5"}
"""Those of queries over GET, which a server may serve. Ours doesn't."""
OF_THE_SCHEMA = {"28B9", "2EA1"}
"""Those of variables. They ask for a type of the schema, which nobody is told in production."""


@pytest.mark.parametrize(
    ("debug", "exceptions"),
    [("1", OVER_GET), ("0", OVER_GET | OF_THE_SCHEMA)],
    ids=["development", "production"],
)
def test_it_works(debug: str, exceptions: set[str], start_server: Callable[..., Server], alice: User) -> None:
    server = start_server(DEBUG=debug)
    with httpx.Client(base_url=server.url, cookies=session_cookies(alice)) as client:
        client.post("/graphql/")  # brings the cookie against CSRF
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        arguments = (f"{server.url}/graphql/", cookie, client.cookies["csrftoken"])
    done = subprocess.run(command("audits.mjs", *arguments), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    results = {one["id"]: one for one in json.loads(done.stdout)}

    failures = {name: one for name, one in results.items() if one["status"] != "ok"}
    assert failures.keys() == exceptions, json.dumps(failures, indent=2)
    assert {failures[name]["status"] for name in OVER_GET} == {"notice"}
    assert all("introspection" in failures[name]["reason"] for name in exceptions - OVER_GET)
    assert len(results) == AUDITS
