"""The node's side of a supervisor: requests to it, each on a connection of its own."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping

from sandboxes.names import name_bytes
from sandboxes.node.command_stream import CommandOutput, CommandSpec, CommandStream, Exit, Output
from sandboxes.node.connection import AnswerSocket, Connection, ProtocolBroken, integer
from sandboxes.node.passed_files import first_header
from sandboxes.node.passed_sockets import request_relay, request_socket
from sandboxes.protocol import NodeUnavailable, RuntimeGone
from sandboxes.supervisor import frames

_CONNECT_MESSAGE = b"c"
READ_AHEAD_BYTES = 128 << 10
"""Reading stops at twice this and one read more, whatever the frame that is waited for: a reader that stalls holds half a MiB."""
_GRACE_SECONDS = 5.0  # past a command's own timeout before the node stops believing its supervisor


async def _stream(ours: socket.socket, unsent: bytes) -> Connection:
    reader, writer = await asyncio.open_unix_connection(sock=ours, limit=READ_AHEAD_BYTES)
    if unsent:
        writer.write(unsent)
    return Connection(reader, writer)


def _command(spec: CommandSpec) -> frames.Fields:
    content: frames.Fields = [
        ("op", b"exec"),
        ("cwd", name_bytes(spec.cwd)),
        ("timeout_ms", str(int(spec.timeout_seconds * 1000)).encode()),
        ("limit_bytes", str(spec.limit_bytes).encode()),
        ("stdin", b"1" if spec.stdin is not None or spec.interactive else b"0"),
        *(("arg", argument.encode("utf-8", "surrogateescape")) for argument in spec.arguments),
        *(("env", f"{name}={value}".encode()) for name, value in spec.environment.items()),
    ]
    if spec.terminal is not None:
        content.append(("terminal", b"%dx%d" % spec.terminal))
    return content


class SupervisorClient:
    """Opens one connection per request by passing a socket over the control channel."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control

    def close(self) -> None:
        """Hang up on the supervisor."""
        self._control.close()

    async def request(self, content: frames.Fields) -> Connection:
        """Begin a request. Raises RuntimeGone when the supervisor is not there."""
        ours, rest = self._begin(content)
        return await _stream(ours, rest)

    async def request_file(self, content: frames.Fields, seconds: float) -> tuple[Connection, bytes, int]:
        """Begin a request that may be answered with an open file: the conversation, its first header, and a descriptor
        (-1 for none), which is the caller's and has been looked at by nobody. Raises as `request`, and ProtocolBroken.
        """
        ours, rest = self._begin(content)
        descriptor = -1
        try:
            async with asyncio.timeout(seconds):
                if rest:
                    await asyncio.get_running_loop().sock_sendall(ours, rest)
                header, descriptor = await first_header(ours)
            return await _stream(ours, b""), header, descriptor
        except ConnectionError as error:
            ours.close()
            raise NodeUnavailable("the sandbox ended the stream early", code="stream_broken") from error
        except TimeoutError as error:
            ours.close()
            raise NodeUnavailable("the sandbox did not answer in time", code="stream_broken") from error
        except BaseException:
            ours.close()
            if descriptor >= 0:
                os.close(descriptor)
            raise

    def _begin(self, content: frames.Fields) -> tuple[socket.socket, bytes]:
        """Our end of a new request, and what of it has not been sent yet."""
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
        return ours, frame[sent:]

    async def open_command(self, spec: CommandSpec) -> CommandStream:
        """Start a command; closing the stream kills it. Raises GuestRefused, RuntimeGone, NodeUnavailable."""
        return CommandStream(await self.request(_command(spec)), spec)

    async def execute(self, spec: CommandSpec) -> AsyncIterator[Output | Exit]:
        """Run a command: its output as it comes, then exactly one Exit. Closing the iterator kills the command.
        Raises NodeUnavailable (`stream_broken`) when the end is not known.
        """
        feeding: asyncio.Task[None] | None = None
        stream: CommandOutput
        if spec.stdin is None:
            stream = CommandOutput(AnswerSocket(*self._begin(_command(spec))), spec)
        else:
            stream = talking = await self.open_command(spec)
        try:
            async with asyncio.timeout(spec.timeout_seconds + _GRACE_SECONDS if spec.timeout_seconds else None):
                await stream.started()
                if spec.stdin is not None:
                    feeding = asyncio.ensure_future(talking.feed(spec.stdin))
                async for item in stream.output():
                    yield item
        except TimeoutError as error:
            raise NodeUnavailable("the supervisor did not end the command in time", code="stream_broken") from error
        finally:
            if feeding is not None:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)
            stream.close()

    async def listening_ports(self) -> list[int]:
        """TCP ports somebody listens on inside."""
        connection = await self.request([("op", b"ports")])
        try:
            async with asyncio.timeout(_GRACE_SECONDS):
                text = (await connection.expect(frames.RESULT)).get("ports", b"")
        except TimeoutError as error:
            raise NodeUnavailable("the supervisor did not answer in time", code="stream_broken") from error
        finally:
            connection.close()
        try:
            return [number for number in map(int, text.split(b",") if text else []) if 0 < number < 65_536]
        except ValueError as error:
            raise ProtocolBroken() from error

    async def connect(self, port: int, seconds: float) -> socket.socket:
        """A socket connected to a server inside. Raises GuestRefused (`port_closed`)."""
        content: frames.Fields = [
            ("op", b"connect"), ("port", str(port).encode()), ("timeout_ms", str(int(seconds * 1000)).encode()),
        ]  # fmt: skip
        return await request_socket(self._control, content, listening=False, seconds=seconds)

    async def relay(self, port: int, seconds: float) -> socket.socket:
        """As `connect`, for a sandbox that can't pass sockets out: a stream that the supervisor carries."""
        content: frames.Fields = [
            ("op", b"relay"), ("port", str(port).encode()), ("timeout_ms", str(int(seconds * 1000)).encode()),
        ]  # fmt: skip
        return await request_relay(self._control, content, seconds=seconds)

    async def listen(self, port: int, seconds: float) -> socket.socket:
        """A socket listening inside, on loopback."""
        content: frames.Fields = [("op", b"listen"), ("port", str(port).encode())]
        return await request_socket(self._control, content, listening=True, seconds=seconds)

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
                return integer(await connection.expect(frames.RESULT), "left")
        finally:
            connection.close()
