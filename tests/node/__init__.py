"""Programs of Node.js, with the packages that those who wrote GraphQL's specifications published for it."""

import shutil
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def command(program: str, *arguments: str) -> list[str]:
    """What runs one of the programs in this folder."""
    node = shutil.which("node")
    if not node or not (HERE / "node_modules").is_dir():
        pytest.fail("No Node.js with these packages found: run `make test-node`.", pytrace=False)
    return [node, str(HERE / program), *arguments]
