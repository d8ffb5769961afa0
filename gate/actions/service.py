"""Health and metrics."""

import asyncio
from collections.abc import Awaitable
from importlib.metadata import version

from gate.context import RequestContext, action
from gate.parts.services import Services
from gate.wire.outcomes import Stream, nothing
from operations.errors import SatboxError
from operations.models import Nothing
from operations.service import Health
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


async def _beats(services: Services) -> None:
    await asyncio.gather(*(node.beat() for node in services.nodes.all()))


async def _priced(services: Services) -> None:
    """Raises asset_not_offered when STX has no price that can be believed."""
    why = services.oracle.why_not("STX")
    if why is not None:
        raise SatboxError("asset_not_offered", f"STX is not offered: {why}.")


@action("service.health")
async def health(context: RequestContext, data: Nothing) -> Health:
    """Ask every part; degraded when one does not answer."""
    services = context.services
    names = ("hosts", "settlements", "oracle", "node")
    states = await asyncio.gather(
        _part(services.system.statistics()),
        _part(services.settlements.report("pay_health")),
        _part(_priced(services)),
        _part(_beats(services)),
    )
    return Health(
        status="ok" if all(state == "ok" for state in states) else "degraded",
        version=version("satbox"),
        network=services.settings.network.caip2,
        parts=dict(zip(names, states, strict=True)),
    )


@action("service.metrics")
async def metrics(context: RequestContext, data: Nothing) -> Stream:
    """Prometheus text."""
    body = context.metrics.text(await context.services.system.statistics())
    return Stream(nothing(), body, content_type="text/plain; version=0.0.4; charset=utf-8", length=len(body))
