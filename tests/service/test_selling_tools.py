"""Selling and buying by agents that have nothing but tools: the MCP SDK's client, servers in processes of their own, a real gate
and a real server in a real sandbox.
"""

import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from mcp import Client as McpClient
from mcp import StdioServerParameters
from mcp.client.stdio import stdio_client

from satbox.agent.keystore import Keystore
from tests.client.test_mcp import told
from tests.service.running_service import SATS, Owner, RunningService, eventually, fresh_owner

pytestmark = [pytest.mark.ray, pytest.mark.sandbox, pytest.mark.asyncio(loop_scope="session")]

SERVER = """
import http.server
class Inside(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        told = self.rfile.read(int(self.headers["Content-Length"])).upper() * (10_000 if self.path == "/long" else 1)
        self.send_response(500 if self.path == "/down" else 200)
        self.send_header("Content-Length", str(len(told))); self.end_headers(); self.wfile.write(told)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", 8000), Inside).serve_forever()
"""


@asynccontextmanager
async def tools_of(service: RunningService, owner: Owner, home: Path, *words: str) -> AsyncIterator[McpClient]:
    Keystore(home).save(owner.agent)
    server = StdioServerParameters(
        command=sys.executable,
        args=["-c", "from satbox.cli import main; main()", "--agent", owner.agent.name, "mcp", *words],
        env={
            "SATBOX_HOME": str(home),
            "SATBOX_GATE": service.gate_url,
            "SATBOX_STACKS_API": f"{service.devnet_url}/stacks",
            "PATH": os.environ["PATH"],
        },
    )
    async with McpClient(stdio_client(server)) as client:
        yield client


async def done(tools: McpClient, tool: str, **arguments: Any) -> dict[str, Any]:
    is_error, body = await told(tools, tool, **arguments)
    assert not is_error, body
    return body


async def calls_paid(service: RunningService) -> int:
    """As its gate counts them for the operator."""
    async with aiohttp.ClientSession() as session, session.get(f"{service.gate_url}/metrics") as answer:
        (line,) = [line for line in (await answer.text()).splitlines() if line.startswith("satbox_calls_paid_total ")]
        return int(float(line.split()[1]))


@pytest_asyncio.fixture(loop_scope="session")
async def buyer(service: RunningService) -> AsyncIterator[Owner]:
    made = await service.agent()
    yield made
    await made.client.close()


async def test_an_agent_sells_another_buys_and_both_have_only_tools(
    service: RunningService, buyer: Owner, tmp_path: Path
) -> None:
    async with (
        fresh_owner(service) as seller,
        tools_of(service, seller, tmp_path / "seller") as selling,
        tools_of(service, buyer, tmp_path / "buyer", "--max-sats", "400") as buying,
    ):
        await done(selling, "satbox_create", sats=500)
        await seller.until(lambda now: now.state == "alive")
        await done(selling, "satbox_write_file", path="server.py", content=SERVER)
        process = await done(selling, "satbox_start_process", argv=["python3", "server.py"])
        await done(selling, "satbox_wait_process", process_id=process["process_id"], until="port", port=8000)
        for path, sats in (("/answer", 7), ("/long", 8), ("/down", 9), ("/dear", 300)):
            made = await done(selling, "satbox_routes", action="set", port=8000, path=path, sats=sats)

        sold = await done(buying, "satbox_routes", address=seller.address)
        urls = {item["path"]: item["url"] for item in sold["items"]}
        assert urls["/dear"] == made["called_at"]
        poor, refusal = await told(buying, "satbox_call", url=urls["/answer"], body="what is it?")
        assert (poor, refusal["error"]["code"]) == (True, "credit_insufficient")
        assert "satbox_bucket" in refusal["error"]["next_step"]

        paid = await done(buying, "satbox_bucket", action="deposit", sats=100)
        assert (paid["session_budget"]["left_sats"], "warning" in paid) == (300, False)

        async def is_confirmed() -> bool:
            return (await done(buying, "satbox_payment_status", payment_id=paid["paymentId"]))["status"] == "confirmed"

        await eventually(is_confirmed)
        before = (await done(selling, "satbox_status")).get("earnings", {}).get("earned_usat", 0)
        counted = await calls_paid(service)
        called = await done(buying, "satbox_call", url=urls["/answer"], body="what is it?")
        assert (called["status"], called["body"], called["paid_sats"]) == (200, "WHAT IS IT?", 7)
        assert called["receipt"]["statement"]["order_id"] == called["order_id"]
        assert called["session_budget"]["left_sats"] == 293
        long = await done(buying, "satbox_call", url=urls["/long"], body="abc", limit_bytes=30)
        assert (long["body"], long["paid_sats"], "30 bytes" in long["note"]) == ("ABC" * 10, 8, True)
        down = await done(buying, "satbox_call", url=urls["/down"], body="?")
        assert (down["status"], down["paid_sats"], down["session_budget"]["left_sats"]) == (500, 0, 285)

        assert await calls_paid(service) - counted == 2

        async def earned() -> bool:
            now = (await done(selling, "satbox_status", fresh=True))["earnings"]["earned_usat"]
            return bool(now - before == 15 * SATS)

        assert await eventually(earned)
        for dear in ({"max_sats": 286}, {}, {"max_sats": 285}):  # beyond the session, the default, and what was allowed
            is_error, refusal = await told(buying, "satbox_call", url=urls["/dear"], body="?", **dear)
            assert (is_error, refusal["error"]["code"], refusal["error"]["funds_moved"]) == (
                True,
                "max_sats_exceeded",
                False,
            )

        async def left() -> bool:
            shown = await done(buying, "satbox_bucket")
            return bool(shown["balance_usat"] + shown["reserved_usat"] == 85 * SATS)

        assert await eventually(left)
        await done(selling, "satbox_routes", action="remove", port=8000, path="/answer")
        is_error, gone = await told(buying, "satbox_call", url=urls["/answer"], body="?")
        assert (is_error, gone["error"]["code"]) == (True, "not_found")
        assert "satbox_routes" in json.dumps(gone["error"]["next_step"])
