"""Buying and selling by the tools: the SDK's own client, in one process with the server, against a gate that is played."""

import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from mcp import Client as McpClient

from satbox.client import Client, ClientSettings
from satbox.mcp_server.serve import make_server
from tests.client.fake_gate import NETWORK, PAY_TO, STACKS_KEY, FakeGate, agent, payment_of
from tests.client.test_mcp import told

OWN = str(STACKS_KEY.address(NETWORK))
SOLD = f"{PAY_TO}/8000/answer"


@dataclass
class Seller:
    """What is sold at a gate that is played: one answer, at one price, to whoever shows an order."""

    sats: int = 7
    status: int = 200
    body: bytes = b"forty-two"
    refusal: web.Response | None = None
    drops: bool = False
    orders: list[dict[str, Any]] = field(default_factory=list)
    requests: list[tuple[str, bytes, str | None]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, await request.read(), request.headers.get("X-Mine")))
        header = request.headers.get("payment-signature")
        if header is None and self.sats:
            extra = {"message": {"deployment": "played"}}
            offer = {"scheme": "satbox-bucket", "network": NETWORK.caip2, "payTo": PAY_TO, "amount": str(self.sats)}
            required = {"x402Version": 2, "accepts": [{**offer, "extra": extra}]}
            text = base64.b64encode(json.dumps(required).encode()).decode()
            return web.json_response(required, status=402, headers={"payment-required": text})
        headers = {"X-Satbox-Origin": "sandbox", "X-Noise": "n" * 900, "ETag": '"1"'}
        if header is not None:
            self.orders.append(json.loads(base64.b64decode(header))["payload"]["order"])
            if self.drops:
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            if self.refusal is not None:
                return self.refusal
            if self.status < 500:
                receipt = json.dumps({"statement": {"sats": self.sats}}).encode()
                headers["X-Satbox-Receipt"] = base64.urlsafe_b64encode(receipt).decode()
        return web.Response(status=self.status, body=self.body, headers=headers, content_type="text/plain")


@asynccontextmanager
async def market(seller: Seller, *routes: Any, session_sats: int = 1_000) -> AsyncIterator[tuple[McpClient, FakeGate]]:
    gate_of = FakeGate(wall_seconds=time.time)
    sold = ("*", f"/sandbox/proxy/{SOLD}", seller.answer)
    deposit = ("POST", "/bucket/deposit", gate_of.buy)
    async with gate_of.running(sold, deposit, *routes) as gate:
        settings = ClientSettings(gate=gate.url, stacks_api=gate.url)
        async with (
            Client(settings, agent=agent()) as client,
            McpClient(make_server(client, session_sats=session_sats)) as tools,
        ):
            yield tools, gate


def left(body: dict[str, Any]) -> int:
    return int(body["session_budget"]["left_sats"])


async def test_a_call_is_paid_told_and_counted() -> None:
    seller = Seller()
    async with market(seller) as (tools, _):
        is_error, body = await told(tools, "satbox_call", url=SOLD, body="what is it?", headers={"X-Mine": "yes"})
    assert not is_error
    assert (body["status"], body["body"], body["paid_sats"], left(body)) == (200, "forty-two", 7, 993)
    assert body["receipt"] == {"statement": {"sats": 7}}
    assert (body["headers"]["ETag"], "X-Noise" in body["headers"], "note" in body) == ('"1"', False, False)
    assert seller.requests == [("POST", b"what is it?", "yes")] * 2
    (order,) = seller.orders
    assert (order["from"], order["to"], order["maxSats"]) == (OWN, PAY_TO, 7)
    assert order["resource"] == f"POST /sandbox/proxy/{SOLD}"


