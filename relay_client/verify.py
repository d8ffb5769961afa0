"""Everything about a payment that its own bytes prove, before anybody is asked to broadcast it. Pure.

The relay checks neither origin signature, sender, memo, balance nor post-conditions, and its cache answers before it
compares anything (protocols 0); so this is where a payment is judged. Checks run from "is it a transaction" to "is it
enough", and the first that fails names itself by its code; nothing was broadcast then.

What time and the chain decide (an expired quote, a used nonce, a balance) is not judged here: the same bytes must
verify the same way when they are presented again after they were paid.
`settlements` judges those for new payments only.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from operations.errors import SatboxError
from relay_client.models import TRANSACTION_BYTES_MAX
from relay_client.offers import STX, USAT_PER_SAT, Asset, QuoteTerms, assets
from stacks import (
    ContractCall,
    DecodeError,
    Network,
    SignatureError,
    SingleSig,
    TokenTransfer,
    Transaction,
    TransactionError,
    UnsupportedPayload,
    decode_transaction,
)
from stacks.c32 import Principal
from stacks.clarity import Buffer, ContractPrincipal, NoneValue, Some, StandardPrincipal, UInt
from stacks.payloads import MEMO_BYTES
from stacks.postconditions import (
    FungiblePostCondition,
    NonFungiblePostCondition,
    Ownership,
    PostConditionMode,
    StxPostCondition,
)
from stacks.signing import is_unsponsored, origin_identity_bytes, verify_origin, verify_sponsor
from stacks.spending import UNSPONSORED

QUOTE_TOKEN_CHARS_MAX = 2_048
FEE_FLOOR_USTX_PER_BYTE = 1  # stacks-core refuses less (FeeTooLow)
_I64 = 2**63
_MICRO_STX_MAX = 2**63 - 1

QuoteReader = Callable[[str], QuoteTerms]
"""Checks a quote token's signature and returns its terms; raises SatboxError quote_invalid. Ignores expiry."""


@dataclass(frozen=True, slots=True)
class VerifiedPayment:
    """A payment whose bytes are right. `amount` is atomic, `usat` what it buys, `fee` in micro-STX, `memo` raw bytes.

    `transaction` is what goes to the relay. `identity` is sha256 of the origin-signed bytes: one value whoever sponsors
    it. `txid` is None while a sponsor has yet to sign. Credit is `confirmed amount * rate_usat // rate_atomic`.
    """

    identity: str
    origin: str
    nonce: int
    chain_id: int
    asset: str
    asset_wire: str
    asset_id: str | None
    amount: int
    pay_to: str
    usat: int
    rate_usat: int
    rate_atomic: int
    quote_id: str | None
    quote_expires_at_ms: int | None
    sponsored: bool
    unsponsored: bool
    txid: str | None
    fee: int
    memo: bytes
    transaction: bytes

    @property
    def network(self) -> str:
        """CAIP-2 id."""
        return f"stacks:{self.chain_id}"


@dataclass(frozen=True, slots=True)
class Transfer:
    """What a transaction moves if it succeeds."""

    asset: Asset
    amount: int
    sender: str
    recipient: str
    memo: bytes


def _refuse(code: str, **details: Any) -> SatboxError:
    return SatboxError(code, details=details, funds_moved=False)


def identity_of(tx: Transaction) -> str:
    """sha256 of the origin-signed bytes: one value for every sponsor."""
    return hashlib.sha256(origin_identity_bytes(tx)).hexdigest()


def decode_payment(raw: bytes, network: Network) -> Transaction:
    """The transaction of a payment, signatures proven; raises the payment_* code of the first thing wrong."""
    if len(raw) > TRANSACTION_BYTES_MAX:
        raise _refuse("payment_malformed", reason=f"a transaction has at most {TRANSACTION_BYTES_MAX} bytes here")
    expected = bytes([network.transaction_version]) + network.chain_id.to_bytes(4, "big")
    if len(raw) >= 5 and raw[0] in (0x00, 0x80) and raw[:5] != expected:
        raise _refuse("payment_wrong_network", required=network.caip2)
    try:
        tx = decode_transaction(raw)
    except UnsupportedPayload as error:
        raise _refuse("payment_payload_unsupported", reason=str(error)) from error
    except DecodeError as error:
        raise _refuse("payment_malformed", reason=f"payload.transaction: {error}"[:200]) from error
    if not isinstance(tx.origin, SingleSig) or (tx.sponsor is not None and not isinstance(tx.sponsor, SingleSig)):
        raise _refuse("payment_multisig_unsupported")
    try:
        verify_origin(tx)
        if tx.sponsor is not None and not is_unsponsored(tx):
            verify_sponsor(tx)  # else anybody could spoil the identity of somebody's payment with a broken copy
    except (SignatureError, TransactionError) as error:
        raise _refuse("payment_signature_invalid", reason=str(error)[:200]) from error
    return tx


