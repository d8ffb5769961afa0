"""The page of limits has every constant that cuts, and names tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "design" / "limits.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("| `")]
SEARCHED = ("sandboxes", "gate", "satbox/client", "satbox/cli", "satbox/mcp_server")
KIND = "BYTES|CHARS|CHARACTERS|ENTRIES|ITEMS|FOLDERS|NAMED|LINES|HEADERS|LISTED"
CONSTANT = re.compile(rf"^(_?(?:[A-Z_]+_)?(?:{KIND})_MAX)\b.* = ", re.MULTILINE)
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


def limits() -> list[tuple[str, str]]:
    files = [path for folder in SEARCHED for path in sorted((ROOT / folder).rglob("*.py"))]
    found = [(str(path.relative_to(ROOT)), name) for path in files for name in CONSTANT.findall(path.read_text())]
    assert len(found) > 60
    return found


def in_table(path: str, name: str) -> bool:
    """Whether a row names the file and, before another file is named, the constant."""
    parts = [part for row in ROWS for part in re.findall(r"`([\w/]+\.py)` ([^`|]*)", row)]
    return any(file == path and name in re.findall(r"\w+", names) for file, names in parts)


def test_every_limit_is_in_the_table() -> None:
    missing = [f"{path} {name}" for path, name in limits() if not in_table(path, name)]
    assert not missing, f"say in design/limits.md what happens at: {missing}"


def test_every_file_in_the_table_has_its_constants() -> None:
    for row in ROWS:
        for path, names in re.findall(r"`([\w/]+\.py)` ([^`|]*)", row):
            text = (ROOT / path).read_text()
            for name in re.findall(r"\b_?[A-Z]+(?:_[A-Z]+)+\b", names):
                assert re.search(rf"\b{name}\b", text), f"{path} has no {name}"


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_every_test_the_page_names_exists(path: str, name: str) -> None:
    assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE)


def test_every_row_says_what_happens() -> None:
    for row in ROWS:
        assert len(row.strip("|").split(" | ")) == 5, row
