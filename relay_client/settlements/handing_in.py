"""Handing a payment in: to the relay or to a node of the Stacks API, by the settle route; and what their answers mean for it.

A refusal is believed only when it cannot be the echo of an earlier broadcast of the same bytes.
"""

from relay_client.chain import Chain, ChainUnavailable
from relay_client.relay import (
    CAPACITY_RETRY_SECONDS,
    Accepted,
    Refused,
    Relay,
    RelayHeld,
    Retryable,
    SettleOrder,
    SettleOutcome,
    Unable,
    Unknown,
)
from relay_client.settlements import journal, unsent
from relay_client.settlements.availability import Watchdog
from relay_client.settlements.pace import Pace
from relay_client.settlements.policy import SettlementPolicy, SettleRoute
from relay_client.settlements.progress import Checkpoint, Progress
from relay_client.settlements.records import COMPLETE, SELF_PAID, Payment
from relay_client.settlements.schedule import SettlementClock
from relay_client.settlements.witness import Displaced, Found, Silent
from relay_client.states import PaymentEvent, PaymentState, TerminalReason
from storage.connection import Store

RELAY_IS_BUSY = "The relay takes no more requests now; it is asked again."
HELD_FOR_CAPACITY = "The relay holds this payment until one of its wallets is free."
HELD_FOR_GAP = "The relay holds this payment: it waits for payments of yours with the nonces {missing}."
HELD_WITHOUT_GAP = (
    "The relay holds this payment for up to ten minutes more, although its nonce is next on chain. To be faster, pay the fee "
    "yourself: sign a payment with the same nonce {nonce}. Only one of the two can confirm."
)