@pytest.mark.parametrize("arguments", [{"max_sats": 6}, {"max_sats": 0}, {"max_sats": 21}, {}])
async def test_what_is_too_dear_is_not_signed(arguments: dict[str, Any]) -> None:
    seller = Seller(sats=150)
    async with market(seller, session_sats=20) as (tools, _):
        is_error, body = await told(tools, "satbox_call", url=SOLD, **arguments)
        assert (is_error, body["error"]["code"], body["error"]["funds_moved"]) == (True, "max_sats_exceeded", False)
        assert "satbox " not in body["error"]["next_step"]
        seller.sats = 20
        is_error, body = await told(tools, "satbox_call", url=SOLD)
        assert (is_error, left(body)) == (False, 0)  # the refusal had cost nothing
        is_error, body = await told(tools, "satbox_call", url=SOLD)
        assert (is_error, body["error"]["code"]) == (True, "max_sats_exceeded")
        seller.sats = 0
        is_error, body = await told(tools, "satbox_call", url=SOLD)
        assert (is_error, body["paid_sats"]) == (False, 0)  # what is free is had without any budget
    assert len(seller.orders) == 1


async def test_a_failed_call_costs_nothing_and_an_unknown_one_counts_as_paid() -> None:
    seller = Seller(status=503)
    async with market(seller) as (tools, _):
        is_error, body = await told(tools, "satbox_call", url=SOLD)
        assert (is_error, body["status"], body["paid_sats"], left(body)) == (False, 503, 0, 1_000)
        seller.refusal = FakeGate.error("wallet_not_found")
        is_error, body = await told(tools, "satbox_call", url=SOLD)
        assert (is_error, body["error"]["code"]) == (True, "credit_insufficient")
        assert "satbox_bucket" in body["error"]["next_step"]
        seller.drops = True
        is_error, body = await told(tools, "satbox_call", url=SOLD, max_sats=400)
        assert (is_error, body["error"]["code"], body["error"]["funds_moved"]) == (True, "ambiguous", "unknown")
        assert "satbox_bucket" in body["error"]["next_step"]
        seller.status, seller.refusal, seller.drops = 200, None, False
        _, body = await told(tools, "satbox_call", url=SOLD)
        assert left(body) == 1_000 - 400 - 7


@pytest.mark.parametrize(
    ("body", "limit", "shown"),
    [
        (b"0123456789", 10, {"body": "0123456789"}),
        (b"0123456789", 4, {"body": "0123"}),
        ("ééé".encode(), 3, {"body": "é"}),
        (b"\xff\xfe\xfd", 2, {"body_base64": "//4="}),
        (b"ab\xff\xfe\xfd", 3, {"body_base64": "YWL/"}),
        (b"", 4, {"body": ""}),
    ],
)
async def test_a_long_answer_is_cut_and_says_so(body: bytes, limit: int, shown: dict[str, str]) -> None:
    async with market(Seller(body=body)) as (tools, _):
        _, answer = await told(tools, "satbox_call", url=SOLD, limit_bytes=limit)
    assert {name: value for name, value in answer.items() if name.startswith("body")} == shown
    assert ("limit_bytes" in answer.get("note", "")) == (len(body) > limit)
    assert answer["paid_sats"] == 7


async def test_what_does_not_fit_is_refused_before_anything_is_asked() -> None:
    seller = Seller()
    async with market(seller) as (tools, _):
        for wrong in (
            {}, {"url": ""}, {"url": 7}, {"url": "http://elsewhere.example/sandbox/proxy/x/1/"}, {"url": "status"},
            {"url": SOLD, "body": "a", "body_base64": "YQ=="}, {"url": SOLD, "body_base64": "*"},
            {"url": SOLD, "max_sats": -1}, {"url": SOLD, "max_sats": True}, {"url": SOLD, "max_sats": "9"},
            {"url": SOLD, "timeout_seconds": 301}, {"url": SOLD, "limit_bytes": 0}, {"url": SOLD, "method": "GET /"},
            {"url": SOLD, "headers": {"Payment-Signature": "x"}}, {"url": SOLD, "headers": {"a": 1}},
            {"url": SOLD, "headers": {"a": "b\r\nc: d"}}, {"url": SOLD, "headers": [1]}, {"url": SOLD, "sats": 1},
        ):  # fmt: skip
            is_error, body = await told(tools, "satbox_call", **wrong)
            assert (is_error, body["error"]["code"] in ("invalid_request", "max_sats_exceeded")) == (True, True), wrong
            assert body["error"]["next_step"]
    assert (seller.requests, seller.orders) == ([], [])


