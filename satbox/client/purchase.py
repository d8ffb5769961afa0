"""Pay for a request: ask once, sign at most one payment, and say nothing that is not known.

    ask -> 402 -> check the offer -> sign -> keep on disk -> send, and send the same bytes again while no answer is understood
        -> answered: forget the payment, return or raise     -> not answered: `ambiguous`, the payment stays kept

A second 402 is never paid. A request that finds its own payment kept repeats it. A request of another kind waits until the
kept one is resolved (`resume`), since both would carry the same nonce.
"""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from operations.errors import SatboxError
from operations.sandbox import Paid, PaymentStatus, SandboxStatus
from satbox.agent.journal import Journal, OpenPayment
from satbox.agent.paying import ChosenOffer, Limits, SignedPayment, choose
from satbox.client.answers import HttpResponse, error_of, has_error, model_of, payment_required_of
from satbox.client.transport import Lost
from stacks import Network

TRIES = 4
REMEMBERED_MAX = 1_000
RETRY_SECONDS = (0.5, 2.0, 5.0)
RETRY_AFTER_SECONDS_MAX = 10.0
ELSEWHERE = "payment_target_conflict"
_PAID = frozenset({"queued", "broadcasting", "mempool", "confirmed"})
_OVER = frozenset({"failed", "replaced", "not_found"})

Announce = Callable[[ChosenOffer], None]
"""Called with what is about to be paid, before anything is signed."""
Send = Callable[[str, Mapping[str, Any], str | None], Awaitable[HttpResponse]]
"""Send an operation's request with its values and maybe a payment; raises SatboxError when no answer came."""


class Signer(Protocol):
    """A signer of payments, such as `agent.paying.Payer`."""

    async def sign(self, offer: ChosenOffer, *, sponsored: bool) -> SignedPayment:
        """One signed payment for an offer."""