class HandIn:
    """Asks for broadcasts."""

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
        *,
        checkpoint: Checkpoint,
    ) -> None:
        self._store = store
        self._relay = relay
        self._chain = chain
        self._clock = clock
        self._policy = policy
        self._pace = pace
        self._watchdog = watchdog
        self._progress = progress
        self._checkpoint = checkpoint

    async def hand_in(self, payment: Payment) -> Payment:
        """Ask for a broadcast and commit what came of it. The attempt is committed already."""
        if self._policy.route is SettleRoute.DIRECT:
            return await self.call_node(payment)
        outcome = await self._relay.settle(order_of(payment))
        await self._watchdog.reached(relay=not (isinstance(outcome, Unknown) and not outcome.reached))
        self._checkpoint("after_reply")
        payment = await self._take(payment, outcome)
        self._checkpoint("after_commit")
        return payment

    async def rebroadcast(self, payment: Payment) -> Payment:
        """A node has dropped it, or the API lags: hand the same bytes in again, at most once a minute."""
        payment_id, now_ms = payment.payment_id, self._clock.now_ms()
        last_ms = self._pace.rebroadcast_ms.get(payment_id, payment.mempool_at_ms or payment.created_at_ms)
        if now_ms - last_ms < self._policy.rebroadcast_ms:
            return payment
        self._pace.rebroadcast_ms[payment_id] = now_ms
        if self.may_go_to_a_node(payment):
            outcome = await self._chain.broadcast(payment.transaction_bytes)
        elif self._policy.route is SettleRoute.DIRECT:
            return payment
        else:
            outcome = await self._relay.settle(order_of(payment))
        if isinstance(outcome, Accepted) and payment.state is PaymentState.MEMPOOL and self.is_complete(payment):
            return await self._progress.seen_pending(payment, outcome.txid)
        return payment

    async def call_node(self, payment: Payment) -> Payment:
        """Broadcast it by the Stacks API and commit what came of it."""
        outcome = await self._chain.broadcast(payment.transaction_bytes)
        await self._watchdog.reached(chain=not (isinstance(outcome, Unknown) and not outcome.reached))
        self._checkpoint("after_reply")
        payment = await self._take(payment, outcome)
        self._checkpoint("after_commit")
        return payment

    async def _take(self, payment: Payment, outcome: SettleOutcome) -> Payment:
        payment_id, now_ms = payment.payment_id, self._clock.now_ms()
        match outcome:
            case Accepted(txid):
                return await self._progress.write(
                    payment_id,
                    lambda db: journal.seen_in_mempool(
                        db, payment_id, txid, PaymentEvent.RELAY_ACCEPTED, self._policy, now_ms
                    ),
                )
            case Retryable(_, retry_after_seconds):
                self._pace.come_again_after(payment_id, retry_after_seconds)
                return await self._progress.write(
                    payment_id, lambda db: journal.held(db, payment_id, RELAY_IS_BUSY, now_ms)
                )
            case RelayHeld():
                return await self._held(payment, outcome)
            case Unable(why):
                return await self._unable(payment, why)
            case Refused():
                return await self._refused(payment, outcome)
            case Unknown(why, reached, retry_after_seconds):
                self._pace.come_again_after(payment_id, retry_after_seconds)
                return await self._progress.write(
                    payment_id, lambda db: journal.unknown(db, payment_id, why, now_ms, answered=reached)
                )

    async def _held(self, payment: Payment, hold: RelayHeld) -> Payment:
        """The relay sends it by itself, or forgets it. Handing in the same bytes again would make it wait from the start."""
        payment_id, detail = payment.payment_id, HELD_FOR_CAPACITY
        self._pace.come_at_once(payment_id)
        if not hold.missing:
            self._pace.come_again_after(payment_id, CAPACITY_RETRY_SECONDS)
        elif await self._is_next_on_chain(payment):
            detail = HELD_WITHOUT_GAP.format(nonce=payment.nonce)
        else:
            detail = HELD_FOR_GAP.format(missing=", ".join(str(nonce) for nonce in hold.missing[:8]))
        now_ms = self._clock.now_ms()
        until_ms = now_ms + self._policy.held_ms
        return await self._progress.write(payment_id, lambda db: journal.held(db, payment_id, detail, now_ms, until_ms))

    async def _is_next_on_chain(self, payment: Payment) -> bool:
        try:
            account = await self._chain.account(payment.origin)
        except ChainUnavailable:
            return False
        return account.nonce == payment.nonce

    async def _unable(self, payment: Payment, why: str) -> Payment:
        """The relay does not settle this. A payment that carries its fee goes to a node, where that is allowed; any other ends
        at once.
        """
        if self.may_go_to_a_node(payment):
            return await self.call_node(payment)
        if payment.attempts == 1:
            reason = TerminalReason.NOT_SPONSORED
            code = "payment_refused" if self.is_complete(payment) else "sponsored_unsupported"
            return await self._progress.end(payment, PaymentEvent.RELAY_REFUSED, reason, code, why, watch=False)
        payment_id, now_ms = payment.payment_id, self._clock.now_ms()
        return await self._progress.write(
            payment_id, lambda db: journal.unknown(db, payment_id, why, now_ms, answered=True)
        )

    async def _refused(self, payment: Payment, refusal: Refused) -> Payment:
        """Believe a refusal only when it cannot be the echo of an earlier broadcast of the same bytes."""
        if refusal.may_be_ours or payment.attempts > 1:
            sight = await self._progress.look(payment)
            if isinstance(sight, Found | Displaced):
                return await self._progress.saw(payment, sight)
            now_ms = self._clock.now_ms()
            age_ms = now_ms - payment.created_at_ms
            unsettled = payment.attempts > 1 and age_ms < self._policy.refusal_settles_ms
            unsettled = unsettled or now_ms < (payment.held_until_ms or 0)
            if isinstance(sight, Silent) or unsettled:
                payment_id = payment.payment_id
                return await self._progress.write(
                    payment_id, lambda db: journal.unknown(db, payment_id, refusal.reason, now_ms, answered=True)
                )
        payment = await self._progress.end(
            payment, PaymentEvent.RELAY_REFUSED, refusal.terminal, refusal.code, refusal.reason,
            watch=refusal.may_be_ours or payment.attempts > 1,
        )  # fmt: skip
        return await self._store.run(lambda db: unsent.judge(db, payment.payment_id))

    @staticmethod
    def is_complete(payment: Payment) -> bool:
        """Whether it needs no sponsor's signature any more."""
        return payment.sponsored in (SELF_PAID, COMPLETE)

    def may_go_to_a_node(self, payment: Payment) -> bool:
        """Whether it may be broadcast without the relay."""
        return self._policy.route is not SettleRoute.RELAY and self.is_complete(payment)


def order_of(payment: Payment) -> SettleOrder:
    """What the relay is asked for."""
    return SettleOrder(
        payment.transaction_bytes,
        f"stacks:{payment.chain_id}",
        payment.pay_to,
        payment.amount,
        payment.asset_wire,
        payment.rounds,
    )
