"""What hostile peers on either side can take: little memory, little time, nobody else's share."""

import asyncio
import contextlib
import resource
import socket
from pathlib import Path

from sandboxes.egress.budget import Meter, TokenBucket
from tests.egress.test_forwarding import Origin, code
from tests.egress.world import World, make_world, settled


def rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def test_a_header_bomb_is_refused() -> None:
    world = await make_world()

    many = "X: 1\r\n" * 101
    long = "X: " + "x" * 33_000 + "\r\n"
    endless = b"GET http://origin.test/ HTTP/1.1\r\nX: " + b"x" * 10_000_000
    target = f"GET http://origin.test/{'a' * 20_000} HTTP/1.1\r\n\r\n"

    assert code(await world.ask(f"GET http://origin.test/ HTTP/1.1\r\n{many}\r\n")) == "egress_bad_request"
    assert code(await world.ask(f"GET http://origin.test/ HTTP/1.1\r\n{long}\r\n")) == "egress_bad_request"
    assert code(await world.ask(target)) == "egress_bad_request"
    with contextlib.suppress(ConnectionError):  # hung up on while it still sends
        assert code(await world.ask(endless)) == "egress_bad_request"
    await settled(world)
    assert world.guest.refused["egress_bad_request"] == 4


async def test_a_head_that_comes_drop_by_drop_is_given_up() -> None:
    world = await make_world(head_seconds_max=0.3)
    reader, writer = await world.connect()

    async def drip() -> None:
        with contextlib.suppress(ConnectionError):
            for letter in b"GET http://origin.test/ HTTP/1.1\r\n" + b"X: 1\r\n" * 1000:
                writer.write(bytes([letter]))
                await writer.drain()
                await asyncio.sleep(0.02)

    dripping = asyncio.ensure_future(drip())
    async with asyncio.timeout(120):
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""

    dripping.cancel()
    writer.close()
    await settled(world)


