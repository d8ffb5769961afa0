"""Events across broken connections, output of commands, files that are cut short."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from operations.errors import SatboxError
from satbox import Client, SyncClient
from satbox.client import ClientSettings
from satbox.client.sse import ServerEvent, SseReader
from satbox.client.streams import RECONNECTS_MAX
from tests.client.fake_gate import FakeGate, agent


async def no_sleep(_seconds: float) -> None:
    await asyncio.sleep(0)


def client_of(gate: FakeGate) -> Client:
    return Client(ClientSettings(gate.url, stacks_api=gate.url), agent=agent(), now_seconds=lambda: 1e6, sleep=no_sleep)


TEXT = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=("Cs",)), max_size=20)


@given(st.lists(st.tuples(TEXT.filter(bool), TEXT, st.integers(0, 10**9)), max_size=5))
def test_events_are_read_as_they_were_written(events: list[tuple[str, str, int]]) -> None:
    reader = SseReader()
    lines = [
        line
        for name, data, number in events
        for line in (f"id: {number}", f"event: {name}", f"data: {data}", ": comment", "")
    ]
    read = [found for line in lines if (found := reader.feed(line.encode())) is not None]
    assert read == [ServerEvent(name, data, str(number)) for name, data, number in events]


def _event(seq: int) -> bytes:
    return f'id: {seq}\nevent: x\ndata: {{"seq": {seq}, "at": "t", "type": "x", "data": {{}}}}\n\n'.encode()


async def test_events_go_on_after_a_broken_connection_each_once() -> None:
    connections: list[str] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        connections.append(request.headers["Last-Event-ID"])
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        first = int(connections[-1])
        for seq in (first, first + 1, first + 2):  # the first was seen before
            await response.write(_event(seq))
        await response.write(b'id: 99\ndata: {"seq"')  # cut in the middle of an event
        assert request.transport is not None
        request.transport.abort()
        return response

    async with FakeGate().running(("GET", "/sandbox/events", serve)) as gate, client_of(gate) as client:
        seen = []
        async for event in client.events():
            seen.append(event.seq)
            if len(seen) == 6:
                break
    assert seen == [1, 2, 3, 4, 5, 6]
    assert connections == ["0", "2", "4"]


async def test_events_end_with_an_error_when_the_gate_stays_away() -> None:
    tries = 0

    async def serve(request: web.Request) -> web.StreamResponse:
        nonlocal tries
        tries += 1
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with FakeGate().running(("GET", "/sandbox/events", serve)) as gate, client_of(gate) as client:
        with pytest.raises(SatboxError) as caught:
            async for _ in client.events():
                pass
    assert caught.value.code == "unreachable"
    assert tries >= RECONNECTS_MAX


async def test_a_command_without_an_end_is_an_error() -> None:
    async def serve(request: web.Request) -> web.StreamResponse:
        text = (
            'event: started\ndata: {"event": "started"}\n\nevent: stdout\ndata: {"event": "stdout", "data": "hi"}\n\n'
        )
        return web.Response(text=text, content_type="text/event-stream")

    seen = []
    async with FakeGate().running(("POST", "/sandbox/exec", serve)) as gate, client_of(gate) as client:
        with pytest.raises(SatboxError) as caught:  # noqa: PT012 - what came before the error counts
            async for event in client.exec_stream(shell="true"):
                seen.append((event.kind, event.data))  # noqa: PERF401
    assert seen == [("started", b""), ("stdout", b"hi")]
    assert caught.value.code == "timeout"


async def test_a_download_cut_short_leaves_no_file(tmp_path: Path) -> None:
    async def serve(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 1000
        await response.prepare(request)
        await response.write(b"x" * 10)
        assert request.transport is not None
        request.transport.close()
        return response

    async with FakeGate().running(("GET", "/sandbox/files", serve)) as gate, client_of(gate) as client:
        with pytest.raises(SatboxError) as caught:
            await client.download("big", tmp_path / "big")
    assert caught.value.code == "unreachable"
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240


async def test_a_file_travels_both_ways(tmp_path: Path) -> None:
    stored: dict[str, bytes] = {}

    async def put(request: web.Request) -> web.StreamResponse:
        stored[request.query["path"]] = await request.read()
        return web.json_response({"ok": True, "size_bytes": len(stored[request.query["path"]])})

    async def get(request: web.Request) -> web.StreamResponse:
        return web.Response(body=stored[request.query["path"]])

    data = bytes(range(256)) * 2000
    (tmp_path / "in").write_bytes(data)
    routes = (("PUT", "/sandbox/files", put), ("GET", "/sandbox/files", get))
    async with FakeGate().running(*routes) as gate, client_of(gate) as client:
        done = await client.upload("a b/ü?&=.bin", tmp_path / "in")
        size = await client.download("a b/ü?&=.bin", tmp_path / "out")
    assert (done.size_bytes, size) == (len(data), len(data))
    assert (tmp_path / "out").read_bytes() == data


async def test_the_blocking_client_does_the_same() -> None:
    async with FakeGate().running() as gate:

        def work() -> tuple[str, str]:
            settings = ClientSettings(gate.url, stacks_api=gate.url)
            with SyncClient(settings) as client, pytest.raises(SatboxError) as caught:
                client.payment_status("pay_unknown")
            return caught.value.code, str(client)

        code, _ = await asyncio.to_thread(work)
    assert code == "payment_not_found"


def test_a_closed_blocking_client_says_so() -> None:
    client = SyncClient()
    client.close()
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.service_health()
