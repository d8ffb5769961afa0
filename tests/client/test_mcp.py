"""The tools as an agent has them: the SDK's own client, over stdio, against a server in a process of its own."""

import asyncio
import json
import os
import re
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client as McpClient
from mcp import StdioServerParameters
from mcp.client.stdio import stdio_client

from operations.catalogue import REGISTRY
from operations.errors import ERRORS, SatboxError
from operations.surfaces import Tool
from satbox.agent.keystore import Keystore, agent_of
from satbox.mcp_server.budget import SessionBudget
from satbox.mcp_server.hints import OF_CALLS, next_step
from satbox.mcp_server.schemas import plain
from satbox.mcp_server.tools import tools
from tests.client.fake_gate import BITCOIN_KEY, PASS, STACKS_KEY, FakeGate, status_of


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    Keystore(folder).save(agent_of("default", STACKS_KEY, BITCOIN_KEY))
    return folder


@asynccontextmanager
async def session(gate: FakeGate, home: Path, *words: str) -> AsyncIterator[McpClient]:
    server = StdioServerParameters(
        command=sys.executable,
        args=["-c", "from satbox.cli import main; main()", "mcp", *words],
        env={
            "SATBOX_HOME": str(home),
            "SATBOX_GATE": gate.url,
            "SATBOX_STACKS_API": gate.url,
            "PATH": os.environ["PATH"],
        },
    )
    async with McpClient(stdio_client(server)) as client:
        yield client


async def told(client: McpClient, tool: str, **arguments: Any) -> tuple[bool, dict[str, Any]]:
    result = await client.call_tool(tool, arguments)
    (content,) = result.content
    assert content.type == "text"
    return bool(result.is_error), json.loads(content.text)


async def test_every_tool_is_listed_with_its_schema(home: Path) -> None:
    async with FakeGate(wall_seconds=time.time).running() as gate, session(gate, home) as client:
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(listed) == {
        operation.tool.name for operation in REGISTRY.values() if isinstance(operation.tool, Tool)
    } | {"satbox_call"}
    assert listed["satbox_status"].annotations is not None
    assert listed["satbox_status"].annotations.read_only_hint
    assert listed["satbox_create"].input_schema["properties"]["max_sats"]["type"] == "integer"
    assert "stream" not in listed["satbox_exec"].input_schema["properties"]


async def test_paying_stays_within_the_session_even_in_parallel(home: Path) -> None:
    async with FakeGate(wall_seconds=time.time).running() as gate, session(gate, home, "--max-sats", "1200") as client:
        answers = await asyncio.gather(
            *(told(client, "satbox_create", sats=500, seconds=None, environment={"N": str(n)}) for n in range(5))
        )
        refused = [body["error"] for is_error, body in answers if is_error]
        paid = [body for is_error, body in answers if not is_error]
        assert (len(paid), len(refused), gate.signed) == (2, 3, 2)
        assert {error["code"] for error in refused} == {"max_sats_exceeded"}
        assert all(error["next_step"] for error in refused)
        assert min(body["session_budget"]["left_sats"] for body in paid) == 200


async def test_an_unknown_outcome_counts_as_spent(home: Path, tmp_path: Path) -> None:
    Keystore(tmp_path).save(agent_of("default", STACKS_KEY, BITCOIN_KEY))
    gate_of = FakeGate(script=["again"], wall_seconds=time.time)
    async with gate_of.running() as gate, session(gate, tmp_path, "--max-sats", "700") as client:
        is_error, body = await told(client, "satbox_create", sats=500)
        assert (is_error, body["error"]["code"], body["error"]["funds_moved"]) == (True, "ambiguous", "unknown")
        is_error, body = await told(client, "satbox_create", sats=500)
        assert (is_error, body["error"]["code"]) == (True, "max_sats_exceeded")
        assert len(gate.payments) == 1


async def test_errors_say_what_to_do_and_passes_stay_inside(home: Path) -> None:
    async with FakeGate(wall_seconds=time.time).running() as gate, session(gate, home) as client:
        is_error, body = await told(client, "satbox_prove")
        assert not is_error
        assert PASS not in json.dumps(body)
        for tool, arguments in (
            ("satbox_status", {"nonsense": 1}),
            ("satbox_move_file", {"path": "a"}),
            ("satbox_create", {"sats": 0}),
            ("satbox_create", {"sats": "many"}),
            ("satbox_nothing", {}),
            ("satbox_write_file", {"path": "a"}),
        ):
            is_error, body = await told(client, tool, **arguments)
            assert is_error
            assert body["error"]["code"] in ("invalid_request", "not_found", "max_sats_exceeded")
            assert body["error"]["hint"]


