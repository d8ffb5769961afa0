"""Agents that call one another for money: from their buckets by orders, and on chain; honestly, twice, and halfway."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from gate.calls.order_log import Held
from relay_client.states import PaymentState
from simulator.gates import ANSWERED_WITHIN_MS
from simulator.network import LostError, Process
from simulator.service import Service

if TYPE_CHECKING:
    from simulator.clients import Clients, Signed, Wallet

USAT = 1_000_000
VALID_MS = 300_000
GATE_SECONDS = 120.0


class Callers:
    """See the module."""

    def __init__(self, service: Service, clients: Clients) -> None:
        self._service = service
        self._clients = clients
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
        others = [other for other in self._clients.wallets if other is not wallet]
        sats = rng.choice((1, 1, 3, 20, max(1, bucket_usat // USAT // 3)))
        until_ms = self._service.times.wall_ms() + VALID_MS + ANSWERED_WITHIN_MS
        made = Held(f"ord_{next(self._numbers)}", wallet.address, rng.choice(others).address, sats * USAT, until_ms)
        self._signed.append(made)
        return made

    async def _once(self, order: Held, fails: float) -> None:
        """Show an order at a gate; what comes of it is the server's and the network's choice."""
        rng, service = self._service.rng, self._service
        place = rng.choice(service.gates)
        work_seconds = rng.choice((0.0, rng.uniform(0.001, 0.2), rng.uniform(0.2, 20.0)))
        status = 500 if rng.random() < fails else 200
        leaves_after = rng.uniform(0.0005, 0.3) if rng.random() < 0.15 else GATE_SECONDS
        await self._at(place, lambda: service.tills.call(place, order, work_seconds, status, leaves_after))

    async def _at(self, place: Process, work: Callable[[], Awaitable[None]]) -> None:
        self.calls += 1

        async def at_gate() -> None:
            await work()

        network = self._service.network
        await self._clients.request(lambda: network.call(place, at_gate, timeout_seconds=GATE_SECONDS))

    async def on_chain(self, payer: Wallet, signed: Signed, kind: str) -> None:
        """A payment into the payer's own bucket, and a call, shown once or twice, that leans on it."""
        service, rng = self._service, self._service.rng
        await self._clients.pay(signed, payer, kind)
        payee = rng.choice([other for other in self._clients.wallets if other is not payer])
        usat = rng.choice((1, 10, signed.payment.usat // USAT)) * USAT
        order = Held(f"call_{signed.payment_id}", payer.address, payee.address, min(usat, signed.payment.usat), 0)
        service.auditor.calls.on_chain[order.order_id] = order
        place = rng.choice(service.gates)

        async def at_gate() -> None:
            if service.settlements is None:
                raise LostError("settlements")
            report = await service.settlements.report(signed.payment_id)
            if report is not None and report.state in (PaymentState.MEMPOOL, PaymentState.CONFIRMED):
                await service.tills.call_on_chain(place, order, signed.payment_id)

        await asyncio.gather(*(self._at(place, at_gate) for _ in range(rng.choice((1, 1, 2)))))
