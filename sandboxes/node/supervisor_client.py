"""The node's side of a supervisor. Every byte from it is treated as a tenant's: framed, limited, never trusted."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from sandboxes.protocol import NodeUnavailable, RuntimeGone, SandboxError
from sandboxes.supervisor import frames

_CONNECT_MESSAGE = b"c"
_READ_BYTES = 1 << 18
_GRACE_SECONDS = 5.0  # past a command's own timeout before the node stops believing its supervisor


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
    "io_error": 500, "request_refused": 409,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """A command to run as the tenant. 0 seconds: no limit of its own. `limit_bytes` is per output stream."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    cwd: str = "/workspace"
    stdin: bytes | None = None
    timeout_seconds: float = 0.0
    limit_bytes: int = 1 << 20


@dataclass(frozen=True, slots=True)
class Output:
    """Bytes a command wrote."""

    stream: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Exit:
    """How a command ended, as its supervisor saw it."""

    exit_code: int | None
    signal: int | None
    timed_out: bool
    cpu_us: int
    max_rss_bytes: int
    duration_us: int
    stdout_dropped: int
    stderr_dropped: int
    start_error: str = ""


@dataclass(slots=True)
class Connection:
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
        try:
            size = frames.payload_bytes(header)
        except frames.FrameError as error:
            raise ProtocolBroken() from error
        return header[4], await self._exactly(size)

    async def expect(self, kind: int) -> dict[str, bytes]:
        """The next frame, which has to be of one kind. Raises GuestRefused for an error frame."""
        got, payload = await self.frame()
        if got == frames.ERROR:
            raise refusal(payload)
        if got != kind:
            raise ProtocolBroken()
        return fields(payload)

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
    message = content.get("message", b"").decode("utf-8", "replace")[:500]
    error = GuestRefused(message, code=code if code in _STATUS else "guest_refused")
    error.status = _STATUS.get(code, 409)
    return error


class SupervisorClient:
    """Opens one connection per request by passing a socket over the control channel."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control

    def close(self) -> None:
        """Hang up on the supervisor."""
        self._control.close()

    async def request(self, content: frames.Fields) -> Connection:
        """Begin a request. Raises RuntimeGone when the supervisor is not there."""
        frame = frames.pack(frames.REQUEST, frames.pack_fields(content))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.setblocking(False)
        try:
            # The request lies in the connection before the supervisor gets it: it wakes once, not twice.
            sent = ours.send(frame)
            socket.send_fds(self._control, [_CONNECT_MESSAGE], [theirs.fileno()])
        except BlockingIOError as error:
            ours.close()
            raise NodeUnavailable("the supervisor does not keep up", code="supervisor_busy") from error
        except OSError as error:
            ours.close()
            raise RuntimeGone("the sandbox has ended") from error
        finally:
            theirs.close()
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=2 * frames.FRAME_BYTES_MAX)
        connection = Connection(reader, writer)
        if sent < len(frame):
            writer.write(frame[sent:])
        return connection

    async def execute(self, spec: CommandSpec) -> AsyncIterator[Output | Exit]:
        """Run a command: its output as it comes, then exactly one Exit. Closing the iterator kills the command.
        Raises NodeUnavailable (`stream_broken`) when the end is not known.
        """
        content: frames.Fields = [
            ("op", b"exec"),
            ("cwd", spec.cwd.encode()),
            ("timeout_ms", str(int(spec.timeout_seconds * 1000)).encode()),
            ("limit_bytes", str(spec.limit_bytes).encode()),
            ("stdin", b"1" if spec.stdin is not None else b"0"),
            *(("arg", argument.encode("utf-8", "surrogateescape")) for argument in spec.arguments),
            *(("env", f"{name}={value}".encode()) for name, value in spec.environment.items()),
        ]
        connection = await self.request(content)
        feeding: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(spec.timeout_seconds + _GRACE_SECONDS if spec.timeout_seconds else None):
                await connection.expect(frames.STARTED)
                if spec.stdin is not None:
                    feeding = asyncio.ensure_future(_feed(connection, spec.stdin))
                budgets = {frames.STDOUT: spec.limit_bytes, frames.STDERR: spec.limit_bytes}
                while True:
                    kind, payload = await connection.frame()
                    if kind in budgets:
                        budgets[kind] -= len(payload)
                        if budgets[kind] < 0:
                            raise ProtocolBroken()
                        yield Output("stdout" if kind == frames.STDOUT else "stderr", payload)
                    elif kind == frames.EXIT:
                        yield _exit(fields(payload))
                        return
                    else:
                        raise ProtocolBroken()
        except TimeoutError as error:
            raise NodeUnavailable("the supervisor did not end the command in time", code="stream_broken") from error
        finally:
            if feeding is not None:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)
            connection.close()

    async def run_hook(self, path: str, environment: Mapping[str, str], seconds: float) -> None:
        """Run a tenant's hook if it is there and executable; its output is dropped."""
        script = f"[ -x {path} ] && exec {path}"
        async for _event in self.execute(CommandSpec(["/bin/sh", "-c", script], environment, "/", None, seconds, 0)):
            continue

    async def terminate(self, seconds: float) -> int:
        """SIGTERM to everything of the tenant's; how many processes are left after at most `seconds`."""
        connection = await self.request([("op", b"terminate"), ("timeout_ms", str(int(seconds * 1000)).encode())])
        try:
            async with asyncio.timeout(seconds + _GRACE_SECONDS):
                return _integer(await connection.expect(frames.RESULT), "left")
        finally:
            connection.close()


async def _feed(connection: Connection, data: bytes) -> None:
    """Send stdin in pieces, at the pace the supervisor takes them."""
    for at in range(0, len(data), 1 << 16):
        connection.send(frames.STDIN, data[at : at + (1 << 16)])
        await connection.writer.drain()
    connection.send(frames.STDIN_END)


def _integer(content: Mapping[str, bytes], name: str) -> int:
    try:
        return int(content[name])
    except (KeyError, ValueError) as error:
        raise ProtocolBroken() from error


def _exit(content: Mapping[str, bytes]) -> Exit:
    code, signal = content.get("code", b""), content.get("signal", b"")
    if bool(code) == bool(signal):
        raise ProtocolBroken()
    return Exit(
        exit_code=_integer(content, "code") if code else None,
        signal=_integer(content, "signal") if signal else None,
        timed_out=content.get("timed_out") == b"1",
        cpu_us=_integer(content, "cpu_us"),
        max_rss_bytes=_integer(content, "max_rss_bytes"),
        duration_us=_integer(content, "duration_us"),
        stdout_dropped=_integer(content, "stdout_dropped"),
        stderr_dropped=_integer(content, "stderr_dropped"),
        start_error=content.get("start_error", b"").decode("utf-8", "replace"),
    )
