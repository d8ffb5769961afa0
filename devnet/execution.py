"""Running one transaction: its movements, its events as the Stacks API shows them, its post-conditions."""

from collections.abc import Mapping
from dataclasses import dataclass

from devnet.ledger import STX, Ledger, Overdraft
from devnet.records import ABORT_BY_POST_CONDITION, ABORT_BY_RESPONSE, SUCCESS, JsonObject
from stacks.clarity import (
    Bool,
    Buffer,
    ClarityValue,
    ContractPrincipal,
    ResponseErr,
    ResponseOk,
    Some,
    StandardPrincipal,
    UInt,
    serialize,
    to_text,
)
from stacks.payloads import ContractCall, TokenTransfer
from stacks.postconditions import (
    FungiblePostCondition,
    NonFungiblePostCondition,
    Ownership,
    PostConditionMode,
    StxPostCondition,
)
from stacks.tokens import Token
from stacks.transaction import Transaction

# SIP-010 error codes by convention.
ERR_INSUFFICIENT, ERR_SAME_PRINCIPAL, ERR_NOT_POSITIVE, ERR_NOT_OWNER = (
    ResponseErr(UInt(code)) for code in range(1, 5)
)
_OK = ResponseOk(Bool(True))


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a transaction ended on chain."""

    status: str
    result: ClarityValue
    events: tuple[JsonObject, ...]


@dataclass(frozen=True, slots=True)
class _Sent:
    """Units of an asset that left a principal while the transaction ran."""

    who: str
    asset: str
    amount: int


def post_conditions_hold(tx: Transaction, sent: tuple[_Sent, ...]) -> bool:
    """SIP-005: every condition holds and, outside allow mode, every movement it covers is named by a condition."""
    origin = str(tx.origin_address)
    amounts: dict[tuple[str, str], int] = {}
    for item in sent:
        amounts[item.who, item.asset] = amounts.get((item.who, item.asset), 0) + item.amount
    named: set[tuple[str, str]] = set()
    for condition in tx.post_conditions:
        who = origin if condition.principal is None else str(condition.principal)
        match condition:
            case StxPostCondition(_, comparison, amount):
                key = (who, STX)
            case FungiblePostCondition(_, asset, comparison, amount):
                key = (who, str(asset))
            case NonFungiblePostCondition():
                if condition.ownership is Ownership.SENT:  # nothing non-fungible ever moves here
                    return False
                continue
        if not comparison.holds(amounts.get(key, 0), amount):
            return False
        named.add(key)
    match tx.post_condition_mode:
        case PostConditionMode.ALLOW:
            return True
        case PostConditionMode.DENY:
            return amounts.keys() <= named
        case PostConditionMode.ORIGINATOR:
            return {key for key in amounts if key[0] == origin} <= named


def _transfer_token(
    ledger: Ledger, token: Token, origin: str, call: ContractCall
) -> tuple[ClarityValue, tuple[_Sent, ...], list[JsonObject]]:
    amount, sender, recipient, memo = call.arguments
    assert isinstance(amount, UInt)
    assert isinstance(sender, StandardPrincipal | ContractPrincipal)
    assert isinstance(recipient, StandardPrincipal | ContractPrincipal)
    source, target = str(sender.principal), str(recipient.principal)
    if source != origin:
        return ERR_NOT_OWNER, (), []
    if amount.value == 0:
        return ERR_NOT_POSITIVE, (), []
    if source == target:
        return ERR_SAME_PRINCIPAL, (), []
    try:
        ledger.move(token.asset_id, source, target, amount.value)
    except Overdraft:
        return ERR_INSUFFICIENT, (), []
    events: list[JsonObject] = [
        {
            "event_type": "fungible_token_asset",
            "asset": {
                "asset_event_type": "transfer",
                "asset_id": token.asset_id,
                "sender": source,
                "recipient": target,
                "amount": str(amount.value),
            },
        }
    ]
    if isinstance(memo, Some) and isinstance(memo.value, Buffer):
        value = {"hex": "0x" + serialize(memo.value).hex(), "repr": to_text(memo.value)}
        log = {"contract_id": str(token.contract), "topic": "print", "value": value}
        events.append({"event_type": "smart_contract_log", "contract_log": log})
    return _OK, (_Sent(source, token.asset_id, amount.value),), events


def _transfer_stx(ledger: Ledger, origin: str, payload: TokenTransfer) -> list[JsonObject]:
    recipient = str(payload.recipient)
    ledger.move(STX, origin, recipient, payload.amount)
    asset: JsonObject = {
        "asset_event_type": "transfer",
        "sender": origin,
        "recipient": recipient,
        "amount": str(payload.amount),
    }
    if any(payload.memo):
        asset["memo"] = "0x" + payload.memo.hex()
    return [{"event_type": "stx_asset", "asset": asset}]


def execute(
    ledger: Ledger, tokens: Mapping[str, Token], tx: Transaction, miner: str, forced_abort: str | None = None
) -> Outcome:
    """Charges the fee, runs the payload, checks post-conditions and uses up the nonces.

    An abort takes back the payload's movements, never fee and nonces. Raises Overdraft, with nothing changed, when the
    fee or an STX transfer cannot be paid: a miner would leave such a transaction in its mempool.
    """
    origin = str(tx.origin_address)
    payer = origin if tx.sponsor is None else str(tx.sponsor_address)
    start = ledger.mark()
    try:
        ledger.move(STX, payer, miner, tx.fee)
        charged = ledger.mark()
        if isinstance(tx.payload, TokenTransfer):
            result: ClarityValue = _OK
            sent: tuple[_Sent, ...] = (_Sent(origin, STX, tx.payload.amount),)
            events = _transfer_stx(ledger, origin, tx.payload)
            holds = True  # the amount and the recipient are signed: SIP-005 has no post-conditions here
        else:
            token = tokens[str(tx.payload.contract)]
            result, sent, events = _transfer_token(ledger, token, origin, tx.payload)
            holds = post_conditions_hold(tx, sent)
    except Overdraft:
        ledger.roll_back(start)
        raise
    status = SUCCESS if isinstance(result, ResponseOk) else ABORT_BY_RESPONSE
    if status == SUCCESS and not holds:
        status = ABORT_BY_POST_CONDITION
    if forced_abort is not None and status == SUCCESS:
        status = forced_abort
        result = ERR_INSUFFICIENT if forced_abort == ABORT_BY_RESPONSE else result
    if status != SUCCESS:
        ledger.roll_back(charged)
        events = []
    ledger.bump_nonce(origin)
    if payer != origin:
        ledger.bump_nonce(payer)
    return Outcome(status, result, tuple(events))
