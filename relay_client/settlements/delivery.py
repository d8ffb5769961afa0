"""Carries the outbox to the sink: each lane in order, at least once, acknowledged after the sink returned.

Sightings that only repeat a known state are not kept: they go out when their lane is empty, and the next replaces a lost one.
"""

import functools
import random
from collections.abc import Callable

import structlog

from relay_client.settlements import outbox
from relay_client.settlements.policy import SettlementPolicy, backoff_ms
from relay_client.settlements.schedule import Schedule, SettlementClock
from relay_client.sink import CreditSink, Observation
from storage.connection import Store

_log = structlog.get_logger(__name__)


class Delivery:
    """The way from the store to the sink. `checkpoint` is told the steps a crash can fall on."""

    def __init__(
        self,
        store: Store,
        sink: CreditSink,
        clock: SettlementClock,
        policy: SettlementPolicy,
        rng: random.Random,
        checkpoint: Callable[[str], None],
    ) -> None:
        self._store = store
        self._sink = sink
        self._clock = clock
        self._policy = policy
        self._rng = rng
        self._checkpoint = checkpoint
        self._tries: dict[str, int] = {}
        self._sightings: dict[str, Observation] = {}
        self.schedule = Schedule(clock, self._deliver, concurrency=policy.delivery_concurrency, name="deliver")

    async def resume(self) -> None:
        """Take up what a crash left in the outbox."""
        for lane in await self._store.run(outbox.open_lanes):
            self.schedule.after(lane, 0)

    def wake(self, lane: str) -> None:
        """Something was posted in a lane."""
        self.schedule.after(lane, 0)

    def sighted(self, observation: Observation) -> None:
        """Pass on a repeated sighting, once."""
        self._sightings[observation.payment_id] = observation
        self.schedule.after(observation.payment_id, 0)

    async def _deliver(self, lane: str) -> int | None:
        try:
            await self._drain(lane)
        except Exception as error:  # noqa: BLE001 - whatever the other side's trouble is, the message stays ours
            tries = self._tries[lane] = self._tries.get(lane, 0) + 1
            _log.warning("delivery failed", lane=lane, tries=tries, error=repr(error)[:200])
            policy = self._policy
            return backoff_ms(policy.delivery_first_ms, policy.delivery_max_ms, 2.0, tries, self._rng.random())
        self._tries.pop(lane, None)
        return None

    async def _drain(self, lane: str) -> None:
        letter = await self._store.run(lambda db: outbox.next_letter(db, lane))
        delivered_any = letter is not None
        while letter is not None:
            await outbox.hand_over(self._sink, letter.message)
            self._checkpoint("before_acknowledgement")
            now_ms = self._clock.now_ms()
            letter = await self._store.run(functools.partial(outbox.acknowledge, letter=letter, now_ms=now_ms))
            self._checkpoint("after_acknowledgement")
        sighting = self._sightings.pop(lane, None)
        if sighting is not None and not delivered_any:
            await self._sink.observe(sighting)
