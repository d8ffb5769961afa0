"""An answer that lacks something says so: one line on stderr and exit code 123, whatever the verb and the form."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from operations.catalogue import REGISTRY
from satbox.agent.keystore import Keystore, agent_of
from satbox.cli.incomplete import lacks
from tests.cli.running import satbox
from tests.client.fake_gate import BITCOIN_KEY, STACKS_KEY, FakeGate


@pytest.fixture
def home(tmp_path: Path) -> Path:
    Keystore(tmp_path).save(agent_of("default", STACKS_KEY, BITCOIN_KEY))
    return tmp_path


WHOLE = {
    "stdout": "x",
    "stderr": "",
    "results": [],
    "items": [],
    "cursor": 1,
    "lost_bytes": 0,
    "state": "running",
    "files": 1,
}
WHOLE |= {"bytes": 1, "skipped": 0, "digest": "0" * 64, "name": "n", "size_bytes": 1, "path": "p", "entries": []}
CUT = {"exit_code": 0, "truncated": {"stdout_bytes_dropped": 1_951_424, "stderr_bytes_dropped": 0}}
LACKING: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "exec x": ("POST", "/sandbox/exec", CUT, "stdout was cut by 1951424 bytes"),
    "exec --receipt x": ("POST", "/sandbox/exec", CUT, "stdout was cut by 1951424 bytes"),
    "contexts run c_000000000001 x": ("POST", "/sandbox/contexts/c_000000000001/run", {"truncated": True}, "the answer was cut"),
    "processes logs p_000000000001": ("GET", "/sandbox/processes/p_000000000001/logs", {"lost_bytes": 7}, "7 older bytes"),
    "files list p": ("GET", "/sandbox/files/list", {"truncated": True}, "the answer was cut"),
    "files unpack p": ("PUT", "/sandbox/files/archive", {"skipped": 2, "skipped_names": ["a"]}, "2 left out: a, 1 more"),
    "snapshots create n": ("POST", "/sandbox/snapshots", {"skipped": 1, "skipped_examples": ["a: b"]}, "1 left out: a: b"),
}  # fmt: skip


@pytest.mark.parametrize("form", ["--json", "--table"])
@pytest.mark.parametrize("line", LACKING)
async def test_an_answer_that_lacks_something_says_so_by_exit_code_and_on_stderr(
    home: Path, line: str, form: str
) -> None:
    method, path, missing, words = LACKING[line]

    async def serve(request: web.Request) -> web.StreamResponse:
        await request.read()
        if "--receipt" not in line and form == "--table" and path == "/sandbox/exec":
            end = json.dumps({"event": "exit", **missing})
            return web.Response(text=f"event: exit\ndata: {end}\n\n", content_type="text/event-stream")
        return web.json_response({**WHOLE, **missing})

    async with FakeGate(wall_seconds=time.time).running((method, path, serve)) as gate:
        words_of = line.split()
        at = 1 if words_of[0] == "exec" else len(words_of)
        ended = await satbox(*words_of[:at], form, *words_of[at:], home=home, gate=gate.url, stdin=b"x")
    assert ended.code == 123, ended.stderr
    assert words in ended.stderr


def test_every_field_that_says_what_is_missing_is_known_to_the_command_line() -> None:
    """Of all answers of operations: a new one of these has to be said, too."""
    flags = {"truncated": True, "lost_bytes": 1, "skipped": 1}
    for operation in REGISTRY.values():
        fields = getattr(operation.output, "model_fields", {})
        for name in fields:
            if any(word in name for word in ("truncat", "lost_", "skipped", "dropped")):
                assert name.removesuffix("_names").removesuffix("_examples") in flags, (operation.name, name)
    assert all(len(lacks({name: value})) == 1 for name, value in flags.items())
    assert lacks({"truncated": {"stdout_bytes_dropped": 0}, "lost_bytes": 0, "skipped": [], "items": []}) == []


async def test_help_lists_every_exit_code_of_its_own(home: Path) -> None:
    ended = await satbox("--help", home=home)
    for code in ("123", "124", "125"):
        assert code.encode() in ended.stdout


PROCESS: dict[str, Any] = {
    "process_id": "p_000000000001",
    "argv": ["x"],
    "cwd": "/",
    "state": "exited",
    "pid": 2,
    "started_at": "",
    "log_start": 7,
}
PROCESS |= {"log_end": 8, "exit_code": 0}
LOST = {"event": "stdout", "data": "x", "cursor": 8, "lost_bytes": 7}


def _events(*events: dict[str, Any]) -> web.Response:
    text = "".join(f"event: {event['event']}\ndata: {json.dumps(event)}\n\n" for event in events)
    return web.Response(text=text, content_type="text/event-stream")


async def test_streams_that_lack_something_say_so_when_they_end(home: Path) -> None:
    one = "/sandbox/processes/p_000000000001"

    async def watch(request: web.Request) -> web.StreamResponse:
        return _events({"event": "watching", "partial": False}, {"event": "overflow", "path": "many"})

    async def logs(request: web.Request) -> web.StreamResponse:
        return _events(LOST, {"event": "exit", **PROCESS})

    async def get(request: web.Request) -> web.StreamResponse:
        return web.json_response(PROCESS)

    async def attach(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"event": "lost", "lost_bytes": 7})
        await socket.send_bytes(b"\1x")
        await socket.send_json({"event": "exit", **PROCESS})
        await socket.close()
        return socket

    routes: list[Any] = [("GET", "/sandbox/files/watch", watch), ("GET", f"{one}/logs", logs), ("GET", one, get)]
    async with FakeGate(wall_seconds=time.time).running(*routes, ("GET", f"{one}/attach", attach)) as gate:
        watched = await satbox("files", "watch", ".", home=home, gate=gate.url)
        followed = await satbox("processes", "logs", PROCESS["process_id"], "--follow", home=home, gate=gate.url)
        attached = await satbox("processes", "attach", PROCESS["process_id"], home=home, gate=gate.url)

    assert (watched.code, followed.code, attached.code) == (123, 123, 123), (watched, followed, attached)
    assert "not all changes are seen: many" in watched.stderr
    assert followed.stdout == attached.stdout == b"x"
    assert "7 older bytes of the log" in followed.stderr
    assert "7 older bytes of the log" in attached.stderr
