"""A loopback proxy between a client and the gate that counts what is sent, and may change what the gate offers."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

_PASSED_ON = ("content-type", "payment-required", "payment-response", "retry-after", "x-request-id")
_NOT_FORWARDED = frozenset({"host", "content-length", "connection", "accept-encoding"})
Rewrite = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Exchange:
    """One request and how it was answered; `status` None when the gate broke off."""

    path: str
    payment: dict[str, Any] | None
    status: int | None
    asks_for_payment: bool


class Witness:
    """Forwards to one gate. `rewrite` changes the offers of a 402, in header and body alike; with
    `header_only` the body of a 402 says nothing.
    """

    def __init__(self, gate: str, rewrite: Rewrite | None = None, *, header_only: bool = False) -> None:
        self._gate = gate
        self._rewrite = rewrite
        self._header_only = header_only
        self.exchanges: list[Exchange] = []
        self.url = ""

    @property
    def payments(self) -> list[dict[str, Any]]:
        """Every payment that a client sent."""
        return [exchange.payment for exchange in self.exchanges if exchange.payment is not None]

    async def __aenter__(self) -> "Witness":
        self._session = aiohttp.ClientSession()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _serve(self, request: web.Request) -> web.Response:
        header = request.headers.get("payment-signature")
        payment = None if header is None else json.loads(base64.b64decode(header))
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _NOT_FORWARDED}
        data = await request.read()
        try:
            async with self._session.request(
                request.method, self._gate + request.raw_path, headers=headers, data=data
            ) as answer:
                body = await answer.read()
                kept = {name: answer.headers[name] for name in _PASSED_ON if name in answer.headers}
                status = answer.status
        except aiohttp.ClientError:
            self.exchanges.append(Exchange(request.path, payment, None, False))
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        asks = "payment-required" in kept or (status == 402 and b'"accepts"' in body)
        self.exchanges.append(Exchange(request.path, payment, status, asks))
        if asks and self._rewrite is not None:
            body = json.dumps(self._rewrite(json.loads(body))).encode()
            kept["payment-required"] = base64.b64encode(body).decode()
        if asks and self._header_only:
            body = b"{}"
        return web.Response(body=body, status=status, headers=kept)
