"""The locks are what is asked for, and name nothing but versions and hashes."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = {name: (ROOT / f"requirements/{name}.txt").read_text() for name in ("base", "dev")}


def pins(name: str) -> dict[str, str]:
    """The version of each package. Where it depends on the platform, the last one."""
    return dict(re.findall(r"^([\w.-]+)==([^ ;]+)", LOCKS[name], flags=re.MULTILINE))


def wanted(name: str) -> list[Requirement]:
    groups = PROJECT["dependency-groups"]
    extra = groups["test"] + groups["check"] if name == "dev" else []
    return [Requirement(each) for each in PROJECT["project"]["dependencies"] + extra]


@pytest.mark.parametrize("name", LOCKS)
def test_it_works(name: str) -> None:
    locked = pins(name)
    unmet = [
        each for each in wanted(name) if not each.specifier.contains(locked.get(canonicalize_name(each.name), "0"))
    ]
    assert unmet == [], "run `make lock`"


def test_production_gets_the_versions_that_were_tested() -> None:
    assert pins("base").items() <= pins("dev").items()


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_has_hashes_and_none_an_address(name: str) -> None:
    packages = re.split(r"^(?=[\w.-]+==)", LOCKS[name], flags=re.MULTILINE)[1:]
    assert [package for package in packages if "--hash=sha256:" not in package] == []
    assert not re.search(r"://| @ |--index|--find-links", LOCKS[name])


def test_so_it_is_with_what_runs_in_node() -> None:
    folder = ROOT / "tests/node"
    packages = json.loads((folder / "package-lock.json").read_text())["packages"]
    wanted = json.loads((folder / "package.json").read_text())["devDependencies"]
    assert packages.pop("")["devDependencies"] == wanted
    assert {name.removeprefix("node_modules/"): package["version"] for name, package in packages.items()} == wanted
    assert [package for package in packages.values() if "integrity" not in package or "resolved" in package] == []
