"""Transactions and Clarity values as plain data for JSON. Amounts are integers, also above 2^53; bytes are hex without 0x."""

from typing import Any

from stacks.authorization import Authorization, authorizations
from stacks.c32 import Principal
from stacks.clarity import (
    Bool,
    Buffer,
    ClarityValue,
    ContractPrincipal,
    Int,
    List,
    NoneValue,
    ResponseErr,
    ResponseOk,
    Some,
    StandardPrincipal,
    StringAscii,
    StringUtf8,
    Tuple,
    UInt,
    serialize,
    to_text,
)
from stacks.network import Network
from stacks.newer_conditions import (
    AnyPostCondition,
    MaybeSentPostCondition,
    StackingPostCondition,
    StakingPostCondition,
)
from stacks.other_payloads import TENURE_CAUSES, AnyPayload, Coinbase, PoisonMicroblock, SmartContract, TenureChange
from stacks.payloads import ContractCall, TokenTransfer
from stacks.postconditions import FungiblePostCondition, NonFungiblePostCondition, StxPostCondition
from stacks.spending import MultiSig, SpendingCondition
from stacks.transaction import AnyTransaction

Document = dict[str, Any]

HASH_MODES = {
    0: "p2pkh", 1: "p2sh", 2: "p2wpkh_p2sh", 3: "p2wsh_p2sh", 5: "p2sh_non_sequential", 7: "p2wsh_p2sh_non_sequential",
}  # fmt: skip


def value_type(value: ClarityValue) -> str:
    """The Clarity type of a value, in one word."""
    match value:
        case Int():
            return "int"
        case UInt():
            return "uint"
        case Buffer():
            return "buffer"
        case Bool():
            return "bool"
        case StandardPrincipal() | ContractPrincipal():
            return "principal"
        case ResponseOk():
            return "ok"
        case ResponseErr():
            return "err"
        case NoneValue():
            return "none"
        case Some():
            return "some"
        case List():
            return "list"
        case Tuple():
            return "tuple"
        case StringAscii():
            return "string-ascii"
        case StringUtf8():
            return "string-utf8"


def value_data(value: ClarityValue) -> Any:
    """A value as JSON has it: integers as integers, buffers as hex, tuples as objects, what wraps another as that."""
    match value:
        case Int(number) | UInt(number):
            return number
        case Buffer(data):
            return data.hex()
        case Bool(flag):
            return flag
        case StandardPrincipal() | ContractPrincipal():
            return str(value.principal)
        case ResponseOk(inner) | ResponseErr(inner) | Some(inner):
            return {"type": value_type(inner), "value": value_data(inner)}
        case NoneValue():
            return None
        case List(items):
            return [{"type": value_type(item), "value": value_data(item)} for item in items]
        case Tuple():
            return {name: {"type": value_type(item), "value": value_data(item)} for name, item in value.sorted_entries}
        case StringAscii(text) | StringUtf8(text):
            return text


def describe_value(value: ClarityValue) -> Document:
    """A value's type, text, bytes and data."""
    return {
        "type": value_type(value),
        "clarity": to_text(value),
        "hex": serialize(value).hex(),
        "value": value_data(value),
    }


def _argument(value: ClarityValue) -> Document:
    return {"clarity": to_text(value), "hex": serialize(value).hex()}


def _principal(principal: Principal | None) -> str:
    return "origin" if principal is None else str(principal)


def describe_post_condition(condition: AnyPostCondition) -> Document:
    """A post-condition; `principal` is an address, a contract or `origin`."""
    described: Document = {"kind": "", "principal": _principal(condition.principal)}
    match condition:
        case StxPostCondition():
            described |= {"kind": "stx", "condition": condition.comparison.name.lower(), "amount": condition.amount}
        case FungiblePostCondition():
            described |= {
                "kind": "fungible", "asset": str(condition.asset),
                "condition": condition.comparison.name.lower(), "amount": condition.amount,
            }  # fmt: skip
        case NonFungiblePostCondition():
            described |= {
                "kind": "non_fungible", "asset": str(condition.asset),
                "condition": condition.ownership.name.lower(), "value": _argument(condition.value),
            }  # fmt: skip
        case MaybeSentPostCondition():
            described |= {
                "kind": "non_fungible", "asset": str(condition.asset),
                "condition": "maybe_sent", "value": _argument(condition.value),
            }  # fmt: skip
        case StakingPostCondition():
            described |= {"kind": "staking", "condition": condition.comparison.name.lower(), "amount": condition.amount}
        case StackingPostCondition():
            described |= {"kind": "pox", "condition": condition.action.name.lower()}
    return described


