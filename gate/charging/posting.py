"""How what was paid reaches the wallets: each posts its orders, in the order of the log, a moment after they were paid."""

import asyncio
import contextlib
from itertools import islice

import structlog

from actors.clock import Clock
from actors.system import ActorSystem
from actors.wallet.commands import PostOrders
from actors.wallet.spending_keys import address_of
from gate.charging.allowances import Allowances
from gate.charging.purse import POST_PAUSE_MS, TillPurse
from gate.parts.orders import OrderLog
from operations.errors import SatboxError

POSTED_AT_ONCE = 256
RETRY_SECONDS = (0.2, 1.0, 5.0)
log = structlog.get_logger()


class OrderPosting(Allowances):
    """What is posted needs no allowance any more. A post that fails is made again for as long as the gate lives."""

    def __init__(self, system: ActorSystem, clock: Clock, orders: OrderLog) -> None:
        super().__init__(system, clock, orders)
        self._ending = asyncio.Event()

    def _post_soon(self, payer: str, purse: TillPurse) -> None:
        if purse.posting is None:
            purse.posting = asyncio.create_task(self._post(payer, purse), name=f"post {payer}")

    async def _post(self, payer: str, purse: TillPurse) -> None:
        """Have a wallet post its orders, in the order of the log, until there are none left."""
        tries = 0
        try:
            while purse.unposted:
                await self._post_time(purse)
                purse.posted_ms = self._clock.monotonic_ms()
                orders = tuple(islice(purse.unposted, POSTED_AT_ONCE))
                purse.told = told = asyncio.get_running_loop().create_future()
                try:
                    seen = await self._system.pay(address_of(payer), PostOrders(self._name(payer), orders))
                except Exception as error:  # noqa: BLE001 - whatever it was, these are paid and owed to their payees
                    told.cancel()
                    if isinstance(error, SatboxError) and error.code == "order_invalid":
                        await self._reserve_again(payer, purse)
                    if tries % 10 == 0:
                        log.warning("paid orders are posted later", payer=payer, reason=str(error))
                    await asyncio.sleep(RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)])
                    tries += 1
                    continue
                tries = 0
                purse.was_posted(len(orders))
                self._see(payer, purse, seen)
                self._log.posted(orders)
                told.set_result(None)
            self._log.tidy()
        finally:
            purse.posting = purse.told = None

    async def _reserve_again(self, payer: str, purse: TillPurse) -> None:
        """The wallet has lost what was reserved there (it was restored, or its log was): what is paid is paid from its bucket."""
        async with purse.asking:
            with contextlib.suppress(Exception):
                await self._reserve(payer, purse, 0)

    async def _post_time(self, purse: TillPurse) -> None:
        now_ms = self._clock.monotonic_ms()
        if now_ms - purse.posted_ms < POST_PAUSE_MS:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout((POST_PAUSE_MS - now_ms % POST_PAUSE_MS) / 1000):
                    await self._ending.wait()
