"""Who may import whom. A new app is held to it from its first day."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for folder in ("apps", "config")
    for path in (ROOT / folder).rglob("*.py")
    if "migrations" not in path.parts
}
APPS = sorted(path.name for path in (ROOT / "apps").iterdir() if (path / "apps.py").exists())

# What one app may know of another; its other modules are its own business.
PUBLIC = {"models", "services", "types", "notifications", "kinds"}
# Each dependency has one address: who looks for it, or replaces it, looks there.
ADDRESSES = {
    "channels_redis": ("apps.notifications.layers",),
    "strawberry": ("config.*", "config.graphql.*", "apps.*.types", "apps.*.schema"),
    "strawberry_django": ("config.schema", "config.graphql.*", "apps.*.types", "apps.*.schema"),
    "allauth": ("apps.accounts.*",),
    "PIL": ("apps.profiles.images",),
    "pi_heif": ("apps.profiles.images",),
    "channels.layers": ("apps.notifications.delivery", "config.graphql.websocket"),
    "environ": ("config.settings",),
    # Whatever calls out goes by `apps.outgoing`, which looks where to.
    "httpx2": ("apps.outgoing",),
    "httpcore2": ("apps.outgoing", "apps.public_network"),
    "tenacity": ("apps.outgoing",),
    **dict.fromkeys(("aiohttp", "http.client", "httpx", "requests", "urllib.request", "urllib3"), ()),
}


def imports(module: str) -> Iterator[str]:
    """The dotted names that a module imports, each with what it takes from there."""
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def app_of(name: str) -> str | None:
    parts = name.split(".")
    return parts[1] if parts[0] == "apps" and len(parts) > 1 and parts[1] in APPS else None


def is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def test_it_works() -> None:
    assert {"users", "profiles", "notifications", "accounts"} <= set(APPS)
    assert "apps.users.models.User" in set(imports("apps.profiles.models"))


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("apps.")])
def test_apps_do_not_know_the_site(module: str) -> None:
    assert not [name for name in imports(module) if is_in(name, "config")]


@pytest.mark.parametrize("module", [name for name in MODULES if app_of(name)])
def test_apps_know_only_each_other_s_public_modules(module: str) -> None:
    for name in imports(module):
        if app_of(name) not in (None, app_of(module)):
            what = name.split(".")[2]
            assert what in PUBLIC, f"{module} imports {name}"


def test_apps_form_no_circle() -> None:
    knows: dict[str, set[str]] = {app: set() for app in APPS}
    for module in MODULES:
        if app := app_of(module):
            knows[app] |= {other for name in imports(module) if (other := app_of(name)) and other != app}
    TopologicalSorter(knows).prepare()  # raises CycleError
    assert knows["users"] == set()
    assert knows["profiles"] == {"users"}
    assert knows["notifications"] <= {"profiles", "users"}
    assert knows["accounts"] <= {"notifications", "profiles", "users"}


@pytest.mark.parametrize("module", [name for name in MODULES if name.endswith(".services")])
def test_services_know_nothing_of_graphql(module: str) -> None:
    forbidden = ("strawberry", "strawberry_django", "graphql", "apps.users.types")
    own = module.removesuffix(".services")
    for name in imports(module):
        assert not any(is_in(name, package) for package in (*forbidden, f"{own}.types", f"{own}.schema"))


@pytest.mark.parametrize("module", MODULES)
def test_each_dependency_has_one_address(module: str) -> None:
    for name in imports(module):
        for dependency, addresses in ADDRESSES.items():
            if is_in(name, dependency):
                assert any(Path(module.replace(".", "/")).match(address.replace(".", "/")) for address in addresses), (
                    f"{module} imports {name}, whose place is {' or '.join(addresses) or 'taken by apps.outgoing'}"
                )


@pytest.mark.parametrize("module", [name for name in MODULES if name != "config.settings"])
def test_settings_are_the_only_reader_of_the_environment(module: str) -> None:
    source = MODULES[module].read_text().replace('os.environ.setdefault("DJANGO_SETTINGS_MODULE"', "")
    assert "os.environ" not in source
    assert "getenv" not in source
