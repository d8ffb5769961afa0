"""Logs of gates that are gone: another gate posts what they say was paid, and gives back what was set aside for them."""

import asyncio
from pathlib import Path

import structlog

from actors.clock import Clock
from actors.system import ActorSystem
from gate.charging.order_log import OrderLog
from gate.charging.slots import OpenLog, left_behind
from gate.charging.till import Till

ADOPT_SECONDS = 30.0
"""Between two looks for logs whose gates are gone, and for how long one may be worked on."""
log = structlog.get_logger()


async def adopt(system: ActorSystem, clock: Clock, folder: Path, open_log: OpenLog = OrderLog) -> None:
    """For ever: finish for gates that are gone what their logs say."""
    while True:
        try:
            for orders in left_behind(folder, clock.wall_ms, open_log):
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
