"""Settlements: presents a payment once, follows it to its end, and sees that it is credited exactly once.

    present ── attempt committed ── relay called ── outcome committed ── answer
                                        │
    steps: resend what is unknown or held, confirm what is in the mempool, recheck what was just confirmed,
           watch for what was given up. Every step looks at the chain before it believes a failure.

Plain asyncio over a Store; the clock, the relay, the chain, the sink and randomness are passed in. `run` does the work
behind; `tick` does all of it that is due, for callers with a clock of their own.
"""

import asyncio
import random
import sqlite3
from collections.abc import Callable
from typing import TypeVar

from operations.errors import SatboxError
from relay_client.chain import Chain, ChainPhase, ChainTransaction, ChainUnavailable
from relay_client.preflight import Preflight
from relay_client.relay import Accepted, Held, Refused, Relay, RelayPhase, SettleOrder, SettleOutcome, Unknown
from relay_client.settlements import journal, outbox
from relay_client.settlements.availability import Availability
from relay_client.settlements.delivery import Delivery
from relay_client.settlements.policy import Policy, backoff_ms
from relay_client.settlements.records import COMPLETE, SELF_PAID, Payment, PaymentReport, Presentation, report_of
from relay_client.settlements.schedule import Clock, Schedule
from relay_client.settlements.store import Store
from relay_client.settlements.witness import Absent, Displaced, Found, Sight, Silent, look
from relay_client.sink import CreditSink, Outage
from relay_client.states import Observation, PaymentState, TerminalReason, is_in_flight, is_terminal

T = TypeVar("T")
_PROBE = "probe"
Checkpoint = Callable[[str], None]
"""Called with the name of each step a crash can fall on; tests raise in it."""


def _pass(_step: str) -> None:
    return


