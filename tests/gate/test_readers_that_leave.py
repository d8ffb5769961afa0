"""A reader that goes away is nobody's failure: each streamed answer, cut by a reset, leaves no error in a log."""

import asyncio
import contextlib
import itertools
import json
import logging
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from sandboxes.protocol import StartRequest, StopRequest
from tests.gate.gatehouse import House, Who, gatehouse
from tests.sandboxes.running_node import HAS_REAL_NODE, RunningNode

pytestmark = [pytest.mark.sandbox, pytest.mark.skipif(not HAS_REAL_NODE, reason="needs root and bubblewrap")]
SERVER = """
import http.server
class Endless(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        try:
            while True: self.wfile.write(bytes(65536))
        except OSError: pass
http.server.ThreadingHTTPServer(('127.0.0.1', 8000), Endless).serve_forever()
"""


class Renamed:
    """A part of the node's client whose methods take another runtime's id."""

    def __init__(self, part: Any, runtime_id: str) -> None:
        self._part, self._runtime_id = part, runtime_id

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._part, name)
        return lambda _runtime_id, *given, **options: real(self._runtime_id, *given, **options)


@contextlib.asynccontextmanager
async def inside(folder: Path) -> AsyncIterator[tuple[House, Who, RunningNode, str, str]]:
    """A gate whose node is a real one for what a sandbox holds; a loud process and an endless server run in it."""
    node = RunningNode()
    assert (await node.start())["ready"]
    try:
        runtime_id = (await node.client.start(StartRequest("rt_left", "SP-left", size_class="small"))).runtime_id
        async with gatehouse(folder) as house:
            who = await house.agent()
            await house.created(who)
            client = Renamed(node.client, runtime_id)
            for name in ("exec_bytes", "exec_stream", "stat_file", "stream_file", "pack_folder", "watch_files"):
                setattr(house.node, name, getattr(client, name))
            house.node.processes = Renamed(node.client.processes, runtime_id)  # type: ignore[attr-defined]
            await node.client.exec(runtime_id, "mkdir d; head -c 8M /dev/zero | tee d/big > big")
            loud = await node.client.processes.start(runtime_id, "exec yes")
            await node.client.processes.start(runtime_id, ["python3", "-c", SERVER])
            await node.client.processes.wait(runtime_id, loud["process_id"], until="port", port=8000)
            yield house, who, node, runtime_id, loud["process_id"]
        await node.client.stop(StopRequest(runtime_id, snapshot=False))
    finally:
        await node.close()


async def leave(house: House, head: str, body: str, who: Who) -> bytes:
    """Ask, read the beginning of the answer, reset the connection. What was read."""
    (name, value), *_ = house.bearer(who).items()
    text = f"{head} HTTP/1.1\r\nHost: x\r\n{name}: {value}\r\nContent-Length: {len(body)}\r\n"
    peer = socket.create_connection((house.client.host, house.client.port))  # type: ignore[arg-type]
    peer.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(peer, f"{text}Content-Type: application/json\r\n\r\n{body}".encode())
    begun = b""
    while b"\r\n\r\n" not in begun or begun.endswith(b"\r\n\r\n"):
        piece = await loop.sock_recv(peer, 4096)
        assert piece, begun
        begun += piece
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # socket(7): close sends a reset
    peer.close()
    return begun


