"""A gate that misbehaves on purpose, and the Stacks API beside it: what the client must survive without paying twice."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from operations.errors import SatboxError
from operations.sandbox import Paid, PaymentStatus, SandboxStatus
from satbox.agent.keystore import Addresses, Agent
from stacks import Network, PrivateKey, decode_transaction, sbtc
from stacks.signing import origin_identity_bytes, verify_origin

NETWORK = Network.TESTNET
STACKS_KEY = PrivateKey(bytes(31) + b"\x44")
BITCOIN_KEY = PrivateKey(bytes(31) + b"\x55")
PAY_TO = str(PrivateKey(bytes(31) + b"\x66").address(NETWORK))
BTC = "tb1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq0l98cr"
PASS = "pass-token"

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def agent(folder: Any = None) -> Agent:
    main = Addresses(str(STACKS_KEY.address(Network.MAINNET)), "bc1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq9e75rs")
    return Agent("tester", STACKS_KEY, BITCOIN_KEY, main, Addresses(str(STACKS_KEY.address(NETWORK)), BTC), folder)


def entry(sats: int = 500, **other: Any) -> dict[str, Any]:
    return {
        "scheme": "exact",
        "network": NETWORK.caip2,
        "amount": str(sats),
        "asset": str(sbtc(NETWORK).contract),
        "payTo": PAY_TO,
        "maxTimeoutSeconds": 300,
        "extra": {"sats": sats, "feePayer": "relay"},
        **other,
    }


def required(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"x402Version": 2, "resource": {"url": "http://gate/sandbox/create"}, "accepts": list(entries or (entry(),))}


def status_of(address: str) -> SandboxStatus:
    return SandboxStatus(
        address=address, state="alive", size_class="small", image="base", rate_usat_per_second=20_000,
        balance_usat=500_000_000, balance_sats=500, owed_usat=0, deposited_usat=500_000_000, charged_usat=0,
        version=1, chain_head="00", as_of="2026-01-01T00:00:00Z",
    )  # fmt: skip


def payment_of(payment_id: str, state: str = "mempool") -> PaymentStatus:
    return PaymentStatus(paymentId=payment_id, status=state, checkStatusUrl=f"http://gate/payment-status/{payment_id}")


@dataclass
class FakeGate:
    """`script` says what each paid request gets, the last one for ever; every payment's bytes are kept."""

    script: list[str] = field(default_factory=lambda: ["paid"])
    offers: dict[str, Any] = field(default_factory=required)
    nonce: int = 7
    payments: list[bytes] = field(default_factory=list)
    asked: int = 0
    known: dict[str, str] = field(default_factory=dict)
    passes_refused: int = 0
    proofs: int = 0
    challenge_changes: dict[str, Any] = field(default_factory=dict)
    wall_seconds: Callable[[], float] = lambda: 1_000_000.0
    hanging: asyncio.Event = field(default_factory=asyncio.Event)
    payment_step: Answer | None = None
    url: str = ""

    @property
    def signed(self) -> int:
        """How many different payments were ever signed."""
        return len(set(self.payments))

    async def buy(self, request: web.Request) -> web.StreamResponse:
        if self.passes_refused > 0:
            self.passes_refused -= 1
            return self.error("pass_expired")
        header = request.headers.get("payment-signature")
        if header is None:
            self.asked += 1
            return self.offer()
        payload = json.loads(base64.b64decode(header))
        assert payload["accepted"] in self.offers["accepts"]
        raw = bytes.fromhex(payload["payload"]["transaction"])
        tx = decode_transaction(raw)
        assert str(verify_origin(tx)) == str(STACKS_KEY.address(NETWORK))
        self.payments.append(raw)
        payment_id = f"pay_{hashlib.sha256(origin_identity_bytes(tx)).hexdigest()[:32]}"
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if step == "hang":
            self.hanging.set()
            await asyncio.sleep(3600)
        return self.play(step, request, payment_id)

    def play(self, step: str, request: web.Request, payment_id: str) -> web.StreamResponse:
        match step:
            case "paid":
                return self.paid(payment_id)
            case "drop":
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            case "settle-and-drop":
                self.known[payment_id] = "mempool"
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            case "elsewhere":  # these bytes were shown first for another wallet, and are on their way
                self.known[payment_id] = "mempool"
                return self.error("payment_target_conflict", "unknown")
            case "again":
                return self.offer()
            case "garbage":
                return web.Response(body=b"<html>\xff")
            case "bad gateway":
                return web.Response(status=502, text="bad gateway")
            case "unknown":
                return self.error("internal", "unknown")
            case code:
                return self.error(code)

    def offer(self) -> web.Response:
        text = base64.b64encode(json.dumps(self.offers).encode()).decode()
        return web.json_response(self.offers, status=402, headers={"payment-required": text})

    def paid(self, payment_id: str) -> web.Response:
        self.known[payment_id] = "mempool"
        body = Paid(
            status="mempool", paymentId=payment_id, checkStatusUrl="", payment=payment_of(payment_id),
            sandbox=status_of(str(STACKS_KEY.address(NETWORK))),
        )  # fmt: skip
        return web.Response(status=201, body=body.model_dump_json(), content_type="application/json")

    @staticmethod
    def error(code: str, funds_moved: Any = False) -> web.Response:
        error = SatboxError(code, funds_moved=funds_moved)
        return web.json_response(error.body("req_1"), status=error.kind.status)

    async def payment(self, request: web.Request) -> web.StreamResponse:
        if self.payment_step is not None:
            return await self.payment_step(request)
        payment_id = request.match_info["id"]
        if payment_id not in self.known:
            return self.error("payment_not_found")
        return web.Response(body=payment_of(payment_id, self.known[payment_id]).model_dump_json())

    async def status(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {PASS}":
            return self.error("pass_missing")
        return web.Response(body=status_of(request.query.get("address", "own")).model_dump_json())

    async def challenge(self, request: web.Request) -> web.StreamResponse:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        from gate.genesis import Challenger

        body = await request.json()
        challenger = Challenger(
            Ed25519PrivateKey.from_private_bytes(bytes(32)), deployment="fake", network=NETWORK,
            wall_seconds=self.wall_seconds,
        )  # fmt: skip
        issued = challenger.issue(body["btc_address"], body["stx_address"], body["scope"])
        answer = {
            "challenge": issued.token, "text": issued.claims.text(), "domain": issued.domain,
            "message": issued.claims.fields(), "domain_hints": issued.domain_hints,
            "message_hints": issued.message_hints, "domain_hex": issued.domain_hex,
            "message_hex": issued.message_hex, "expires_at": "2026-01-01T00:00:00Z",
        }  # fmt: skip
        return web.json_response(answer | self.challenge_changes)

    async def prove(self, request: web.Request) -> web.StreamResponse:
        self.proofs += 1
        return web.json_response(
            {
                "token": PASS,
                "address": str(STACKS_KEY.address(NETWORK)),
                "btc_address": BTC,
                "level": 2,
                "level_name": "Genesis",
                "scope": "owner",
                "expires_at": "2100-01-01T00:00:00Z",
            }
        )

    async def nonces(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"possible_next_nonce": self.nonce, "detected_missing_nonces": []})

    def application(self, *routes: tuple[str, str, Answer]) -> web.Application:
        app = web.Application()
        for method, path, handler in routes:  # first, so that they stand in for ours
            app.router.add_route(method, path, handler)
        app.router.add_post("/sandbox/create", self.buy)
        app.router.add_post("/sandbox/extend", self.buy)
        app.router.add_get("/payment-status/{id}", self.payment)
        app.router.add_get("/sandbox/status", self.status)
        app.router.add_post("/gate/challenge", self.challenge)
        app.router.add_post("/gate/prove", self.prove)
        app.router.add_get("/extended/v1/address/{a}/nonces", self.nonces)
        return app

    @asynccontextmanager
    async def running(self, *routes: tuple[str, str, Answer]) -> AsyncIterator["FakeGate"]:
        async with TestServer(self.application(*routes)) as server:
            self.url = str(server.make_url("")).rstrip("/")
            yield self
