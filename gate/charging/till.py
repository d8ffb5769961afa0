"""Where a gate takes orders: money is set aside ahead of the calls, paid when the answer is there, given back when unused.

Asking a wallet costs a hop and a commit. A till therefore has each payer's wallet set aside a little more than one call needs
(an allowance, durable in the wallet), and pays from it by writing the order to the gate's own log: no hop, and one flush for
all orders that come at the same time. The wallets post what is logged a moment later. An allowance belongs to the log: if the
gate dies, the next one on its log posts what was paid and gives back the rest.
"""

import asyncio
import contextlib
from dataclasses import replace

import structlog

from actors.clock import Clock
from actors.system import ActorSystem
from actors.wallet.calls import LoggedOrder
from actors.wallet.spending_keys import address_of
from gate.charging.posting import OrderPosting
from gate.charging.purse import TillPurse
from gate.charging.used_orders import UsedOrders
from gate.parts.orders import Held, OrderLog
from operations.errors import SatboxError
from storage.errors import StorageError

IDLE_MS = 5_000
SWEEP_SECONDS = 2.0
UNPOSTED_MAX = 1_024
CALLS_AT_ONCE_MAX = 64
log = structlog.get_logger()


class Till(OrderPosting):
    """One gate's. `takes_orders`: not, when it only finishes what another gate left."""

    def __init__(self, system: ActorSystem, clock: Clock, orders: OrderLog, *, takes_orders: bool = True) -> None:
        super().__init__(system, clock, orders)
        self._used = UsedOrders(clock.monotonic_ms(), orders.used if takes_orders else None)
        self._held: set[str] = set()
        self._looked: dict[str, int] = {}
        self._load()

    def _load(self) -> None:
        """Go on where the log's last holder stopped."""
        for payer in self._log.payers():
            purse = self._purses.setdefault(payer, TillPurse())
            purse.is_named = purse.is_noted = purse.may_hold = True
        for payer, orders in self._log.unposted().items():
            self._purses.setdefault(payer, TillPurse()).go_on_with(orders)

    async def hold(self, order: Held) -> None:
        """Set the money of an order aside. Raises order_used, order_invalid, rate_limited, overloaded, credit_insufficient."""
        if address_of(order.payer) == order.payee:
            raise SatboxError("order_invalid", details={"reason": "payer and payee are one"}, funds_moved=False)
        self.take(order.order_id, 0 if order.is_named else order.expires_ms)
        try:
            is_old = self._used.may_have_forgotten(order.expires_ms) or order.expires_ms <= self._log.mark_ms
            if order.is_named or is_old:
                await self._look(order)
            await self._hold(order)
        except BaseException:
            self.forget(order.order_id)
            raise

    async def _look(self, order: Held) -> None:
        """An order that was used may be forgotten here by now, since the clock was set back, or may never have been known here:
        ask the log, then its wallet.
        """
        is_paid, number = await self._paid(order)
        if is_paid:
            raise SatboxError("order_used", funds_moved=False)
        self._looked[order.order_id] = number

    async def _paid(self, order: Held) -> tuple[bool, int]:
        is_logged, number = await self._log.look(order.order_id)
        if is_logged or (order.kept_ms and order.kept_ms > self._log.mark_ms):
            return is_logged, number
        return await self._system.has_order(address_of(order.payer), order.order_id), number

    async def was_paid(self, order: Held) -> bool:
        """Whether an order is paid: here, at another gate, or long ago."""
        return (await self._paid(order))[0]

    async def _hold(self, order: Held) -> None:
        purse = self._purse(order.payer)
        if purse.under_way >= CALLS_AT_ONCE_MAX:
            raise SatboxError("rate_limited", details={"calls_at_once": CALLS_AT_ONCE_MAX}, retry_after=1)
        if self._log.is_broken:
            raise self._log.refusal()
        if len(purse.unposted) >= UNPOSTED_MAX:
            raise SatboxError("overloaded", retry_after=2)
        purse.under_way += 1
        purse.under_way_usat += order.usat
        self._held.add(order.order_id)
        try:
            ahead = self._ahead(purse, order.usat)
            if purse.usat < purse.needed_usat:
                async with purse.asking:
                    if purse.usat < purse.needed_usat:  # somebody asked while this one waited
                        await self._reserve(order.payer, purse, ahead)
            elif purse.usat < purse.needed_usat + ahead // 2 and not purse.asking.locked():
                self._top_up(order.payer, purse, ahead)  # so that no later call has to wait
        except BaseException:
            self._over(purse, order)
            if purse.is_idle and not purse.may_hold:
                self._drop(order.payer, purse)  # whoever has nothing costs nothing
            raise

    async def pay(self, order: Held, usat: int | None = None) -> LoggedOrder:
        """Pay an order that is held, or so much of it; durable when this returns. It counts as used from here on."""
        if usat is not None and not 0 < usat <= order.usat:
            raise ValueError(f"{usat} usat of {order.usat} that are held")
        purse = self._purse(order.payer)
        looked = self._looked.get(order.order_id)

        def told(logged: LoggedOrder | None) -> None:
            self._over(purse, order)
            if logged is not None:
                purse.unposted.append(logged)
                purse.unposted_usat += logged.usat
                self._post_soon(order.payer, purse)

        written = order if usat is None else replace(order, usat=usat)
        return await self._log.write(written if looked is None else replace(written, looked=looked), told)

    def release(self, order: Held) -> None:
        """The call failed: what was set aside serves the next one, and the order may be used again."""
        self._over(self._purse(order.payer), order)
        self.forget(order.order_id)

    def _over(self, purse: TillPurse, order: Held) -> None:
        self._held.discard(order.order_id)
        self._looked.pop(order.order_id, None)
        purse.under_way -= 1
        purse.under_way_usat -= order.usat
        purse.used_ms = self._clock.monotonic_ms()

    def take(self, order_id: str, expires_ms: int = 0) -> None:
        """Let nobody else use this order here; the log refuses it for good once it is paid. `expires_ms`: by the wall clock;
        0 for an order whose wallet is asked each time.
        """
        if order_id in self._used or order_id in self._held:
            raise SatboxError("order_used", funds_moved=False)
        self._used.add(order_id, expires_ms, self._clock.monotonic_ms())

    def forget(self, order_id: str) -> None:
        """It was not used after all."""
        self._looked.pop(order_id, None)
        self._used.discard(order_id)

    # Sweeping

    async def run(self) -> None:
        """Post what the last holder of the log left, and give back for ever what is not needed."""
        while True:
            for payer, purse in list(self._purses.items()):
                if purse.unposted:
                    self._post_soon(payer, purse)
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                if self._log.is_broken:
                    await self._recover()
                await self.sweep()
            except Exception:
                log.exception("a sweep of the till failed", gate=self._log.gate_id)

    async def _recover(self) -> None:
        """After a failed write, reload from the log: memory may be stale."""
        posting = [purse for purse in self._purses.values() if purse.posting is not None]
        await self._stop(*(purse.posting for purse in posting))  # told or not, a wallet may be told once more
        for purse in posting:
            purse.posting = None  # a task that never began has not said so itself
        with contextlib.suppress(StorageError):
            await self._log.reopen()
            self._load()

    async def sweep(self) -> None:
        """Give back the allowances of payers that have not called for a while."""
        now_ms = self._clock.monotonic_ms()
        self._used.sweep(now_ms)
        if self._log.is_broken:
            return  # an order whose commit failed may be in it all the same, and needs what is set aside
        given_back = self._give_back_idle(lambda purse: now_ms - purse.used_ms > IDLE_MS)
        if given_back:
            await asyncio.wait(given_back, timeout=SWEEP_SECONDS)  # a wallet that does not answer holds up itself
        self._log.tidy()
        await self._log.look()  # another gate, whose clock is ahead, may have trimmed what is good here

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
            if not self._log.is_broken:
                await asyncio.gather(*self._give_back_idle(lambda _: True))

    async def close(self, seconds_max: float) -> None:
        """Drain within a time, then let the log go."""
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds_max):
                    await self.drain()
        finally:
            await self._stop(*(purse.posting for purse in self._purses.values()), *self._asking)
            await self._log.close()

    async def _stop(self, *tasks: "asyncio.Task[None] | None") -> None:
        running = [task for task in tasks if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
