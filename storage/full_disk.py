"""What a full disk looks like to the file system and to SQLite."""

import errno
import sqlite3

FULL_SECONDS = 30
"""When it is worth asking again."""

_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})
_SQLITE = frozenset({"SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE"})


def is_full(error: BaseException) -> bool:
    """Whether this says that the disk has no room, itself or by its cause."""
    if isinstance(error, OSError) and error.errno in _ERRNOS:
        return True
    if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorname", None) in _SQLITE:
        return True
    return error.__cause__ is not None and is_full(error.__cause__)
