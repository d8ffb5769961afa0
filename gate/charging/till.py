"""Where a gate takes orders: money is set aside ahead of the calls, paid when the answer is there, given back when unused.

Asking a wallet costs a hop and a commit. A till therefore has each payer's wallet set aside a little more than one call needs
(an allowance, durable in the wallet), and pays from it by writing the order to the gate's own log: no hop, and one flush for
all orders that come at the same time. The wallets post what is logged a moment later. An allowance belongs to the log: if the
gate dies, the next one on its log posts what was paid and gives back the rest.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import replace
from itertools import islice

import structlog

from actors.clock import Clock
from actors.hosting.requests import Purse
from actors.system import ActorSystem
from actors.wallet.calls import LoggedOrder
from actors.wallet.commands import PostOrders, Reserve, Unreserve
from actors.wallet.spending_keys import account_of, address_of, allowance_name, key_of
from gate.charging.order_log import Held, OrderLog
from gate.charging.purse import POST_PAUSE_MS, TillPurse
from gate.charging.used_orders import UsedOrders
from operations.errors import SatboxError
from storage.errors import StorageError

CALLS_AHEAD = 64
BUCKET_SHARE = 20
"""At most one twentieth of the bucket is set aside ahead: a wallet's own sandbox runs on it too."""
IDLE_MS = 5_000
SWEEP_SECONDS = 2.0
GIVEN_BACK_AT_ONCE = 64
POSTED_AT_ONCE = 256
UNPOSTED_MAX = 1_024
RETRY_SECONDS = (0.2, 1.0, 5.0)
PURSES_MAX = 20_000
TOLD_SECONDS_MAX = 2.0
"""For the answer to a post that is under way, before a refusal is believed."""
CALLS_AT_ONCE_MAX = 64
UNPAID = frozenset(
    {"credit_insufficient", "order_expired", "order_invalid", "order_limit", "wallet_not_found"}
    | {"spending_cap", "spending_key_invalid"}
)
"""Refusals by the payer's wallet: nothing was paid."""
log = structlog.get_logger()


