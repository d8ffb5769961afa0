"""The sponsor relay over HTTP, and the only place that knows its words (x402-sponsor-relay, protocols 1.4-1.6, 1.17).

    settle -> Accepted   a node took the transaction: in the mempool, not confirmed
              Refused    terminal: these bytes will not be broadcast
              Retryable  turned away at the door: the same bytes may work later
              RelayHeld       kept by the relay, which may broadcast the bytes without being asked again
              Unable     the relay does not settle this kind of payment, or is not there: nothing was broadcast
              Unknown    anything else: it may have been broadcast. Never a failure

A reason we do not know is the relay's own trouble (tx-schemas: parse leniently), so its outcome is Unknown.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import aiohttp

from relay_client.http import TOO_MANY_REQUESTS, JsonResponse, NoAnswer, exchange
from relay_client.models import PAYMENT_IDENTIFIER, X402_VERSION, canonical_hash
from relay_client.states import REASON_CATEGORY, ReasonCategory, TerminalReason

SETTLE_TIMEOUT_SECONDS = 60.0  # the relay's own broadcast takes up to 3 x 12 s and pauses
READ_TIMEOUT_SECONDS = 8.0
CAPACITY_RETRY_SECONDS = 15  # the relay's advice is 10 to 30
BUSY_RETRY_SECONDS = 10
RETRY_SECONDS_MAX = 600
MAX_TIMEOUT_SECONDS = 300
_TXID = re.compile(r"(?:0x)?([0-9a-fA-F]{64})")
_R = TerminalReason


@dataclass(frozen=True, slots=True)
class SettleOrder:
    """What the relay is asked to broadcast, and what it is told to compare.

    The relay repeats its cached answer for an identifier for 300 s. After a lost reply that is what we want; after an
    answer that asks us to come again it is not: `round` counts those, and is part of the identifier.
    """

    transaction: bytes
    network: str
    pay_to: str
    amount: int
    asset: str
    round: int = 0


@dataclass(frozen=True, slots=True)
class Accepted:
    """A node accepted the broadcast under `txid`."""

    txid: str
    payer: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """Not broadcast, and never will be. `may_be_ours`: the refusal can be the echo of our own earlier broadcast, so look at
    the chain.
    """

    reason: str
    terminal: TerminalReason
    code: str
    may_be_ours: bool = False

    @property
    def category(self) -> ReasonCategory:
        """Whose matter it is."""
        return REASON_CATEGORY[self.terminal]


@dataclass(frozen=True, slots=True)
class Retryable:
    """Not now: ask again with the same bytes, not before `retry_after_seconds`."""

    reason: str
    retry_after_seconds: int


@dataclass(frozen=True, slots=True)
class RelayHeld:
    """The relay keeps the bytes, for 15 minutes from when it last took them. `missing`: the sender's nonces it waits for; empty
    when it waits for a free sponsor wallet.
    """

    missing: tuple[int, ...]
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Unable:
    """Nothing was decoded, let alone broadcast: the relay does not sponsor, or answers as no relay does."""

    why: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Whether it was broadcast cannot be told. `reached`: the relay answered something, and maybe when to come again."""

    why: str
    reached: bool
    retry_after_seconds: int | None = None


SettleOutcome = Accepted | Refused | Retryable | RelayHeld | Unable | Unknown


