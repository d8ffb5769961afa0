"""The Stacks API as a witness: accounts, transactions and their events, broadcast (protocols 9). Its words live here.

What it does not answer raises ChainUnavailable; "no such transaction" is an answer (None). A transaction proves a payment
only by its events, never by its arguments.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import aiohttp

from relay_client.http import JsonResponse, NoAnswer, exchange
from relay_client.relay import Accepted, Refused, SettleOutcome, Unknown, normal_txid
from relay_client.states import TerminalReason

READ_TIMEOUT_SECONDS = 8.0
BROADCAST_TIMEOUT_SECONDS = 15.0
PAGE = 50
PAGES_MAX = 4
EVENTS_MAX = 100


class ChainUnavailable(Exception):  # noqa: N818
    """The API did not answer, or not in a way that can be read."""


class ChainPhase(StrEnum):
    """Where a transaction stands. DROPPED may still confirm: only a used nonce is final."""

    PENDING = "pending"
    SUCCESS = "success"
    ABORTED = "aborted"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Movement:
    """One transfer event. `asset_id` is `CONTRACT::asset`, or None for STX."""

    asset_id: str | None
    sender: str
    recipient: str
    amount: int


@dataclass(frozen=True, slots=True)
class CallView:
    """What a transaction asked for, to recognise an origin's payload under another txid."""

    kind: str
    contract: str | None = None
    function: str | None = None
    arguments: tuple[str, ...] = ()
    recipient: str | None = None
    amount: str | None = None


@dataclass(frozen=True, slots=True)
class ChainTransaction:
    """A transaction as the API sees it. `events_complete`: every event of it is in `movements` or no transfer."""

    txid: str
    phase: ChainPhase
    status: str
    sender: str
    nonce: int
    sponsored: bool
    block_height: int | None = None
    block_hash: str | None = None
    movements: tuple[Movement, ...] = ()
    events_complete: bool = False
    call: CallView = field(default_factory=lambda: CallView("unknown"))

    def received(self, *, asset_id: str | None, sender: str, recipient: str) -> int:
        """Atomic units of exactly this asset that `sender` moved to `recipient`, by the events."""
        return sum(
            move.amount
            for move in self.movements
            if (move.asset_id, move.sender, move.recipient) == (asset_id, sender, recipient)
        )


@dataclass(frozen=True, slots=True)
class Account:
    """Micro-STX that can be spent, and the next nonce the chain would execute."""

    balance: int
    nonce: int


@dataclass(frozen=True, slots=True)
class Nonces:
    """The next nonce with the mempool counted in."""

    possible_next: int
    missing: tuple[int, ...] = ()


class Chain(Protocol):
    """What settlements need of a chain. Every method but `broadcast` raises ChainUnavailable."""

    async def transaction(self, txid: str) -> ChainTransaction | None:
        """One transaction, or None while nobody knows it."""

    async def by_nonce(self, address: str, nonce: int) -> tuple[ChainTransaction, ...]:
        """Transactions of an origin at one nonce, in blocks or in the mempool, without events."""

    async def account(self, address: str) -> Account:
        """Balance and nonce."""

    async def tip_height(self) -> int:
        """Height of the newest block."""

    async def broadcast(self, transaction: bytes) -> SettleOutcome:
        """Hand raw bytes to a node; never raises for anything the other side does."""


