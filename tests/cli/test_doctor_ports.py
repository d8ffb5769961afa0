"""What the doctor says of the origins that ports have."""

import asyncio
import socket
from typing import Any

import pytest
from aiohttp import web

from satbox.cli.service.doctor import _port_origins


@pytest.mark.parametrize(
    ("public_url", "ports_host", "status", "reason"),
    [
        ("http://127.0.0.1:4020", None, "ok", ""),
        ("http://10.0.0.7:4020", None, "note", "share the gate's origin"),
        ("https://satbox.example", "", "note", "share the gate's origin"),
        ("https://gate.invalid", None, "note", "*.gate.invalid has no address"),
        ("https://gate.example", "ports.invalid", "note", "*.ports.invalid has no address"),
    ],
)
def test_a_missing_name_is_named(public_url: str, ports_host: str | None, status: str, reason: str) -> None:
    check = _port_origins(public_url, ports_host)
    assert check.status == status
    assert reason in check.reason


@pytest.mark.parametrize(("status", "found"), [(200, "does not pass the host"), (404, "")])
async def test_a_host_that_is_lost_on_the_way_is_named(
    monkeypatch: pytest.MonkeyPatch, status: int, found: str
) -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(status=status)

    real = socket.getaddrinfo

    def resolved(host: Any, *rest: Any, **named: Any) -> Any:
        return real("127.0.0.1" if str(host).endswith(".gate.example") else host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    check = await asyncio.to_thread(_port_origins, f"http://gate.example:{runner.addresses[0][1]}", None)
    await runner.cleanup()
    assert (check.status, found in check.reason) == ("note" if found else "ok", True)
