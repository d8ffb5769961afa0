"""Whether payments can be taken at all: relay and chain both out of reach (where the relay alone broadcasts: the relay) is an
outage, told to the wallets with its span.

Grace must not run out while nobody can pay, so an outage is written down like money is, and survives a restart.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from relay_client.chain import Chain, ChainUnavailable
from relay_client.relay import Relay
from relay_client.settlements import outbox
from relay_client.settlements.delivery import Delivery
from relay_client.settlements.schedule import SettlementClock
from relay_client.sink import Outage
from storage.connection import Connection, Store


@dataclass(slots=True)
class Availability:
    """Since when (monotonic ms) each side has been out of reach; None while it answers or was never asked."""

    relay_down_since_ms: int | None = None
    chain_down_since_ms: int | None = None
    needs_relay: bool = False
    """Whether nothing is broadcast without the relay."""

    def relay(self, *, reached: bool, now_ms: int) -> None:
        """The relay answered something, or did not."""
        self.relay_down_since_ms = None if reached else self.relay_down_since_ms or now_ms

    def chain(self, *, reached: bool, now_ms: int) -> None:
        """The Stacks API answered something, or did not."""
        self.chain_down_since_ms = None if reached else self.chain_down_since_ms or now_ms

    @property
    def outage_since_ms(self) -> int | None:
        """Since when nobody can pay: both are gone, or the relay is and nobody else broadcasts. None while payments go on."""
        if self.needs_relay:
            return self.relay_down_since_ms
        if self.relay_down_since_ms is None or self.chain_down_since_ms is None:
            return None
        return max(self.relay_down_since_ms, self.chain_down_since_ms)


class Watchdog:
    """Notes who answers, from every call that is made and from probes when none is, and tells outages."""

    def __init__(
        self, store: Store, relay: Relay, chain: Chain, clock: SettlementClock, delivery: Delivery, *,
        has_relay: bool = True, needs_relay: bool = False,
    ) -> None:  # fmt: skip
        self._store = store
        self._relay = relay
        self._chain = chain
        self._clock = clock
        self._delivery = delivery
        self._has_relay = has_relay
        self._availability = Availability(None if has_relay else clock.monotonic_ms(), needs_relay=needs_relay)
        self.can_sponsor = False
        """Whether the relay said so at the last probe."""
        self._outage: Outage | None = None
        self._began_ms = 0
        """When the outage began, by monotonic time: the wall clock may be set while it lasts."""

    async def resume(self) -> None:
        """Take up an outage that a restart fell into; it ends when either side answers."""
        outage = await self._store.run(_open_outage)
        if outage is not None:
            self._outage = outage
            self._began_ms = self._clock.monotonic_ms() - max(0, self._clock.now_ms() - outage.since_ms)
            self._availability = replace(
                self._availability, relay_down_since_ms=self._began_ms, chain_down_since_ms=self._began_ms
            )

    @property
    def available(self) -> bool:
        """Whether there is no outage."""
        return self._availability.outage_since_ms is None

    @property
    def relay_is_gone(self) -> bool:
        """Whether the relay did not answer the last time."""
        return self._availability.relay_down_since_ms is not None

    async def probe(self) -> None:
        """Ask both sides how they are when nothing else does."""
        if self._has_relay:
            await self.reached(relay=await self._relay.health())
            self.can_sponsor = not self.relay_is_gone and await self._relay.can_sponsor()
        try:
            await self._chain.tip_height()
        except ChainUnavailable:
            await self.reached(chain=False)
        else:
            await self.reached(chain=True)

    async def reached(self, *, relay: bool | None = None, chain: bool | None = None) -> None:
        """One side answered, or did not."""
        now_ms, steady_ms = self._clock.now_ms(), self._clock.monotonic_ms()
        if relay is not None:
            self._availability.relay(reached=relay, now_ms=steady_ms)
        if chain is not None:
            self._availability.chain(reached=chain, now_ms=steady_ms)
        began_ms = self._availability.outage_since_ms
        if began_ms is not None and self._outage is None:
            self._began_ms = began_ms
            since_ms = now_ms - (steady_ms - began_ms)
            self._outage = Outage(0, since_ms, None)  # taken before the await, so that it is told once
            await self._move(None, lambda db: _begin_outage(db, since_ms, now_ms))
        elif began_ms is None and self._outage is not None and self._outage.outage_id:
            ended, self._outage = self._outage, Outage(0, self._outage.since_ms, None)
            span = Outage(ended.outage_id, now_ms - (steady_ms - self._began_ms), None)
            await self._move(ended, lambda db: _end_outage(db, span, now_ms))

    async def _move(self, before: Outage | None, work: Callable[[Connection], Outage | None]) -> None:
        """Write a change; when it can't be written it has not happened, and the next answer or silence tries again. An end that
        was lost here would hold everybody's grace for ever.
        """
        try:
            self._outage = await self._store.run(work)
        except BaseException:
            self._outage = before
            raise
        self._delivery.wake(outbox.OUTAGE_LANE)


def _open_outage(db: Connection) -> Outage | None:
    query = "SELECT outage_id, since_ms FROM outages WHERE until_ms IS NULL ORDER BY outage_id DESC LIMIT 1"
    row = db.execute(query).fetchone()
    return None if row is None else Outage(row[0], row[1], None)


def _begin_outage(db: Connection, since_ms: int, now_ms: int) -> Outage:
    query = "INSERT INTO outages (since_ms) VALUES (?) RETURNING outage_id"
    ((outage_id,),) = db.execute(query, (since_ms,)).fetchall()
    outage = Outage(outage_id, since_ms, None)
    outbox.post(db, outbox.OUTAGE_LANE, outage, now_ms)
    return outage


def _end_outage(db: Connection, outage: Outage, now_ms: int) -> None:
    db.execute("UPDATE outages SET until_ms = ? WHERE outage_id = ?", (now_ms, outage.outage_id))
    outbox.post(db, outbox.OUTAGE_LANE, Outage(outage.outage_id, outage.since_ms, now_ms), now_ms)
