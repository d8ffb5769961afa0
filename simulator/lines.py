"""How processes reach one another: every call goes over the network, and so may be lost or come twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

from relay_client.relay import RelayStatus, SettleOrder, SettleOutcome, Unknown
from relay_client.sink import Credit, CreditSink, Observation, Outage, Reversal
from sandboxes.protocol import NodeUnavailable, WatchEvent
from simulator.chain import SimulatedChain
from simulator.machine import Machine
from simulator.network import LostError, Network, Process
from simulator.relay import SimulatedRelay


class NodeLine:
    """A host's way to the machine: everything through the network."""

    def __init__(self, network: Network, place: Process, machine: Machine, host: str) -> None:
        self._network = network
        self._place = place
        self._machine = machine
        self._host = host

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._machine, name)
        repeatable = name in ("start", "stop", "forget", "release")

        async def call(*values: Any) -> Any:
            try:
                return await self._network.call(self._place, lambda: method(*values), repeatable=repeatable)
            except LostError as error:
                raise NodeUnavailable("no answer") from error

        return call

    async def watch(self) -> AsyncIterator[WatchEvent]:
        """Beats as they come, unless the line is cut."""
        ear: asyncio.Queue[WatchEvent | None] = asyncio.Queue()
        if not self._place.is_up or frozenset((self._host, "node")) in self._network.cuts:
            raise NodeUnavailable("no answer")
        self._machine.ears[self._host] = ear
        for lost in self._machine.losses():
            yield lost
        yield await self.beat()
        while (event := await ear.get()) is not None:
            if frozenset((self._host, "node")) in self._network.cuts:
                raise NodeUnavailable("cut off")
            yield event
        raise NodeUnavailable("the stream ended")


class RelayLine:
    """The settlements' way to the relay."""

    def __init__(self, network: Network, place: Process, relay: SimulatedRelay) -> None:
        self._network, self._place, self._relay = network, place, relay

    async def settle(self, order: SettleOrder) -> SettleOutcome:
        """See `Relay.settle`: the relay continues when we die."""
        try:
            return await self._network.call(self._place, lambda: self._relay.settle(order), timeout_seconds=60.0)
        except LostError:
            return Unknown("no answer", reached=False)

    async def settle_status(self, txid: str) -> RelayStatus:
        """See `Relay.settle_status`."""
        return await self._relay.settle_status(txid)

    async def health(self) -> bool:
        """See `Relay.health`."""
        return await self._relay.health()

    async def can_sponsor(self) -> bool:
        """See `Relay.can_sponsor`."""
        return await self._relay.can_sponsor()


class RepeatingSink:
    """The sink, reached at least once: a message may arrive twice."""

    def __init__(self, network: Network, rng: random.Random, sink: CreditSink) -> None:
        self._network, self._rng, self._sink = network, rng, sink

    async def observe(self, observation: Observation) -> None:
        """See `CreditSink`."""
        await self._twice(lambda: self._sink.observe(observation))

    async def credit(self, credit: Credit) -> None:
        """See `CreditSink`."""
        await self._twice(lambda: self._sink.credit(credit))

    async def reverse(self, reversal: Reversal) -> None:
        """See `CreditSink`."""
        await self._twice(lambda: self._sink.reverse(reversal))

    async def payments_unavailable(self, outage: Outage) -> None:
        """See `CreditSink`."""
        await self._sink.payments_unavailable(outage)

    async def _twice(self, work: Callable[[], Any]) -> None:
        await work()
        if self._rng.random() < self._network.weather.double:
            await work()


class Payers:
    """What the preflight asks of a chain."""

    def __init__(self, chain: SimulatedChain) -> None:
        self.account = chain.account
        self.nonces = chain.nonces_of

    async def token_balance(self, address: str, asset_id: str) -> int:
        """Everybody is rich."""
        return 10**12