class Settlements:
    """The life of payments. One instance owns one store; payers are sharded over instances by their address."""

    def __init__(
        self,
        store: Store,
        relay: Relay,
        chain: Chain,
        sink: CreditSink,
        clock: Clock,
        *,
        policy: Policy | None = None,
        preflight: Preflight | None = None,
        rng: random.Random | None = None,
        checkpoint: Checkpoint = _pass,
    ) -> None:
        self._store = store
        self._relay = relay
        self._chain = chain
        self._clock = clock
        self._policy = policy or Policy()
        self._preflight = preflight
        self._rng = rng or random.Random()  # noqa: S311 - jitter
        self._checkpoint = checkpoint
        self._delivery = Delivery(store, sink, clock, self._policy, self._rng)
        self._steps = Schedule(clock, self._step, concurrency=self._policy.steps_concurrency, name="step")
        self._presenting: dict[str, asyncio.Task[Payment]] = {}
        self._waiters: dict[str, set[asyncio.Event]] = {}
        self._tries: dict[str, int] = {}
        self._looked_ms: dict[str, int] = {}
        self._told_ms: dict[str, int] = {}
        self._rebroadcast_ms: dict[str, int] = {}
        self._availability = Availability()
        self._outage: Outage | None = None
        self._resumed = False

    # Presenting

    async def present(self, presentation: Presentation) -> PaymentReport:
        """Settle a payment, or answer as before when it was presented before.

        Raises SatboxError: payment_identifier_conflict, payment_target_conflict, and for new payments quote_expired,
        payment_nonce_stale, payment_nonce_gap, payment_insufficient_funds, overloaded. A refusal after the attempt was
        recorded is a report with `code`, not an exception. After `present_wait_ms` the answer is `broadcasting`.
        """
        identity = presentation.payment.identity
        running = self._presenting.get(identity)
        if running is None:
            if len(self._presenting) >= self._policy.presents_max:
                raise SatboxError("overloaded", retry_after=1)
            running = asyncio.create_task(self._present(presentation), name=f"present {identity[:16]}")
            self._presenting[identity] = running
            running.add_done_callback(lambda done: self._presented(identity, done))
            return await self._answer(running, presentation)
        known = await self.recall(presentation)  # a conflict is told at once
        if known is None:
            await asyncio.wait(
                {running}
            )  # it has not got as far as an attempt; its outcome may be a refusal of its own
            return await self.present(presentation)
        return await self._answer(running, presentation)

    async def recall(self, presentation: Presentation) -> PaymentReport | None:
        """What `present` would answer for a payment that was presented before; None for a new one. Raises conflicts."""
        payment = await self._store.run(lambda db: journal.recall(db, presentation))
        return None if payment is None else report_of(payment)

    async def report(self, payment_id: str) -> PaymentReport | None:
        """Where a payment stands."""
        payment = await self._store.run(lambda db: journal.load(db, payment_id))
        return None if payment is None else report_of(payment)

    async def find(self, identity: str) -> PaymentReport | None:
        """A payment by sha256 of its origin-signed bytes, whoever asks and for whatever purpose."""
        report = await self.report(journal.payment_id_of(identity))
        return report if report is not None and report.identity == identity else None

    async def history(self, payment_id: str) -> list[tuple[str, str, int]]:
        """(state, observation, wall ms) of every move of a payment."""
        return await self._store.run(lambda db: journal.history(db, payment_id))

    async def wait(self, payment_id: str, timeout_seconds: float) -> PaymentReport | None:
        """The report once the payment has ended, or as it is after `timeout_seconds` (`settle=confirmed`)."""
        ended = asyncio.Event()
        self._waiters.setdefault(payment_id, set()).add(ended)
        try:
            report = await self.report(payment_id)
            if report is not None and is_in_flight(report.state):
                try:
                    async with asyncio.timeout(timeout_seconds):
                        await ended.wait()
                except TimeoutError:
                    pass
                report = await self.report(payment_id)
            return report
        finally:
            waiting = self._waiters.get(payment_id, set())
            waiting.discard(ended)
            if not waiting:
                self._waiters.pop(payment_id, None)

    async def record_loss(self, payment_id: str, usat: int) -> None:
        """The wallet says what was really spent on a payment that ended without success; 0 clears its payer."""
        now_ms = self._clock.now_ms()
        await self._store.run(lambda db: journal.record_loss(db, payment_id, usat, now_ms))

    async def open_loss(self, address: str) -> int:
        """What starts on credit by this payer or pass holder still cost us, in usat; over 0 means no credit."""
        return await self._store.run(lambda db: journal.open_loss(db, address))

    @property
    def available(self) -> bool:
        """Whether payments can be taken: relay or chain answers."""
        return self._availability.outage_since_ms is None

    async def _answer(self, running: "asyncio.Task[Payment]", presentation: Presentation) -> PaymentReport:
        done, _ = await asyncio.wait({running}, timeout=self._policy.present_wait_ms / 1000)
        if done:
            return report_of(running.result())
        return await self.recall(presentation) or report_of(await asyncio.shield(running))

    def _presented(self, identity: str, done: "asyncio.Task[Payment]") -> None:
        self._presenting.pop(identity, None)
        if not done.cancelled():
            done.exception()  # whoever asked may be gone; the attempt, if there is one, is followed up anyway

    async def _present(self, shown: Presentation) -> Payment:
        known = await self._store.run(lambda db: journal.recall(db, shown))
        if known is not None:
            return known
        now_ms = self._clock.now_ms()
        await self._store.run(lambda db: journal.check_new(db, shown, self._policy, now_ms))
        if self._preflight is not None:
            await self._preflight(shown.payment)
        self._checkpoint("before_attempt")
        opened = await self._store.run(lambda db: journal.open_attempt(db, shown, self._policy, now_ms))
        if not opened.is_new:
            return opened.payment
        payment = opened.payment
        try:
            self._checkpoint("after_attempt")
            payment = await self._call_relay(payment)
        finally:
            # Whatever cut this short, the attempt is recorded and will be followed up.
            self._steps.after(payment.payment_id, self._pause(payment))
        return payment

    # Asking for a broadcast

    async def _call_relay(self, payment: Payment) -> Payment:
        outcome = await self._relay.settle(_order(payment))
        await self._reached(relay=not (isinstance(outcome, Unknown) and not outcome.reached))
        self._checkpoint("after_reply")
        payment = await self._take(payment, outcome)
        self._checkpoint("after_commit")
        return payment

    async def _call_node(self, payment: Payment) -> Payment:
        outcome = await self._chain.broadcast(payment.transaction_bytes)
        await self._reached(chain=not (isinstance(outcome, Unknown) and not outcome.reached))
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
            case Held(detail=detail):
                return await self._write(payment_id, lambda db: journal.held(db, payment_id, detail, now_ms))
            case Refused(reason=reason, retryable=True):
                return await self._write(payment_id, lambda db: journal.held(db, payment_id, reason, now_ms))
            case Refused():
                return await self._refused(payment, outcome)
            case Unknown(why, reached):
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

    # Following up

    async def _step(self, key: str) -> int | None:
        if key == _PROBE:
            return await self._probe()
        payment = await self._store.run(lambda db: journal.load(db, key))
        if payment is None or not payment.watching:
            self._forget(key)
            return None
        if payment.identity in self._presenting:
            return self._policy.resend_first_ms  # its first call is still under way
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
            return self._pause(payment)
        self._forget(key)
        return None

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
        payment = await self._store.run(lambda db: journal.call_begins(db, payment_id, now_ms))
        relay_is_gone = self._availability.relay_down_since_ms is not None
        if relay_is_gone and self._is_complete(payment) and payment.attempts > self._policy.direct_broadcast_attempts:
            payment = await self._call_node(payment)
            if payment.state is not PaymentState.BROADCASTING:
                return payment
        return await self._call_relay(payment)

    async def _confirm(self, payment: Payment) -> Payment:
        now_ms = self._clock.now_ms()
        due = now_ms - self._looked_ms.get(payment.payment_id, payment.mempool_at_ms or 0) > self._policy.chain_look_ms
        if payment.txid is not None and not due:
            status = await self._relay.settle_status(payment.txid)
            await self._reached(relay=status.reached)
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
        if payment.state is PaymentState.MEMPOOL and txid == payment.txid:
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
                return await self._reverse(payment, f"replaced by {tx.txid}")
            case Found(tx) if tx.phase is ChainPhase.ABORTED:
                return await self._reverse(payment, "aborted after a reorganisation")
            case Silent():
                return payment
        payment = await self._store.run(lambda db: journal.vanished(db, payment_id, now_ms))
        if isinstance(sight, Absent):
            if now_ms - (payment.vanished_at_ms or now_ms) > self._policy.reorg_wait_ms:
                return await self._reverse(payment, "left the chain and did not come back")
            await self._rebroadcast(payment)
        return payment

    async def _reverse(self, payment: Payment, reason: str) -> Payment:
        payment_id, now_ms = payment.payment_id, self._clock.now_ms()
        return await self._write(payment_id, lambda db: journal.reverse(db, payment_id, reason, now_ms))

    async def _watch(self, payment: Payment) -> Payment:
        """Given up, but its bytes may be out there: if it confirms after all, the money arrived and is credited."""
        payment_id = payment.payment_id
        sight = await self._look(payment)
        match sight:
            case Found(tx) if tx.phase is ChainPhase.SUCCESS:
                return await self._saw(payment, sight)
            case Displaced() | Found(ChainTransaction(phase=ChainPhase.ABORTED)):
                return await self._store.run(lambda db: journal.stop_watching(db, payment_id))
        if self._clock.now_ms() - payment.created_at_ms > self._policy.watch_ms and not isinstance(sight, Silent):
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
        await self._reached(chain=not isinstance(sight, Silent))
        return sight

    async def _write(self, payment_id: str, work: Callable[[sqlite3.Connection], Payment]) -> Payment:
        """Commit a change, then tell whoever waits for it."""
        payment = await self._store.run(work)
        self._delivery.wake(payment_id)
        if is_terminal(payment.state):
            for waiter in self._waiters.get(payment_id, ()):
                waiter.set()
        return payment

    def _forget(self, payment_id: str) -> None:
        for memory in (self._tries, self._looked_ms, self._told_ms, self._rebroadcast_ms):
            memory.pop(payment_id, None)

    @staticmethod
    def _is_complete(payment: Payment) -> bool:
        return payment.sponsored in (SELF_PAID, COMPLETE)

    def _pause(self, payment: Payment) -> int:
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

    # Running

    async def resume(self) -> None:
        """Take up everything a crash left unfinished; idempotent. `run` and `tick` begin with it."""
        if self._resumed:
            return
        self._resumed = True
        await self._delivery.resume()
        spread_ms = 0
        for payment in await self._store.run(journal.unfinished):
            self._steps.after(payment.payment_id, spread_ms)
            spread_ms += 5
        outage = await self._store.run(_open_outage)
        if outage is not None:
            self._outage = outage
            self._availability = Availability(outage.since_ms, outage.since_ms)
        self._steps.after(_PROBE, 0)

    async def run(self) -> None:
        """Do the work behind until cancelled."""
        await self.resume()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._steps.run(), name="settlement steps")
            group.create_task(self._delivery.schedule.run(), name="settlement deliveries")

    async def tick(self) -> int:
        """Do everything that is due now; returns how much that was."""
        await self.resume()
        count = await self._steps.tick()
        return count + await self._delivery.schedule.tick()

    async def aclose(self) -> None:
        """Stop cleanly: calls under way are cut and taken up again by the next start. The store stays open."""
        presenting = list(self._presenting.values())
        for task in presenting:
            task.cancel()
        await asyncio.gather(*presenting, return_exceptions=True)
        await self._steps.aclose()
        await self._delivery.schedule.aclose()

    # Availability

    async def _probe(self) -> int:
        """Ask both sides how they are when nothing else does."""
        await self._reached(relay=await self._relay.health())
        try:
            await self._chain.tip_height()
        except ChainUnavailable:
            await self._reached(chain=False)
        else:
            await self._reached(chain=True)
        return self._policy.probe_ms

    async def _reached(self, *, relay: bool | None = None, chain: bool | None = None) -> None:
        now_ms = self._clock.now_ms()
        if relay is not None:
            self._availability.relay(reached=relay, now_ms=now_ms)
        if chain is not None:
            self._availability.chain(reached=chain, now_ms=now_ms)
        since_ms = self._availability.outage_since_ms
        if since_ms is not None and self._outage is None:
            self._outage = Outage(0, since_ms, None)  # taken before the await, so that it is told once
            self._outage = await self._store.run(lambda db: _begin_outage(db, since_ms, now_ms))
            self._delivery.wake(outbox.OUTAGE_LANE)
        elif since_ms is None and self._outage is not None and self._outage.outage_id:
            ended, self._outage = self._outage, None
            await self._store.run(lambda db: _end_outage(db, ended, now_ms))
            self._delivery.wake(outbox.OUTAGE_LANE)


