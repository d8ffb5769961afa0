"""Where a gate takes orders: money is set aside ahead of the calls, paid when the answer is there, given back when unused.

Asking a wallet costs a hop and a commit. A till therefore has each payer's wallet set aside a little more than one call needs
(an allowance, durable in the wallet), and pays from it by writing the order to the gate's own log: no hop, and one flush for
all orders that come at the same time. The wallets post what is logged a moment later. An allowance belongs to the log: if the
gate dies, the next one on its log posts what was paid and gives back the rest.
"""

import asyncio
import contextlib
import sqlite3
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import structlog

from actors.clock import Clock
from actors.requests import Purse
from actors.system import ActorSystem
from actors.wallet.calls import LoggedOrder
from actors.wallet.commands import PostOrders, Reserve, Unreserve
from gate.calls.order_log import Held, OrderLog, left_behind
from operations.errors import SatboxError

CALLS_AHEAD = 64
BUCKET_SHARE = 20
"""At most one twentieth of the bucket is set aside ahead: a wallet's own sandbox runs on it too."""
IDLE_MS = 5_000
SWEEP_SECONDS = 2.0
POST_PAUSE_MS = 1_000
"""Between two posts to one wallet: the orders of that time share a commit there, and one more at each payee. The first order
after a pause waits for none.
"""
POSTED_AT_ONCE = 256
UNPOSTED_MAX = 1_024
RETRY_SECONDS = (0.2, 1.0, 5.0)
PURSES_MAX = 20_000
CALLS_AT_ONCE_MAX = 64
USED_MAX = 200_000
UNPAID = frozenset({"credit_insufficient", "order_expired", "order_invalid", "order_limit", "wallet_not_found"})
"""Refusals by the payer's wallet: nothing was paid."""
ADOPT_SECONDS = 30.0
"""Between two looks for logs whose gates are gone, and for how long one may be worked on."""
log = structlog.get_logger()


@dataclass(slots=True)
class _Purse:
    """What a till knows of one payer's allowance: what the wallet said last, and what was paid from it since."""

    usat: int = 0
    version: int = -1
    bucket_usat: int = 0
    unposted: deque[LoggedOrder] = field(default_factory=deque)
    unposted_usat: int = 0
    under_way_usat: int = 0
    under_way: int = 0
    used_ms: int = 0
    is_noted: bool = False
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    posting: "asyncio.Task[None] | None" = None
    posted_ms: int = -POST_PAUSE_MS

    @property
    def needed_usat(self) -> int:
        """What the allowance must cover: calls paid and not posted yet, and calls under way."""
        return self.unposted_usat + self.under_way_usat

    @property
    def is_idle(self) -> bool:
        """Whether nothing hangs on it."""
        return not (self.under_way or self.unposted or self.posting or self.asking.locked())


