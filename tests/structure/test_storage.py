"""Files of ours are opened in one place, so that each survives a power cut; what else opens one says why."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("actors", "gate", "operations", "oracle", "relay_client", "sandboxes", "satbox", "storage")
OTHERWISE = {
    "storage/files.py": "the place",
    "gate/books/statement_files.py": "a file for a caller, thrown away when it is sent",
    "satbox/audit/statement_file.py": "a table in memory",
}


def opens(source: str) -> bool:
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return any(ast.unparse(call.func) in ("sqlite3.connect", "sqlite3.Connection") for call in calls)


def test_files_are_opened_in_one_place() -> None:
    found = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if opens(path.read_text())
    }
    assert found == set(OTHERWISE)


def test_it_sees_one_that_is_opened_elsewhere() -> None:
    assert opens("import sqlite3\ndb = sqlite3.connect('x')")
    assert not opens("from storage.files import connect\ndb = connect('x')")
