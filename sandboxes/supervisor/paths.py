"""Paths as requests name them, and refusals about them."""

from __future__ import annotations

import os

PATH_BYTES_MAX = 4096


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
