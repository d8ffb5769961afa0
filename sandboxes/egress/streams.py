"""Bytes from one side to the other: bounded in memory, in time and in pace, and counted."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass

from sandboxes.egress.heads import Body, Framing, HeadInvalid

CHUNK_BYTES = 65_536
_SIZE_LINE = re.compile(rb"([0-9a-fA-F]{1,12})[ \t]*(?:;[^\r\n]*)?\r\n")
_SIZE_LINE_BYTES_MAX = 256
_TRAILER_BYTES_MAX = 8192
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds without a byte to read, and without room to write."""

    idle: float
    stall: float


class Side:
    """One connection. Holds at most about 200 KiB, however much the other end sends or does not take."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, patience: Patience) -> None:
        self._reader = reader
        self._writer = writer
        self.patience = patience
        writer.transport.set_write_buffer_limits(high=CHUNK_BYTES)
        if hasattr(writer.transport, "max_size"):
            writer.transport.max_size = (
                CHUNK_BYTES  # bytes asyncio takes from the kernel at once; four times as many else
            )

    @classmethod
    async def accepted(cls, connection: socket.socket, patience: Patience) -> Side:
        """Around a connection that came in."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=CHUNK_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _protocol = await loop.connect_accepted_socket(lambda: protocol, connection)
        return cls(reader, asyncio.StreamWriter(transport, protocol, reader, loop), patience)

    @classmethod
    async def connected(
        cls, connection: socket.socket, patience: Patience, tls: ssl.SSLContext | None = None, name: str = ""
    ) -> Side:
        """Around a connection that went out, within TLS for `name` if asked."""
        options: dict[str, object] = {} if tls is None else {"ssl": tls, "server_hostname": name}
        reader, writer = await asyncio.open_connection(sock=connection, limit=CHUNK_BYTES, **options)  # type: ignore[arg-type]
        return cls(reader, writer, patience)

    async def head(self, bytes_max: int, seconds: float) -> bytes:
        """Up to the blank line, with it; empty when the other end left without a word. Raises HeadInvalid, TimeoutError."""
        try:
            async with asyncio.timeout(seconds):
                data = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise HeadInvalid("cut short") from error
            return b""
        except asyncio.LimitOverrunError as error:
            raise HeadInvalid(f"a head over {bytes_max} bytes") from error
        if len(data) > bytes_max:
            raise HeadInvalid(f"a head over {bytes_max} bytes")
        return data

    async def some(self, bytes_max: int = CHUNK_BYTES) -> bytes:
        """What is there; empty at the end. Raises TimeoutError."""
        async with asyncio.timeout(self.patience.idle):
            return await self._reader.read(bytes_max)

    async def _line(self, bytes_max: int) -> bytes:
        try:
            async with asyncio.timeout(self.patience.idle):
                line = await self._reader.readuntil(b"\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise HeadInvalid("a chunk is malformed") from error
        if len(line) > bytes_max:
            raise HeadInvalid("a chunk is malformed")
        return line

    async def pieces(self, body: Body) -> AsyncIterator[bytes]:
        """A body's bytes without its framing. Raises HeadInvalid when it is cut short or malformed."""
        match body.framing:
            case Framing.NONE:
                return
            case Framing.CLOSE:
                while data := await self.some():
                    yield data
            case Framing.LENGTH:
                async for data in self._counted(body.length):
                    yield data
            case Framing.CHUNKED:
                while size := await self._chunk_size():
                    async for data in self._counted(size):
                        yield data
                    if await self._line(2) != b"\r\n":
                        raise HeadInvalid("a chunk is malformed")
                left = _TRAILER_BYTES_MAX
                while (line := await self._line(left)) != b"\r\n":
                    left -= len(line)

    async def _counted(self, left: int) -> AsyncIterator[bytes]:
        while left:
            data = await self.some(min(left, CHUNK_BYTES))
            if not data:
                raise HeadInvalid("a body is cut short")
            left -= len(data)
            yield data

    async def _chunk_size(self) -> int:
        match = _SIZE_LINE.fullmatch(await self._line(_SIZE_LINE_BYTES_MAX))
        if match is None:
            raise HeadInvalid("a chunk is malformed")
        return int(match[1], 16)

    async def send(self, data: bytes) -> None:
        """Send, at the pace the other end takes it. Raises TimeoutError, ConnectionError."""
        self._writer.write(data)
        async with asyncio.timeout(self.patience.stall):
            await self._writer.drain()

    async def send_piece(self, data: bytes, framing: Framing) -> None:
        """Send a piece of a body in its framing; an empty one ends it."""
        if framing is Framing.CHUNKED:
            data = b"%x\r\n%b\r\n" % (len(data), data) if data else b"0\r\n\r\n"
        if data:
            await self.send(data)

    def end(self) -> None:
        """No more follows, if the connection can say so."""
        if self._writer.can_write_eof():
            with contextlib.suppress(OSError, RuntimeError):
                self._writer.write_eof()

    async def linger(self, bytes_max: int, seconds: float) -> None:
        """Say that no more follows, and drop what still comes: hanging up on it could take our last words along."""
        with contextlib.suppress(TimeoutError, OSError):
            self.end()
            async with asyncio.timeout(seconds):
                while bytes_max > 0 and (data := await self._reader.read(CHUNK_BYTES)):
                    bytes_max -= len(data)

    def abort(self) -> None:
        """Let go at once; what was not sent yet is lost, and the other end sees that this was no proper end."""
        connection = self._writer.get_extra_info("socket")
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._writer.transport.abort()

    async def close(self) -> None:
        """Let go once what was written is sent, but not for longer than a stall."""
        self._writer.close()
        try:
            async with asyncio.timeout(self.patience.stall):
                await self._writer.wait_closed()
        except (TimeoutError, OSError):
            self.abort()
