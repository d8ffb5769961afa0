"""Where a gate takes orders: money is set aside ahead of the calls, paid when the answer is there, given back when unused.

Asking a wallet costs a hop and a commit. A till therefore has each payer's wallet set aside a little more than one call needs
(an allowance, durable in the wallet), so that as a rule the only hop of a call is the one that pays it, before its answer.
If the gate dies, the allowance lapses by itself and nothing of it is spent.
"""

import asyncio
import contextlib
import itertools
from collections import OrderedDict
from dataclasses import dataclass, field

import structlog

from actors.clock import Clock
from actors.requests import Purse, purse_of
from actors.system import ActorSystem
from actors.wallet.commands import PayOrder, Reserve, Unreserve
from operations.errors import SatboxError

ALLOWANCE_MS = 15_000
MARGIN_MS = 3_000
"""No call begins on an allowance that ends sooner: what is not paid from it is taken from the bucket, if that has it."""
CALLS_AHEAD = 32
BUCKET_SHARE = 20
"""At most one twentieth of the bucket is set aside ahead: a wallet's own sandbox runs on it too."""
IDLE_MS = 5_000
SWEEP_SECONDS = 2.0
PURSES_MAX = 20_000
CALLS_AT_ONCE_MAX = 64
USED_MAX = 200_000
UNPAID = frozenset({"credit_insufficient", "order_expired", "order_invalid", "order_limit", "wallet_not_found"})
"""Refusals by the payer's wallet: nothing was paid."""
log = structlog.get_logger()


@dataclass(slots=True)
class _Purse:
    """What a till knows of one payer's allowance."""

    usat: int = 0
    until_ms: int = 0
    version: int = -1
    bucket_usat: int = 0
    under_way_usat: int = 0
    under_way: int = 0
    used_ms: int = 0
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True)
class Held:
    """An order whose money is set aside. It was presented in time; by `expires_ms` it is paid, or never."""

    order_id: str
    payer: str
    payee: str
    usat: int
    expires_ms: int


class Till:
    """One gate's."""

    def __init__(self, system: ActorSystem, clock: Clock, gate_id: str) -> None:
        self._system = system
        self._clock = clock
        self._gate_id = gate_id
        self._purses: OrderedDict[str, _Purse] = OrderedDict()
        self._used: OrderedDict[str, int] = OrderedDict()
        self._attempts = itertools.count(1)

    async def hold(self, order: Held) -> None:
        """Set the money of an order aside. Raises order_used, rate_limited, credit_insufficient."""
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
        purse.under_way += 1
        purse.under_way_usat += order.usat
        try:
            if not self._covers(purse):
                async with purse.asking:
                    if not self._covers(purse):  # somebody asked while this one waited
                        await self._reserve(order.payer, purse, order.usat)
        except BaseException:
            self._over(purse, order.usat)
            raise

    def _covers(self, purse: _Purse) -> bool:
        return purse.until_ms - MARGIN_MS > self._clock.wall_ms() and purse.usat >= purse.under_way_usat

    async def _reserve(self, payer: str, purse: _Purse, usat: int) -> None:
        ahead = min(CALLS_AHEAD * usat, purse.bucket_usat // BUCKET_SHARE)
        until_ms = self._clock.wall_ms() + ALLOWANCE_MS
        least = purse.under_way_usat
        view = await self._system.ask(payer, Reserve(self._gate_id, least + ahead, least, until_ms))
        self._see(purse, purse_of(view))
        purse.until_ms = until_ms

    def _see(self, purse: _Purse, seen: Purse) -> None:
        if seen.version >= purse.version:
            purse.version = seen.version
            purse.bucket_usat = seen.bucket_usat
            mine = [one.usat for one in seen.allowances if one.gate_id == self._gate_id]
            purse.usat = mine[0] if mine else 0

    async def pay(self, order: Held) -> Purse:
        """Pay an order that is held; durable when this returns. Unless the wallet refused it, it counts as used from here on."""
        purse = self._purse(order.payer)
        attempt_id = f"{self._gate_id}.{next(self._attempts)}"
        command = PayOrder(order.order_id, attempt_id, self._gate_id, order.payee, order.usat, order.expires_ms)
        try:
            seen = await self._system.pay(order.payer, command)
            self._see(purse, seen)
            return seen
        except SatboxError as error:
            if error.code in UNPAID:
                self.forget(order.order_id)
            raise
        finally:
            self._over(purse, order.usat)

    def release(self, order: Held) -> None:
        """The call failed: what was set aside serves the next one, and the order may be used again."""
        self._over(self._purse(order.payer), order.usat)
        self.forget(order.order_id)

    def _over(self, purse: _Purse, usat: int) -> None:
        purse.under_way -= 1
        purse.under_way_usat -= usat
        purse.used_ms = self._clock.monotonic_ms()

    def take(self, order_id: str, until_ms: int) -> None:
        """Let nobody else use this order here; the wallet refuses it everywhere."""
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
            purse = self._purses[payer] = _Purse()
        return purse

    async def run(self) -> None:
        """Give back for ever what is not needed."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            await self.sweep()

    async def sweep(self, *, everything: bool = False) -> None:
        """Give back the allowances of payers that have not called for a while; prolong those that slow calls are held by."""
        now_ms, wall_ms = self._clock.monotonic_ms(), self._clock.wall_ms()
        while self._used and next(iter(self._used.values())) <= wall_ms:
            self._used.popitem(last=False)
        for payer, purse in list(self._purses.items()):
            is_ending = 0 < purse.until_ms <= wall_ms + ALLOWANCE_MS // 2
            if purse.under_way > 0 and is_ending and not everything:
                with contextlib.suppress(Exception):  # then the bucket pays, if it can
                    async with purse.asking:
                        await self._reserve(payer, purse, 0)
            if purse.under_way == 0 and not purse.asking.locked() and (everything or now_ms - purse.used_ms > IDLE_MS):
                del self._purses[payer]
                if purse.usat > 0:
                    with contextlib.suppress(Exception):  # it lapses by itself
                        await self._system.ask(payer, Unreserve(self._gate_id))