async def test_an_upstream_that_says_nothing_is_given_up() -> None:
    world = await make_world(answer_seconds_max=0.2, idle_seconds_max=0.4)

    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)

    port = await world.serve(silent)

    answer = await world.ask(f"GET http://origin.test:{port}/ HTTP/1.1\r\nHost: x\r\n\r\n")
    reader, writer = await world.connect()
    writer.write(f"CONNECT origin.test:{port} HTTP/1.1\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    async with asyncio.timeout(120):
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""

    assert code(answer) == "egress_unreachable"
    writer.close()


async def test_connections_by_the_thousand_leave_others_theirs() -> None:
    world = await make_world(connections_per_sandbox_max=16)
    other = await make_world(connections_per_sandbox_max=16)
    other.guest.runtime_id = "rt-2"
    port = await other.serve(Origin())
    before = rss_bytes()
    held: list[socket.socket] = []

    for _ in range(1500):
        client = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        client.connect_ex(("127.0.0.1", world.port))
        held.append(client)
        if len(held) % 100 == 0:
            await asyncio.sleep(0)
    async with asyncio.timeout(120):
        while len(world.guest.tasks) < 16 or not world.guest.refused:
            await asyncio.sleep(0.01)
    answer = await other.ask(f"GET http://origin.test:{port}/ HTTP/1.1\r\nHost: x\r\n\r\n")

    assert answer.endswith(b"hello")
    assert len(world.guest.tasks) == 16
    assert rss_bytes() - before < 32 << 20
    for client in held:
        client.close()


async def test_one_too_many_is_told_so() -> None:
    world = await make_world(connections_per_sandbox_max=2)
    held = [await world.connect() for _ in range(2)]
    async with asyncio.timeout(120):
        while len(world.guest.tasks) < 2:
            await asyncio.sleep(0)

    answer = await world.ask(b"")

    assert answer.startswith(b"HTTP/1.1 429 ")
    assert code(answer) == "egress_limit"
    for _reader, writer in held:
        writer.close()
    await settled(world)
    port = await world.serve(Origin())
    assert (await world.ask(f"GET http://origin.test:{port}/ HTTP/1.1\r\nHost: x\r\n\r\n")).endswith(b"hello")


async def _pour(world: World, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await world.connect()
    writer.write(f"CONNECT origin.test:{port} HTTP/1.1\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def test_who_does_not_read_pins_no_memory_and_is_given_up() -> None:
    world = await make_world(stall_seconds_max=0.5)
    sent = 0

    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()
            sent += 65_536

    port = await world.serve(flood)
    client = socket.create_connection(("127.0.0.1", world.port))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    before = rss_bytes()
    client.sendall(f"CONNECT origin.test:{port} HTTP/1.1\r\n\r\n".encode())

    await asyncio.sleep(0)
    async with asyncio.timeout(120):
        while not world.guest.tasks:
            await asyncio.sleep(0.01)
    await settled(world)

    assert sent < 32 << 20  # what the kernel's buffers take
    assert world.guest.meter.in_bytes < 16 << 20
    assert rss_bytes() - before < 16 << 20
    client.close()


async def test_many_who_do_not_read_pin_little() -> None:
    world = await make_world(connections_per_sandbox_max=64)

    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(high=1)
        while True:
            writer.write(b"x" * 16_384)
            await writer.drain()

    port = await world.serve(flood)
    before = rss_bytes()
    clients = [socket.create_connection(("127.0.0.1", world.port)) for _ in range(64)]
    for client in clients:
        client.sendall(f"CONNECT origin.test:{port} HTTP/1.1\r\n\r\n".encode())
    async with asyncio.timeout(120):
        count = -1
        while count != world.guest.meter.in_bytes or len(world.guest.tasks) < 64:  # until nothing moves any more
            count = world.guest.meter.in_bytes
            await asyncio.sleep(0.3)

    assert rss_bytes() - before < 64 * (512 << 10)
    for client in clients:
        client.close()


async def test_a_giant_body_passes_through_without_being_held() -> None:
    world = await make_world()
    size, took = 256 << 20, 0

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal took
        await reader.readuntil(b"\r\n\r\n")
        while took < size and (data := await reader.read(1 << 18)):
            took += len(data)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        await writer.drain()

    port = await world.serve(swallow)
    reader, writer = await world.connect()
    before = rss_bytes()
    writer.write(f"PUT http://origin.test:{port}/ HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode())
    piece = b"x" * (1 << 20)
    for _ in range(size >> 20):
        writer.write(piece)
        await writer.drain()

    assert (await reader.read()).endswith(b"hello")
    assert took == size
    assert rss_bytes() - before < 64 << 20
    assert size <= world.guest.meter.out_bytes < size + 1000
    writer.close()


async def test_a_sandbox_that_has_used_up_its_bytes_is_cut_off() -> None:
    world, origin = await make_world(bytes_max=100_000), Origin(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_000_000)
    port = await world.serve(origin)
    request = f"GET http://origin.test:{port}/ HTTP/1.1\r\nHost: x\r\n\r\n"

    with contextlib.suppress(ConnectionResetError):
        assert len(await world.ask(request)) < 1_000_000
    await settled(world)
    used = world.guest.meter.in_bytes

    assert 100_000 <= used < 300_000
    assert code(await world.ask(request)) == "egress_limit"
    assert code(await world.ask(f"CONNECT origin.test:{port} HTTP/1.1\r\n\r\n")) == "egress_limit"
    assert world.guest.meter.in_bytes == used


async def test_lookups_at_once_are_limited() -> None:
    world = await make_world(lookups_per_sandbox_max=2)
    waiting = asyncio.Event()
    resolve = world.names.resolve

    async def slow(name: str) -> list[object]:
        await waiting.wait()
        return list(await resolve(name))

    world.names.resolve = slow  # type: ignore[method-assign,assignment]
    asks = [asyncio.ensure_future(world.ask("CONNECT nobody.test:443 HTTP/1.1\r\n\r\n")) for _ in range(3)]
    done, _pending = await asyncio.wait(asks, return_when=asyncio.FIRST_COMPLETED)

    assert [code(ask.result()) for ask in done] == ["egress_limit"]
    waiting.set()
    codes = sorted([code(answer) for answer in await asyncio.gather(*asks)])
    assert codes == ["egress_limit", "egress_unresolvable", "egress_unresolvable"]


async def test_a_lookup_that_was_given_up_holds_its_place_until_its_thread_is_free() -> None:
    world = await make_world(lookups_per_sandbox_max=1, lookup_seconds_max=0.05)
    waiting = asyncio.Event()
    resolve = world.names.resolve

    async def slow(name: str) -> list[object]:
        await waiting.wait()
        return list(await resolve(name))

    world.names.resolve = slow  # type: ignore[method-assign,assignment]
    ask = "CONNECT nobody.test:443 HTTP/1.1\r\n\r\n"
    answers = [code(await world.ask(ask)) for _ in range(3)]
    waiting.set()
    await asyncio.sleep(0)

    assert answers == ["egress_unresolvable", "egress_limit", "egress_limit"]
    async with asyncio.timeout(120):
        while world.guest.lookups:
            await asyncio.sleep(0)
    assert code(await world.ask(ask)) == "egress_unresolvable"


def test_a_bucket_gives_its_rate_and_one_second_s_burst() -> None:
    now = 0.0
    bucket = TokenBucket(1000, lambda: now)

    assert bucket.take(1000) == 0
    assert bucket.take(500) == 0.5
    now = 0.5
    assert bucket.take(0) == 0
    now = 100.0
    assert bucket.take(1000) == 0
    assert bucket.take(1000) == 1.0


def test_a_meter_counts_ways_apart_and_together() -> None:
    meter = Meter(1000, 100, lambda: 0.0)

    assert (meter.count_in(60), meter.count_out(30)) == (0, 0)
    assert not meter.is_spent
    meter.count_out(10)
    assert meter.is_spent
    assert (meter.in_bytes, meter.out_bytes) == (60, 40)
