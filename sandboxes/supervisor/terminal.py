"""Terminals: pairs whose inner side belongs to the tenant."""

from __future__ import annotations

import fcntl
import os

from .harden import stay_undumpable
from .tenant import TENANT_ID

ROWS_MAX = COLUMNS_MAX = 1000
END_OF_INPUT = b"\x04"  # what a line discipline takes for the end
_TIOCSCTTY, _TIOCSWINSZ = 0x540E, 0x5414


def open_pair(size: tuple[int, int]) -> tuple[int, int]:
    """A terminal of (rows, columns): our side and the tenant's.

    devpts makes the opener the owner of a terminal, so it is opened under the tenant's effective id. Real and saved id stay
    the supervisor's, so that the tenant can neither signal nor trace it meanwhile.
    """
    os.seteuid(TENANT_ID)
    try:
        ours, theirs = os.openpty()
    finally:
        os.seteuid(0)
        stay_undumpable()  # the kernel reconsiders it at every change of ids
    resize(ours, size)
    return ours, theirs


def resize(fd: int, size: tuple[int, int]) -> None:
    """Set the terminal's (rows, columns); its foreground process gets SIGWINCH."""
    rows, columns = (min(max(1, value), ROWS_MAX) for value in size)
    fcntl.ioctl(fd, _TIOCSWINSZ, rows.to_bytes(2, "little") + columns.to_bytes(2, "little") + bytes(4))


def take(fd: int) -> None:
    """In a session's first process: make the terminal the session's own."""
    fcntl.ioctl(fd, _TIOCSCTTY, 0)