class RelayPhase(StrEnum):
    """What the relay says of a txid."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    NOT_FOUND = "not_found"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class RelayStatus:
    """An answer of `/settle/status`. `on_chain_api`: whether the relay, looking just now, saw it pending; None: not told."""

    phase: RelayPhase
    on_chain_api: bool | None = None
    block_height: int | None = None
    reached: bool = True


@dataclass(frozen=True, slots=True)
class _Meaning:
    terminal: TerminalReason
    code: str
    may_be_ours: bool = False


_REFUSALS: Mapping[str, _Meaning] = {
    "conflicting_nonce": _Meaning(_R.SENDER_NONCE_DUPLICATE, "payment_nonce_stale", may_be_ours=True),
    "client_bad_nonce": _Meaning(_R.SENDER_NONCE_STALE, "payment_nonce_stale", may_be_ours=True),
    "client_insufficient_funds": _Meaning(_R.INVALID_TRANSACTION, "payment_insufficient_funds"),
    "insufficient_funds": _Meaning(_R.INVALID_TRANSACTION, "payment_insufficient_funds"),
    "signature_validation_failed": _Meaning(_R.INVALID_TRANSACTION, "payment_signature_invalid"),
    "invalid_transaction_state": _Meaning(_R.INVALID_TRANSACTION, "payment_refused"),
    "recipient_mismatch": _Meaning(_R.INVALID_TRANSACTION, "payment_wrong_recipient"),
    "amount_insufficient": _Meaning(_R.INVALID_TRANSACTION, "payment_amount_insufficient"),
    "sender_mismatch": _Meaning(_R.INVALID_TRANSACTION, "payment_sender_mismatch"),
    "unsupported_scheme": _Meaning(_R.INVALID_TRANSACTION, "payment_wrong_asset"),
    "unrecognized_asset": _Meaning(_R.INVALID_TRANSACTION, "payment_wrong_asset"),
    "invalid_network": _Meaning(_R.INVALID_TRANSACTION, "payment_wrong_network"),
    "invalid_scheme": _Meaning(_R.INVALID_TRANSACTION, "payment_refused"),
    "invalid_payload": _Meaning(_R.INVALID_TRANSACTION, "payment_refused"),
    "invalid_payment_requirements": _Meaning(_R.INVALID_TRANSACTION, "payment_refused"),
    "invalid_x402_version": _Meaning(_R.INVALID_TRANSACTION, "payment_refused"),
    "transaction_failed": _Meaning(_R.CHAIN_ABORT, "payment_failed", may_be_ours=True),
}
_HELD = "transaction_held"
_UNABLE = "sponsored_unsupported"
_NO_RELAY = frozenset({403, 404, 410, 530})
"""Statuses of an address where no relay works: a firewall's, a missing route's, Cloudflare's for a name without a server."""
_PHASES = {
    "broadcast": RelayPhase.PENDING,
    "pending": RelayPhase.PENDING,
    "confirmed": RelayPhase.CONFIRMED,
    "failed": RelayPhase.FAILED,
}


class Relay(Protocol):
    """What settlements need of a relay."""

    async def settle(self, order: SettleOrder) -> SettleOutcome:
        """Ask for a broadcast; never raises for anything the other side does."""

    async def settle_status(self, txid: str) -> RelayStatus:
        """Where the relay sees a txid, looking at the chain anew."""

    async def health(self) -> bool:
        """Whether it answers."""

    async def can_sponsor(self) -> bool:
        """Whether it says that it can pay fees for others now."""


def order_identifier(order: SettleOrder) -> str:
    """The payment identifier an order goes under: the same order has the same one, so that a resend is idempotent."""
    return "satbox_" + canonical_hash(_requirements(order) | {"tx": order.transaction.hex(), "round": order.round})[:48]


def _requirements(order: SettleOrder) -> dict[str, Any]:
    return {
        "scheme": "exact",
        "network": order.network,
        "amount": str(order.amount),
        "asset": order.asset,
        "payTo": order.pay_to,
        "maxTimeoutSeconds": MAX_TIMEOUT_SECONDS,
    }


def settle_body(order: SettleOrder) -> dict[str, Any]:
    """The request body, byte for byte the same for the same order."""
    return {
        "x402Version": X402_VERSION,
        "paymentPayload": {
            "x402Version": X402_VERSION,
            "payload": {"transaction": order.transaction.hex()},
            "extensions": {PAYMENT_IDENTIFIER: {"info": {"id": order_identifier(order)}}},
        },
        "paymentRequirements": _requirements(order),
    }


def _seconds(value: Any) -> int | None:
    return max(value, 1) if isinstance(value, int) and not isinstance(value, bool) else None


def normal_txid(value: Any) -> str | None:
    """A txid as 64 lower-case hex digits, or None."""
    match = _TXID.fullmatch(value) if isinstance(value, str) else None
    return match[1].lower() if match else None


