"""Folders as tar or zip, inside a file worker (`files`), as the tenant. What an archive cannot take is counted and named."""

from __future__ import annotations

import os
import stat
import tarfile
import zipfile

from . import frames, sparse
from .paths import FileError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import NoReturn

ENTRIES_MAX = 100_000
NAMED_MAX = 100  # of the members that were left out; all are counted
NAME_CHARACTERS_MAX = 1024
ZIP_HOLE_BYTES_MAX = 1 << 30  # of one file


class LeftOut:
    """What an archive lacks: counted, the first of it by name."""

    def __init__(self) -> None:
        self.count = 0
        self._names: list[str] = []

    def add(self, name: str) -> None:
        """One thing more."""
        self.count += 1
        if len(self._names) < NAMED_MAX:
            self._names.append(name[:NAME_CHARACTERS_MAX].replace("\0", "?"))

    def fields(self) -> frames.Fields:
        """For an answer."""
        names = b"\0".join(os.fsencode(name) for name in self._names)
        return [("skipped", str(self.count).encode()), ("skipped_names", names)]


class LimitReachedError(Exception):
    """The archive holds more than may be taken."""


class Writer:
    """A file object that only takes bytes, for archives written as a stream."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._at = 0

    def write(self, data: bytes) -> int:
        """Pass bytes on."""
        self._write(bytes(data))
        self._at += len(data)
        return len(data)

    def tell(self) -> int:
        """How many bytes went through."""
        return self._at

    def flush(self) -> None:
        """Nothing is held back."""


def pack(path: bytes, kind: str, writer: Writer) -> None:
    """Write a folder (or one file) as an archive, names relative to it. Entries that vanish meanwhile are left out."""
    if kind == "zip":
        with zipfile.ZipFile(writer, "w", zipfile.ZIP_DEFLATED, compresslevel=1, strict_timestamps=False) as archive:  # type: ignore[call-overload]
            for name, full in _walk(os.fsdecode(path)):
                _add_zip(archive, name, full)
        return
    mode = "w|gz" if kind == "tar.gz" else "w|"
    with tarfile.open(fileobj=writer, mode=mode, format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
        for name, full in _walk(os.fsdecode(path)):
            _add_tar(archive, name, full)


def _walk(top: str) -> Iterator[tuple[str, str]]:
    if not os.path.isdir(top):
        yield os.path.basename(top), top
        return
    count = 0
    for folder, folders, files in os.walk(top):
        for name in sorted(folders) + sorted(files):
            count += 1
            if count > ENTRIES_MAX:
                raise LimitReachedError(f"more than {ENTRIES_MAX} entries")
            full = os.path.join(folder, name)
            yield os.path.relpath(full, top), full


def look(top: str, kind: str, left_out: LeftOut) -> None:
    """Find what an archive of this format cannot take, before it begins: later there is no way to say so. Raises FileError, with
    its name, for the first file or folder that cannot be read.
    """

    def refuse(error: OSError) -> NoReturn:
        raise FileError(b"permission_denied", f"{error.filename[-300:]} cannot be read: {error.strerror}")

    def check(full: str) -> None:
        try:
            info = os.lstat(full)
        except FileNotFoundError:
            return  # gone
        except OSError as error:  # a path that is too long for the kernel
            refuse(error)
        if not _travels(info, kind):
            left_out.add(os.path.relpath(full, top) if full != top else os.path.basename(top))
        elif stat.S_ISREG(info.st_mode) and not os.access(full, os.R_OK):
            raise FileError(b"permission_denied", f"{full[-300:]} cannot be read")

    if not os.path.isdir(top):
        check(top)
        return
    for folder, _folders, files in os.walk(top, onerror=refuse):
        for name in files:
            check(os.path.join(folder, name))


def _travels(info: os.stat_result, kind: str) -> bool:
    if stat.S_ISREG(info.st_mode):  # a zip has its holes as zeros, which somebody has to compress and to unpack again
        return kind != "zip" or info.st_size - info.st_blocks * 512 <= ZIP_HOLE_BYTES_MAX
    return stat.S_ISDIR(info.st_mode) or stat.S_ISLNK(info.st_mode)


def _add_tar(archive: tarfile.TarFile, name: str, full: str) -> None:
    try:
        info = archive.gettarinfo(full, name)
    except OSError:
        return
    if info is None:
        return  # a socket
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    if info.isreg():
        try:
            file = open(full, "rb")  # noqa: SIM115 - an unreadable file is left out, a broken stream is not
        except OSError:
            return
        with file:
            status = os.fstat(file.fileno())
            stored = sparse.pieces(file.fileno(), status)
            if stored is None:
                archive.addfile(info, file)
            else:
                content = sparse.Stored(file.fileno(), status.st_size, stored)
                content.describe(info)
                archive.addfile(info, content)  # type: ignore[arg-type]
    elif info.isdir() or info.issym() or info.islnk():
        archive.addfile(info)


def _add_zip(archive: zipfile.ZipFile, name: str, full: str) -> None:
    try:
        info = os.lstat(full)
        if not _travels(info, "zip"):
            return
        if stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode):
            archive.write(full, name)
        elif stat.S_ISLNK(info.st_mode):
            link = zipfile.ZipInfo(name)
            link.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(link, os.readlink(full))
    except (OSError, ValueError):
        return  # gone
