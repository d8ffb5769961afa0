"""One request's conversation with a supervisor. Every byte of it is treated as a tenant's: framed, limited, never trusted."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from sandboxes.names import name_text
from sandboxes.protocol import NodeUnavailable, SandboxError
from sandboxes.supervisor import frames

_READ_BYTES = 1 << 18
MESSAGE_CHARACTERS_MAX = 500


class GuestRefused(SandboxError):  # noqa: N818 - reads as what happened
    """The supervisor refused the request; `code` is one of a fixed set, the message is the guest's."""

    code = "guest_refused"
    status = 409


class ProtocolBroken(NodeUnavailable):
    """The supervisor said what no supervisor of ours says: it is not ours any more, and its runtime has to end."""

    def __init__(self) -> None:
        super().__init__("the supervisor broke the protocol", code="stream_broken")


_STATUS = {
    "not_found": 404, "permission_denied": 403, "already_exists": 409, "not_empty": 409, "is_directory": 409,
    "not_directory": 409, "not_regular": 409, "no_space": 507, "too_large": 413, "bad_path": 400, "bad_request": 400,
    "io_error": 500, "request_refused": 409, "port_closed": 409, "bad_archive": 400,
}  # fmt: skip


class FrameSource:
    """Frames from a supervisor, one after the other."""

    async def frame(self) -> tuple[int, bytes]:
        """The next frame. Raises NodeUnavailable when the stream ends or is not frames."""
        raise NotImplementedError

    async def expect(self, kind: int) -> dict[str, bytes]:
        """The next frame, which has to be of one kind. Raises GuestRefused for an error frame."""
        got, payload = await self.frame()
        if got == frames.ERROR:
            raise refusal(payload)
        if got != kind:
            raise ProtocolBroken()
        return fields(payload)

    def close(self) -> None:
        """Hang up: whatever the request still runs is killed."""
        raise NotImplementedError


class AnswerSocket(FrameSource):
    """The answer to a request that nothing more is said to, read straight from the socket: most come in one piece, and a
    stream around it would cost more than the rest of the node's part. Nothing is read before it is asked for.
    """

    def __init__(self, ours: socket.socket, unsent: bytes) -> None:
        self._socket = ours
        self._unsent = unsent
        self._decoder = frames.Decoder()
        self._frames: deque[tuple[int, bytes]] = deque()

    async def frame(self) -> tuple[int, bytes]:
        """See `FrameSource.frame`."""
        loop = asyncio.get_running_loop()
        try:
            if self._unsent:
                unsent, self._unsent = self._unsent, b""
                await loop.sock_sendall(self._socket, unsent)
            while not self._frames:
                data = await loop.sock_recv(self._socket, _READ_BYTES)
                if not data:
                    raise NodeUnavailable("the sandbox ended the stream early", code="stream_broken")
                self._frames.extend(self._decoder.feed(data))
        except frames.FrameError as error:
            raise ProtocolBroken() from error
        except OSError as error:
            raise NodeUnavailable("the sandbox ended the stream early", code="stream_broken") from error
        return self._frames.popleft()

    def close(self) -> None:
        """See `FrameSource.close`."""
        self._socket.close()


@dataclass(slots=True)
class Connection(FrameSource):
    """One request's stream to the supervisor."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    patience: asyncio.Timeout | None = None
    _closed: bool = field(default=False)

    def be_patient(self, seconds: float) -> None:
        """Something moved: allow `seconds` more from now."""
        if self.patience is not None:
            self.patience.reschedule(asyncio.get_running_loop().time() + seconds)

    async def header(self) -> bytes:
        """The next frame's header; its payload has to be read with `body`."""
        return await self._exactly(frames.HEADER_BYTES)

    async def _exactly(self, size: int) -> bytes:
        try:
            return await self.reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise NodeUnavailable("the sandbox ended the stream early", code="stream_broken") from error

    async def body(self, size: int) -> AsyncIterator[bytes]:
        """A payload of `size` bytes as it arrives."""
        while size:
            try:
                chunk = await self.reader.read(min(size, _READ_BYTES))
            except ConnectionError:
                chunk = b""
            if not chunk:
                raise NodeUnavailable("the sandbox ended the stream early", code="stream_broken")
            size -= len(chunk)
            yield chunk

    async def frame(self) -> tuple[int, bytes]:
        """The next frame. Raises NodeUnavailable when the stream ends or is not frames."""
        header = await self.header()
        return header[4], await self.payload(header)

    async def payload(self, header: bytes) -> bytes:
        """The whole payload behind a header. Raises as `frame`."""
        try:
            size = frames.payload_bytes(header)
        except frames.FrameError as error:
            raise ProtocolBroken() from error
        return await self._exactly(size)

    def send(self, kind: int, payload: bytes = b"") -> None:
        """Queue one frame."""
        self.writer.write(frames.pack(kind, payload))

    def close(self) -> None:
        """Hang up: whatever the request still runs is killed."""
        if not self._closed:
            self._closed = True
            self.writer.transport.abort()


def fields(payload: bytes) -> dict[str, bytes]:
    """A field payload from the guest. Raises NodeUnavailable when malformed."""
    try:
        return dict(frames.unpack_fields(payload))
    except frames.FrameError as error:
        raise ProtocolBroken() from error


def refusal(payload: bytes) -> GuestRefused:
    """An error frame as an exception, its code limited to the known ones."""
    content = fields(payload)
    code = content.get("code", b"").decode("ascii", "replace")
    message = name_text(content.get("message", b""))[:MESSAGE_CHARACTERS_MAX]
    error = GuestRefused(message, code=code if code in _STATUS else "guest_refused")
    error.status = _STATUS.get(code, 409)
    return error


def file_error(code: str, message: str) -> GuestRefused:
    """A refusal that the node finds itself, in the guest's words."""
    error = GuestRefused(message, code=code)
    error.status = _STATUS[code]
    return error


def integer(content: Mapping[str, bytes], name: str) -> int:
    """A number from the guest. Raises ProtocolBroken when there is none."""
    try:
        return int(content[name])
    except (KeyError, ValueError) as error:
        raise ProtocolBroken() from error
