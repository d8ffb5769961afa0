"""A market for tests of calls: one agent that sells from a real sandbox, one that buys."""

import asyncio
import base64
import contextlib
import json
import secrets
import sqlite3
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp

from operations.routes import RouteInput
from relay_client.orders import Order
from satbox.client.paid_calls import CallAnswer
from tests.service.running_service import Owner, RunningService, eventually

START = b"#!/bin/sh\nexec python3 seller.py\n"
SELLER = """
import http.server, json, os, socketserver
served = 0
class Seller(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        global served
        served += 1
        if self.path == "/cut":
            self.close_connection = True
            return
        status = int(self.path[8:]) if self.path.startswith("/status/") else 200
        told = json.dumps({"path": self.path, "served": served, "headers": dict(self.headers)}).encode()
        self.send_response(status); self.send_header("Content-Length", str(len(told)))
        self.send_header("X-Satbox-Receipt", "forged"); self.send_header("payment-response", "forged"); self.end_headers()
        self.wfile.write(told)
    do_POST = do_GET
    def log_message(self, *_): pass
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer.daemon_threads = True
socketserver.ThreadingTCPServer(("127.0.0.1", 8000), Seller).serve_forever()
"""


class Market:
    """One agent that sells, one that buys."""

    def __init__(self, service: RunningService, seller: Owner, buyer: Owner, session: aiohttp.ClientSession) -> None:
        self.service = service
        self.seller = seller
        self.buyer = buyer
        self.session = session

    def url(self, path: str) -> str:
        return f"{self.service.gate_url}/sandbox/proxy/{self.seller.address}/8000{path}"

    async def get(self, path: str, **headers: str) -> tuple[int, Any]:
        async with self.session.get(self.url(path), headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def buy(self, path: str, **options: Any) -> CallAnswer:
        return await self.buyer.client.call(self.url(path), **options)

    def order(self, path: str, sats: int, seconds: int = 120) -> dict[str, str]:
        """The header that carries a signed order for a GET."""
        client = self.buyer.client
        resource = f"GET /sandbox/proxy/{self.seller.address}/8000{path}"
        order = Order(
            "satbox-test", self.buyer.address, self.seller.address, sats, resource, secrets.token_hex(16),
            int(client.now_seconds()) + seconds,
        )  # fmt: skip
        payload = {
            "order": order.wire(),
            "signature": order.signed(self.buyer.agent.stacks_key, client.settings.network),
        }
        document = json.dumps({"x402Version": 2, "payload": payload}).encode()
        return {"payment-signature": base64.b64encode(document).decode()}

    async def settled(self) -> dict[str, int]:
        """The buyer's accounts once everything is posted and nothing in transit."""

        async def at_rest() -> dict[str, int] | None:
            if await asyncio.to_thread(self._unposted):
                return None
            accounts = (await self.buyer.client.sandbox_ledger(limit=1)).accounts
            return None if accounts["in_transit"] else accounts

        found: dict[str, int] = await eventually(at_rest)
        return found

    def _unposted(self) -> int:
        path = self.service.settings.home / "orders" / "orders.sqlite"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM orders WHERE is_posted = 0").fetchone()[0])

    async def earned_usat(self) -> int:
        """All that the seller has earned so far."""
        earnings = (await self.seller.status()).earnings
        return 0 if earnings is None else earnings.earned_usat

    async def served(self) -> int:
        status, told = await self.get("/free")
        assert status == 200
        return int(told["served"])


async def sell(seller: Owner, program: str) -> None:
    """Leave a program in a sandbox that runs whenever the sandbox does, beginning with the next wake."""
    await seller.client.files_write("seller.py", program.encode())
    await seller.client.files_mkdir(".satbox")
    await seller.client.files_write(".satbox/start", START)
    await seller.client.sandbox_exec(argv=["chmod", "+x", ".satbox/start"])


@contextlib.asynccontextmanager
async def open_market(
    service: RunningService,
    routes: Sequence[RouteInput],
    *,
    program: str = SELLER,
    sats: int = 1_000,
    bucket_sats: int = 0,
) -> AsyncIterator[Market]:
    """A seller whose program listens at port 8000 behind these routes, and a buyer with so much in the bucket."""
    seller, buyer = await service.agent(), await service.agent()
    await seller.client.sandbox_create(sats=sats)
    await seller.until(lambda now: now.state == "alive")
    await sell(seller, program)
    process = await seller.client.processes_start(argv=[".satbox/start"])
    await seller.client.processes_wait(process.process_id, until="port", port=8000)
    await seller.client.routes_set(routes=list(routes))
    if bucket_sats:
        paid = await buyer.client.bucket_deposit(address=buyer.address, sats=bucket_sats, max_sats=bucket_sats)
        await buyer.confirmed(paid.paymentId)
    async with aiohttp.ClientSession() as session:
        yield Market(service, seller, buyer, session)
    await service.heal()
    await seller.client.sandbox_reap(destroy=True)
    await seller.client.close()
    await buyer.client.close()
