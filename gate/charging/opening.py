"""A gate's charger, from the start of its application to the end: priced operations and calls are charged by the same one."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from gate.charging.adoption import adopt
from gate.charging.charger import CHARGER, Charger
from gate.parts.services import SERVICES

DRAIN_SECONDS_MAX = 2.0
"""For posting what was paid, at the end; what is left is posted by the next gate."""


def add_charging(app: web.Application) -> None:
    """Have the application open its charger when it starts, and drain it when everything that charges has ended: what is added
    to the application after this ends before it.
    """
    app.cleanup_ctx.append(_open)


async def _open(app: web.Application) -> AsyncIterator[None]:
    services = app[SERVICES]
    charger = app[CHARGER] = Charger(services, services.order_logs.free_slot())
    tasks = [
        asyncio.create_task(charger.till.run(), name="till"),
        asyncio.create_task(adopt(services.system, services.clock, services.order_logs), name="logs left behind"),
    ]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await charger.till.close(DRAIN_SECONDS_MAX)
