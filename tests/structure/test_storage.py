"""Files of ours are opened in one place, so that each survives a power cut; what else opens one says why. Who keeps something in
them knows a store, and not SQLite.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("actors", "gate", "operations", "oracle", "relay_client", "sandboxes", "satbox", "storage")
KNOWS_SQLITE = {
    "storage/sqlite.py": "SQLite's errors by our names",
    "storage/files.py": "how a file is opened",
    "storage/migration.py": "where a statement of a script ends",
    "storage/full_disk.py": "what SQLite says on a full disk",
    "gate/books/statement_files.py": "a statement may be a file of SQLite",
    "satbox/audit/statement_file.py": "and is read as one",
}
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


def imports_sqlite(source: str) -> bool:
    found = ast.walk(ast.parse(source))
    names = [
        alias.name if isinstance(node, ast.Import) else str(node.module)
        for node in found
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]
    return any(name.partition(".")[0] == "sqlite3" for name in names)


def test_only_these_know_sqlite() -> None:
    found = {
        str(path.relative_to(ROOT))
        for package in (*PACKAGES, "simulator")
        for path in (ROOT / package).rglob("*.py")
        if imports_sqlite(path.read_text())
    }
    assert found == set(KNOWS_SQLITE)


def test_it_sees_an_import_in_any_form() -> None:
    assert all(
        map(imports_sqlite, ("import sqlite3", "from sqlite3 import Error", "def f():\n    import sqlite3 as s"))
    )
    assert not imports_sqlite("from storage.sqlite import Database")


def test_it_sees_one_that_is_opened_elsewhere() -> None:
    assert opens("import sqlite3\ndb = sqlite3.connect('x')")
    assert not opens("from storage.files import connect\ndb = connect('x')")
