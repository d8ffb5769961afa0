"""Paths as requests name them, and refusals about them."""

from __future__ import annotations

import os

PATH_BYTES_MAX = 4096
ROOTS = (b"/", b"/workspace", b"/tmp", b"/run", b"/dev", b"/dev/shm", b"/proc", b"/etc", b"/usr", b"/opt")
"""Roots that every sandbox has, should the table of mounts not be readable."""


class FileError(Exception):
    """A refusal with a stable code."""

    def __init__(self, code: bytes, message: str) -> None:
        super().__init__(message)
        self.code = code


def path_of(raw: bytes) -> bytes:
    """An absolute path; relative ones are under /workspace. Raises FileError."""
    if not raw or len(raw) > PATH_BYTES_MAX or b"\0" in raw:
        raise FileError(b"bad_path", "a path of 1 to 4096 bytes without NUL is needed")
    return os.path.join(b"/workspace", raw)


def entry_of(path: bytes) -> bytes:
    """The entry that is to be moved, replaced or deleted: its folder without links, its own name not followed.

    Raises FileError for the root of a file system, for a folder that has one in it, and for names that only a walk through
    something else reaches (`link/`, `folder/..`): the kernel refuses those too late, with everything in them gone.
    """
    bare = path.rstrip(b"/") or b"/"
    name = os.path.basename(bare)
    if name in (b"", b".", b".."):
        _refuse_root(os.path.realpath(bare))
        raise FileError(b"bad_path", "the last part of the path has to be a name, not . or ..")
    entry = os.path.join(os.path.realpath(os.path.dirname(bare)), name)
    if bare != path and os.path.islink(entry):
        raise FileError(b"not_directory", "the path is a link; leave the last / out to name the link itself")
    _refuse_root(entry)
    return entry


def _refuse_root(path: bytes) -> None:
    below = path.rstrip(b"/") + b"/"
    if any(root == path or root.startswith(below) for root in (*ROOTS, *_mount_points())):
        raise FileError(b"permission_denied", "the root of a file system stays; name what is in it")


def _mount_points() -> list[bytes]:
    try:
        with open("/proc/self/mountinfo", "rb") as file:
            return [line.split(b" ")[4] for line in file]
    except OSError:
        return []
