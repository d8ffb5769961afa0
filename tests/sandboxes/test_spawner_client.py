"""Requests to a spawner that has much to do wait their turn."""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandboxes.node.spawner_client import WAITING_MAX, SpawnerClient, SpawnerGone
from sandboxes.protocol import NoCapacity

BODY = {"launch": "x" * 4_000}


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[SpawnerClient, socket.socket]]:
    """A client, and the spawner's end of its socket with nobody reading."""
    client = SpawnerClient("/mnt", {}, {}, tmp_path / "log")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    client._socket = ours
    asyncio.get_running_loop().add_reader(ours.fileno(), client._on_message)
    yield client, theirs
    theirs.close()
    client._hang_up()


async def received(theirs: socket.socket, count: int) -> list[tuple[dict[str, object], list[bytes]]]:
    """What the spawner reads, with what is in the pipes that came along."""

    def read() -> list[tuple[dict[str, object], list[bytes]]]:
        found = []
        while len(found) < count:
            data, descriptors, _flags, _address = socket.recv_fds(theirs, 1 << 17, 4)
            contents = [os.read(fd, 100) for fd in descriptors]
            for fd in descriptors:
                os.close(fd)
            found.append((json.loads(data), contents))
        return found

    async with asyncio.timeout(120):
        return await asyncio.to_thread(read)


async def test_a_burst_larger_than_the_socket_arrives_whole_and_in_order(
    pair: tuple[SpawnerClient, socket.socket],
) -> None:
    client, theirs = pair
    before = len(os.listdir("/proc/self/fd"))
    futures = []
    for k in range(300):
        read_fd, write_fd = os.pipe()
        os.write(write_fd, b"%d" % k)
        os.close(write_fd)
        key, future = client.request("launch", BODY, (read_fd,))
        os.close(read_fd)  # as the driver does
        futures.append((key, future))
    client.kill(futures[0][0])
    came = await received(theirs, 301)

    assert [message["id"] for message, _ in came[:300]] == [key for key, _ in futures]
    assert [contents for _, contents in came[:300]] == [[b"%d" % k] for k in range(300)]
    assert came[300][0]["op"] == "kill"
    for key, _ in futures:
        await asyncio.to_thread(theirs.send, json.dumps({"event": "exited", "id": key, "status": 0}).encode())
    async with asyncio.timeout(120):
        assert set(await asyncio.gather(*(future for _, future in futures))) == {0}
    assert len(os.listdir("/proc/self/fd")) == before


async def test_past_the_limit_of_what_waits_starts_are_refused_and_kills_are_not(
    pair: tuple[SpawnerClient, socket.socket],
) -> None:
    client, _theirs = pair
    key, _future = client.request("launch", BODY)
    while len(client._waiting) < WAITING_MAX:
        client.request("launch", BODY)
    with pytest.raises(NoCapacity) as full:
        client.request("launch", BODY)
    client.kill(key)
    waiting = len(client._waiting)

    assert full.value.retry_after_seconds >= 1
    assert waiting == WAITING_MAX + 1


async def test_what_waits_when_the_spawner_ends_fails(pair: tuple[SpawnerClient, socket.socket]) -> None:
    client, theirs = pair
    futures = [client.request("launch", BODY, (0,))[1] for _ in range(100)]
    theirs.close()
    async with asyncio.timeout(120):
        outcomes = await asyncio.gather(*futures, return_exceptions=True)

    assert all(isinstance(outcome, SpawnerGone) for outcome in outcomes)