async def test_routes_are_listed_set_and_removed() -> None:
    kept: list[dict[str, Any]] = []

    async def put(request: web.Request) -> web.StreamResponse:
        kept[:] = (await request.json())["routes"]
        return await shown(request)

    async def shown(request: web.Request) -> web.StreamResponse:
        whose = request.query.get("address", OWN)
        items = [{**route, "url": f"http://gate/sandbox/proxy/{OWN}/8000{route['path']}"} for route in kept]
        return web.json_response({"address": whose, "is_whole": whose == OWN, "fee_percent": 5.0, "items": items})

    async def resolve(request: web.Request) -> web.StreamResponse:
        found = {"kind": "name", "address": PAY_TO, "state": "alive", "stx_address": "S", "level": 2, "level_name": "G"}
        return web.json_response(found)

    own = (("PUT", "/sandbox/routes", put), ("GET", "/sandbox/routes", shown), ("GET", "/agents/{handle}", resolve))
    async with market(Seller(), *own) as (tools, _):
        _, body = await told(tools, "satbox_routes", action="set", port=8000, path="/*", sats=2)
        assert body["called_at"].endswith("/8000/*")
        _, body = await told(tools, "satbox_routes", action="set", port=8000, path="/few", sats=3, addresses=[PAY_TO])
        assert [(item["path"], item["callers"]) for item in body["items"]] == [("/few", "list"), ("/*", "anyone")]
        _, body = await told(tools, "satbox_routes", action="set", port=8000, path="/few", sats=4)
        first = body["items"][0]
        assert (first["path"], first["sats"], first["callers"]) == ("/few", 4, "anyone")
        _, body = await told(tools, "satbox_routes", action="remove", port=8000, path="/few")
        assert [item["path"] for item in body["items"]] == ["/*"]
        for wrong in (
            {"port": 8000}, {"action": "set"}, {"action": "set", "port": 8000, "path": "x"}, {"action": "sell"},
            {"action": "remove", "port": 8000, "path": "/few"},
            {"action": "set", "port": 8000, "path": "/", "callers": "list"},
        ):  # fmt: skip
            is_error, body = await told(tools, "satbox_routes", **wrong)
            assert (is_error, body["error"]["code"]) == (True, "invalid_request"), wrong
        is_error, body = await told(tools, "satbox_routes", action="remove", port=8000, path="/*", address=PAY_TO)
        assert (is_error, body["error"]["code"]) == (True, "not_owner")
        _, body = await told(tools, "satbox_routes", address="swift-raven")
        assert body["address"] == PAY_TO
    assert [route["path"] for route in kept] == ["/*"]


async def test_a_bucket_is_shown_and_filled_within_the_session() -> None:
    async def bucket(request: web.Request) -> web.StreamResponse:
        document = {"address": request.query["address"], "balance_usat": 5, "reserved_usat": 0}
        return web.json_response(document)

    async def nobody(request: web.Request) -> web.StreamResponse:
        assert request.match_info["handle"] == OWN
        return FakeGate.error("handle_not_found")

    own = (("GET", "/bucket", bucket), ("GET", "/agents/{handle}", nobody))
    async with market(Seller(), *own, session_sats=600) as (tools, gate):
        _, body = await told(tools, "satbox_bucket")
        assert (body["address"], body["balance_usat"]) == (OWN, 5)
        for wrong in ({"sats": 5}, {"action": "deposit"}, {"action": "take"}):
            is_error, body = await told(tools, "satbox_bucket", **wrong)
            assert (is_error, body["error"]["code"]) == (True, "invalid_request"), wrong
        is_error, body = await told(tools, "satbox_bucket", action="deposit", sats=500)
        assert (is_error, left(body)) == (False, 100)
        assert "can't be reclaimed" in body["warning"]
        assert body["payment"]["status"] == payment_of("").status
        is_error, body = await told(tools, "satbox_bucket", action="deposit", sats=500)
        assert (is_error, body["error"]["code"]) == (True, "max_sats_exceeded")
        assert gate.signed == 1