def _call_arguments(call: ContractCall) -> tuple[int, Principal, Principal, bytes]:
    args = call.arguments
    if call.function != "transfer" or len(args) not in (3, 4):
        raise _refuse("payment_payload_unsupported", reason=f"calls {call.function[:40]} with {len(args)} arguments")
    amount, sender, recipient = args[:3]
    memo = args[3] if len(args) == 4 else NoneValue()
    if (
        not isinstance(amount, UInt)
        or not isinstance(sender, StandardPrincipal | ContractPrincipal)
        or not isinstance(recipient, StandardPrincipal | ContractPrincipal)
    ):
        raise _refuse("payment_payload_unsupported", reason="arguments are not those of a SIP-010 transfer")
    match memo:
        case NoneValue():
            note = b""
        case Some(Buffer(data)) if len(data) <= MEMO_BYTES:
            note = data
        case _:
            raise _refuse("payment_payload_unsupported", reason=f"the memo is no optional buffer of {MEMO_BYTES} bytes")
    return amount.value, sender.principal, recipient.principal, note


def transfer_of(tx: Transaction, offered: Sequence[Asset]) -> Transfer:
    """What the transaction moves, by its payload; raises payment_payload_unsupported or payment_wrong_asset."""
    match tx.payload:
        case TokenTransfer(recipient, amount, memo):
            if STX not in offered:
                raise _refuse("payment_wrong_asset", paid="STX", offered=[asset.wire for asset in offered])
            return Transfer(STX, amount, str(tx.origin_address), str(recipient), memo.rstrip(b"\0"))
        case ContractCall(contract) as call:
            units, sender, to, note = _call_arguments(call)
            for asset in offered:
                if asset.token is not None and asset.token.contract == contract:
                    return Transfer(asset, units, str(sender), str(to), note)
            raise _refuse("payment_wrong_asset", paid=str(contract), offered=[asset.wire for asset in offered])


def _check_post_conditions(tx: Transaction, transfer: Transfer) -> None:
    """Refuse what the chain would abort (SIP-005): the payer would lose a fee and we a payment."""
    token = transfer.asset.token
    if token is None:
        if tx.post_conditions:  # stacks-core: "TokenTransfer transactions do not support post-conditions"
            raise _refuse("payment_post_conditions_abort", reason="an STX transfer takes no post-conditions")
        return
    origin = Principal(tx.origin_address)
    covered = False
    for condition in tx.post_conditions:
        who = condition.principal or origin
        match condition:
            case FungiblePostCondition():
                moved = (condition.asset.contract, condition.asset.name) == (token.contract, token.asset_name)
                names_it = moved and who == origin
                sent = transfer.amount if names_it else 0
                covered = covered or names_it
                holds = condition.comparison.holds(sent, condition.amount)
            case StxPostCondition():
                holds = condition.comparison.holds(0, condition.amount)
            case NonFungiblePostCondition():
                holds = condition.ownership is Ownership.NOT_SENT
        if not holds:
            raise _refuse("payment_post_conditions_abort", reason="a post-condition does not hold for this transfer")
    if tx.post_condition_mode is not PostConditionMode.ALLOW and not covered:
        raise _refuse(
            "payment_post_conditions_abort",
            reason="deny mode without a post-condition on the transferred asset",
            mode=tx.post_condition_mode.name.lower(),
        )


def _check_parties(tx: Transaction, transfer: Transfer, pay_to: str) -> None:
    origin = str(tx.origin_address)
    if transfer.recipient != pay_to:
        raise _refuse("payment_wrong_recipient", required=pay_to, paid=transfer.recipient)
    if transfer.sender != origin:
        raise _refuse("payment_sender_mismatch", signer=origin, sender=transfer.sender)
    if origin == pay_to:
        raise _refuse("payment_to_self")


