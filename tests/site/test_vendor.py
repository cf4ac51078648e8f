"""What is not ours is what its README says it is."""

import re
from hashlib import sha256
from pathlib import Path

VENDOR = Path(__file__).parent.parent.parent / "static" / "vendor"
ROW = re.compile(r"^\| `(?P<file>[^`]+)` \|.*`(?P<checksum>[0-9a-f]{64})` \|$", re.MULTILINE)


def test_it_works() -> None:
    stated = {row["file"]: row["checksum"] for row in ROW.finditer((VENDOR / "README.md").read_text())}
    files = [path for path in VENDOR.rglob("*") if path.is_file() and path.name != "README.md"]
    assert stated == {str(path.relative_to(VENDOR)): sha256(path.read_bytes()).hexdigest() for path in files}


def test_no_file_names_a_source_map() -> None:
    for path in VENDOR.rglob("*.js"):
        assert "sourceMappingURL=" not in path.read_text(), "the storage that hashes file names would look for it"