def _int(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if 0 <= value < 2**127 else None
    if isinstance(value, str) and len(value) <= 39 and value.isascii() and value.isdigit():
        return int(value)
    return None


def _hex_uint(value: Any) -> int | None:
    try:
        return int(value, 16) if isinstance(value, str) and value.startswith("0x") and len(value) <= 34 else None
    except ValueError:
        return None


def _phase(status: str) -> ChainPhase:
    if status == "success":
        return ChainPhase.SUCCESS
    if status.startswith("abort_"):
        return ChainPhase.ABORTED
    # Words we do not know are kept in flight: only what is surely final ends a payment.
    return ChainPhase.DROPPED if status.startswith(("dropped_", "problematic")) else ChainPhase.PENDING


def _movement(event: Any) -> Movement | None:
    asset = event.get("asset") if isinstance(event, dict) else None
    if not isinstance(asset, dict) or asset.get("asset_event_type") != "transfer":
        return None
    amount, sender, recipient = _int(asset.get("amount")), asset.get("sender"), asset.get("recipient")
    if amount is None or not isinstance(sender, str) or not isinstance(recipient, str):
        return None
    match event.get("event_type"):
        case "stx_asset":
            return Movement(None, sender, recipient, amount)
        case "fungible_token_asset" if isinstance(asset.get("asset_id"), str):
            return Movement(asset["asset_id"], sender, recipient, amount)
    return None


def _call(body: Mapping[str, Any]) -> CallView:
    kind = str(body.get("tx_type"))
    transfer, call = body.get("token_transfer"), body.get("contract_call")
    if kind == "token_transfer" and isinstance(transfer, dict):
        return CallView(kind, recipient=str(transfer.get("recipient_address")), amount=str(transfer.get("amount")))
    if kind == "contract_call" and isinstance(call, dict):
        arguments = call.get("function_args")
        return CallView(
            kind,
            contract=str(call.get("contract_id")),
            function=str(call.get("function_name")),
            arguments=tuple(
                str(argument.get("hex")).removeprefix("0x").lower()
                for argument in (arguments if isinstance(arguments, list) else [])
                if isinstance(argument, dict)
            ),
        )
    return CallView(kind)


def read_transaction(body: Any) -> ChainTransaction | None:
    """A transaction object of the API; None when it is not one. Pure."""
    if not isinstance(body, dict):
        return None
    txid, nonce, status = normal_txid(body.get("tx_id")), _int(body.get("nonce")), body.get("tx_status")
    sender = body.get("sender_address")
    if txid is None or nonce is None or not isinstance(status, str) or not isinstance(sender, str):
        return None
    phase, height = _phase(status), _int(body.get("block_height"))
    if phase in (ChainPhase.SUCCESS, ChainPhase.ABORTED) and (height is None or body.get("canonical") is False):
        phase = ChainPhase.PENDING  # not in a block of the chain we follow (yet, or any more)
    events = body.get("events")
    events = events if isinstance(events, list) else []
    count = _int(body.get("event_count"))
    return ChainTransaction(
        txid=txid,
        phase=phase,
        status=status[:64],
        sender=sender,
        nonce=nonce,
        sponsored=body.get("sponsored") is True,
        block_height=height,
        block_hash=str(body.get("block_hash"))[:80] if body.get("block_hash") else None,
        movements=tuple(move for move in map(_movement, events[:EVENTS_MAX]) if move is not None),
        events_complete=count is not None and count == len(events) <= EVENTS_MAX,
        call=_call(body),
    )


_NODE_REFUSALS: Mapping[str, tuple[TerminalReason, str, bool]] = {
    "BadNonce": (TerminalReason.SENDER_NONCE_STALE, "payment_nonce_stale", True),
    "ConflictingNonceInMempool": (TerminalReason.SENDER_NONCE_DUPLICATE, "payment_nonce_stale", True),
    "NotEnoughFunds": (TerminalReason.INVALID_TRANSACTION, "payment_insufficient_funds", False),
    "SignatureValidation": (TerminalReason.INVALID_TRANSACTION, "payment_signature_invalid", False),
    "FeeTooLow": (TerminalReason.INVALID_TRANSACTION, "payment_fee_too_low", False),
    "Serialization": (TerminalReason.INVALID_TRANSACTION, "payment_refused", False),
    "Deserialization": (TerminalReason.INVALID_TRANSACTION, "payment_refused", False),
    "BadFunctionArgument": (TerminalReason.INVALID_TRANSACTION, "payment_refused", False),
    "NoSuchContract": (TerminalReason.INVALID_TRANSACTION, "payment_refused", False),
    "NoSuchPublicFunction": (TerminalReason.INVALID_TRANSACTION, "payment_refused", False),
    "BadTransactionVersion": (TerminalReason.INVALID_TRANSACTION, "payment_wrong_network", False),
    "TransferRecipientCannotEqualSender": (TerminalReason.INVALID_TRANSACTION, "payment_to_self", False),
    "TransferAmountMustBePositive": (TerminalReason.INVALID_TRANSACTION, "payment_refused", False),
}


def read_broadcast(answer: JsonResponse) -> SettleOutcome:
    """What a node's answer to raw bytes means. Pure."""
    if answer.status == 200:
        txid = normal_txid(answer.body)
        return Unknown("200 without a txid", reached=True) if txid is None else Accepted(txid, None)
    reason = answer.fields.get("reason")
    meaning = _NODE_REFUSALS.get(reason) if isinstance(reason, str) else None
    if answer.status == 400 and meaning is not None:
        terminal, code, may_be_ours = meaning
        return Refused(str(reason)[:64], terminal, code, may_be_ours=may_be_ours)
    return Unknown(str(reason or f"HTTP {answer.status}")[:64], reached=True)


class StacksApi:
    """A Stacks API (Hiro's shape) at `base_url`; the session is the caller's to close."""

    def __init__(
        self,
        base_url: str,
        session: aiohttp.ClientSession,
        *,
        api_key: str | None = None,
        read_timeout_seconds: float = READ_TIMEOUT_SECONDS,
        broadcast_timeout_seconds: float = BROADCAST_TIMEOUT_SECONDS,
    ) -> None:
        self._base = base_url.rstrip("/")
        self._session = session
        self._headers = {"x-api-key": api_key} if api_key else {}
        self._read_timeout = read_timeout_seconds
        self._broadcast_timeout = broadcast_timeout_seconds

    async def transaction(self, txid: str) -> ChainTransaction | None:
        """GET /extended/v1/tx/{txid}."""
        answer = await self._get(f"/extended/v1/tx/0x{txid}?event_limit={EVENTS_MAX}", missing_ok=True)
        if answer.status == 404:
            return None
        found = read_transaction(answer.body)
        if found is None or found.txid != txid:
            raise ChainUnavailable("the answer is no transaction, or another one")
        return found

    async def by_nonce(self, address: str, nonce: int) -> tuple[ChainTransaction, ...]:
        """GET what the address sent: its mempool, then its confirmed transactions, newest first, until past `nonce`."""
        # By sender: the address's own mempool listing can be filled up by strangers who send to it.
        pending = await self._listing(f"/extended/v1/tx/mempool?sender_address={address}&", 0)
        found = [tx for tx in pending if tx.sender == address]
        for page in range(PAGES_MAX):
            listed = await self._listing(f"/extended/v1/address/{address}/transactions?", page * PAGE)
            own = [tx for tx in listed if tx.sender == address]
            found += own
            if len(listed) < PAGE or any(tx.nonce <= nonce for tx in own):
                break
        return tuple(tx for tx in found if tx.nonce == nonce)

    async def account(self, address: str) -> Account:
        """GET /v2/accounts/{address}?proof=0."""
        fields = (await self._get(f"/v2/accounts/{address}?proof=0")).fields
        balance, nonce = _hex_uint(fields.get("balance")), _int(fields.get("nonce"))
        if balance is None or nonce is None:
            raise ChainUnavailable("the answer is no account")
        return Account(balance, nonce)

    async def nonces(self, address: str) -> Nonces:
        """GET /extended/v1/address/{address}/nonces."""
        fields = (await self._get(f"/extended/v1/address/{address}/nonces")).fields
        possible = _int(fields.get("possible_next_nonce"))
        if possible is None:
            raise ChainUnavailable("the answer has no nonces")
        missing = fields.get("detected_missing_nonces")
        listed = missing if isinstance(missing, list) else []
        return Nonces(possible, tuple(value for value in map(_int, listed[:100]) if value is not None))

    async def token_balance(self, address: str, asset_id: str) -> int:
        """Atomic units of a token, GET /extended/v1/address/{address}/balances; 0 when it holds none."""
        tokens = (await self._get(f"/extended/v1/address/{address}/balances")).fields.get("fungible_tokens")
        if not isinstance(tokens, dict):
            raise ChainUnavailable("the answer has no balances")
        entry = tokens.get(asset_id)
        return (_int(entry.get("balance")) or 0) if isinstance(entry, dict) else 0

    async def tip_height(self) -> int:
        """GET /v2/info."""
        height = _int((await self._get("/v2/info")).fields.get("stacks_tip_height"))
        if height is None:
            raise ChainUnavailable("the answer has no height")
        return height

    async def broadcast(self, transaction: bytes) -> SettleOutcome:
        """POST /v2/transactions."""
        try:
            answer = await exchange(
                self._session,
                "POST",
                f"{self._base}/v2/transactions",
                raw=transaction,
                headers=self._headers,
                timeout_seconds=self._broadcast_timeout,
            )
        except NoAnswer as error:
            return Unknown(str(error), reached=False)
        return read_broadcast(answer)

    async def _listing(self, path: str, offset: int) -> list[ChainTransaction]:
        results = (await self._get(f"{path}limit={PAGE}&offset={offset}")).fields.get("results")
        if not isinstance(results, list):
            raise ChainUnavailable("the answer is no list")
        return [tx for tx in map(read_transaction, results[:PAGE]) if tx is not None]

    async def _get(self, path: str, *, missing_ok: bool = False) -> JsonResponse:
        try:
            answer = await exchange(
                self._session, "GET", self._base + path, headers=self._headers, timeout_seconds=self._read_timeout
            )
        except NoAnswer as error:
            raise ChainUnavailable(str(error)) from error
        if answer.status != 200 and not (missing_ok and answer.status == 404):
            raise ChainUnavailable(f"HTTP {answer.status}")
        return answer