class Till:
    """One gate's."""

    def __init__(self, system: ActorSystem, clock: Clock, orders: OrderLog) -> None:
        self._system = system
        self._clock = clock
        self._log = orders
        self._purses: OrderedDict[str, _Purse] = OrderedDict()
        self._used: OrderedDict[str, int] = OrderedDict(orders.used(USED_MAX))
        self._topping: set[asyncio.Task[None]] = set()
        self._ending = asyncio.Event()
        self._load()

    def _load(self) -> None:
        """Go on where the log's last holder stopped."""
        for payer in self._log.payers():
            self._purses.setdefault(payer, _Purse()).is_noted = True
        for payer, orders in self._log.unposted().items():
            purse = self._purses.setdefault(payer, _Purse())
            purse.unposted = deque(orders)
            purse.unposted_usat = sum(one.usat for one in orders)

    async def hold(self, order: Held) -> None:
        """Set the money of an order aside. Raises order_used, order_invalid, rate_limited, overloaded, credit_insufficient."""
        if order.payer == order.payee:
            raise SatboxError("order_invalid", details={"reason": "payer and payee are one"}, funds_moved=False)
        self.take(order.order_id, order.expires_ms)
        try:
            await self._hold(order)
        except BaseException:
            self.forget(order.order_id)
            raise

    async def _hold(self, order: Held) -> None:
        purse = self._purse(order.payer)
        if purse.under_way >= CALLS_AT_ONCE_MAX:
            raise SatboxError("rate_limited", details={"calls_at_once": CALLS_AT_ONCE_MAX}, retry_after=1)
        if len(purse.unposted) >= UNPOSTED_MAX or self._log.is_broken:
            raise SatboxError("overloaded", retry_after=2)
        purse.under_way += 1
        purse.under_way_usat += order.usat
        try:
            ahead = self._ahead(purse, order.usat)
            if purse.usat < purse.needed_usat:
                async with purse.asking:
                    if purse.usat < purse.needed_usat:  # somebody asked while this one waited
                        await self._reserve(order.payer, purse, ahead)
            elif purse.usat < purse.needed_usat + ahead // 2 and not purse.asking.locked():
                self._top_up(order.payer, purse, ahead)  # so that no later call has to wait
        except BaseException:
            self._over(purse, order.usat)
            raise

    def _ahead(self, purse: _Purse, usat: int) -> int:
        return min(CALLS_AHEAD * usat, purse.bucket_usat // BUCKET_SHARE)

    def _top_up(self, payer: str, purse: _Purse, ahead: int) -> None:
        async def ask() -> None:
            async with purse.asking:
                with contextlib.suppress(SatboxError):  # who needs it asks again, and is told
                    await self._reserve(payer, purse, ahead)

        task = asyncio.create_task(ask(), name=f"top up {payer}")
        self._topping.add(task)
        task.add_done_callback(self._topping.discard)

    async def _reserve(self, payer: str, purse: _Purse, ahead: int) -> None:
        if not purse.is_noted:
            await self._log.opens(payer)  # before the wallet sets anything aside: nothing is to be forgotten there
            purse.is_noted = True
        least = purse.needed_usat
        self._see(purse, await self._system.pay(payer, Reserve(self._log.gate_id, least + ahead, least)))

    def _see(self, purse: _Purse, seen: Purse) -> None:
        if seen.version >= purse.version:
            purse.version = seen.version
            purse.bucket_usat = seen.bucket_usat
            mine = next((one for one in seen.allowances if one.gate_id == self._log.gate_id), None)
            purse.usat = 0 if mine is None else mine.usat
            if mine is not None:
                self._log.goes_on_after(mine.posted_seq)

    async def pay(self, order: Held) -> LoggedOrder:
        """Pay an order that is held; durable when this returns. It counts as used from here on."""
        purse = self._purse(order.payer)

        def told(logged: LoggedOrder | None) -> None:
            self._over(purse, order.usat)
            if logged is not None:
                purse.unposted.append(logged)
                purse.unposted_usat += logged.usat
                self._post_soon(order.payer, purse)

        return await self._log.write(order, told)

    def release(self, order: Held) -> None:
        """The call failed: what was set aside serves the next one, and the order may be used again."""
        self._over(self._purse(order.payer), order.usat)
        self.forget(order.order_id)

    def _over(self, purse: _Purse, usat: int) -> None:
        purse.under_way -= 1
        purse.under_way_usat -= usat
        purse.used_ms = self._clock.monotonic_ms()

    def take(self, order_id: str, until_ms: int) -> None:
        """Let nobody else use this order here; the log refuses it for good once it is paid."""
        if order_id in self._used:
            raise SatboxError("order_used", funds_moved=False)
        self._used[order_id] = until_ms
        while len(self._used) > USED_MAX:
            self._used.popitem(last=False)

    def forget(self, order_id: str) -> None:
        """It was not used after all."""
        self._used.pop(order_id, None)

    def _purse(self, payer: str) -> _Purse:
        purse = self._purses.get(payer)
        if purse is None:
            if len(self._purses) >= PURSES_MAX:
                raise SatboxError("overloaded", retry_after=1)
            purse = self._purses[payer] = _Purse(used_ms=self._clock.monotonic_ms())
        return purse

    # Posting

    def _post_soon(self, payer: str, purse: _Purse) -> None:
        if purse.posting is None:
            purse.posting = asyncio.create_task(self._post(payer, purse), name=f"post {payer}")

    async def _post(self, payer: str, purse: _Purse) -> None:
        """Have a wallet post its orders, in the order of the log, until there are none left."""
        tries = 0
        try:
            while purse.unposted:
                early_ms = purse.posted_ms + POST_PAUSE_MS - self._clock.monotonic_ms()
                if early_ms > 0 and not self._ending.is_set():
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(early_ms / 1000):
                            await self._ending.wait()
                purse.posted_ms = self._clock.monotonic_ms()
                orders = tuple(islice(purse.unposted, POSTED_AT_ONCE))
                try:
                    seen = await self._system.pay(payer, PostOrders(self._log.gate_id, orders))
                except Exception as error:  # noqa: BLE001 - whatever it was, these are paid and owed to their payees
                    if tries % 10 == 0:
                        log.warning("paid orders are posted later", payer=payer, reason=str(error))
                    await asyncio.sleep(RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)])
                    tries += 1
                    continue
                tries = 0
                for one in orders:
                    purse.unposted.popleft()
                    purse.unposted_usat -= one.usat
                self._see(purse, seen)
                self._log.posted(orders)
            self._log.tidy()
        finally:
            purse.posting = None

    # Sweeping

    async def run(self) -> None:
        """Post what the last holder of the log left, and give back for ever what is not needed."""
        while True:
            for payer, purse in list(self._purses.items()):
                if purse.unposted:
                    self._post_soon(payer, purse)
            await asyncio.sleep(SWEEP_SECONDS)
            if self._log.is_broken:
                await self._recover()
            await self.sweep()

    async def _recover(self) -> None:
        """The log could not be written: what it says is true, not what is remembered here."""
        posting = [purse.posting for purse in self._purses.values() if purse.posting is not None]
        if posting:
            await asyncio.wait(posting, timeout=SWEEP_SECONDS)
            if any(not task.done() for task in posting):
                return  # while somebody posts, two would; the next sweep tries again
        with contextlib.suppress(sqlite3.Error):
            self._log.reopen()
            self._load()

    async def sweep(self) -> None:
        """Give back the allowances of payers that have not called for a while."""
        now_ms, wall_ms = self._clock.monotonic_ms(), self._clock.wall_ms()
        while self._used and next(iter(self._used.values())) <= wall_ms:
            self._used.popitem(last=False)
        for payer, purse in list(self._purses.items()):
            if purse.is_idle and now_ms - purse.used_ms > IDLE_MS:
                await self._give_back(payer, purse)
        self._log.tidy()

    async def _give_back(self, payer: str, purse: _Purse) -> None:
        async with purse.asking:
            if purse.is_noted:
                purse.usat = 0  # what comes from now on asks for its own
                try:
                    self._see(purse, await self._system.pay(payer, Unreserve(self._log.gate_id)))
                except SatboxError as error:
                    if error.code != "wallet_not_found":
                        return  # it is tried again
                self._log.closed(payer)
                purse.is_noted = False
        if purse.is_idle:
            self._purses.pop(payer, None)

    async def drain(self) -> None:
        """Before the end: have everything posted, and give everything back. What fails is left to the log's next holder."""
        self._ending.set()
        for payer, purse in list(self._purses.items()):
            if purse.unposted:
                self._post_soon(payer, purse)
        tasks = [purse.posting for purse in self._purses.values() if purse.posting is not None]
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(Exception):
            await asyncio.gather(
                *(self._give_back(p, purse) for p, purse in list(self._purses.items()) if purse.is_idle)
            )

    async def close(self, seconds_max: float) -> None:
        """Drain within a time, then let the log go."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds_max):
                await self.drain()
        tasks = [purse.posting for purse in self._purses.values() if purse.posting is not None]
        for task in (*tasks, *self._topping):
            task.cancel()
        await asyncio.gather(*tasks, *self._topping, return_exceptions=True)
        await self._log.close()


async def adopt(system: ActorSystem, clock: Clock, folder: Path) -> None:
    """For ever: finish for gates that are gone what their logs say."""
    while True:
        try:
            for orders in left_behind(folder, clock.wall_ms):
                await Till(system, clock, orders).close(ADOPT_SECONDS)
        except Exception:
            log.exception("a log that was left behind cannot be finished")
        await asyncio.sleep(ADOPT_SECONDS)
