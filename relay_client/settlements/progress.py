"""Each move of one payment: written in one transaction, then passed on to its wallet and to the callers that wait."""

from collections.abc import Callable

from relay_client.chain import Chain, ChainPhase
from relay_client.settlements import journal
from relay_client.settlements.availability import Watchdog
from relay_client.settlements.delivery import Delivery
from relay_client.settlements.pace import Pace
from relay_client.settlements.policy import SettlementPolicy
from relay_client.settlements.records import Payment
from relay_client.settlements.schedule import SettlementClock
from relay_client.settlements.witness import Displaced, Found, Sight, Silent, look
from relay_client.states import PaymentEvent, PaymentState, TerminalReason, is_terminal
from storage.connection import Connection, Store

Checkpoint = Callable[[str], None]
"""Called with the name of each step a crash can fall on; tests raise in it."""


class Progress:
    """What is written of a payment, and who hears of it. `ended` is called with the id of each payment that reached its end."""

    def __init__(
        self,
        store: Store,
        chain: Chain,
        clock: SettlementClock,
        policy: SettlementPolicy,
        pace: Pace,
        delivery: Delivery,
        watchdog: Watchdog,
        *,
        checkpoint: Checkpoint,
        ended: Callable[[str], None],
    ) -> None:
        self._store = store
        self._chain = chain
        self._clock = clock
        self._policy = policy
        self._pace = pace
        self._delivery = delivery
        self._watchdog = watchdog
        self._checkpoint = checkpoint
        self._ended = ended

    async def seen_pending(self, payment: Payment, txid: str) -> Payment:
        """Still in a mempool: wallets hear of it every few seconds, since it is what their grace lives on."""
        payment_id, now_ms = payment.payment_id, self._clock.now_ms()
        if payment.state is PaymentState.MEMPOOL and (txid == payment.txid or payment.txid_is_local):
            if now_ms - self._pace.told_ms.get(payment_id, payment.seen_at_ms) < self._policy.refresh_ms:
                return payment
            self._pace.told_ms[payment_id] = now_ms
            self._delivery.sighted(payment.observation(seen_at_ms=now_ms))
        return await self.write(
            payment_id,
            lambda db: journal.seen_in_mempool(db, payment_id, txid, PaymentEvent.CHAIN_PENDING, self._policy, now_ms),
        )

    async def saw(self, payment: Payment, sight: Found | Displaced) -> Payment:
        """Take the chain's word for how it stands."""
        payment_id, now_ms = payment.payment_id, self._clock.now_ms()
        if isinstance(sight, Displaced):
            return await self.end(
                payment,
                PaymentEvent.CHAIN_REPLACED,
                TerminalReason.NONCE_REPLACEMENT,
                "payment_nonce_stale",
                f"replaced by {sight.by.txid}",
                watch=False,
            )
        tx = sight.tx
        if tx.phase is ChainPhase.PENDING:
            return payment if is_terminal(payment.state) else await self.seen_pending(payment, tx.txid)
        if tx.phase is ChainPhase.ABORTED:
            return await self.end(
                payment,
                PaymentEvent.CHAIN_ABORTED,
                TerminalReason.CHAIN_ABORT,
                "payment_failed",
                tx.status,
                watch=False,
            )
        paid = tx.received(asset_id=payment.asset_id, sender=payment.origin, recipient=payment.pay_to)
        if not paid and not tx.events_complete:
            return payment  # the API has the block but not yet all events: too early to say it paid nothing
        self._checkpoint("before_credit")
        payment = await self.write(payment_id, lambda db: journal.confirm(db, payment_id, tx, now_ms))
        self._checkpoint("after_credit")
        return payment

    async def give_up(self, payment: Payment, reason: TerminalReason, code: str) -> Payment:
        """Believe no longer that it will confirm, and watch for it all the same."""
        detail = "not seen on chain in time; credited all the same if it ever confirms"
        return await self.end(payment, PaymentEvent.GIVEN_UP, reason, code, detail, watch=True)

    async def end(
        self, payment: Payment, observed: PaymentEvent, reason: TerminalReason, code: str, detail: str, *, watch: bool
    ) -> Payment:
        """End it without success. `watch`: its bytes may still be out there."""
        payment_id, now_ms = payment.payment_id, self._clock.now_ms()
        return await self.write(
            payment_id,
            lambda db: journal.end(db, payment_id, observed, reason, code, detail, now_ms, watch=watch),
        )

    async def look(self, payment: Payment) -> Sight:
        """Ask the chain for it, and note whether the chain answered."""
        sight = await look(self._chain, payment)
        await self._watchdog.reached(chain=not isinstance(sight, Silent))
        return sight

    async def write(self, payment_id: str, work: Callable[[Connection], Payment]) -> Payment:
        """Commit a change, then wake the callers that wait for it."""
        payment = await self._store.run(work)
        self._delivery.wake(payment_id)
        if is_terminal(payment.state):
            self._ended(payment_id)
        return payment

    async def reverse(self, payment: Payment, reason: str, *, watch: bool) -> Payment:
        """Take its credit back: it left the chain."""
        payment_id, now_ms = payment.payment_id, self._clock.now_ms()
        return await self.write(payment_id, lambda db: journal.reverse(db, payment_id, reason, now_ms, watch=watch))
