"""Following one payment to its end: resend, confirm, recheck, watch.

Every look at a payment begins with its committed row and ends with a commit, so a step can be cut anywhere and done again.
No failure is believed before the chain was asked, unless these bytes can never have been broadcast.
"""

import asyncio

from relay_client.chain import Chain, ChainPhase, ChainTransaction, ChainUnavailable
from relay_client.relay import Relay, RelayPhase
from relay_client.settlements import journal, reads, unsent
from relay_client.settlements.availability import Watchdog
from relay_client.settlements.handing_in import HandIn
from relay_client.settlements.pace import Pace
from relay_client.settlements.policy import SettlementPolicy, SettleRoute
from relay_client.settlements.progress import Progress
from relay_client.settlements.records import WAITS_FOR_SPONSOR, Payment
from relay_client.settlements.schedule import SettlementClock
from relay_client.settlements.witness import Absent, Displaced, Found, Silent
from relay_client.states import PaymentState, TerminalReason
from storage.connection import Store


class Follower:
    """What is done about a payment that was handed in."""

    def __init__(
        self,
        store: Store,
        relay: Relay,
        chain: Chain,
        clock: SettlementClock,
        policy: SettlementPolicy,
        pace: Pace,
        watchdog: Watchdog,
        progress: Progress,
        hands: HandIn,
    ) -> None:
        self._store = store
        self._relay = relay
        self._chain = chain
        self._clock = clock
        self._policy = policy
        self._pace = pace
        self._watchdog = watchdog
        self._progress = progress
        self._hands = hands

    async def look_again(self, payment: Payment, seconds_max: float) -> Payment:
        """Refused here and not looked for since: its payer may have sent the same bytes, and shows them once more."""
        try:
            async with asyncio.timeout(seconds_max):  # over the look alone: what is written is never cut off
                sight = await self._progress.look(payment)
        except TimeoutError:
            return payment
        if not isinstance(sight, Found) or sight.tx.phase is ChainPhase.ABORTED:
            return payment
        payment_id = payment.payment_id
        payment = await self._store.run(lambda db: journal.watch_again(db, payment_id))
        return await self._progress.saw(payment, sight)

    async def step(self, key: str) -> int | None:
        """Look at a payment again; returns the pause until the next look, None when there is nothing more to see."""
        payment = await self._store.run(lambda db: reads.load(db, key))
        if payment is None or not payment.watching:
            self._pace.forget(key)
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
        self._pace.forget(key)
        return None

    async def _with_clock_set_back(self, payment: Payment) -> Payment:
        """The payment, with no moment in it, nor in what is remembered of it, that is still to come."""
        payment_id, now_ms = payment.payment_id, self._clock.now_ms()
        self._pace.set_back(payment_id, now_ms)
        if journal.is_ahead(payment, self._policy, now_ms):
            payment = await self._store.run(lambda db: journal.set_back(db, payment_id, self._policy, now_ms))
        return payment

    async def _resend(self, payment: Payment) -> Payment:
        sight = await self._progress.look(payment)
        if isinstance(sight, Found | Displaced):
            return await self._progress.saw(payment, sight)
        payment_id, now_ms = payment.payment_id, self._clock.now_ms()
        if isinstance(sight, Absent):
            if _is_held(payment) and now_ms > (payment.held_until_ms or 0):
                return await self._progress.give_up(payment, TerminalReason.SENDER_HAND_EXPIRED, "payment_refused")
            if now_ms - payment.created_at_ms > self._policy.unknown_give_up_ms:
                return await self._progress.give_up(payment, TerminalReason.BROADCAST_FAILURE, "payment_failed")
        if not self._may_call(payment, now_ms):
            return payment  # the chain is looked at meanwhile
        payment = await self._store.run(lambda db: journal.call_begins(db, payment_id, now_ms))
        relay_is_gone = self._watchdog.relay_is_gone
        if (
            relay_is_gone
            and self._hands.may_go_to_a_node(payment)
            and payment.attempts > self._policy.direct_broadcast_attempts
        ):
            payment = await self._hands.call_node(payment)
            if payment.state is not PaymentState.BROADCASTING:
                return payment
        return await self._hands.hand_in(payment)

    def _may_call(self, payment: Payment, now_ms: int) -> bool:
        """Whether the relay may be handed the bytes again. Not before it said; not while it holds them for a gap; and not so late
        that it could still hold them when we give up: a payer who signs again then might pay twice.
        """
        if self._policy.route is SettleRoute.DIRECT and not self._hands.is_complete(payment):
            return False  # from when there was a relay, which may have it: it is looked for on chain
        is_late = now_ms - payment.created_at_ms > self._policy.unknown_give_up_ms - self._policy.held_ms
        if payment.sponsored == WAITS_FOR_SPONSOR and is_late:
            return False
        is_due = self._pace.is_due(payment.payment_id)
        return not _is_held(payment) if is_due is None else is_due

    async def _confirm(self, payment: Payment) -> Payment:
        now_ms = self._clock.now_ms()
        due = (
            now_ms - self._pace.looked_ms.get(payment.payment_id, payment.mempool_at_ms or 0)
            > self._policy.chain_look_ms
        )
        if payment.txid is not None and not due and self._policy.route is not SettleRoute.DIRECT:
            status = await self._relay.settle_status(payment.txid)
            await self._watchdog.reached(relay=status.reached)
            fresh = now_ms - (payment.mempool_at_ms or 0) < self._policy.relay_word_ms
            if status.phase is RelayPhase.PENDING and (status.on_chain_api or (fresh and status.on_chain_api is None)):
                return await self._progress.seen_pending(payment, payment.txid)
        self._pace.looked_ms[payment.payment_id] = now_ms
        sight = await self._progress.look(payment)
        if isinstance(sight, Found | Displaced):
            return await self._progress.saw(payment, sight)
        if isinstance(sight, Absent):
            missing_ms = self._clock.now_ms() - payment.seen_at_ms
            if missing_ms > self._policy.dropped_give_up_ms:
                return await self._progress.give_up(payment, TerminalReason.BROADCAST_FAILURE, "payment_failed")
            return await self._hands.rebroadcast(payment)
        return payment

    async def _recheck(self, payment: Payment) -> Payment:
        """A confirmed payment can leave the chain until it is `reorg_depth` deep."""
        payment_id = payment.payment_id
        sight = await self._progress.look(payment)
        try:
            tip = await self._chain.tip_height()
        except ChainUnavailable:
            return payment
        now_ms = self._clock.now_ms()
        match sight:
            case Found(tx) if tx.phase is ChainPhase.SUCCESS and tx.txid == payment.txid:
                height = tx.block_height or 0
                is_final = tip >= height + self._policy.reorg_depth
                return await self._progress.write(
                    payment_id, lambda db: journal.still_there(db, payment_id, height, is_final=is_final)
                )
            case Displaced(tx):
                return await self._progress.reverse(payment, f"replaced by {tx.txid}", watch=False)
            case Found(tx) if tx.phase is ChainPhase.ABORTED:
                return await self._progress.reverse(payment, "aborted after a reorganisation", watch=False)
            case Silent():
                return payment
        payment = await self._store.run(lambda db: journal.vanished(db, payment_id, now_ms))
        if isinstance(sight, Absent):
            if now_ms - (payment.vanished_at_ms or now_ms) > self._policy.reorg_wait_ms:
                return await self._progress.reverse(payment, "left the chain and did not come back", watch=True)
            await self._hands.rebroadcast(payment)
        return payment

    async def _watch(self, payment: Payment) -> Payment:
        """Given up, but its bytes may be out there: if it confirms after all, the money arrived and is credited."""
        payment_id = payment.payment_id
        sight = await self._progress.look(payment)
        match sight:
            case Found(tx) if tx.phase is ChainPhase.SUCCESS:
                return await self._progress.saw(payment, sight)
            case Displaced() | Found(ChainTransaction(phase=ChainPhase.ABORTED)):
                return await self._store.run(lambda db: journal.stop_watching(db, payment_id))
        if isinstance(sight, Silent):
            return payment
        if isinstance(sight, Absent):
            payment = await self._store.run(lambda db: unsent.judge(db, payment_id))
        elif payment.is_unsent:  # its payer has sent it after all
            payment = await self._store.run(lambda db: unsent.was_sent(db, payment_id))
        # The clock alone does not end it: set forward by days, it would leave money uncredited that is about to confirm.
        looks = self._pace.watched_again(payment_id)
        is_over = self._clock.now_ms() - payment.created_at_ms > self._policy.watch_ms
        if is_over and looks >= self._policy.watch_looks_min:
            return await self._store.run(lambda db: journal.stop_watching(db, payment_id))
        return payment

    def pause(self, payment: Payment) -> int:
        """How long until a payment is looked at again."""
        return self._pace.pause(payment)


def _is_held(payment: Payment) -> bool:
    return payment.state is PaymentState.QUEUED and payment.held_until_ms is not None
