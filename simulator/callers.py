"""Agents that call one another for money: from their buckets by orders, and on chain; honestly, twice, and halfway."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from actors.wallet import commands as c
from actors.wallet.calls import operator_for
from actors.wallet.spending_keys import SELF, Caps, SpendingKey, account_of
from gate.charging.used_orders import ANSWERED_WITHIN_MS
from gate.parts.orders import Held
from relay_client.settlements import PaymentReport, Presentation, Settlements
from relay_client.states import PaymentState
from simulator.network import LostError, Process
from simulator.service import Service
from simulator.wallets import Signed, Wallet

T = TypeVar("T")
USAT = 1_000_000
VALID_MS = 300_000
GATE_SECONDS = 120.0


class Callers:
    """See the module."""

    def __init__(
        self,
        service: Service,
        wallets: list[Wallet],
        request: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]],
    ) -> None:
        self._service = service
        self._wallets = wallets
        self._request = request
        self._numbers = itertools.count(1)
        self._signed: deque[Held] = deque(maxlen=200)
        self.calls = 0

    async def act(self, wallet: Wallet, bucket_usat: int) -> None:
        """One call of an agent, or some at once."""
        rng = self._service.rng
        chance = rng.random()
        if chance < 0.55:
            await self._once(self._order(wallet, bucket_usat), 0.1)
        elif chance < 0.75:
            orders = [self._order(wallet, bucket_usat) for _ in range(rng.randrange(2, 12))]
            await asyncio.gather(*(self._once(order, 0.1) for order in orders))
        elif chance < 0.9:
            order = self._order(wallet, bucket_usat)
            await asyncio.gather(*(self._once(order, 0.3) for _ in range(rng.randrange(2, 4))))
        elif self._signed:
            await self._once(rng.choice(self._signed), 0.1)

    def _order(self, wallet: Wallet, bucket_usat: int) -> Held:
        rng = self._service.rng
        others = [other for other in self._wallets if other is not wallet]
        sats = rng.choice((1, 1, 3, 20, max(1, bucket_usat // USAT // 3)))
        until_ms = self._service.times.wall_ms() + VALID_MS + ANSWERED_WITHIN_MS
        account = account_of(wallet.address, rng.choice(wallet.keys) if wallet.keys and rng.random() < 0.3 else "")
        payee = operator_for("verification") if rng.random() < 0.3 else rng.choice(others).address
        made = Held(f"ord_{next(self._numbers)}", account, payee, sats * USAT, until_ms)
        self._signed.append(made)
        return made

    def key_command(self, wallet: Wallet) -> c.Command:
        """An owner gives out a key, sets what its sandbox may spend, or takes a key back."""
        rng = self._service.rng
        if wallet.keys and rng.random() < 0.3:
            return c.RevokeKey(rng.choice(wallet.keys))
        total = rng.choice((None, 5, 40, 1_000))
        caps = Caps(day_usat=rng.choice((None, 30 * USAT)), total_usat=None if total is None else total * USAT)
        key = SpendingKey(rng.choice((SELF, f"key_{next(self._numbers)}")), caps=caps)
        wallet.keys = (*wallet.keys, key.key_id)[-4:]
        return c.PutKey(key)

    async def _once(self, order: Held, fails: float) -> None:
        """Show an order at a gate. The server and the network decide the result."""
        rng, service = self._service.rng, self._service
        place = rng.choice(service.gates)
        work_seconds = rng.choice((0.0, rng.uniform(0.001, 0.2), rng.uniform(0.2, 20.0)))
        status = 500 if rng.random() < fails else 200
        leaves_after = rng.uniform(0.0005, 0.3) if rng.random() < 0.15 else GATE_SECONDS
        used_usat = rng.randrange(order.usat + 1) if rng.random() < 0.3 else None
        await self._at(place, lambda: service.tills.call(place, order, work_seconds, status, leaves_after, used_usat))

    async def _at(self, place: Process, work: Callable[[], Awaitable[None]]) -> None:
        self.calls += 1

        async def at_gate() -> None:
            await work()

        network = self._service.network
        await self._request(lambda: network.call(place, at_gate, timeout_seconds=GATE_SECONDS))

    async def on_chain(self, payer: Wallet, signed: Signed) -> None:
        """Pay into the payer's own bucket and make a call that depends on it, shown once or twice. As in `gate.calls.desk`,
        the payment for a call that failed pays for the next one, and the new payment is not sent.
        """
        service, rng = self._service, self._service.rng
        payee = rng.choice([other for other in self._wallets if other is not payer])
        usat = min(rng.choice((1, 10, signed.payment.usat // USAT)) * USAT, signed.payment.usat)
        place = rng.choice(service.gates)
        shown = Presentation(
            signed.payment, payer.address, "call", f"call of {payee.address}", payer.address,
            credit_before_confirmation=False, wakes=False, is_bound=True,
        )  # fmt: skip

        async def at_gate() -> None:
            report = await self._settled(shown, usat)
            if report.state not in (PaymentState.MEMPOOL, PaymentState.CONFIRMED):
                return
            order = Held(f"call_{report.payment_id}", payer.address, payee.address, usat, 0)
            service.auditor.calls.leans(order, signed.payment_id, report.payment_id)
            if rng.random() < 0.4:  # what is inside fails
                await self._ask(lambda settlements: settlements.keep_spare(payer.address, report.payment_id))
                return
            await service.tills.call_on_chain(place, order, report.payment_id)
            await self._ask(lambda settlements: settlements.drop_spare(payer.address, report.payment_id))

        if rng.random() < 0.5:
            await asyncio.gather(*(self._at(place, at_gate) for _ in range(rng.choice((1, 2)))))
            return
        for _ in range(rng.choice((1, 2))):
            await self._at(place, at_gate)

    async def _settled(self, shown: Presentation, usat: int) -> PaymentReport:
        """The payment that pays for a call: this one, or an earlier one that it stands for."""
        report = await self._ask(lambda settlements: settlements.recall(shown))
        if report is None:
            report = await self._ask(lambda settlements: settlements.claim_spare(shown, usat))
        if report is None:
            report = await self._ask(lambda settlements: settlements.present(shown), timeout_seconds=40.0)
        return report

    async def _ask(self, what: Callable[[Settlements], Coroutine[Any, Any, T]], timeout_seconds: float = 30.0) -> T:
        settlements = self._service.settlements
        if settlements is None:
            raise LostError("settlements")
        network, place = self._service.network, self._service.settling
        return await network.call(place, lambda: what(settlements), timeout_seconds=timeout_seconds)
