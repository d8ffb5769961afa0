"""Bugs planted in the service, to see that the simulator bites. `python -m tests.simulator.planted NAME --seed N --steps M`.

Each is a mistake that a careful reader could make; none is caught by types. They live here, never in the service.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from actors.hosting import actor, effects, host, marks, node_link, reconciling
from actors.stores import wallet_file
from actors.wallet import advance, decide_meters, decide_payments, decide_runtime, going_on, lifecycle, turn
from actors.wallet import commands as c
from relay_client.settlements import availability, delivery, follower, handing_in, journal, outbox
from relay_client.states import PaymentEvent, TerminalReason
from simulator.run import simulate
from tests.simulator.planted_calls import PLANTED_CALLS


def credited_twice() -> None:
    """A deposit leaves no mark, so a message that comes twice counts twice."""
    real = marks.made_by
    marks.made_by = lambda command: () if isinstance(command, c.Deposit) else real(command)


def reversed_twice() -> None:
    """The same for money that left the chain."""
    real = marks.made_by
    marks.made_by = lambda command: () if isinstance(command, c.Reverse) else real(command)


def remainder_lost() -> None:
    """Each span rounds down and forgets the rest."""
    real = turn.charge
    turn.charge = lambda rate, elapsed, remainder: (real(rate, elapsed, remainder)[0], 0)


def charged_by_own_clock() -> None:
    """Time is charged as our clock runs, not as heartbeats prove it."""
    real = node_link.NodeLink.proof

    def proof(self: Any, runtime_id: str | None = None) -> Any:
        made = real(self, runtime_id)
        return None if made is None else replace(made, proven_ms=made.now_ms)

    node_link.NodeLink.proof = proof


def losses_not_in_beats() -> None:
    """A heartbeat asked for before the stream is back proves time in which a sandbox was dead."""
    node_link.NodeLink._note = lambda self, loss: None


def grace_cut_short() -> None:
    """Half of the promised grace."""
    real = lifecycle.grace_deadline_ms
    advance.grace_deadline_ms = lambda state, policy: real(state, replace(policy, grace_ms=policy.grace_ms // 2))


def grace_without_end() -> None:
    """A payment in the mempool holds grace past its cap."""
    real = lifecycle.grace_deadline_ms
    advance.grace_deadline_ms = lambda state, policy: real(state, replace(policy, grace_cap_ms=10**9, grace_ms=10**7))


def no_fence() -> None:
    """An old copy of a wallet may go on writing."""
    real = wallet_file.WalletFile.commit

    def commit(self: Any, batch: Any) -> None:
        (self.epoch,) = self._db.execute("SELECT epoch FROM wallet").fetchone()
        real(self, batch)

    wallet_file.WalletFile.commit = commit


def acknowledged_before_delivery() -> None:
    """A message is crossed out first and told afterwards."""

    async def drain(self: Any, lane: str) -> None:
        while (letter := await self._store.run(lambda db: outbox.next_letter(db, lane))) is not None:
            await self._store.run(lambda db, letter=letter: outbox.acknowledge(db, letter, self._clock.now_ms()))
            await outbox.hand_over(self._sink, letter.message)

    delivery.Delivery._drain = drain


def unknown_is_failure() -> None:
    """No answer of the relay ends a payment for good."""
    real = handing_in.HandIn._take

    async def take(self: Any, payment: Any, outcome: Any) -> Any:
        if isinstance(outcome, handing_in.Unknown):
            reason = TerminalReason.BROADCAST_FAILURE
            return await self._progress.end(
                payment, PaymentEvent.RELAY_REFUSED, reason, "payment_failed", "silence", watch=False
            )
        return await real(self, payment, outcome)

    handing_in.HandIn._take = take


def effects_forgotten() -> None:
    """What a crash cut off is not taken up again."""
    actor.resume = lambda state: ()


def reorganisations_ignored() -> None:
    """Confirmed is confirmed."""

    async def recheck(self: Any, payment: Any) -> Any:
        await asyncio.sleep(0)
        return await self._store.run(
            lambda db: journal.still_there(db, payment.payment_id, payment.block_height or 0, is_final=True)
        )

    follower.Follower._recheck = recheck


def mempool_is_money() -> None:
    """A payment is credited when a node takes it."""
    real = decide_payments._observe

    def observe(turn_: Any, command: Any) -> Any:
        if command.state == "mempool" and all(p.payment_id != command.payment_id for p in turn_.state.pending):
            decide_payments._deposit(turn_, c.Deposit(command.payment_id, command.payer, command.expected_usat, "", ""))
        return real(turn_, command)

    from actors.wallet import decide

    decide._HANDLERS[c.Observe] = observe


def billed_after_loss() -> None:
    """A lost sandbox is billed up to now."""
    real = decide_runtime._stopped

    def stopped(turn_: Any, command: Any) -> Any:
        proof = turn_.at.proof
        if proof is not None and command.known and command.stopped_at_ms is not None:
            command = replace(command, stopped_at_ms=max(command.stopped_at_ms, proof.now_ms))
        return real(turn_, command)

    from actors.wallet import decide

    decide._HANDLERS[c.Stopped] = stopped


def orphans_kept() -> None:
    """After a reconnect nobody compares what runs with what is owned."""

    async def reconcile(self: Any) -> None:
        await asyncio.sleep(0)

    reconciling.Reconciler.connected = reconcile


def alarms_forgotten() -> None:
    """A wallet is not looked at when its bucket runs dry."""

    async def fire(self: Any, address: str, now_ms: int) -> None:
        await asyncio.sleep(0)

    host.WalletHost._fire = fire


def losses_not_told() -> None:
    """Settlements never hear that a start on credit was not paid."""
    real = effects.Effects._try

    async def attempt(self: Any, actor: Any, effect: Any) -> None:
        if not isinstance(effect, c.TellLoss):
            await real(self, actor, effect)

    effects.Effects._try = attempt


def outage_without_end() -> None:
    """The end of an outage that cannot be written is lost, and grace holds for ever."""

    async def move(self: Any, before: Any, work: Callable[[Any], Any]) -> None:
        self._outage = await self._store.run(work)
        self._delivery.wake(outbox.OUTAGE_LANE)

    availability.Watchdog._move = move


def arrears_forgiven() -> None:
    """What grace cost is not taken from the money that arrives."""
    going_on._settle_arrears = lambda turn_: turn_.set(
        accounts=replace(turn_.state.accounts, owed=0, burnt=turn_.state.accounts.burnt + turn_.state.accounts.owed)
    )


def readings_without_marks() -> None:
    """A meter is billed from its beginning at each reading."""
    real = decide_meters.bill

    def bill(metered: Any, reading: Any) -> Any:
        made = real(metered, reading)
        return replace(made, metered=replace(made.metered, marks=())) if made.usat else made

    decide_meters.bill = bill


PLANTED: dict[str, tuple[Callable[[], None], int]] = {
    "credited_twice": (credited_twice, 12_000),
    "reversed_twice": (reversed_twice, 12_000),
    "remainder_lost": (remainder_lost, 2_000),
    "charged_by_own_clock": (charged_by_own_clock, 1_000),
    "losses_not_in_beats": (losses_not_in_beats, 12_000),
    "grace_cut_short": (grace_cut_short, 2_000),
    "grace_without_end": (grace_without_end, 6_000),
    "no_fence": (no_fence, 6_000),
    "acknowledged_before_delivery": (acknowledged_before_delivery, 6_000),
    "unknown_is_failure": (unknown_is_failure, 3_000),
    "effects_forgotten": (effects_forgotten, 6_000),
    "reorganisations_ignored": (reorganisations_ignored, 12_000),
    "mempool_is_money": (mempool_is_money, 1_000),
    "billed_after_loss": (billed_after_loss, 6_000),
    "orphans_kept": (orphans_kept, 12_000),
    "alarms_forgotten": (alarms_forgotten, 3_000),
    "losses_not_told": (losses_not_told, 3_000),
    "outage_without_end": (outage_without_end, 30_000),
    "arrears_forgiven": (arrears_forgiven, 4_000),
    "readings_without_marks": (readings_without_marks, 2_000),
    **PLANTED_CALLS,
}
"""Each with the number of steps within which it is found, over the seeds that the test tries."""


def main() -> None:
    """Plant one and run."""
    name, seed, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    PLANTED[name][0]()
    sys.stdout.write(json.dumps(simulate(seed, steps, peace_every=1_000).as_dict()) + "\n")


if __name__ == "__main__":
    main()
