"""Following one payment to its end: ask for the broadcast, resend, confirm, recheck, watch.

Every look at a payment begins with its committed row and ends with a commit, so a step can be cut anywhere and done again.
No failure is believed before the chain was asked, unless these bytes can never have been broadcast.
"""

import random
import sqlite3
from collections.abc import Callable

from relay_client.chain import Chain, ChainPhase, ChainTransaction, ChainUnavailable
from relay_client.relay import Accepted, Refused, Relay, RelayPhase, Retryable, SettleOrder, SettleOutcome, Unknown
from relay_client.settlements import journal
from relay_client.settlements.availability import Watchdog
from relay_client.settlements.delivery import Delivery
from relay_client.settlements.policy import SECOND_MS, Policy, backoff_ms
from relay_client.settlements.records import COMPLETE, SELF_PAID, Payment
from relay_client.settlements.schedule import Clock
from relay_client.settlements.store import Store
from relay_client.settlements.witness import Absent, Displaced, Found, Sight, Silent, look
from relay_client.states import Observation, PaymentState, TerminalReason, is_terminal

Checkpoint = Callable[[str], None]
"""Called with the name of each step a crash can fall on; tests raise in it."""


class Follower:
    """What is done about a payment. `ended` is told the id of each payment that reached its end."""

    def __init__(
        self,
        store: Store,
        relay: Relay,
        chain: Chain,
        clock: Clock,
        policy: Policy,
        rng: random.Random,
        delivery: Delivery,
        watchdog: Watchdog,
        *,
        checkpoint: Checkpoint,
        ended: Callable[[str], None],
    ) -> None:
        self._store = store
        self._relay = relay
        self._chain = chain
        self._clock = clock
        self._policy = policy
        self._rng = rng
        self._delivery = delivery
        self._watchdog = watchdog
        self._checkpoint = checkpoint
        self._ended = ended
        self._tries: dict[str, int] = {}
        self._watched: dict[str, int] = {}
        self._looked_ms: dict[str, int] = {}
        self._told_ms: dict[str, int] = {}
        self._rebroadcast_ms: dict[str, int] = {}
        self._not_before_ms: dict[str, int] = {}

    async def call_relay(self, payment: Payment) -> Payment:
        """Ask the relay for a broadcast and commit what came of it. The attempt is committed already."""
        outcome = await self._relay.settle(_order(payment))
        await self._watchdog.reached(relay=not (isinstance(outcome, Unknown) and not outcome.reached))
        self._checkpoint("after_reply")
        payment = await self._take(payment, outcome)
        self._checkpoint("after_commit")
        return payment

    async def _call_node(self, payment: Payment) -> Payment:
        outcome = await self._chain.broadcast(payment.transaction_bytes)
        await self._watchdog.reached(chain=not (isinstance(outcome, Unknown) and not outcome.reached))
        return await self._take(payment, outcome)

    async def _take(self, payment: Payment, outcome: SettleOutcome) -> Payment:
        payment_id, now_ms = payment.payment_id, self._clock.now_ms()
        match outcome:
            case Accepted(txid):
                return await self._write(
                    payment_id,
                    lambda db: journal.seen_in_mempool(
                        db, payment_id, txid, Observation.RELAY_ACCEPTED, self._policy, now_ms
                    ),
                )
            case Retryable(reason, retry_after_seconds, detail):
                self._come_again_after(payment_id, retry_after_seconds)
                return await self._write(payment_id, lambda db: journal.held(db, payment_id, detail or reason, now_ms))
            case Refused():
                return await self._refused(payment, outcome)
            case Unknown(why, reached, retry_after_seconds):
                self._come_again_after(payment_id, retry_after_seconds)
                return await self._write(
                    payment_id, lambda db: journal.unknown(db, payment_id, why, now_ms, answered=reached)
                )

    async def _refused(self, payment: Payment, refusal: Refused) -> Payment:
        """Believe a refusal only when it cannot be the echo of an earlier broadcast of the same bytes."""
        if refusal.may_be_ours or payment.attempts > 1:
            sight = await self._look(payment)
            if isinstance(sight, Found | Displaced):
                return await self._saw(payment, sight)
            age_ms = self._clock.now_ms() - payment.created_at_ms
            unsettled = payment.attempts > 1 and age_ms < self._policy.refusal_settles_ms
            if isinstance(sight, Silent) or unsettled:
                payment_id, now_ms = payment.payment_id, self._clock.now_ms()
                return await self._write(
                    payment_id, lambda db: journal.unknown(db, payment_id, refusal.reason, now_ms, answered=True)
                )
        return await self._end(
            payment,
            Observation.RELAY_REFUSED,
            refusal.terminal,
            refusal.code,
            refusal.reason,
            watch=refusal.may_be_ours or payment.attempts > 1,
        )

    async def step(self, key: str) -> int | None:
        """Look at a payment again; returns the pause until the next look, None when there is nothing more to see."""
        payment = await self._store.run(lambda db: journal.load(db, key))
        if payment is None or not payment.watching:
            self._forget(key)
            return None
        payment = await self._with_clock_set_back(payment)
        match payment.state:
            case PaymentState.QUEUED | PaymentState.BROADCASTING:
                payment = await self._resend(payment)
            case PaymentState.MEMPOOL:
                payment = await self._confirm(payment)
            case _ if payment.credited_usat:
                payment = await self._recheck(payment)
            case _:
                payment = await self._watch(payment)
        if payment.watching:
            return self.pause(payment)
        self._forget(key)
        return None

    async def _with_clock_set_back(self, payment: Payment) -> Payment:
        """The payment, with no moment in it, nor in what is remembered of it, that is still to come."""
        payment_id, now_ms = payment.payment_id, self._clock.now_ms()
        for memory in (self._looked_ms, self._told_ms, self._rebroadcast_ms):
            if memory.get(payment_id, 0) > now_ms:
                del memory[payment_id]
        if journal.is_ahead(payment, now_ms):
            payment = await self._store.run(lambda db: journal.set_back(db, payment_id, now_ms))
        return payment

    async def _resend(self, payment: Payment) -> Payment:
        sight = await self._look(payment)
        if isinstance(sight, Found | Displaced):
            return await self._saw(payment, sight)
        age_ms = self._clock.now_ms() - payment.created_at_ms
        if isinstance(sight, Absent):
            is_held = payment.state is PaymentState.QUEUED
            if is_held and age_ms > self._policy.held_expiry_ms:
                return await self._give_up(payment, TerminalReason.SENDER_HAND_EXPIRED, "payment_refused")
            if age_ms > self._policy.unknown_give_up_ms:
                return await self._give_up(payment, TerminalReason.BROADCAST_FAILURE, "payment_failed")
        payment_id, now_ms = payment.payment_id, self._clock.now_ms()
        if now_ms < self._not_before_ms.get(payment_id, 0):
            return payment  # the relay said when to come again; the chain is looked at meanwhile
        payment = await self._store.run(lambda db: journal.call_begins(db, payment_id, now_ms))
        relay_is_gone = self._watchdog.relay_is_gone
        if relay_is_gone and self._is_complete(payment) and payment.attempts > self._policy.direct_broadcast_attempts:
            payment = await self._call_node(payment)
            if payment.state is not PaymentState.BROADCASTING:
                return payment
        return await self.call_relay(payment)

    async def _confirm(self, payment: Payment) -> Payment:
        now_ms = self._clock.now_ms()
        due = now_ms - self._looked_ms.get(payment.payment_id, payment.mempool_at_ms or 0) > self._policy.chain_look_ms
        if payment.txid is not None and not due:
            status = await self._relay.settle_status(payment.txid)
            await self._watchdog.reached(relay=status.reached)
            fresh = now_ms - (payment.mempool_at_ms or 0) < self._policy.relay_word_ms
            if status.phase is RelayPhase.PENDING and (status.on_chain_api or (fresh and status.on_chain_api is None)):
                return await self._seen_pending(payment, payment.txid)
        self._looked_ms[payment.payment_id] = now_ms
        sight = await self._look(payment)
        if isinstance(sight, Found | Displaced):
            return await self._saw(payment, sight)
        if isinstance(sight, Absent):
            missing_ms = self._clock.now_ms() - payment.seen_at_ms
            if missing_ms > self._policy.dropped_give_up_ms:
                return await self._give_up(payment, TerminalReason.BROADCAST_FAILURE, "payment_failed")
            return await self._rebroadcast(payment)
        return payment

    async def _rebroadcast(self, payment: Payment) -> Payment:
        """A node has dropped it, or the API lags: hand the same bytes in again, at most once a minute."""
        payment_id, now_ms = payment.payment_id, self._clock.now_ms()
        last_ms = self._rebroadcast_ms.get(payment_id, payment.mempool_at_ms or payment.created_at_ms)
        if now_ms - last_ms < self._policy.rebroadcast_ms:
            return payment
        self._rebroadcast_ms[payment_id] = now_ms
        if self._is_complete(payment):
            outcome = await self._chain.broadcast(payment.transaction_bytes)
        else:
            outcome = await self._relay.settle(_order(payment))
        if isinstance(outcome, Accepted) and payment.state is PaymentState.MEMPOOL and self._is_complete(payment):
            return await self._seen_pending(payment, outcome.txid)
        return payment

    async def _seen_pending(self, payment: Payment, txid: str) -> Payment:
        """Still in a mempool: wallets hear of it every few seconds, since it is what their grace lives on."""
        payment_id, now_ms = payment.payment_id, self._clock.now_ms()
        if payment.state is PaymentState.MEMPOOL and (txid == payment.txid or payment.txid_is_local):
            if now_ms - self._told_ms.get(payment_id, payment.seen_at_ms) < self._policy.refresh_ms:
                return payment
            self._told_ms[payment_id] = now_ms
            self._delivery.sighted(payment.observation(seen_at_ms=now_ms))
        return await self._write(
            payment_id,
            lambda db: journal.seen_in_mempool(db, payment_id, txid, Observation.CHAIN_PENDING, self._policy, now_ms),
        )

    async def _recheck(self, payment: Payment) -> Payment:
        """A confirmed payment can leave the chain until it is `reorg_depth` deep."""
        payment_id = payment.payment_id
        sight = await self._look(payment)
        try:
            tip = await self._chain.tip_height()
        except ChainUnavailable:
            return payment
        now_ms = self._clock.now_ms()
        match sight:
            case Found(tx) if tx.phase is ChainPhase.SUCCESS and tx.txid == payment.txid:
                height = tx.block_height or 0
                is_final = tip >= height + self._policy.reorg_depth
                return await self._write(
                    payment_id, lambda db: journal.still_there(db, payment_id, height, is_final=is_final)
                )
            case Displaced(tx):
                return await self._reverse(payment, f"replaced by {tx.txid}", watch=False)
            case Found(tx) if tx.phase is ChainPhase.ABORTED:
                return await self._reverse(payment, "aborted after a reorganisation", watch=False)
            case Silent():
                return payment
        payment = await self._store.run(lambda db: journal.vanished(db, payment_id, now_ms))
        if isinstance(sight, Absent):
            if now_ms - (payment.vanished_at_ms or now_ms) > self._policy.reorg_wait_ms:
                return await self._reverse(payment, "left the chain and did not come back", watch=True)
            await self._rebroadcast(payment)
        return payment

    async def _reverse(self, payment: Payment, reason: str, *, watch: bool) -> Payment:
        payment_id, now_ms = payment.payment_id, self._clock.now_ms()
        return await self._write(payment_id, lambda db: journal.reverse(db, payment_id, reason, now_ms, watch=watch))

    async def _watch(self, payment: Payment) -> Payment:
        """Given up, but its bytes may be out there: if it confirms after all, the money arrived and is credited."""
        payment_id = payment.payment_id
        sight = await self._look(payment)
        match sight:
            case Found(tx) if tx.phase is ChainPhase.SUCCESS:
                return await self._saw(payment, sight)
            case Displaced() | Found(ChainTransaction(phase=ChainPhase.ABORTED)):
                return await self._store.run(lambda db: journal.stop_watching(db, payment_id))
        if isinstance(sight, Silent):
            return payment
        # The clock alone does not end it: set forward by days, it would leave money uncredited that is about to confirm.
        looks = self._watched[payment_id] = self._watched.get(payment_id, 0) + 1
        is_over = self._clock.now_ms() - payment.created_at_ms > self._policy.watch_ms
        if is_over and looks >= self._policy.watch_looks_min:
            return await self._store.run(lambda db: journal.stop_watching(db, payment_id))
        return payment

    async def _saw(self, payment: Payment, sight: Found | Displaced) -> Payment:
        """Take the chain's word for how it stands."""
        payment_id, now_ms = payment.payment_id, self._clock.now_ms()
        if isinstance(sight, Displaced):
            return await self._end(
                payment,
                Observation.CHAIN_REPLACED,
                TerminalReason.NONCE_REPLACEMENT,
                "payment_nonce_stale",
                f"replaced by {sight.by.txid}",
                watch=False,
            )
        tx = sight.tx
        if tx.phase is ChainPhase.PENDING:
            return payment if is_terminal(payment.state) else await self._seen_pending(payment, tx.txid)
        if tx.phase is ChainPhase.ABORTED:
            return await self._end(
                payment, Observation.CHAIN_ABORTED, TerminalReason.CHAIN_ABORT, "payment_failed", tx.status, watch=False
            )
        paid = tx.received(asset_id=payment.asset_id, sender=payment.origin, recipient=payment.pay_to)
        if not paid and not tx.events_complete:
            return payment  # the API has the block but not yet all events: too early to say it paid nothing
        self._checkpoint("before_credit")
        payment = await self._write(payment_id, lambda db: journal.confirm(db, payment_id, tx, now_ms))
        self._checkpoint("after_credit")
        return payment

    async def _give_up(self, payment: Payment, reason: TerminalReason, code: str) -> Payment:
        detail = "not seen on chain in time; credited all the same if it ever confirms"
        return await self._end(payment, Observation.GIVEN_UP, reason, code, detail, watch=True)

    async def _end(
        self, payment: Payment, observed: Observation, reason: TerminalReason, code: str, detail: str, *, watch: bool
    ) -> Payment:
        payment_id, now_ms = payment.payment_id, self._clock.now_ms()
        return await self._write(
            payment_id,
            lambda db: journal.end(db, payment_id, observed, reason, code, detail, now_ms, watch=watch),
        )

    async def _look(self, payment: Payment) -> Sight:
        sight = await look(self._chain, payment)
        await self._watchdog.reached(chain=not isinstance(sight, Silent))
        return sight

    async def _write(self, payment_id: str, work: Callable[[sqlite3.Connection], Payment]) -> Payment:
        """Commit a change, then tell whoever waits for it."""
        payment = await self._store.run(work)
        self._delivery.wake(payment_id)
        if is_terminal(payment.state):
            self._ended(payment_id)
        return payment

    def _forget(self, payment_id: str) -> None:
        for memory in (
            self._tries,
            self._watched,
            self._looked_ms,
            self._told_ms,
            self._rebroadcast_ms,
            self._not_before_ms,
        ):
            memory.pop(payment_id, None)

    def _come_again_after(self, payment_id: str, seconds: int | None) -> None:
        """The relay says when: not earlier, and up to a quarter later, so that those it put off do not all come at once."""
        if seconds is not None:
            pause_ms = seconds * SECOND_MS * (1 + 0.25 * self._rng.random())
            self._not_before_ms[payment_id] = self._clock.now_ms() + int(pause_ms)

    @staticmethod
    def _is_complete(payment: Payment) -> bool:
        return payment.sponsored in (SELF_PAID, COMPLETE)

    def pause(self, payment: Payment) -> int:
        """How long until a payment is looked at again: soon at first, then ever more rarely."""
        policy, tries = self._policy, self._tries.get(payment.payment_id, 0)
        self._tries[payment.payment_id] = tries + 1
        match payment.state:
            case PaymentState.QUEUED | PaymentState.BROADCASTING:
                first, most, growth = policy.resend_first_ms, policy.resend_max_ms, 2.0
            case PaymentState.MEMPOOL:
                first, most, growth = policy.poll_first_ms, policy.poll_max_ms, policy.poll_growth
            case _ if payment.credited_usat:
                return policy.recheck_ms
            case _:
                first, most, growth = policy.watch_first_ms, policy.watch_max_ms, 2.0
        return backoff_ms(first, most, growth, tries, self._rng.random())


def _order(payment: Payment) -> SettleOrder:
    return SettleOrder(
        payment.transaction_bytes,
        f"stacks:{payment.chain_id}",
        payment.pay_to,
        payment.amount,
        payment.asset_wire,
        payment.rounds,
    )
