"""A file that something paid is to arrive in: it must be writable before anything is paid, and appears whole or not at all."""

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from satbox.agent.local_paths import local_path


@contextlib.contextmanager
def arriving(target: Path) -> Iterator[BinaryIO]:
    """A file beside the target that takes its place at the end, and is gone when anything raises. Raises path_not_found and
    the like.
    """
    with local_path(target):
        if not target.name or target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        temporary = target.with_name(f".{target.name[:200]}.{secrets.token_hex(6)}")
        try:
            with temporary.open("xb") as file:
                yield file
            temporary.replace(target)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()
