"""Files of a workspace, opened inside by the tenant's own rights and passed out: the node moves the bytes itself.

A descriptor from a supervisor is not believed to be what was asked for. It has to be a regular file of that sandbox's own
volume, opened in the one mode needed: such a file gives or takes bytes, and nothing else happens by reading or writing it.
Every size is the host's own count.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import stat
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sandboxes.node.connection import ProtocolBroken
from sandboxes.protocol import NodeUnavailable, RuntimeGone
from sandboxes.supervisor import frames

LOOP_MAJOR = 7  # Documentation/admin-guide/devices.txt
READ_BYTES = 1 << 18
READ_AHEAD_BYTES = 1 << 22
THREADS = 4
_REFUSED_FLAGS = os.O_PATH | os.O_DIRECT | os.O_SYNC | os.O_APPEND | os.O_ASYNC


class PassedFile:
    """One open file of a workspace. Close it on every path: the volume can't be unmounted before."""

    def __init__(self, fd: int, files: PassedFiles) -> None:
        self.fd = fd
        self._files = files
        self._working: asyncio.Future[int] | None = None
        self._closed = asyncio.Event()

    @property
    def size_bytes(self) -> int:
        """What the host says."""
        return os.fstat(self.fd).st_size

    async def read(self, offset: int, length: int, is_taken: Callable[[], bool]) -> AsyncIterator[memoryview]:
        """The bytes in pieces. What is in memory is taken at once, what is on disk is waited for in a thread. The memory of
        a piece is used again when `is_taken` says that nobody holds it any more.
        Raises NodeUnavailable when the file has become shorter.
        """
        whole = memoryview(bytearray(min(length, READ_BYTES)))
        while length:
            if not is_taken():
                whole = memoryview(bytearray(READ_BYTES))
            piece = whole[:length]
            try:
                count = os.preadv(self._open(), [piece], offset, os.RWF_NOWAIT)
            except OSError:  # not in memory
                ahead = bytearray(min(length, READ_AHEAD_BYTES))
                piece = memoryview(ahead)
                count = await self._in_thread(os.preadv, self._open(), [ahead], offset)
            if count <= 0:
                raise NodeUnavailable("the file ended early", code="stream_broken")
            yield piece[:count]
            offset += count
            length -= count

    async def write(self, pieces: list[bytes], offset: int) -> int:
        """Write at `offset`, in a thread; all of it. Raises OSError."""
        return await self._in_thread(_write_all, self._open(), pieces, offset)

    def _open(self) -> int:
        if self.fd < 0:
            raise RuntimeGone("the sandbox has ended")
        return self.fd

    async def _in_thread(self, work: object, *arguments: object) -> int:
        assert callable(work)
        loop = asyncio.get_running_loop()
        self._working = loop.run_in_executor(self._files.executor, work, *arguments)
        try:
            return await asyncio.shield(self._working)
        finally:
            if self._working.done():
                self._working = None

    async def close(self) -> None:
        """Wait for a thread that still works on the file, then close it."""
        fd, self.fd = self.fd, -1
        working = self._working
        if working is not None:
            await asyncio.wait([working])
            if not working.cancelled():
                working.exception()  # seen
        if fd < 0:
            await self._closed.wait()  # somebody else is at it
            return
        os.close(fd)
        self._closed.set()
        self._files.forget(self)


def _write_all(fd: int, pieces: list[bytes], offset: int) -> int:
    total = sum(map(len, pieces))
    done = os.pwritev(fd, pieces, offset)
    if done < total:  # rare: hand over the rest piece by piece
        left = memoryview(b"".join(pieces))[done:]
        while left:
            step = os.pwrite(fd, left, offset + done)
            done += step
            left = left[step:]
    return total


class PassedFiles:
    """The open files of one runtime. After `close` none is open and none is taken in any more."""

    def __init__(self, volume: Path, executor: ThreadPoolExecutor) -> None:
        self.executor = executor
        self._volume = volume
        self._open: set[PassedFile] = set()
        self._closed = False

    async def close(self) -> None:
        """The runtime is over: its volume is to be unmounted."""
        self._closed = True
        await asyncio.gather(*(file.close() for file in list(self._open)))

    def forget(self, file: PassedFile) -> None:
        """A file was closed."""
        self._open.discard(file)

    def take(self, fd: int, *, writing: bool) -> PassedFile:
        """Own a descriptor; it is closed when it can't be taken. Raises ProtocolBroken, RuntimeGone."""
        try:
            self._check(fd, writing)
            if self._closed:
                raise RuntimeGone("the sandbox has ended")
        except BaseException:
            os.close(fd)
            raise
        file = PassedFile(fd, self)
        self._open.add(file)
        return file

    def _check(self, fd: int, writing: bool) -> None:
        info, flags = os.fstat(fd), fcntl.fcntl(fd, fcntl.F_GETFL)
        mode = os.O_WRONLY if writing else os.O_RDONLY
        if not stat.S_ISREG(info.st_mode) or flags & os.O_ACCMODE != mode or flags & _REFUSED_FLAGS & ~os.O_ACCMODE:
            raise ProtocolBroken()
        if os.major(info.st_dev) != LOOP_MAJOR or backing_file(os.minor(info.st_dev)) != str(self._volume.resolve()):
            raise ProtocolBroken()


def backing_file(loop_number: int) -> str | None:
    """The file behind a loop device."""
    try:
        return Path(f"/sys/dev/block/{LOOP_MAJOR}:{loop_number}/loop/backing_file").read_text().removesuffix("\n")
    except OSError:
        return None


async def first_header(connection: socket.socket) -> tuple[bytes, int]:
    """The header of a worker's first frame, and the descriptor that came with it or -1. Raises NodeUnavailable,
    ProtocolBroken.
    """
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(connection.fileno(), ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(connection.fileno())
    try:
        data, descriptors, flags, _address = socket.recv_fds(
            connection, frames.HEADER_BYTES, 2, socket.MSG_CMSG_CLOEXEC
        )
    except OSError as error:
        raise NodeUnavailable("the sandbox ended the stream early", code="stream_broken") from error
    if len(data) == frames.HEADER_BYTES and len(descriptors) <= 1 and not flags & socket.MSG_CTRUNC:
        return data, descriptors[0] if descriptors else -1
    for descriptor in descriptors:
        os.close(descriptor)
    if not data:
        raise NodeUnavailable("the sandbox ended the stream early", code="stream_broken")
    raise ProtocolBroken()