async def test_the_same_tools_over_http_on_loopback_only(home: Path) -> None:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        port = made.getsockname()[1]
    async with FakeGate(wall_seconds=time.time).running() as gate:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "from satbox.cli import main; main()", "mcp", "--http", str(port),
            env={**os.environ, "SATBOX_HOME": str(home), "SATBOX_GATE": gate.url, "SATBOX_STACKS_API": gate.url},
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            await _listening(port)
            async with McpClient(f"http://127.0.0.1:{port}/mcp") as client:
                is_error, body = await told(client, "satbox_status")
            assert not is_error
            assert body["state"] == "alive"
            async with aiohttp.ClientSession() as other:
                headers = {"Host": "evil.example", "Accept": "application/json, text/event-stream"}
                async with other.post(f"http://127.0.0.1:{port}/mcp", json={}, headers=headers) as answer:
                    assert answer.status == 421  # a page elsewhere cannot reach it by a name of its own
        finally:
            process.terminate()
            out, _ = await process.communicate()
    assert out == b""


async def _listening(port: int) -> None:
    async with asyncio.timeout(120):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                await writer.wait_closed()
                return


async def test_large_files_and_outputs_are_cut_with_a_way_to_the_rest(home: Path) -> None:
    data = "".join(f"{n:07d}\n" for n in range(10_000))

    async def read(request: web.Request) -> web.StreamResponse:
        return web.Response(body=data.encode())

    async def stat(request: web.Request) -> web.StreamResponse:
        return web.json_response({"path": "f", "name": "f", "kind": "file", "size_bytes": len(data)})

    async def run(request: web.Request) -> web.StreamResponse:
        return web.json_response({"exit_code": 0, "stdout": data})

    routes = (("GET", "/sandbox/files", read), ("GET", "/sandbox/files/stat", stat), ("POST", "/sandbox/exec", run))
    async with FakeGate(wall_seconds=time.time).running(*routes) as gate, session(gate, home) as client:
        _, first = await told(client, "satbox_read_file", path="f")
        assert "offset_bytes=20000" in first["note"]
        whole, offset = "", 0
        while offset < len(data):
            _, window = await told(client, "satbox_read_file", path="f", offset_bytes=offset, limit_bytes=30_000)
            whole += window["content"]
            offset += len(window["content"])
        assert whole == data
        _, output = await told(client, "satbox_exec", shell="cat f")
        head, _, rest = output["stdout"].partition("\n... 60000 characters left out ...\n")
        assert (head, rest) == (data[:5_000], data[-15_000:])  # what went wrong stands at the end
        assert "cut" in output["note"]


async def test_one_tool_makes_lists_and_revokes_wake_links(home: Path) -> None:
    asked: list[tuple[str, Any]] = []
    link = {
        "link_id": "wl_0123456789ab", "label": "", "state": "good", "scopes": ["wake"], "wakes_per_day": 10,
        "wakes_left_today": 10, "created_at": "2026-01-01T00:00:00Z", "expires_at": "2026-02-01T00:00:00Z",
    }  # fmt: skip

    async def create(request: web.Request) -> web.StreamResponse:
        asked.append(("create", await request.json()))
        return web.json_response({**link, "token": "swl_token", "url": "http://gate/wake/x#swl_token"})

    async def listing(request: web.Request) -> web.StreamResponse:
        asked.append(("list", None))
        return web.json_response({"items": [link]})

    async def revoke(request: web.Request) -> web.StreamResponse:
        asked.append(("revoke", request.match_info["id"]))
        return web.json_response({**link, "state": "revoked"})

    made = "/sandbox/wake-links"
    routes = (("POST", made, create), ("GET", made, listing), ("DELETE", made + "/{id}", revoke))
    async with FakeGate(wall_seconds=time.time).running(*routes) as gate, session(gate, home) as client:
        _, new = await told(client, "satbox_wake_link", scopes=["wake", "topup"], label="Anna")
        _, kept = await told(client, "satbox_wake_link", action="list")
        _, gone = await told(client, "satbox_wake_link", action="revoke", link_id="wl_0123456789ab")
        for wrong in ({"action": "revoke"}, {"link_id": "wl_0123456789ab"}, {"action": "list", "link_id": "wl_1"},
                      {"action": "destroy"}, {"scopes": ["owner"]}):  # fmt: skip
            is_error, body = await told(client, "satbox_wake_link", **wrong)
            assert (is_error, body["error"]["code"]) == (True, "invalid_request")
    assert new["url"].endswith("#swl_token")
    assert (len(kept["items"]), gone["state"]) == (1, "revoked")
    assert [what for what, _ in asked] == ["create", "list", "revoke"]
    assert asked[0][1]["scopes"] == ["wake", "topup"]
    assert asked[2][1] == "wl_0123456789ab"


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 600)), max_size=20), st.integers(0, 2000))
def test_a_budget_is_never_overspent(payments: list[tuple[int, int]], session_sats: int) -> None:
    budget = SessionBudget(session_sats)
    for reserve, spend in payments:
        try:
            with budget.reserved(reserve) as reservation:
                assert budget.left_sats >= 0
                reservation.spent_sats = spend
        except SatboxError:
            assert reserve > budget.left_sats
        assert 0 <= budget.spent_sats <= session_sats
        assert budget.reserved_sats == 0