class Till:
    """One gate's. `takes_orders`: not, when it only finishes what another gate left."""

    def __init__(self, system: ActorSystem, clock: Clock, orders: OrderLog, *, takes_orders: bool = True) -> None:
        self._system = system
        self._clock = clock
        self._log = orders
        self._purses: OrderedDict[str, TillPurse] = OrderedDict()
        self._used = UsedOrders(clock.monotonic_ms(), orders.used if takes_orders else None)
        self._held: set[str] = set()
        self._looked: dict[str, int] = {}
        self._asking: dict[asyncio.Task[None], None] = {}
        self._ending = asyncio.Event()
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

    def _ahead(self, purse: TillPurse, usat: int) -> int:
        return min(CALLS_AHEAD * usat, purse.bucket_usat // BUCKET_SHARE)

    def _top_up(self, payer: str, purse: TillPurse, ahead: int) -> None:
        async def ask() -> None:
            async with purse.asking:
                if purse.usat >= purse.needed_usat + ahead // 2:
                    return  # another one, that came at the same time, has asked
                with contextlib.suppress(SatboxError):  # who needs it asks again, and is told
                    await self._reserve(payer, purse, ahead)

        self._start(ask(), f"top up {payer}")

    def _start(self, asking: Coroutine[None, None, None], name: str) -> "asyncio.Task[None]":
        task = asyncio.create_task(asking, name=name)
        self._asking[task] = None
        task.add_done_callback(lambda done: self._asking.pop(done, None))
        return task

    async def _reserve(self, payer: str, purse: TillPurse, ahead: int) -> None:
        if not purse.is_noted:
            purse.is_named = True  # even if whoever waits for that goes away
            await self._log.opens(payer)  # before the wallet sets anything aside: nothing is to be forgotten there
            purse.is_noted = True
        held_before, purse.may_hold = purse.may_hold, True
        for _ in range(2):  # retry once: the wallet ignores a stale number and returns the current one
            least = purse.needed_usat
            try:
                reserve = Reserve(self._name(payer), least + ahead, least, self._log.next_number())
                self._see(payer, purse, await self._system.pay(address_of(payer), reserve))
            except SatboxError as error:
                if error.code in UNPAID:
                    if await _needs_less(purse, least):
                        continue
                    purse.may_hold = held_before
                raise
            if purse.usat >= min(least, purse.needed_usat):  # what was posted meanwhile needs nothing any more
                return
        raise SatboxError("overloaded", retry_after=2, funds_moved=False)

    def _name(self, payer: str) -> str:
        return allowance_name(self._log.gate_id, payer)

    def _see(self, payer: str, purse: TillPurse, seen: Purse) -> None:
        if seen.version >= purse.version:
            purse.version = seen.version
            purse.bucket_usat = seen.bucket_usat
            mine = next((one for one in seen.allowances if one.gate_id == self._name(payer)), None)
            purse.usat = 0 if mine is None else mine.usat
            if mine is not None:
                self._log.goes_on_after(max(mine.posted_seq, mine.asked))

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

    def _purse(self, payer: str) -> TillPurse:
        purse = self._purses.get(payer)
        if purse is None:
            if len(self._purses) >= PURSES_MAX:
                raise SatboxError("overloaded", retry_after=1)
            purse = self._purses[payer] = TillPurse(used_ms=self._clock.monotonic_ms())
        return purse

    # Posting

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
                        await self._set_aside_anew(payer, purse)
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

    async def _set_aside_anew(self, payer: str, purse: TillPurse) -> None:
        """The wallet has not what was set aside there (it was restored, or its log was): what is paid is paid from its bucket."""
        async with purse.asking:
            with contextlib.suppress(Exception):
                await self._reserve(payer, purse, 0)

    async def _post_time(self, purse: TillPurse) -> None:
        now_ms = self._clock.monotonic_ms()
        if now_ms - purse.posted_ms < POST_PAUSE_MS:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout((POST_PAUSE_MS - now_ms % POST_PAUSE_MS) / 1000):
                    await self._ending.wait()

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

    def _give_back_idle(self, is_due: Callable[[TillPurse], bool]) -> "list[asyncio.Task[None]]":
        due = [(payer, purse) for payer, purse in self._purses.items() if purse.is_idle and is_due(purse)]
        waiting = iter(due)

        async def some() -> None:
            for payer, purse in waiting:
                if purse.is_idle:
                    await self._give_back(payer, purse)

        return [self._start(some(), "give back") for _ in due[:GIVEN_BACK_AT_ONCE]]

    async def _give_back(self, payer: str, purse: TillPurse) -> None:
        async with purse.asking:
            if purse.may_hold:
                purse.usat = 0  # what comes from now on asks for its own
                try:
                    address = address_of(payer)
                    unreserve = Unreserve(self._name(payer), self._log.next_number())
                    self._see(payer, purse, seen := await self._system.pay(address, unreserve))
                    for other in seen.allowances:
                        slot, account = address_of(other.gate_id), account_of(address, key_of(other.gate_id))
                        if other.usat and slot != self._log.gate_id:
                            self._log.has_elsewhere(slot, account)
                except Exception as error:  # noqa: BLE001 - a wallet that fails is no reason to keep others' money
                    if not isinstance(error, SatboxError) or error.code != "wallet_not_found":
                        purse.used_ms = self._clock.monotonic_ms()
                        return  # it is tried again
                if purse.usat:
                    return  # the wallet knows a later number; it is tried again
                purse.may_hold = False
        if purse.is_idle:
            self._drop(payer, purse)

    def _drop(self, payer: str, purse: TillPurse) -> None:
        if purse.is_named:
            self._log.closed(payer)
        purse.is_named = purse.is_noted = False
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


async def _needs_less(purse: TillPurse, least_usat: int) -> bool:
    """Whether a wallet was asked for more than is needed: a post of what it had paid came to it first, and the purse did not know
    that when it asked.
    """
    if purse.told is not None:
        await asyncio.wait([purse.told], timeout=TOLD_SECONDS_MAX)
    return purse.needed_usat < least_usat