def memo_text(memo: bytes) -> str:
    """A memo as people read it: without its padding, and with bytes replaced that are not UTF-8."""
    return memo.rstrip(b"\0").decode("utf-8", "replace")


def describe_payload(payload: AnyPayload) -> Document:
    """What a transaction does; `kind` as the Stacks API names it."""
    match payload:
        case TokenTransfer():
            return {
                "kind": "token_transfer", "recipient": str(payload.recipient), "amount": payload.amount,
                "memo": memo_text(payload.memo), "memo_hex": payload.memo.hex(),
            }  # fmt: skip
        case ContractCall():
            return {
                "kind": "contract_call", "contract": str(payload.contract), "function": payload.function,
                "args": [_argument(value) for value in payload.arguments],
            }  # fmt: skip
        case SmartContract():
            kind = "smart_contract" if payload.clarity_version is None else "versioned_smart_contract"
            return {
                "kind": kind,
                "name": payload.name,
                "clarity_version": payload.clarity_version,
                "code": payload.code,
            }
        case PoisonMicroblock():
            return {"kind": "poison_microblock", "headers": [header.hex() for header in payload.headers]}
        case Coinbase():
            return _coinbase(payload)
        case TenureChange():
            return {
                "kind": "tenure_change",
                "tenure_hash": payload.tenure_hash.hex(),
                "previous_tenure_hash": payload.previous_tenure_hash.hex(),
                "burn_view_hash": payload.burn_view_hash.hex(),
                "previous_tenure_end": payload.previous_tenure_end.hex(),
                "previous_tenure_blocks": payload.previous_tenure_blocks,
                "cause": TENURE_CAUSES[payload.cause],
                "public_key_hash": payload.public_key_hash.hex(),
            }


def _coinbase(payload: Coinbase) -> Document:
    to = None if payload.recipient is None else str(payload.recipient)
    described: Document = {"kind": "coinbase", "data": payload.data.hex(), "recipient": to}
    if payload.vrf_proof is not None:
        return described | {"kind": "nakamoto_coinbase", "vrf_proof": payload.vrf_proof.hex()}
    return described | ({} if to is None else {"kind": "coinbase_to_alt_recipient"})


def _describe_signer(condition: SpendingCondition, authorization: Authorization, network: Network) -> Document:
    described: Document = {
        "address": str(condition.address(network)),
        "nonce": condition.nonce,
        "fee": condition.fee,
        "signature_valid": authorization.is_valid,
        "signature_error": None if authorization.error is None else authorization.error.code,
        "hash_mode": HASH_MODES[condition.hash_mode],
        "public_keys": [key.data.hex() for key in authorization.keys],
    }
    if isinstance(condition, MultiSig):
        described["signatures_required"] = condition.signatures_required
        described["fields"] = [
            {
                "kind": "public_key" if field.is_public_key else "signature",
                "compressed": field.is_compressed,
                "data": field.data.hex(),
            }
            for field in condition.fields
        ]
    else:
        described["key_encoding"] = condition.key_encoding.name.lower()
        described["signature"] = condition.signature.hex() if condition.is_signed else None
    return described


def describe_transaction(tx: AnyTransaction) -> Document:
    """Everything in a transaction, and what its signatures are worth."""
    origin, sponsor = authorizations(tx)
    described_sponsor = None
    if tx.sponsor is not None and sponsor is not None:
        described_sponsor = _describe_signer(tx.sponsor, sponsor, tx.network)
    return {
        "txid": tx.txid(),
        "network": tx.network.value,
        "chain_id": tx.network.chain_id,
        "auth": "sponsored" if tx.is_sponsored else "standard",
        "origin": _describe_signer(tx.origin, origin, tx.network),
        "sponsor": described_sponsor,
        "anchor_mode": tx.anchor_mode.name.lower(),
        "post_condition_mode": tx.post_condition_mode.name.lower(),
        "post_conditions": [describe_post_condition(condition) for condition in tx.post_conditions],
        "payload": describe_payload(tx.payload),
    }