async def test_what_undoes_each_other_is_one_tool(home: Path) -> None:
    asked: list[str] = []

    def takes(name: str, **document: Any) -> Any:
        async def handler(request: web.Request) -> web.StreamResponse:
            asked.append(name)
            return web.json_response(document)

        return handler

    paused = status_of("SP1").model_dump(mode="json")
    token = {"port": 8000, "token": "t", "url": "http://x", "expires_at": "2030-01-01T00:00:00Z"}
    routes = (
        ("POST", "/sandbox/pause", takes("pause", **paused)),
        ("POST", "/sandbox/resume", takes("resume", **paused)),
        ("POST", "/sandbox/ports/8000/expose", takes("expose", **token)),
        ("DELETE", "/sandbox/ports/8000/expose", takes("revoke", message="done")),
    )
    async with FakeGate(wall_seconds=time.time).running(*routes) as gate, session(gate, home) as client:
        for tool, arguments in (
            ("satbox_pause", {}),
            ("satbox_pause", {"action": "resume"}),
            ("satbox_expose_port", {"port": 8000, "seconds": 60}),
            ("satbox_expose_port", {"port": 8000, "action": "revoke"}),
        ):
            is_error, body = await told(client, tool, **arguments)
            assert not is_error, body
        for tool, arguments in (
            ("satbox_pause", {"action": "stop"}),
            ("satbox_expose_port", {"port": 8000, "action": "revoke", "seconds": 60}),
        ):
            is_error, body = await told(client, tool, **arguments)
            assert (is_error, body["error"]["code"]) == (True, "invalid_request")
    assert asked == ["pause", "resume", "expose", "revoke"]


@pytest.mark.parametrize("tool", [None, "satbox_call"])
@pytest.mark.parametrize("code", list(ERRORS))
def test_no_next_step_speaks_http_or_of_the_command_line(code: str, tool: str | None) -> None:
    step = next_step(SatboxError(code), tool)
    assert step
    for word in ("POST", "GET /", "/sandbox/", "/gate/", "/openapi", "`", "Client(", "satbox "):
        assert word not in step
    assert set(re.findall(r"satbox_[a-z_]+", step)) <= set(tools())


def test_hints_are_for_codes_and_one_made_for_the_case_is_kept() -> None:
    assert set(OF_CALLS) <= set(ERRORS)
    assert next_step(SatboxError("not_found", hint="List the tools."), None) == "List the tools."
    filled = SatboxError("credit_insufficient", hint="Fill it: satbox deposit --sats N.")
    assert "satbox_bucket" in next_step(filled, "satbox_call")


def test_tools_say_what_they_may_do() -> None:
    known = tools()
    assert known["satbox_status"].is_read_only
    for name in ("satbox_call", "satbox_routes", "satbox_bucket", "satbox_pause", "satbox_delete_secret"):
        assert not known[name].is_read_only
    destructive = {name for name, tool in known.items() if tool.is_destructive}
    assert destructive >= {"satbox_call", "satbox_routes", "satbox_delete_secret", "satbox_reap", "satbox_delete_file"}
    assert not destructive & {name for name, tool in known.items() if tool.is_read_only}
    assert known["satbox_routes"].is_idempotent
    assert not known["satbox_call"].is_idempotent
    assert not known["satbox_bucket"].is_idempotent
    assert {"satbox_call", "satbox_bucket", "satbox_create"} <= {n for n, t in known.items() if t.is_open_world}


def schemas_in(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            yield from schemas_in(schema[name])
    for part in schema.get("properties", {}).values():
        yield from schemas_in(part)


@pytest.mark.parametrize("name", sorted(tools()))
def test_schemas_are_what_every_client_reads(name: str) -> None:
    for schema in schemas_in(tools()[name].schema):
        assert isinstance(schema.get("type"), str), schema
        assert not {"anyOf", "oneOf", "allOf", "$ref", "$defs", "const", "exclusiveMinimum", "exclusiveMaximum"} & set(
            schema
        )
        assert schema.get("default", "") is not None
        assert set(schema.get("required", ())) <= set(schema.get("properties", ()))


def test_an_open_bound_of_integers_becomes_the_next_number() -> None:
    bounded = {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 9, "title": "N"}
    optional = {"anyOf": [bounded, {"type": "null"}], "default": None, "description": "how many"}
    assert plain(optional) == {"type": "integer", "minimum": 1, "maximum": 8, "description": "how many"}
    assert plain({"type": "number", "exclusiveMinimum": 0}) == {"type": "number", "minimum": 0}


def test_tools_are_few_enough_to_be_read() -> None:
    assert len(tools()) <= 50
    assert len(json.dumps([tool.schema for tool in tools().values()])) < 40_000