def read_settlement(answer: JsonResponse) -> SettleOutcome:
    """What an answer of `/settle` means. Pure; total over everything a relay may say."""
    fields = answer.fields
    if answer.status == 200 and fields.get("success") is True:
        txid = normal_txid(fields.get("transaction"))
        payer = fields.get("payer")
        if txid is None:
            return Unknown("success without a txid", reached=True)
        return Accepted(txid, payer if isinstance(payer, str) and len(payer) <= 128 else None)
    reason = fields.get("errorReason")
    reason = reason[:64] if isinstance(reason, str) else ""
    if reason == _HELD:
        return _held(fields.get("queue"))
    meaning = _REFUSALS.get(reason)
    if meaning is not None and answer.status < 500:
        return Refused(reason, meaning.terminal, meaning.code, may_be_ours=meaning.may_be_ours)
    if reason == _UNABLE or (not reason and answer.status in _NO_RELAY):
        return Unable(reason or f"HTTP {answer.status}")
    told_seconds = answer.retry_after_seconds or _seconds(fields.get("retryAfter"))
    if answer.status == TOO_MANY_REQUESTS:  # turned away at the door: nothing was decoded, let alone broadcast
        return Retryable(reason or "http_429", min(told_seconds or BUSY_RETRY_SECONDS, RETRY_SECONDS_MAX))
    return Unknown(
        reason or f"HTTP {answer.status}",
        reached=True,
        retry_after_seconds=min(told_seconds or 0, RETRY_SECONDS_MAX) or None,
    )


def _held(queue: Any) -> RelayHeld:
    """A hold. A queue that cannot be read counts as a gap: then the relay is left in peace for longest."""
    fields = queue if isinstance(queue, dict) else {}
    listed = fields.get("missingNonces")
    detail = str(fields.get("help") or _HELD)[:200]
    if listed == [] and isinstance(fields.get("estimatedDispatchMs"), int):
        return RelayHeld((), detail)
    nonces = [nonce for nonce in listed[:64] if isinstance(nonce, int)] if isinstance(listed, list) else []
    return RelayHeld(tuple(nonces) or (0,), detail)


def read_status(answer: JsonResponse) -> RelayStatus:
    """What an answer of `/settle/status/{txid}?live=true` means. Pure."""
    if answer.status == 404:
        return RelayStatus(RelayPhase.NOT_FOUND)
    fields = answer.fields
    phase = _PHASES.get(str(fields.get("status")))
    if answer.status != 200 or phase is None:
        return RelayStatus(RelayPhase.SILENT)
    live = fields.get("hiroStatus")
    seen = live.get("txStatus") == "pending" if isinstance(live, dict) and "txStatus" in live else None
    height = fields.get("blockHeight")
    return RelayStatus(phase, seen, height if isinstance(height, int) else None)


class RelayClient:
    """The relay at `base_url`. Deadlines and size limits on every call; the session is the caller's to close."""

    def __init__(
        self,
        base_url: str,
        session: aiohttp.ClientSession,
        *,
        settle_timeout_seconds: float = SETTLE_TIMEOUT_SECONDS,
        read_timeout_seconds: float = READ_TIMEOUT_SECONDS,
    ) -> None:
        self._base = base_url.rstrip("/")
        self._session = session
        self._settle_timeout = settle_timeout_seconds
        self._read_timeout = read_timeout_seconds

    async def settle(self, order: SettleOrder) -> SettleOutcome:
        """POST /settle. Everything but a clear answer is Unknown."""
        try:
            answer = await exchange(
                self._session,
                "POST",
                f"{self._base}/settle",
                body=settle_body(order),
                timeout_seconds=self._settle_timeout,
            )
        except NoAnswer as error:
            return Unknown(str(error), reached=False)
        return read_settlement(answer)

    async def settle_status(self, txid: str) -> RelayStatus:
        """GET /settle/status/{txid}?live=true."""
        try:
            answer = await self._get(f"/settle/status/{txid}?live=true")
        except NoAnswer:
            return RelayStatus(RelayPhase.SILENT, reached=False)
        return read_status(answer)

    async def supported(self) -> tuple[str, ...]:
        """CAIP-2 networks whose `exact` payments it settles; empty when it cannot be asked."""
        try:
            kinds = (await self._get("/supported")).fields.get("kinds")
        except NoAnswer:
            return ()
        if not isinstance(kinds, list):
            return ()
        return tuple(
            str(kind["network"])
            for kind in kinds[:64]
            if isinstance(kind, dict) and kind.get("scheme") == "exact" and "network" in kind
        )

    async def health(self) -> bool:
        """Whether GET /health answers 200."""
        try:
            return (await self._get("/health")).status == 200
        except NoAnswer:
            return False

    async def can_sponsor(self) -> bool:
        """What GET /status/sponsor says; False when it says nothing."""
        try:
            answer = await self._get("/status/sponsor")
        except NoAnswer:
            return False
        return answer.status == 200 and answer.fields.get("canSponsor") is True

    async def _get(self, path: str) -> JsonResponse:
        return await exchange(self._session, "GET", self._base + path, timeout_seconds=self._read_timeout)