def _check_fee(tx: Transaction, raw: bytes) -> None:
    if is_unsponsored(tx):
        if tx.origin.fee:
            raise _refuse("payment_malformed", reason="the origin fee of a sponsored payment is 0")
        return
    floor = FEE_FLOOR_USTX_PER_BYTE * len(raw)
    if tx.fee < floor:
        raise _refuse("payment_fee_too_low", required=floor, paid=tx.fee)


def _terms(
    transfer: Transfer, accepted: Mapping[str, Any] | None, read_quote: QuoteReader | None
) -> tuple[int, int, QuoteTerms | None]:
    """(rate_usat, rate_atomic, quote): sBTC is one to one, everything else by the signed quote that came back."""
    if transfer.asset.symbol == "sBTC":
        return USAT_PER_SAT, 1, None
    if read_quote is None:
        raise _refuse("asset_not_offered", asset=transfer.asset.symbol)
    extra = (accepted or {}).get("extra")
    token = extra.get("quote") if isinstance(extra, Mapping) else None
    if not isinstance(token, str) or len(token) > QUOTE_TOKEN_CHARS_MAX:
        raise _refuse("quote_invalid", reason="`accepted.extra.quote` is missing")
    quote = read_quote(token)
    if quote.asset != transfer.asset.symbol:
        raise _refuse("quote_invalid", reason=f"the quote is for {quote.asset}")
    if quote.atomic_amount <= 0 or quote.usat <= 0:
        raise _refuse("quote_invalid", reason="the quote has no rate")
    return quote.usat, quote.atomic_amount, quote


def _check_amount(transfer: Transfer, usat: int, required: int, required_usat: int) -> None:
    if transfer.amount < required or usat < required_usat:
        raise _refuse(
            "payment_amount_insufficient",
            asset=transfer.asset.symbol,
            required=str(required),
            paid=str(transfer.amount),
        )


def verify_payment(
    raw: bytes,
    *,
    accepted: Mapping[str, Any] | None,
    network: Network,
    pay_to: str,
    required_usat: int = USAT_PER_SAT,
    read_quote: QuoteReader | None = None,
    offered: Sequence[Asset] | None = None,
) -> VerifiedPayment:
    """Judge a payment by its bytes: does its signer send `pay_to` an offered asset worth at least `required_usat`?

    `accepted` is only asked for the signed quote in its `extra`. Overpayment is credited. Raises SatboxError with a
    payment_*, quote_* or asset_not_offered code and `funds_moved` False.
    """
    tx = decode_payment(raw, network)
    transfer = transfer_of(tx, assets(network) if offered is None else offered)
    _check_parties(tx, transfer, pay_to)
    if not 0 < transfer.amount <= _MICRO_STX_MAX or tx.origin.nonce >= _I64:
        raise _refuse("payment_malformed", reason="amount or nonce is out of any range an account can have")
    rate_usat, rate_atomic, quote = _terms(transfer, accepted, read_quote)
    usat = transfer.amount * rate_usat // rate_atomic
    if not 0 < usat < _I64:
        raise _refuse("payment_amount_insufficient", required="1", paid=str(transfer.amount))
    least = -(-required_usat * rate_atomic // rate_usat)
    _check_amount(transfer, usat, max(least, quote.atomic_amount if quote else 0), required_usat)
    _check_post_conditions(tx, transfer)
    _check_fee(tx, raw)
    waits_for_sponsor = is_unsponsored(tx)
    return VerifiedPayment(
        identity=identity_of(tx),
        origin=str(tx.origin_address),
        nonce=tx.origin.nonce,
        chain_id=network.chain_id,
        asset=transfer.asset.symbol,
        asset_wire=transfer.asset.wire,
        asset_id=transfer.asset.asset_id,
        amount=transfer.amount,
        pay_to=pay_to,
        usat=usat,
        rate_usat=rate_usat,
        rate_atomic=rate_atomic,
        quote_id=quote.quote_id if quote else None,
        quote_expires_at_ms=quote.expires_at_ms if quote else None,
        sponsored=tx.is_sponsored,
        unsponsored=waits_for_sponsor,
        txid=None if waits_for_sponsor else tx.txid(),
        fee=0 if waits_for_sponsor else tx.fee,
        memo=transfer.memo,
        # One form for every unsponsored copy, so that what stands in the empty slot changes nothing.
        transaction=replace(tx, sponsor=UNSPONSORED).serialize() if waits_for_sponsor else raw,
    )
