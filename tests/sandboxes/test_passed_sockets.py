"""Descriptors from a supervisor in a tenant's hands: only a TCP socket in the state asked for is taken."""

import asyncio
import os
import socket
from collections.abc import Callable, Iterator

import pytest

from sandboxes.node.connection import GuestRefused, ProtocolBroken
from sandboxes.node.passed_sockets import request_socket
from sandboxes.protocol import NodeUnavailable
from sandboxes.supervisor import frames

RESULT = frames.pack(frames.RESULT)


@pytest.fixture
def control() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    yield ours, theirs
    ours.close()
    theirs.close()


def tcp_listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def connected() -> socket.socket:
    with tcp_listener() as server:
        return socket.create_connection(server.getsockname())


LIES: dict[str, tuple[bytes, Callable[[], list[int]]]] = {
    "a file": (RESULT, lambda: [os.open("/etc/hostname", os.O_RDONLY)]),
    "a pipe": (RESULT, lambda: list(os.pipe()[:1])),
    "a unix socket": (RESULT, lambda: [socket.socketpair()[0].detach()]),
    "a datagram socket": (RESULT, lambda: [socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach()]),
    "a listener where a connection was asked for": (RESULT, lambda: [tcp_listener().detach()]),
    "two of them": (RESULT, lambda: [connected().detach(), connected().detach()]),
    "none": (RESULT, list),
    "one with an error": (frames.pack(frames.ERROR), lambda: [connected().detach()]),
    "one beside bytes that are no frame": (b"\xff\xff\xff\xff!", lambda: [connected().detach()]),
    "one beside two frames": (RESULT * 2, lambda: [connected().detach()]),
}


async def ask(control: tuple[socket.socket, socket.socket], answer: bytes, descriptors: list[int]) -> socket.socket:
    ours, theirs = control
    asking = asyncio.ensure_future(request_socket(ours, [("op", b"connect")], listening=False, seconds=1.0))
    await asyncio.sleep(0)
    _message, passed, _flags, _address = socket.recv_fds(theirs, 16, 1)
    with socket.socket(fileno=passed[0]) as connection:
        connection.recv(4096)
        if answer:
            socket.send_fds(connection, [answer], descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
    return await asking


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the halves of pairs that a lie leaves behind
@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_is_a_broken_protocol_and_leaves_nothing_open(
    control: tuple[socket.socket, socket.socket], lie: str
) -> None:
    answer, make = LIES[lie]
    descriptors = make()
    before = len(os.listdir("/proc/self/fd")) - len(descriptors)

    with pytest.raises(ProtocolBroken):
        await ask(control, answer, descriptors)

    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_connection_is_taken(control: tuple[socket.socket, socket.socket]) -> None:
    with await ask(control, RESULT, [connected().detach()]) as peer:
        assert peer.family == socket.AF_INET
        assert not peer.getblocking()


async def test_a_refusal_is_told(control: tuple[socket.socket, socket.socket]) -> None:
    refused = frames.pack(
        frames.ERROR, frames.pack_fields([("code", b"port_closed"), ("message", b"Connection refused")])
    )

    with pytest.raises(GuestRefused, match="Connection refused"):
        await ask(control, refused, [])


async def test_hanging_up_is_told(control: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(NodeUnavailable):
        await ask(control, b"", [])
