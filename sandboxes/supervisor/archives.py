"""Folders in and out as tar or zip, inside a file worker (`files`), as the tenant.

Members that lead out of the folder, and kinds that are no files, are left out and counted. What an archive that fails had
already written is taken away again.
"""

from __future__ import annotations

import _socket
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile

from . import bodies, frames
from .paths import FileError, path_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO

ENTRIES_MAX = 100_000
COPY_BYTES = 1 << 18
FORMATS = ("tar", "tar.gz", "zip")


def serve(connection: _socket.socket, fields: dict[str, bytes]) -> None:
    """Pack or unpack the folder a request names."""
    path, kind = path_of(fields.get("path", b"")), fields.get("format", b"tar").decode("ascii", "replace")
    if kind not in FORMATS:
        raise FileError(b"bad_request", "a format is tar, tar.gz or zip")
    try:
        if fields["op"] == b"pack":
            os.lstat(path)
            connection.sendall(frames.pack(frames.STARTED))
            pack(path, kind, Writer(lambda data: bodies.send_data(connection, data)))
            connection.sendall(frames.pack(frames.END))
            return
        unpacking = Unpacking(path, int(fields["limit_bytes"]))
        chunks = bodies.body(connection, int(fields["limit_bytes"]))
        unpacking.run(kind, Reader(chunks))
        for _rest in chunks:
            continue  # past the archive's own end there may be padding
    except LimitReachedError as error:
        raise FileError(b"too_large", str(error)) from error
    except BadArchiveError as error:
        raise FileError(b"bad_archive", str(error)) from error
    counts = (("files", unpacking.files), ("bytes", unpacking.bytes), ("skipped", unpacking.skipped))
    told = [(name, str(value).encode()) for name, value in counts]
    connection.sendall(frames.pack(frames.RESULT, frames.pack_fields(told)))


class LimitReachedError(Exception):
    """The archive holds more than may be taken."""


class BadArchiveError(Exception):
    """These bytes are no archive of this format."""


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


class Reader:
    """A file object over a stream of chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._held = b""

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; fewer only at the end."""
        while size < 0 or len(self._held) < size:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            self._held += chunk
        taken = self._held if size < 0 else self._held[:size]
        self._held = self._held[len(taken) :]
        return taken


def pack(path: bytes, kind: str, writer: Writer) -> None:
    """Write a folder (or one file) as an archive, names relative to it. Entries that vanish meanwhile are left out."""
    if kind == "zip":
        with zipfile.ZipFile(writer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:  # type: ignore[call-overload]
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
            archive.addfile(info, file)
    elif info.isdir() or info.issym() or info.islnk():
        archive.addfile(info)


def _add_zip(archive: zipfile.ZipFile, name: str, full: str) -> None:
    try:
        mode = os.lstat(full).st_mode
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            archive.write(full, name)
        elif stat.S_ISLNK(mode):
            link = zipfile.ZipInfo(name)
            link.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(link, os.readlink(full))
    except (OSError, ValueError):
        return  # gone, unreadable, or dated before 1980


class Unpacking:
    """One archive on its way into a folder."""

    def __init__(self, folder: bytes, bytes_max: int) -> None:
        self.folder = os.path.realpath(os.fsdecode(folder))
        self.files = 0
        self.bytes = 0
        self.skipped = 0
        self._bytes_max = bytes_max
        self._made: list[str] = []

    def run(self, kind: str, reader: Reader) -> None:
        """Unpack all of it, or nothing. Raises BadArchiveError, LimitReachedError, OSError."""
        os.makedirs(self.folder, exist_ok=True)
        try:
            if kind == "zip":
                self._zip(reader)
            else:
                self._tar(reader)
        except BaseException as error:
            for path in reversed(self._made):
                _take_away(path)
            if isinstance(error, tarfile.TarError | zipfile.BadZipFile | EOFError | NotImplementedError | RuntimeError):
                raise BadArchiveError(f"the archive can't be read: {error}"[:200]) from error
            if isinstance(error, OSError) and error.errno is None:
                raise BadArchiveError(f"the archive can't be read: {error}"[:200]) from error  # gzip's own
            raise

    def _tar(self, reader: Reader) -> None:
        with tarfile.open(fileobj=reader, mode="r|*") as archive:  # type: ignore[call-overload]
            for member in archive:
                target = self._target(member.name)
                if target is None:
                    continue
                if member.isdir():
                    self._folder(target)
                elif member.isreg():
                    source = archive.extractfile(member)
                    assert source is not None
                    self._file(target, source, member.mode)
                elif member.issym():
                    self._link(target, member.linkname)
                elif member.islnk():
                    self._hard_link(target, member.linkname)
                else:
                    self.skipped += 1

    def _zip(self, reader: Reader) -> None:
        with tempfile.TemporaryFile(dir=self.folder) as spool:
            while data := reader.read(COPY_BYTES):
                self._count(len(data))
                spool.write(data)
            self.bytes = 0
            with zipfile.ZipFile(spool) as archive:
                for member in archive.infolist():
                    target = self._target(member.filename)
                    if target is None:
                        continue
                    mode = member.external_attr >> 16
                    if member.is_dir():
                        self._folder(target)
                    elif stat.S_ISLNK(mode):
                        self._link(target, os.fsdecode(archive.read(member)[:4096]))
                    else:
                        with archive.open(member) as source:
                            self._file(target, source, mode or 0o644)

    def _target(self, name: str) -> str | None:
        """Where a member goes; None for one that would go elsewhere than below the folder."""
        if self.files + self.skipped >= ENTRIES_MAX:
            raise LimitReachedError(f"more than {ENTRIES_MAX} entries")
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if name.startswith("/") or ".." in parts or "\0" in name:
            self.skipped += 1
            return None
        target = os.path.join(self.folder, *parts)
        if not parts or not self._is_inside(os.path.realpath(os.path.dirname(target))):
            self.skipped += bool(parts)
            return None
        return target

    def _is_inside(self, path: str) -> bool:
        return path == self.folder or path.startswith(self.folder.rstrip("/") + "/")

    def _folder(self, target: str) -> None:
        parents = []
        while not os.path.isdir(target):
            parents.append(target)
            target = os.path.dirname(target)
        for path in reversed(parents):
            os.mkdir(path)
            self._made.append(path)

    def _file(self, target: str, source: IO[bytes], mode: int) -> None:
        self._folder(os.path.dirname(target))
        if os.path.islink(target):
            os.unlink(target)  # a link would be written through
        is_new = not os.path.lexists(target)
        with open(target, "wb") as file:
            if is_new:
                self._made.append(target)
            while data := source.read(COPY_BYTES):
                self._count(len(data))
                file.write(data)
        os.chmod(target, mode & 0o777)
        self.files += 1

    def _link(self, target: str, to: str) -> None:
        if "\0" in to or not self._is_inside(os.path.normpath(os.path.join(os.path.dirname(target), to))):
            self.skipped += 1
            return
        self._folder(os.path.dirname(target))
        if os.path.lexists(target):
            os.unlink(target)
        os.symlink(to, target)
        self._made.append(target)
        self.files += 1

    def _hard_link(self, target: str, name: str) -> None:
        source = self._target(name)
        if source is None or os.path.islink(source) or not os.path.isfile(source):
            self.skipped += 1
            return
        with open(source, "rb") as file:
            self._file(target, file, os.stat(source).st_mode)

    def _count(self, size: int) -> None:
        self.bytes += size
        if self.bytes > self._bytes_max:
            raise LimitReachedError(f"more than {self._bytes_max} bytes")


def _take_away(path: str) -> None:
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)
    except OSError:
        return
