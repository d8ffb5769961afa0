"""Steps run once each, as a whole or not at all, however many open the file."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from storage.errors import UnavailableError
from storage.files import connect, read_only
from storage.migration import migrate_by, run_script

TRIGGER = """
CREATE TABLE t (n INTEGER) STRICT;
CREATE TRIGGER t_is_append_only BEFORE UPDATE ON t BEGIN SELECT RAISE(ABORT, 'append-only'); END;
"""


def version(path: Path) -> int:
    return int(connect(path).execute("PRAGMA user_version").fetchone()[0])


def test_each_step_runs_once(tmp_path: Path) -> None:
    path = tmp_path / "f.sqlite"
    migrate_by(connect(path), [TRIGGER])
    migrate_by(connect(path), [TRIGGER, "ALTER TABLE t ADD COLUMN x TEXT;"])
    assert version(path) == 2
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connect(path).executescript("INSERT INTO t VALUES (1, ''); UPDATE t SET n = 2;")


def test_a_step_that_fails_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "f.sqlite"
    with pytest.raises(UnavailableError):
        migrate_by(connect(path), ["CREATE TABLE a (n INTEGER); CREATE TABLE a (n INTEGER);"])
    assert version(path) == 0
    assert connect(path).execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.sqlite"
    migrate_by(connect(path), [TRIGGER, "CREATE TABLE u (n INTEGER);"])
    with pytest.raises(RuntimeError, match="newer version"):
        migrate_by(connect(path), [TRIGGER])


def test_many_who_open_a_file_at_once_migrate_it_once(tmp_path: Path) -> None:
    path = tmp_path / "f.sqlite"
    connect(path).close()
    steps = ["CREATE TABLE t (n INTEGER);", "INSERT INTO t VALUES (1);", "INSERT INTO t VALUES (2);"]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: migrate_by(connect(path), steps), range(8)))
    assert connect(path).execute("SELECT n FROM t ORDER BY n").fetchall() == [(1,), (2,)]


def test_a_script_that_ends_within_a_statement_is_refused() -> None:
    with pytest.raises(ValueError, match="within a statement"):
        run_script(sqlite3.connect(":memory:"), "CREATE TRIGGER t BEFORE UPDATE ON t BEGIN SELECT 1;")


def test_who_only_reads_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "f.sqlite"
    migrate_by(connect(path), [TRIGGER])
    with pytest.raises(UnavailableError, match="readonly"):
        read_only(path).execute("INSERT INTO t VALUES (1)")
