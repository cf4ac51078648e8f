"""`.env.example` and `config/settings.py` say the same, and the examples work."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Groups of lines: comments ("# …"), then variables, with "#" before those that the example leaves alone.
BLOCKS = [block.splitlines() for block in (ROOT / ".env.example").read_text().split("\n\n")]
VARIABLE = re.compile(r"(?P<off>#?)(?P<name>[A-Z0-9_]+)=(?P<value>.*)")
EXAMPLE = [match for block in BLOCKS for line in block if (match := VARIABLE.fullmatch(line))]


def variables_read() -> set[str]:
    """The first argument of every `env.…("NAME")` and `required("NAME")` in the settings."""
    return {
        call.args[0].value
        for call in ast.walk(ast.parse((ROOT / "config/settings.py").read_text()))
        if isinstance(call, ast.Call) and re.fullmatch(r"env\.\w+|required", ast.unparse(call.func))
        if call.args and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
    }


def start(variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Start the site with these variables, and no others of ours."""
    outside = {name: value for name, value in os.environ.items() if name not in variables_read()}
    return subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env=outside | {"DJANGO_SETTINGS_MODULE": "config.settings"} | variables,
        capture_output=True,
        text=True,
    )


def test_it_works() -> None:
    done = start({match["name"]: match["value"] for match in EXAMPLE})
    assert done.returncode == 0, done.stderr


def test_copying_the_example_is_enough() -> None:
    done = start({match["name"]: match["value"] for match in EXAMPLE if not match["off"]})
    assert done.returncode == 0, done.stderr


def test_settings_and_the_example_name_the_same_variables() -> None:
    names = [match["name"] for match in EXAMPLE]
    assert sorted(names) == sorted(variables_read())


def test_every_variable_is_explained() -> None:
    for block in BLOCKS:
        if any(VARIABLE.fullmatch(line) for line in block):
            assert block[0].startswith("# "), block


@pytest.mark.parametrize("name", ["SECRET_KEY", "SITE_URL"])
def test_production_refuses_to_start_without(name: str) -> None:
    production = {"DEBUG": "0", "SECRET_KEY": "kept", "SITE_URL": "https://www.example.com"}
    done = start(production | {name: ""})
    assert done.returncode != 0
    assert f"{name} is not set" in done.stderr
