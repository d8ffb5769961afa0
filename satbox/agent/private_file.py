"""Files that hold secrets or money: mode 0600, whole or not there, on disk before anybody relies on them."""

import os
import secrets
from pathlib import Path


def private_folder(path: Path) -> Path:
    """The folder, made with mode 0700 when it does not exist."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def write_private(path: Path, data: bytes, *, overwrite: bool) -> None:
    """Write a file as a whole and sync it. Raises FileExistsError instead of replacing one, unless `overwrite`."""
    private_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            os.replace(temporary, path)
        else:
            os.link(temporary, path)  # unlike replace, this never wins over a file that is already there
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def remove_private(path: Path) -> None:
    """Remove a file and make sure that it stays removed."""
    path.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_private(path: Path, bytes_max: int = 1 << 20) -> bytes:
    """The content of a file of ours. Raises PermissionError when others may read it, ValueError when it is too large."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if status.st_mode & 0o077:
            raise PermissionError(f"{path} can be read by others: chmod 600 {path}")
        data = file.read(bytes_max + 1)
    if len(data) > bytes_max:
        raise ValueError(f"{path} has more than {bytes_max} bytes")
    return data
