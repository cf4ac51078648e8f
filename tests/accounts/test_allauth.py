"""What is taken from inside of allauth, which may change with any version, is taken in one place."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.urls import resolve

ACCOUNTS = Path(__file__).parent.parent.parent / "apps/accounts"
INSIDE = {
    "allauth.account.internal.constants.LoginStageKey",
    "allauth.account.internal.flows.signup.prevent_enumeration",
    "allauth.account.internal.stagekit.get_pending_stage",
    "allauth.core.internal.httpkit.is_headless_request",
    "allauth.headless.internal.restkit.response.ErrorResponse",
    "allauth.mfa.internal.constants.LoginStageKey",
}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_it_works() -> None:
    assert {name for name in imports(ACCOUNTS / "headless.py") if ".internal" in name} == INSIDE


def test_nobody_else_takes_from_there() -> None:
    for path in set(ACCOUNTS.glob("*.py")) - {ACCOUNTS / "headless.py"}:
        assert not [name for name in imports(path) if name.startswith("allauth") and ".internal" in name], path


def paths() -> set[str]:
    """The addresses of the headless API that are asked."""
    return {
        call.args[2].value
        for file in ACCOUNTS.glob("*.py")
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "ask"
        if isinstance(call.args[2], ast.Constant) and isinstance(call.args[2].value, str)
    }


def test_the_addresses_are_known() -> None:
    assert len(paths()) >= 13


@pytest.mark.parametrize("path", sorted(paths()))
def test_they_lead_somewhere(path: str) -> None:
    assert callable(resolve(f"/browser/v1/{path}", urlconf="allauth.headless.urls").func)


@pytest.mark.parametrize("path", ["/_allauth/browser/v1/auth/login", "/browser/v1/auth/login"])
def test_they_are_not_served(path: str) -> None:
    with pytest.raises(Exception, match="tried"):
        resolve(path)
