"""Settlements: presents a payment once, follows it to its end, and sees that it is credited exactly once.

    present ── attempt committed ── relay called ── outcome committed ── answer
                                        │
    steps: resend what is unknown or held, confirm what is in the mempool, recheck what was just confirmed,
           watch for what was given up. Every step looks at the chain before it believes a failure.

Plain asyncio over a Store; the clock, the relay, the chain, the sink and randomness are passed in. `run` does the work
behind; `tick` does all of it that is due, for callers with a clock of their own.
"""

import asyncio
import contextlib
import random

from operations.errors import SatboxError
from relay_client.chain import Chain, ChainUnavailable
from relay_client.preflight import Preflight
from relay_client.relay import Relay
from relay_client.settlements import journal, losses, outbox, reads, spares
from relay_client.settlements.availability import Watchdog
from relay_client.settlements.delivery import Delivery
from relay_client.settlements.follower import Follower
from relay_client.settlements.handing_in import HandIn
from relay_client.settlements.pace import Pace
from relay_client.settlements.policy import SettlementPolicy, SettleRoute
from relay_client.settlements.progress import Checkpoint, Progress
from relay_client.settlements.records import Payment, PaymentReport, Presentation, report_of
from relay_client.settlements.schedule import Schedule, SettlementClock
from relay_client.sink import CreditSink
from relay_client.states import is_in_flight
from relay_client.verify import VerifiedPayment
from storage.connection import Store

