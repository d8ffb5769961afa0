"""Health and metrics."""

import asyncio
from collections.abc import Awaitable
from importlib.metadata import version

from aiohttp import web

from gate.identity.callers import Caller
from gate.identity.handler import Handler
from gate.parts.services import Services
from gate.wire.answers import METRICS
from operations import models as m
from operations.errors import SatboxError
from sandboxes.protocol import SandboxError

PART_SECONDS_MAX = 2.0


async def _part(check: Awaitable[object]) -> str:
    try:
        async with asyncio.timeout(PART_SECONDS_MAX):
            await check
    except TimeoutError:
        return "no answer"
    except (SatboxError, SandboxError) as error:
        return str(error)
    return "ok"


async def _priced(services: Services) -> None:
    """Raises asset_not_offered when STX has no price that can be believed."""
    why = services.oracle.why_not("STX")
    if why is not None:
        raise SatboxError("asset_not_offered", f"STX is not offered: {why}.")


async def health(services: Services, request: web.Request, caller: Caller, data: m.Nothing) -> m.Health:
    """Ask every part; degraded when one does not answer."""
    names = ("hosts", "settlements", "oracle", "node")
    states = await asyncio.gather(
        _part(services.system.statistics()),
        _part(services.settlements.report("pay_health")),
        _part(_priced(services)),
        _part(services.node.beat()),
    )
    return m.Health(
        status="ok" if all(state == "ok" for state in states) else "degraded",
        version=version("satbox"),
        network=services.settings.network.caip2,
        parts=dict(zip(names, states, strict=True)),
    )


async def metrics(services: Services, request: web.Request, caller: Caller, data: m.Nothing) -> web.StreamResponse:
    """Prometheus text."""
    body = request.app[METRICS].text(await services.system.statistics())
    return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


HANDLERS: dict[str, Handler] = {"service.health": health, "service.metrics": metrics}
