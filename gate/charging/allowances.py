"""What is reserved for a gate in its payers' wallets: asked for ahead of need, seen in each answer, given back when unused.

Asking a wallet costs a hop and a commit, so a payer's wallet reserves a little more than one call needs. The log names every
wallet that may have something, before it does: the slot's next gate gives back what this one cannot.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable, Coroutine

from actors.clock import Clock
from actors.hosting.requests import Purse
from actors.system import ActorSystem
from actors.wallet.commands import Reserve, Unreserve
from actors.wallet.spending_keys import account_of, address_of, allowance_name, key_of
from gate.charging.purse import TillPurse
from gate.parts.orders import OrderLog
from operations.errors import SatboxError

CALLS_AHEAD = 64
BUCKET_SHARE = 20
"""At most one twentieth of the bucket is reserved ahead: a wallet's own sandbox runs on it too."""
GIVEN_BACK_AT_ONCE = 64
PURSES_MAX = 20_000
TOLD_SECONDS_MAX = 2.0
"""For the answer to a post that is under way, before a refusal is believed."""
UNPAID = frozenset(
    {"credit_insufficient", "order_expired", "order_invalid", "order_limit", "wallet_not_found"}
    | {"spending_cap", "spending_key_invalid"}
)
"""Refusals by the payer's wallet: nothing was paid."""


class Allowances:
    """By payer. What the log's last holder had is read by the gate that continues with it."""

    def __init__(self, system: ActorSystem, clock: Clock, orders: OrderLog) -> None:
        self._system = system
        self._clock = clock
        self._log = orders
        self._purses: OrderedDict[str, TillPurse] = OrderedDict()
        self._asking: dict[asyncio.Task[None], None] = {}

    def _purse(self, payer: str) -> TillPurse:
        purse = self._purses.get(payer)
        if purse is None:
            if len(self._purses) >= PURSES_MAX:
                raise SatboxError("overloaded", retry_after=1)
            purse = self._purses[payer] = TillPurse(used_ms=self._clock.monotonic_ms())
        return purse

    def _ahead(self, purse: TillPurse, usat: int) -> int:
        return min(CALLS_AHEAD * usat, purse.bucket_usat // BUCKET_SHARE)

    def _top_up(self, payer: str, purse: TillPurse, ahead: int) -> None:
        async def ask() -> None:
            async with purse.asking:
                if purse.usat >= purse.needed_usat + ahead // 2:
                    return  # another one, that came at the same time, has asked
                with contextlib.suppress(SatboxError):  # a call that needs it asks again and sees the error
                    await self._reserve(payer, purse, ahead)

        self._start(ask(), f"top up {payer}")

    def _start(self, asking: Coroutine[None, None, None], name: str) -> "asyncio.Task[None]":
        task = asyncio.create_task(asking, name=name)
        self._asking[task] = None
        task.add_done_callback(lambda done: self._asking.pop(done, None))
        return task

    async def _reserve(self, payer: str, purse: TillPurse, ahead: int) -> None:
        if not purse.is_noted:
            purse.is_named = True  # even if the caller that waits for that goes away
            await self._log.opens(payer)  # before the wallet reserves anything: nothing is to be forgotten there
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


async def _needs_less(purse: TillPurse, least_usat: int) -> bool:
    """Whether a wallet was asked for more than is needed: a post of what it had paid came to it first, and the purse did not know
    that when it asked.
    """
    if purse.told is not None:
        await asyncio.wait([purse.told], timeout=TOLD_SECONDS_MAX)
    return purse.needed_usat < least_usat