async def test_a_reset_in_the_middle_of_each_streamed_answer_is_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with inside(tmp_path) as (house, who, node, runtime_id, loud), asyncio.timeout(120):
        exec_body = {"shell": "exec head -c 8M /dev/zero", "output_limit_bytes": 16 << 20}
        asked = {
            "a file": ("GET /sandbox/files?path=big", ""),
            "an archive": ("GET /sandbox/files/archive?path=d", ""),
            "a watch": ("GET /sandbox/files/watch?path=/workspace", ""),
            "an output": ("POST /sandbox/exec", json.dumps(exec_body)),
            "a stream of output": ("POST /sandbox/exec", json.dumps({"shell": "exec yes", "stream": True})),
            "a log": (f"GET /sandbox/processes/{loud}/logs?follow=true", ""),
            "events": ("GET /sandbox/events?follow=true", ""),
            "a statement": ("GET /sandbox/ledger/statement?format=json", ""),
            "a proxied answer": (f"GET /sandbox/proxy/{who.address}/8000/", ""),
        }
        with structlog.testing.capture_logs() as logged, caplog.at_level(logging.WARNING):
            for name, (head, body) in asked.items():
                begun = await leave(house, head, body, who)
                assert begun.startswith(b"HTTP/1.1 200 "), (name, begun)
                if name == "a watch":  # it learns that nobody reads when there is something to say
                    await node.client.exec(runtime_id, "for i in $(seq 50); do echo > n$i; done")
            path = f"/sandbox/processes/{loud}/attach"
            async with house.client.ws_connect(path, headers=house.bearer(who)) as attached:
                await attached.receive()
                connection = attached._response.connection
                assert connection is not None
                assert connection.transport is not None
                connection.transport.abort()
            sats = itertools.count(100)
            while open_requests(house) > 0:  # streams without an end learn of it when there is something to say
                await house.ask("POST", "/sandbox/budget", who=who, json={"max_sats_per_hour": next(sats)})
                await node.client.exec(runtime_id, "echo > n")
        found = [line for line in logged if line["log_level"] in ("error", "critical")]
        assert found == []
        assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
        for _ in range(3):
            await node.client.beat()
        bad = [line for line in node.log_text.splitlines() if '"level": "error"' in line or "Traceback" in line]
        assert bad == []


async def test_a_reader_that_leaves_a_silent_stream_gives_its_place_back(tmp_path: Path) -> None:
    """Sixty-four of them locked an owner out of everything, reap included, for as long as nothing was said."""
    async with inside(tmp_path) as (house, who, node, runtime_id, _loud), asyncio.timeout(60):
        silent = (await node.client.processes.start(runtime_id, "echo begun; exec sleep 1000"))["process_id"]
        sleeps = {"shell": "echo begun; exec sleep 50", "stream": True, "timeout_seconds": 55}
        await node.client.exec(runtime_id, "mkdir nothing")
        for head, body in (
            ("GET /sandbox/files/watch?path=nothing", ""),
            (f"GET /sandbox/processes/{silent}/logs?follow=true", ""),
            ("POST /sandbox/exec", json.dumps(sleeps)),
        ):
            await leave(house, head, body, who)
            async with asyncio.timeout(10):
                while open_requests(house) > 0:
                    await asyncio.sleep(0.1)


async def test_a_command_ends_with_the_caller_who_waits_for_its_whole_answer(tmp_path: Path) -> None:
    """A process started in the background goes on, whoever waited for it."""
    async with inside(tmp_path) as (house, who, node, runtime_id, loud), asyncio.timeout(120):
        running = "echo $$ > pid; exec sleep 1000"
        asked = (
            ("/sandbox/exec", {"shell": running, "timeout_seconds": 900}),
            (f"/sandbox/processes/{loud}/wait", {"until": "exit", "timeout_seconds": 600}),
        )
        asking = [asyncio.ensure_future(house.ask("POST", path, who=who, json=body)) for path, body in asked]
        written = ""
        while not written.strip():
            written = (await node.client.exec(runtime_id, "cat pid 2>/dev/null"))["stdout"]
        assert open_requests(house) == 2
        for one in asking:
            one.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        while open_requests(house) > 0:
            await asyncio.sleep(0.05)
        while (await node.client.exec(runtime_id, f"kill -0 {written}"))["exit_code"] == 0:
            await asyncio.sleep(0.05)
        assert (await node.client.processes.get(runtime_id, loud))["state"] == "running"


def open_requests(house: House) -> int:
    """How many the gate still works on."""
    runner = house.client.server.runner  # type: ignore[union-attr]
    assert runner is not None
    assert runner.server is not None
    return sum(1 for one in runner.server.connections if one._current_request is not None)
