"""Logs of gates that are gone: another gate posts what they say was paid, and gives back what was set aside for them."""

import asyncio

import structlog

from actors.clock import Clock
from actors.system import ActorSystem
from gate.charging.till import Till
from gate.parts.orders import OrderLog, OrderLogs

ADOPT_SECONDS = 30.0
"""Between two looks for logs whose gates are gone, and for how long one may be worked on."""
log = structlog.get_logger()


async def adopt(system: ActorSystem, clock: Clock, logs: OrderLogs) -> None:
    """For ever: finish for gates that are gone what their logs say."""
    while True:
        try:
            for orders in logs.left_behind():
                await _finish(system, clock, orders)
        except Exception:
            log.exception("a log that was left behind cannot be finished")
        await asyncio.sleep(ADOPT_SECONDS)


async def _finish(system: ActorSystem, clock: Clock, orders: OrderLog) -> None:
    try:
        till = Till(system, clock, orders, takes_orders=False)
    except BaseException:
        await orders.close()  # or nobody could take the slot while this process lives
        raise
    await till.close(ADOPT_SECONDS)