@dataclass(frozen=True, slots=True)
class PurchaseClock:
    """Time, replaced in tests."""

    now_seconds: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Purchases:
    """The paid requests of one client."""

    def __init__(
        self,
        gate: str,
        network: Network,
        journal: Journal,
        signer: Signer | None,
        send: Send,
        look_up: Callable[[str], Awaitable[PaymentStatus]],
        look_at: Callable[[str | None], Awaitable[SandboxStatus]],
        around: PurchaseClock,
        announce: Announce | None = None,
    ) -> None:
        self._gate = gate
        self._network = network
        self._journal = journal
        self._signer = signer
        self._send = send
        self._look_up = look_up
        self._look_at = look_at
        self._around = around
        self._announce = announce
        self._sats: dict[str, int] = {}

    def sats_signed_for(self, payment_id: str) -> int | None:
        """What was signed away under this id, asked once: by our own bytes, whatever the gate says. None when unknown."""
        return self._sats.pop(payment_id, None)

    def open_payments(self) -> list[OpenPayment]:
        """Payments whose outcome is not known yet."""
        return [payment for payment in self._journal.open() if payment.gate == self._gate]

    async def buy(self, operation: str, values: Mapping[str, Any], limits: Limits) -> Paid:
        """The paid answer. Raises ambiguous when the payment was sent and nobody said what became of it."""
        async with self._journal.lock():
            key = self._key(operation, values)
            others = []
            for kept in self._journal.open():
                if kept.key == key:
                    return await self._present(kept, is_first=False)
                others.append(kept)
            if others:
                raise _blocked(others[0])
            answer = await self._send(operation, values, None)
            if answer.is_ok:
                return model_of(answer, Paid)
            required = payment_required_of(answer) if answer.status == 402 else None
            if required is None:
                raise error_of(answer)
            kept = await self._sign(key, operation, values, required, limits)
            return await self._present(kept, is_first=True)

    async def resume(self) -> list[Paid]:
        """Send every payment again whose outcome is unknown, unchanged; the ones that went through."""
        async with self._journal.lock():
            return [await self._present(kept, is_first=False) for kept in self.open_payments()]

    def _key(self, operation: str, values: Mapping[str, Any]) -> str:
        described = json.dumps([self._gate, operation, dict(values)], sort_keys=True)
        return hashlib.sha256(described.encode()).hexdigest()[:32]

    async def _sign(
        self, key: str, operation: str, values: Mapping[str, Any], required: Any, limits: Limits
    ) -> OpenPayment:
        if self._signer is None:
            raise SatboxError("payment_required", "This must be paid, and no agent's keys were given to pay with.")
        now = self._around.now_seconds()
        offer = choose(required, self._network, limits, int(now * 1000))
        if self._announce is not None:
            self._announce(offer)
        signed = await self._signer.sign(offer, sponsored=limits.sponsored)
        kept = OpenPayment(
            key=key,
            gate=self._gate,
            operation=operation,
            values=dict(values),
            header=signed.header,
            payment_id=signed.payment_id,
            txid=signed.txid,
            sats=signed.sats,
            symbol=signed.symbol,
            signed_at=datetime.fromtimestamp(now, UTC).isoformat(),
        )
        self._journal.keep(kept)
        return kept

    async def _present(self, kept: OpenPayment, *, is_first: bool) -> Paid:
        """Send the kept bytes until an answer is understood."""
        self._sats[kept.payment_id] = kept.sats
        while len(self._sats) > REMEMBERED_MAX:
            self._sats.pop(next(iter(self._sats)))
        last: SatboxError | None = None
        for attempt in range(TRIES):
            if attempt:
                await self._pause(attempt, last)
            try:
                answer = await self._send(kept.operation, kept.values, kept.header)
                return await self._understood(kept, answer, only_sent_once=is_first and attempt == 0)
            except _NotUnderstoodError as error:
                last = error.reason
            except Lost as error:
                last = error
        raise _ambiguous(kept, last)

    async def _pause(self, attempt: int, last: SatboxError | None) -> None:
        asked = 0.0 if last is None or last.retry_after is None else min(last.retry_after, RETRY_AFTER_SECONDS_MAX)
        await self._around.sleep(max(asked, RETRY_SECONDS[min(attempt, len(RETRY_SECONDS)) - 1]))

    async def _understood(self, kept: OpenPayment, answer: HttpResponse, *, only_sent_once: bool) -> Paid:
        """What an answer to a payment means. Raises _NotUnderstoodError when it leaves the outcome open."""
        if answer.is_ok:
            try:
                paid = model_of(answer, Paid)
            except SatboxError as unread:
                raise _NotUnderstoodError(unread) from unread
            self._journal.resolve(kept)
            return paid
        if answer.status == 402 and not has_error(answer):
            raise _ambiguous(kept, None, "The gate asked to be paid again for a request that was paid; nothing was.")
        error = error_of(answer)
        if has_error(answer) and error.code == ELSEWHERE:
            # Two payments signed at one moment for the same amount are the same bytes: one transfer, which the other one got.
            self._journal.resolve(kept)
            raise error
        if not has_error(answer) or error.funds_moved == "unknown":
            raise _NotUnderstoodError(error)
        if only_sent_once:
            # Nothing else of these bytes is on its way, so the gate's word about this one request is the whole truth.
            self._journal.resolve(kept)
            raise error
        return await self._refused_again(kept, error)

    async def _refused_again(self, kept: OpenPayment, error: SatboxError) -> Paid:
        """A repeat was refused. An earlier copy may still have got through: ask for the payment itself."""
        try:
            status = await self._look_up(kept.payment_id)
        except SatboxError as unknown:
            if unknown.code == "payment_not_found":
                self._journal.resolve(kept)
                raise error from unknown
            raise _NotUnderstoodError(error) from unknown
        if status.status in _OVER:
            self._journal.resolve(kept)
            raise error
        if status.status not in _PAID:
            raise _NotUnderstoodError(error)
        try:
            sandbox = await self._look_at(status.address)
        except SatboxError as unknown:
            raise _NotUnderstoodError(unknown) from unknown
        self._journal.resolve(kept)
        return Paid(
            status=status.status,
            paymentId=status.paymentId,
            checkStatusUrl=status.checkStatusUrl,
            payment=status,
            sandbox=sandbox,
            message=f"The payment arrived earlier; its repeat was answered with {error.code}.",
        )


class _NotUnderstoodError(Exception):
    """An answer that leaves open what became of the payment."""

    def __init__(self, reason: SatboxError) -> None:
        super().__init__(str(reason))
        self.reason = reason


def _details(kept: OpenPayment) -> dict[str, Any]:
    return {
        "paymentId": kept.payment_id,
        "txid": kept.txid,
        "sats": kept.sats,
        "asset": kept.symbol,
        "operation": kept.operation,
        "signed_at": kept.signed_at,
    }


def _ambiguous(kept: OpenPayment, last: SatboxError | None, message: str | None = None) -> SatboxError:
    reason = {} if last is None else {"reason": str(last)}
    return SatboxError("ambiguous", message, details={**_details(kept), **reason}, funds_moved="unknown")


def _blocked(kept: OpenPayment) -> SatboxError:
    return SatboxError(
        "ambiguous",
        "An earlier payment of this agent is not resolved; nothing new was signed.",
        details=_details(kept),
        funds_moved="unknown",
        hint="Repeat that request, or send its payment again unchanged: `satbox resume`, Client.resume().",
    )
