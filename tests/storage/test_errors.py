"""Whatever fails in a store fails by a name of ours, at whichever step, and a full disk is known by it."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from storage.errors import ConflictError, StorageError, UnavailableError, is_damage
from storage.files import connect, read_only
from storage.full_disk import is_full
from storage.migration import run_script
from storage.sqlite import Database
from storage.transactions import Transaction
from storage.writer import GroupWriter

LATE = "SELECT CASE value WHEN 3 THEN abs(-9223372036854775808) ELSE value END FROM json_each('[1, 2, 3]')"
"""Rows, of which the third cannot be made."""


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with closing(connect(tmp_path / "f.sqlite")) as made:
        run_script(made, "CREATE TABLE t (n INTEGER PRIMARY KEY CHECK (n > 0), x BLOB) STRICT;")
        made.execute("INSERT INTO t VALUES (1, NULL)")
        yield made


def fill(db: Database) -> None:
    db.execute("PRAGMA max_page_count = 1").fetchall()
    db.execute("INSERT INTO t VALUES (2, zeroblob(100000))")


def write_while_another_does(db: Database) -> None:
    path = db.execute("SELECT file FROM pragma_database_list").fetchone()[0]
    with closing(connect(Path(path), busy_seconds=0)) as other, Transaction(other):
        db.execute("PRAGMA busy_timeout = 0").fetchall()
        db.execute("INSERT INTO t VALUES (2, NULL)")


def commit_what_is_forbidden(db: Database) -> None:
    run_script(
        db,
        "PRAGMA foreign_keys = ON; CREATE TABLE u (n INTEGER REFERENCES t DEFERRABLE INITIALLY DEFERRED) STRICT;",
    )
    with Transaction(db):
        db.execute("INSERT INTO u VALUES (9)")


@pytest.mark.parametrize(
    ("work", "kind"),
    [
        (lambda db: db.execute("INSERT INTO t VALUES (1, NULL)"), ConflictError),
        (lambda db: db.execute("INSERT INTO t VALUES (0, NULL)"), ConflictError),
        (lambda db: db.executemany("INSERT INTO t VALUES (?, NULL)", [(5,), (5,)]), ConflictError),
        (commit_what_is_forbidden, ConflictError),
        (lambda db: db.execute("SELECT * FROM nowhere"), UnavailableError),
        (write_while_another_does, UnavailableError),
        (fill, UnavailableError),
        (lambda db: db.execute(LATE).fetchall(), UnavailableError),
        (lambda db: list(db.execute(LATE)), UnavailableError),
        (lambda db: [rows.fetchone() for rows in [db.execute(LATE)] for _ in range(3)], UnavailableError),
        (lambda db: (db.close(), db.execute("SELECT 1")), StorageError),
    ],
)
def test_each_failure_has_a_name_and_its_cause(
    db: Database, work: Callable[[Database], object], kind: type[StorageError]
) -> None:
    with pytest.raises(StorageError) as failed:
        work(db)
    assert type(failed.value) is kind
    assert isinstance(failed.value.__cause__, sqlite3.Error)
    assert is_full(failed.value) == (work is fill)


def test_what_is_no_database_is_damage_and_what_cannot_be_opened_is_not(tmp_path: Path) -> None:
    (tmp_path / "no.sqlite").write_bytes(b"x" * 8192)
    with pytest.raises(StorageError) as failed:
        connect(tmp_path / "no.sqlite")
    assert is_damage(failed.value)
    for opened in (connect, read_only):
        with pytest.raises(UnavailableError) as failed:
            opened(tmp_path / "nowhere" / "f.sqlite").execute("SELECT 1")
        assert not is_damage(failed.value)


async def test_work_in_a_group_fails_by_the_same_names_and_alone(tmp_path: Path) -> None:
    store = GroupWriter(
        tmp_path / "f.sqlite", lambda db: run_script(db, "CREATE TABLE t (n INTEGER PRIMARY KEY) STRICT;")
    )
    try:
        await store.run(lambda db: db.execute("INSERT INTO t VALUES (1)").rowcount)
        with pytest.raises(ConflictError):
            await store.run(lambda db: db.execute("INSERT INTO t VALUES (1)").rowcount)
        assert await store.run(lambda db: db.execute("SELECT n FROM t").fetchall()) == [(1,)]
    finally:
        store.close()
