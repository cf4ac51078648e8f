"""`scripts/bootstrap`: which Python it takes, and that it can be called at any time, by anyone, twice."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BASH = shutil.which("bash") or "bash"
BASE_PYTHON = getattr(sys, "_base_executable", sys.executable)

WORKS = f'exec "{BASE_PYTHON}" "$@"'
FAILS = "echo 'command not found' >&2; exit 127"  # as a version manager's name for a Python that is not installed
TOO_OLD = f'exec "{BASE_PYTHON}" -c "import sys; sys.version_info = (3, 11); exec(sys.argv[1])" "$3"'

type Install = Callable[[str, str], Path]


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Put a command into a PATH that has nothing else but what the script itself calls."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("cat", "cmp", "dirname", "mv", "rm"):
        (folder / name).symlink_to(shutil.which(name) or name)

    def install(name: str, script: str) -> Path:
        command = folder / name
        command.write_text(f"#!/bin/sh\n{script}\n")
        command.chmod(0o755)
        return command

    return install


def start(root: Path, *arguments: str, path: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [BASH, str(root / "scripts/bootstrap"), *arguments],
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def find_python(path: Path | str) -> tuple[int, str, str]:
    process = start(ROOT, "--find-python", path=str(path))
    out, err = process.communicate()
    return process.returncode, out.strip(), err


def test_it_works(install: Install) -> None:
    command = install("python3.12", WORKS)
    assert find_python(command.parent) == (0, BASE_PYTHON, "")


def test_a_name_that_does_not_run_is_passed_over(install: Install) -> None:
    install("python3.13", FAILS)
    install("python3.12", FAILS)
    command = install("python3", WORKS)
    assert find_python(command.parent) == (0, BASE_PYTHON, "")


def test_a_name_that_does_not_run_hides_no_later_one(install: Install, tmp_path: Path) -> None:
    first = install("python3.13", FAILS).parent
    second = tmp_path / "second"
    second.mkdir()
    (second / "python3.13").symlink_to(BASE_PYTHON)
    status, found, _ = find_python(f"{first}:{second}")
    assert status == 0
    assert Path(found).samefile(BASE_PYTHON)


@pytest.mark.parametrize("script", [FAILS, TOO_OLD])
def test_no_python_that_fits_says_what_to_install(install: Install, script: str) -> None:
    install("python3.13", script)
    command = install("python3", script)
    status, out, err = find_python(command.parent)
    assert (status, out) == (1, "")
    assert "needs Python 3.12 or newer" in err
    assert "apt-get install python3 python3-venv" in err


def test_uv_is_asked_when_nothing_on_path_fits(install: Install) -> None:
    install("python3", TOO_OLD)
    command = install("uv", '[ "$1 $2" = "python find" ] && echo /somewhere/python3.13')
    assert find_python(command.parent) == (0, "/somewhere/python3.13", "")


def test_once_made_it_is_left_alone_and_broken_it_is_mended(install: Install, tmp_path: Path) -> None:
    path = str(install("python3", WORKS).parent)
    project = tmp_path / "a project"
    (project / "requirements").mkdir(parents=True)
    (project / "requirements/dev.txt").touch()  # an empty lock: nothing to download
    shutil.copytree(ROOT / "scripts", project / "scripts")

    def bootstrap(times: int) -> list[str]:
        processes = [start(project, path=path) for _ in range(times)]
        outputs = [process.communicate() for process in processes]
        assert [process.returncode for process in processes] == [0] * times, outputs
        return [out for out, _ in outputs if out]

    python = project / ".venv/bin/python"
    assert len(bootstrap(1)) == 1
    assert bootstrap(1) == []

    python.unlink()
    python.symlink_to("/nowhere/python3")
    assert len(bootstrap(3)) == 1, "one of them mends it, the others wait for that"
    subprocess.run([python, "-c", ""], check=True)

    (project / "requirements/dev.txt").write_text("# a new lock\n")
    assert len(bootstrap(1)) == 1