def _order(payment: Payment) -> SettleOrder:
    return SettleOrder(
        payment.transaction_bytes,
        f"stacks:{payment.chain_id}",
        payment.pay_to,
        payment.amount,
        payment.asset_wire,
        payment.rounds,
    )


def _open_outage(db: sqlite3.Connection) -> Outage | None:
    query = "SELECT outage_id, since_ms FROM outages WHERE until_ms IS NULL ORDER BY outage_id DESC LIMIT 1"
    row = db.execute(query).fetchone()
    return None if row is None else Outage(row[0], row[1], None)


def _begin_outage(db: sqlite3.Connection, since_ms: int, now_ms: int) -> Outage:
    outage_id = db.execute("INSERT INTO outages (since_ms) VALUES (?)", (since_ms,)).lastrowid
    assert outage_id is not None
    outage = Outage(outage_id, since_ms, None)
    outbox.post(db, outbox.OUTAGE_LANE, outage, now_ms)
    return outage


def _end_outage(db: sqlite3.Connection, outage: Outage, now_ms: int) -> None:
    db.execute("UPDATE outages SET until_ms = ? WHERE outage_id = ?", (now_ms, outage.outage_id))
    outbox.post(db, outbox.OUTAGE_LANE, Outage(outage.outage_id, outage.since_ms, now_ms), now_ms)
