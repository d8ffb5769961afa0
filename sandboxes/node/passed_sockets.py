"""Sockets made inside a sandbox and passed out: taken from the supervisor, never believed to be what was asked for."""

from __future__ import annotations

import asyncio
import os
import socket
import stat

from sandboxes.node.connection import ProtocolBroken, refusal
from sandboxes.protocol import NodeUnavailable, RuntimeGone
from sandboxes.supervisor import frames

_CONNECT_MESSAGE = b"c"
_ANSWER_BYTES_MAX = 4096
_GRACE_SECONDS = 2.0


async def request_socket(
    control: socket.socket, content: frames.Fields, *, listening: bool, seconds: float
) -> socket.socket:
    """Ask a supervisor for one TCP socket of its namespace. Raises GuestRefused (`port_closed`), ProtocolBroken,
    RuntimeGone, NodeUnavailable.
    """
    ours = _ask(control, content)
    try:
        async with asyncio.timeout(seconds + _GRACE_SECONDS):
            await _readable(ours)
        return _take(ours, listening)
    except TimeoutError as error:
        raise NodeUnavailable("the supervisor did not answer in time", code="stream_broken") from error
    finally:
        ours.close()


async def request_relay(control: socket.socket, content: frames.Fields, *, seconds: float) -> socket.socket:
    """Ask a supervisor to carry a connection's bytes itself; the socket returned leads to it. Raises as `request_socket`."""
    ours = _ask(control, content)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds + _GRACE_SECONDS):
            header = await _exactly(loop, ours, frames.HEADER_BYTES)
            try:
                size = frames.payload_bytes(header)
            except frames.FrameError as error:
                raise ProtocolBroken() from error
            if size > _ANSWER_BYTES_MAX:
                raise ProtocolBroken()
            payload = await _exactly(loop, ours, size)
        if header[4] == frames.ERROR:
            raise refusal(payload)
        if header[4] != frames.RESULT or payload:
            raise ProtocolBroken()
    except TimeoutError as error:
        ours.close()
        raise NodeUnavailable("the supervisor did not answer in time", code="stream_broken") from error
    except BaseException:
        ours.close()
        raise
    return ours


async def _exactly(loop: asyncio.AbstractEventLoop, connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        try:
            piece = await loop.sock_recv(connection, size - len(data))
        except OSError:
            piece = b""
        if not piece:
            raise NodeUnavailable("the sandbox ended the stream early", code="stream_broken")
        data += piece
    return data


def _ask(control: socket.socket, content: frames.Fields) -> socket.socket:
    """Send a request on a connection of its own; our end of it."""
    frame = frames.pack(frames.REQUEST, frames.pack_fields(content))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    ours.setblocking(False)
    try:
        ours.send(frame)
        socket.send_fds(control, [_CONNECT_MESSAGE], [theirs.fileno()])
    except BlockingIOError as error:
        ours.close()
        raise NodeUnavailable("the supervisor does not keep up", code="supervisor_busy") from error
    except OSError as error:
        ours.close()
        raise RuntimeGone("the sandbox has ended") from error
    finally:
        theirs.close()
    return ours


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(connection.fileno(), ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(connection.fileno())


def _take(connection: socket.socket, listening: bool) -> socket.socket:
    """The answer is one small frame; more than one descriptor, or another kind, is a broken protocol."""
    try:
        data, descriptors, flags, _address = socket.recv_fds(connection, _ANSWER_BYTES_MAX, 4, socket.MSG_CMSG_CLOEXEC)
    except OSError as error:
        raise NodeUnavailable("the sandbox ended the stream early", code="stream_broken") from error
    try:
        if not data:
            raise NodeUnavailable("the sandbox ended the stream early", code="stream_broken")
        decoded = _decode(data)
        if decoded[0] == frames.ERROR and not descriptors:
            raise refusal(decoded[1])
        if decoded[0] != frames.RESULT or len(descriptors) != 1 or flags & socket.MSG_CTRUNC:
            raise ProtocolBroken()
        _check(descriptors[0], listening)
        taken = socket.socket(fileno=descriptors.pop())
        taken.setblocking(False)
        return taken
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _decode(data: bytes) -> tuple[int, bytes]:
    try:
        (frame,) = frames.Decoder().feed(data)
    except (frames.FrameError, ValueError) as error:
        raise ProtocolBroken() from error
    return frame


def _check(descriptor: int, listening: bool) -> None:
    """A descriptor that is not a TCP socket in the right state could make the node read or write something else."""
    if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        raise ProtocolBroken()
    with socket.socket(fileno=os.dup(descriptor)) as probe:
        tcp = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL) == socket.IPPROTO_TCP
        state = probe.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        if probe.family not in (socket.AF_INET, socket.AF_INET6) or not tcp or bool(state) != listening:
            raise ProtocolBroken()
