"""Folders in and out as tar or zip, inside a file worker (`files`), as the tenant.

Members that lead out of the folder, and members that are not files, are left out and counted. When an archive fails, what it
has written is deleted.
"""

from __future__ import annotations

import _socket
import os
import stat
import tarfile
import tempfile
import zipfile

from . import bodies, frames, sparse
from .packing import ENTRIES_MAX, LeftOut, LimitReachedError, Writer, look, pack
from .paths import FileError, path_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO

LINK_BYTES_MAX = 4095
COPY_BYTES = 1 << 18
_BAD = (
    tarfile.TarError,
    zipfile.BadZipFile,
    sparse.BadMapError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
FORMATS = ("tar", "tar.gz", "zip")


def serve(connection: _socket.socket, fields: dict[str, bytes]) -> None:
    """Pack or unpack the folder a request names."""
    path, kind = path_of(fields.get("path", b"")), fields.get("format", b"tar").decode("ascii", "replace")
    if kind not in FORMATS:
        raise FileError(b"bad_request", "a format is tar, tar.gz or zip")
    try:
        if fields["op"] == b"pack":
            os.lstat(path)
            left_out = LeftOut()
            look(os.fsdecode(path), kind, left_out)
            connection.sendall(frames.pack(frames.STARTED, frames.pack_fields(left_out.fields())))
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
    counts = (("files", unpacking.files), ("bytes", unpacking.bytes))
    told = [(name, str(value).encode()) for name, value in counts]
    connection.sendall(frames.pack(frames.RESULT, frames.pack_fields([*told, *unpacking.left_out.fields()])))


class BadArchiveError(Exception):
    """These bytes are not an archive of this format."""


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


def _copying(source: IO[bytes]) -> Callable[[IO[bytes]], Iterator[int]]:
    def copy(target: IO[bytes]) -> Iterator[int]:
        while data := source.read(COPY_BYTES):
            target.write(data)
            yield len(data)

    return copy


class Unpacking:
    """One archive on its way into a folder."""

    def __init__(self, folder: bytes, bytes_max: int) -> None:
        self.folder = os.path.realpath(os.fsdecode(folder))
        self.files = 0
        self.bytes = 0
        self.left_out = LeftOut()
        self._bytes_max = bytes_max
        self._made: list[str] = []
        self._modes: list[tuple[str, int]] = []

    def run(self, kind: str, reader: Reader) -> None:
        """Unpack all of it, or nothing. Raises BadArchiveError, LimitReachedError, OSError."""
        above = self.folder
        while not os.path.lexists(above):
            self._made.insert(0, above)
            above = os.path.dirname(above)
        try:
            os.makedirs(self.folder, exist_ok=True)
            if kind == "zip":
                self._zip(reader)
            else:
                self._tar(reader)
            for path, mode in reversed(self._modes):
                os.chmod(path, mode & 0o777 | 0o700)
        except BaseException as error:
            for path in reversed(self._made):
                _take_away(path)
            if isinstance(error, _BAD):
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
                    self._folder(target, member.mode)
                elif member.issparse():
                    sparse.check(member)
                    self._file(target, lambda file, of=member: sparse.restore(of, archive, file), member.mode)  # type: ignore[misc]
                elif member.isreg():
                    source = archive.extractfile(member)
                    assert source is not None
                    self._file(target, _copying(source), member.mode)
                elif member.issym():
                    self._link(target, member.name, member.linkname)
                elif member.islnk():
                    self._hard_link(target, member.name, member.linkname)
                else:
                    self.left_out.add(member.name)

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
                    if member.is_dir() or stat.S_ISDIR(mode):
                        self._folder(target)
                    elif stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFLNK):
                        self.left_out.add(member.filename)  # a pipe, a socket, a device
                    elif stat.S_ISLNK(mode):
                        if member.file_size > LINK_BYTES_MAX:
                            self.left_out.add(member.filename)
                        else:
                            self._link(target, member.filename, os.fsdecode(archive.read(member)))
                    else:
                        with archive.open(member) as source:
                            self._file(target, _copying(source), mode or 0o644)

    def _target(self, name: str, member: str = "") -> str | None:
        """Where a member goes; None, and `member` (itself if not given) is skipped, if elsewhere than below the folder."""
        if self.files + self.left_out.count >= ENTRIES_MAX:
            raise LimitReachedError(f"more than {ENTRIES_MAX} entries")
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if name.startswith("/") or ".." in parts or "\0" in name:
            self.left_out.add(member or name)
            return None
        target = os.path.join(self.folder, *parts)
        if not parts or not self._is_inside(os.path.realpath(os.path.dirname(target))):
            if parts:
                self.left_out.add(member or name)
            return None
        return target

    def _is_inside(self, path: str) -> bool:
        return path == self.folder or path.startswith(self.folder.rstrip("/") + "/")

    def _folder(self, target: str, mode: int | None = None) -> None:
        """Make a folder and those above it. One that is new gets its mode at the end, when all is in it."""
        if mode is not None and not os.path.isdir(target):
            self._modes.append((target, mode))
        parents = []
        while not os.path.isdir(target):
            parents.append(target)
            target = os.path.dirname(target)
        for path in reversed(parents):
            os.mkdir(path)
            self._made.append(path)

    def _file(self, target: str, copy: Callable[[IO[bytes]], Iterator[int]], mode: int) -> None:
        self._folder(os.path.dirname(target))
        if os.path.islink(target):
            os.unlink(target)  # a link would be written through
        is_new = not os.path.lexists(target)
        with open(target, "wb") as file:
            if is_new:
                self._made.append(target)
            for size in copy(file):
                self._count(size)
        os.chmod(target, mode & 0o777)
        self.files += 1

    def _link(self, target: str, name: str, to: str) -> None:
        if "\0" in to or not self._is_inside(os.path.normpath(os.path.join(os.path.dirname(target), to))):
            self.left_out.add(name)
            return
        self._folder(os.path.dirname(target))
        if os.path.lexists(target):
            os.unlink(target)
        os.symlink(to, target)
        self._made.append(target)
        self.files += 1

    def _hard_link(self, target: str, name: str, to: str) -> None:
        source = self._target(to, member=name)
        if source is None:
            return
        if os.path.islink(source) or not os.path.isfile(source):
            self.left_out.add(name)
            return
        if os.path.realpath(target) == source:
            return
        self._folder(os.path.dirname(target))
        if os.path.lexists(target):
            os.unlink(target)
        os.link(source, target, follow_symlinks=False)
        self._made.append(target)
        self.files += 1

    def _count(self, size: int) -> None:
        self.bytes += size
        if self.bytes > self._bytes_max:
            raise LimitReachedError(f"more than {self._bytes_max} bytes")


def _take_away(path: str) -> None:
    """Something that we made. A folder in which somebody else has put something meanwhile stays."""
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            os.rmdir(path)
        else:
            os.unlink(path)
    except OSError:
        return
