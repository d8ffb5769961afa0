"""Look at a file that others may write, leaving nothing behind.

A read-only connection to a file in WAL mode makes the two files beside it and cannot remove them, 32 KiB for each wallet looked
at. A file without a log is whole by itself, so it is read as immutable; whether that was true is seen afterwards from what
tells two states of a file apart. A file with a log is being used: there the files exist anyway.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from storage.connection import Connection
from storage.files import read_only


class ChangedMeanwhileError(Exception):
    """Somebody wrote the file while it was read as immutable: what was read means nothing."""


def stamp(file: Path) -> str:
    """What tells two states of a database apart: sizes and times of the file and its log."""
    return f"{_of(file)} {_of(_log(file))}"


def _log(file: Path) -> Path:
    return file.with_name(f"{file.name}-wal")


def _of(file: Path) -> str:
    try:
        found = file.stat()
    except FileNotFoundError:
        return "-"
    return f"{found.st_size}:{found.st_mtime_ns}" if found.st_size else "-"  # an empty log is no log


@contextlib.contextmanager
def looked_at(file: Path, *, in_use: bool = False, busy_seconds: float = 10.0) -> Iterator[Connection]:
    """The file at one moment. Raises ChangedMeanwhileError at the end; then look again, `in_use`."""
    before = stamp(file)
    is_whole = not in_use and before.endswith(" -")
    with contextlib.closing(read_only(file, is_at_rest=is_whole, busy_seconds=busy_seconds)) as db:
        db.execute("BEGIN")
        yield db
    if is_whole and stamp(file) != before:
        raise ChangedMeanwhileError(str(file))