_PROBE = "probe"
LOOK_AGAIN_SECONDS_MAX = 2.0
"""For a refused payment that is shown once more; it is answered as before where the chain says nothing."""


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
        clock: SettlementClock,
        *,
        policy: SettlementPolicy | None = None,
        preflight: Preflight | None = None,
        rng: random.Random | None = None,
        checkpoint: Checkpoint = _pass,
    ) -> None:
        self._store = store
        self._chain = chain
        self._clock = clock
        self._policy = policy or SettlementPolicy()
        self._preflight = preflight
        rng = rng or random.Random()  # noqa: S311 - jitter
        self._checkpoint = checkpoint
        self._delivery = Delivery(store, sink, clock, self._policy, rng, checkpoint)
        route = self._policy.route
        self._watchdog = Watchdog(
            store, relay, chain, clock, self._delivery,
            has_relay=route is not SettleRoute.DIRECT, needs_relay=route is SettleRoute.RELAY,
        )  # fmt: skip
        pace = Pace(clock, self._policy, rng)
        progress = Progress(
            store,
            chain,
            clock,
            self._policy,
            pace,
            self._delivery,
            self._watchdog,
            checkpoint=checkpoint,
            ended=self._wake,
        )
        self._hands = HandIn(
            store, relay, chain, clock, self._policy, pace, self._watchdog, progress, checkpoint=checkpoint
        )
        self._follower = Follower(store, relay, chain, clock, self._policy, pace, self._watchdog, progress, self._hands)
        self._steps = Schedule(clock, self._step, concurrency=self._policy.steps_concurrency, name="step")
        self._presenting: dict[str, asyncio.Task[Payment]] = {}
        self._waiters: dict[str, dict[asyncio.Event, None]] = {}
        self._resumed = False

    # Presenting

    async def present(self, presentation: Presentation) -> PaymentReport:
        """Settle a payment, or answer as before when it was presented before.

        Raises SatboxError: payment_identifier_conflict, payment_target_conflict, and for new payments quote_expired,
        sponsored_unsupported, payment_nonce_stale, payment_nonce_gap, payment_insufficient_funds, overloaded. A refusal
        after the attempt was recorded is a report with `code`, not an exception. After `present_wait_ms` the answer is
        `broadcasting`.
        """
        key = journal.payment_id_of(presentation.payment.identity)
        running = self._presenting.get(key)
        if running is None:
            if len(self._presenting) >= self._policy.presents_max:
                raise SatboxError("overloaded", retry_after=1)
            running = asyncio.create_task(self._present(presentation), name=f"present {key}")
            self._presenting[key] = running
            running.add_done_callback(lambda done: self._presented(key, done))
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
        payment = await self._known(presentation)
        return None if payment is None else report_of(payment)

    async def _known(self, shown: Presentation) -> Payment | None:
        """The payment as it stands. A refusal is looked into once more when who presented it does so again: the same bytes may
        have come on chain by another way, and then the money is here.
        """
        payment = await self._store.run(lambda db: journal.recall(db, shown))
        if payment is None or not payment.is_forgotten or shown.holder != payment.holder:
            return payment
        try:
            found = await self._follower.look_again(payment, LOOK_AGAIN_SECONDS_MAX)
        except BaseException:  # it may be watched already: nobody else would look at it before a restart
            self._steps.after(payment.payment_id, self._policy.resend_first_ms)
            raise
        if found.watching:
            self._steps.after(found.payment_id, self._follower.pause(found))
        return found

    async def keep_spare(self, payer: str, payment_id: str) -> None:
        """The call of this payment failed: its money is its payer's to use for the next one."""
        now_ms = self._clock.now_ms()
        await self._store.run(lambda db: spares.keep(db, payment_id, now_ms))

    async def drop_spare(self, payer: str, payment_id: str) -> None:
        """Its money is used up."""
        await self._store.run(lambda db: spares.drop(db, payment_id))

    async def is_told(self, payer: str, payment_id: str) -> bool:
        """Whether its wallet has heard all there is of a payment: one that is in a block may yet have to be credited."""
        return await self._store.run(lambda db: outbox.next_letter(db, payment_id)) is None

    async def claim_spare(self, shown: Presentation, usat: int) -> PaymentReport | None:
        """The earlier payment of this payer, of a call that failed, that a new one stands for; None when it must be sent. Bytes
        that the chain knows prove nothing about who shows them, and are never taken for an order.
        """
        payment_id = journal.payment_id_of(shown.payment.identity)
        known = await self._store.run(lambda db: journal.claimed(db, payment_id))
        if known is not None:
            return report_of(known)
        if not await self._store.run(lambda db: spares.has_any(db, shown.payment.origin)):
            return None
        try:
            if await self._is_known(shown.payment):
                return None
        except ChainUnavailable:
            return None
        now_ms, origin = self._clock.now_ms(), shown.payment.origin
        spare = await self._store.run(lambda db: spares.claim(db, payment_id, origin, usat, now_ms))
        return None if spare is None else report_of(spare)

    async def report(self, payment_id: str) -> PaymentReport | None:
        """Where a payment stands."""
        payment = await self._store.run(lambda db: reads.load(db, payment_id))
        return None if payment is None else report_of(payment)

    async def states(self) -> dict[str, int]:
        """How many payments are in each state, and how many messages wallets have yet to take (`outbox`)."""
        return await self._store.run(reads.count_states)

    async def find(self, identity: str) -> PaymentReport | None:
        """A payment by sha256 of its origin-signed bytes, whoever asks and for whatever purpose."""
        report = await self.report(journal.payment_id_of(identity))
        return report if report is not None and report.identity == identity else None

    async def history(self, payment_id: str) -> list[tuple[str, str, int]]:
        """(state, observation, wall ms) of every move of a payment."""
        return await self._store.run(lambda db: reads.history(db, payment_id))

    async def wait(self, payment_id: str, timeout_seconds: float) -> PaymentReport | None:
        """The report once the payment has ended, or as it is after `timeout_seconds` (`settle=confirmed`)."""
        ended = asyncio.Event()
        self._waiters.setdefault(payment_id, {})[ended] = None
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
            waiting = self._waiters.get(payment_id, {})
            waiting.pop(ended, None)
            if not waiting:
                self._waiters.pop(payment_id, None)

    async def record_loss(self, payment_id: str, usat: int) -> None:
        """The wallet says what was really spent on a payment that ended without success; 0 clears its payer."""
        now_ms = self._clock.now_ms()
        await self._store.run(lambda db: losses.record_loss(db, payment_id, usat, now_ms))

    async def open_loss(self, address: str) -> int:
        """What starts on credit by this payer or pass holder still cost us, in usat; over 0 means no credit."""
        return await self._store.run(lambda db: losses.open_loss(db, address))

    @property
    def available(self) -> bool:
        """Whether payments can be taken: relay or chain answers."""
        return self._watchdog.available

    async def can_sponsor(self) -> bool:
        """Whether the relay said at the last probe that it pays fees for others."""
        return self._watchdog.can_sponsor

    async def _answer(self, running: "asyncio.Task[Payment]", presentation: Presentation) -> PaymentReport:
        done, _ = await asyncio.wait({running}, timeout=self._policy.present_wait_ms / 1000)
        if done:
            return report_of(running.result())
        return await self.recall(presentation) or report_of(await asyncio.shield(running))

    def _presented(self, key: str, done: "asyncio.Task[Payment]") -> None:
        self._presenting.pop(key, None)
        if not done.cancelled():
            done.exception()  # whoever asked may be gone; the attempt, if there is one, is followed up anyway

    async def _present(self, shown: Presentation) -> Payment:
        known = await self._known(shown)
        if known is not None:
            return known
        if self._policy.route is SettleRoute.DIRECT and shown.payment.unsponsored:
            raise SatboxError(
                "sponsored_unsupported", "This service settles without a relay: nobody pays fees for others."
            )
        now_ms = self._clock.now_ms()
        await self._store.run(lambda db: journal.check_new(db, shown, self._policy, now_ms))
        await self._check_payer(shown)
        self._checkpoint("before_attempt")
        opened = await self._store.run(lambda db: journal.open_attempt(db, shown, self._policy, now_ms))
        if not opened.is_new:
            return opened.payment
        payment = opened.payment
        try:
            self._checkpoint("after_attempt")
            payment = await self._hands.hand_in(payment)
        finally:
            # Whatever cut this short, the attempt is recorded and will be followed up.
            self._steps.after(payment.payment_id, self._follower.pause(payment))
        return payment

    async def _check_payer(self, shown: Presentation) -> None:
        """Ask the chain about the payer. A nonce that is used up is no fault when these very bytes used it up and their own
        payer shows them: the money is here. Anybody else could have copied them out of a block, or out of the mempool.
        """
        if self._preflight is None:
            return
        is_own = shown.holder == shown.payment.origin
        try:
            await self._preflight(shown.payment)
        except SatboxError as error:
            if error.code != "payment_nonce_stale" or not is_own:
                raise
            with contextlib.suppress(ChainUnavailable):
                if await self._is_known(shown.payment):
                    return
            raise
        else:
            if not is_own:
                await self._refuse_copies(shown.payment)

    async def _refuse_copies(self, payment: VerifiedPayment) -> None:
        """Under another pass than the payer's, bytes must be new to the chain; and it must be there to say so."""
        try:
            is_known = await self._is_known(payment)
        except ChainUnavailable as error:
            raise SatboxError(
                "overloaded",
                "Whether this was broadcast before cannot be told now; under the payer's own pass it need not be.",
                retry_after=10,
            ) from error
        if is_known:
            raise SatboxError(
                "payment_nonce_stale",
                "This was broadcast before it was shown here: only its payer may show it now.",
            )

    async def _is_known(self, payment: VerifiedPayment) -> bool:
        sent = await self._chain.by_nonce(payment.origin, payment.nonce)
        return any(tx.txid == payment.txid or (payment.sponsored and tx.sponsored) for tx in sent)

    # Running

    async def _step(self, key: str) -> int | None:
        if key == _PROBE:
            await self._watchdog.probe()
            return self._policy.probe_ms
        if key in self._presenting:
            return self._policy.resend_first_ms  # its first call is still under way
        return await self._follower.step(key)

    def _wake(self, payment_id: str) -> None:
        for waiter in self._waiters.get(payment_id, ()):
            waiter.set()

    async def resume(self) -> None:
        """Take up everything a crash left unfinished; idempotent. `run` and `tick` begin with it."""
        if self._resumed:
            return
        self._resumed = True
        await self._delivery.resume()
        spread_ms = 0
        for payment in await self._store.run(reads.unfinished):
            self._steps.after(payment.payment_id, spread_ms)
            spread_ms += 5
        await self._watchdog.resume()
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
