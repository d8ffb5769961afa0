"""Files with holes in tar archives: only what is stored travels, in GNU's sparse format 1.0 (GNU tar, bsdtar, Python read it).

A member has a map before its data, in decimal lines (count, then offset and size of each piece), padded to a block; PAX headers
give its name and size (https://www.gnu.org/software/tar/manual/html_node/PAX-1.html).
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import tarfile
    from collections.abc import Iterator
    from typing import IO, Any

Pieces = list[tuple[int, int]]
"""Offset and size of each piece that is stored, in order."""
PIECES_MAX = 1 << 17
"""More are joined over the smallest holes between them."""
COPY_BYTES = 1 << 18
_BLOCK_BYTES = 512


class BadMapError(Exception):
    """A map that no file can have."""


def pieces(fd: int, info: os.stat_result) -> Pieces | None:
    """What is stored of a file; None when it has no holes, or its file system does not say where."""
    if info.st_blocks * 512 >= info.st_size:
        return None
    found: Pieces = []
    at = 0
    try:
        while at < info.st_size:
            try:
                start = os.lseek(fd, at, os.SEEK_DATA)
            except OSError as error:
                if error.errno != 6:  # ENXIO: a hole up to the end
                    raise
                break
            at = min(os.lseek(fd, start, os.SEEK_HOLE), info.st_size)
            if start < at:
                found.append((start, at - start))
    except OSError:
        return None
    finally:
        os.lseek(fd, 0, os.SEEK_SET)
    return None if found == [(0, info.st_size)] else _joined(found)


def _joined(found: Pieces) -> Pieces:
    hole = 4096
    while len(found) > PIECES_MAX:
        joined: Pieces = []
        for start, size in found:
            if joined and start - sum(joined[-1]) <= hole:
                joined[-1] = (joined[-1][0], start + size - joined[-1][0])
            else:
                joined.append((start, size))
        found, hole = joined, hole * 2
    return found


class Stored:
    """The content of a sparse member: the map, then the pieces. Reads like a file."""

    def __init__(self, fd: int, size: int, stored: Pieces) -> None:
        lines = [
            len(stored) + 1,
            *(number for piece in stored for number in piece),
            size,
            0,
        ]  # the end, as GNU tar has it
        text = "".join(f"{line}\n" for line in lines).encode()
        self._fd = fd
        self._left = iter(stored)
        self._at = self._until = 0
        self._map = text + bytes(-len(text) % _BLOCK_BYTES)
        self._size = size
        self.stored_bytes = sum(size for _, size in stored)

    def describe(self, member: tarfile.TarInfo) -> None:
        """Make a header the one of this content."""
        member.pax_headers = {
            **member.pax_headers, "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": member.name,
            "GNU.sparse.realsize": str(self._size),
        }  # fmt: skip
        member.size = len(self._map) + self.stored_bytes

    def read(self, size: int) -> bytes:
        """`size` bytes; fewer only at the end, or where the file has shrunk."""
        read = bytearray(self._map[:size])
        self._map = self._map[size:]
        while len(read) < size:
            if self._at == self._until:
                self._at, length = next(self._left, (0, 0))
                self._until = self._at + length
            data = os.pread(self._fd, min(size - len(read), self._until - self._at), self._at)
            if not data:
                break
            self._at += len(data)
            read += data
        return bytes(read)


def _map(member: tarfile.TarInfo) -> Pieces:
    found: Any = member.sparse  # declared as a number in the standard library's types
    return list(found or ())


def check(member: tarfile.TarInfo) -> int:
    """How many bytes a sparse member has stored. Raises BadMapError."""
    at = stored = 0
    for start, size in _map(member):
        if start < at or size < 0 or start + size > member.size:
            raise BadMapError("a sparse file whose pieces lie outside of it")
        at = start + size
        stored += size
    return stored


def restore(member: tarfile.TarInfo, archive: tarfile.TarFile, target: IO[bytes]) -> Iterator[int]:
    """Write a checked sparse member of an archive that is read as a stream into an empty file, holes as holes; yields how many
    bytes each step wrote.
    """
    source = archive.fileobj
    assert source is not None
    source.seek(member.offset_data)  # the pieces follow each other from here on
    for start, size in _map(member):
        target.seek(start)
        left = size
        while left:
            data = source.read(min(left, COPY_BYTES))
            if not data:
                raise EOFError("the archive ends within a file")
            target.write(data)
            left -= len(data)
            yield len(data)
    target.truncate(member.size)
