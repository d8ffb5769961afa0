"""Transactions and accounts as the Stacks API shows them."""

from devnet.chain import Chain
from devnet.clock import iso
from devnet.ledger import STX
from devnet.records import PENDING, JsonObject, TxRecord
from stacks.clarity import ClarityValue, serialize, to_text
from stacks.payloads import ContractCall, TokenTransfer
from stacks.postconditions import (
    Comparison,
    FungiblePostCondition,
    Ownership,
    PostCondition,
    PostConditionMode,
    StxPostCondition,
)

_TRANSFER_ARGUMENTS = (
    ("amount", "uint"),
    ("sender", "principal"),
    ("recipient", "principal"),
    ("memo", "(optional (buff 34))"),
)
_TRANSFER_SIGNATURE = "(define-public (transfer ({} {}) ({} {}) ({} {}) ({} {})))".format(
    *(word for argument in _TRANSFER_ARGUMENTS for word in argument)
)
_COMPARISONS = {
    Comparison.EQUAL: "sent_equal_to",
    Comparison.GREATER: "sent_greater_than",
    Comparison.GREATER_OR_EQUAL: "sent_greater_than_or_equal_to",
    Comparison.LESS: "sent_less_than",
    Comparison.LESS_OR_EQUAL: "sent_less_than_or_equal_to",
}
_MODES = {PostConditionMode.ALLOW: "allow", PostConditionMode.DENY: "deny", PostConditionMode.ORIGINATOR: "originator"}


def _clarity(value: ClarityValue) -> JsonObject:
    return {"hex": "0x" + serialize(value).hex(), "repr": to_text(value)}


def _post_condition(condition: PostCondition) -> JsonObject:
    principal: JsonObject = {"type_id": "principal_origin"}
    if condition.principal is not None:
        kind = "principal_contract" if condition.principal.is_contract else "principal_standard"
        principal = {"type_id": kind, "address": str(condition.principal.address)}
        if condition.principal.contract_name is not None:
            principal["contract_name"] = condition.principal.contract_name
    match condition:
        case StxPostCondition(_, comparison, amount):
            return _condition("stx", principal, _COMPARISONS[comparison], {"amount": str(amount)})
        case FungiblePostCondition(_, asset, comparison, amount):
            detail: JsonObject = {"amount": str(amount)}
            return _condition("fungible", principal, _COMPARISONS[comparison], detail, str(asset))
        case _:
            code = "sent" if condition.ownership is Ownership.SENT else "not_sent"
            return _condition(
                "non_fungible", principal, code, {"asset_value": _clarity(condition.value)}, str(condition.asset)
            )


def _condition(
    kind: str, principal: JsonObject, code: str, detail: JsonObject, asset_id: str | None = None
) -> JsonObject:
    body: JsonObject = {"principal": principal, "condition_code": code, "type": kind, **detail}
    if asset_id is not None:
        contract, _, name = asset_id.partition("::")
        address, _, contract_name = contract.partition(".")
        body["asset"] = {"asset_name": name, "contract_address": address, "contract_name": contract_name}
    return body


def _payload(payload: TokenTransfer | ContractCall) -> JsonObject:
    if isinstance(payload, TokenTransfer):
        transfer: JsonObject = {
            "recipient_address": str(payload.recipient),
            "amount": str(payload.amount),
            "memo": "0x" + payload.memo.hex(),
        }
        return {"tx_type": "token_transfer", "token_transfer": transfer}
    arguments = [
        {**_clarity(value), "name": name, "type": kind}
        for value, (name, kind) in zip(payload.arguments, _TRANSFER_ARGUMENTS, strict=False)
    ]
    call: JsonObject = {
        "contract_id": str(payload.contract),
        "function_name": payload.function,
        "function_signature": _TRANSFER_SIGNATURE,
        "function_args": arguments,
    }
    return {"tx_type": "contract_call", "contract_call": call}


def transaction(chain: Chain, record: TxRecord) -> JsonObject:
    """The transaction object of `/extended/v1/tx/{txid}`."""
    tx = record.tx
    body: JsonObject = {
        "tx_id": "0x" + record.txid,
        "nonce": tx.origin.nonce,
        "fee_rate": str(tx.fee),
        "sender_address": record.origin,
        "sponsored": tx.is_sponsored,
        "post_condition_mode": _MODES[tx.post_condition_mode],
        "post_conditions": [_post_condition(condition) for condition in tx.post_conditions],
        "anchor_mode": {1: "on_chain_only", 2: "off_chain_only", 3: "any"}[tx.anchor_mode],
        "tx_status": record.status,
        **_payload(tx.payload),
    }
    if tx.sponsor is not None:
        body |= {"sponsor_address": record.sponsor, "sponsor_nonce": tx.sponsor.nonce}
    if record.replaced_by is not None:
        body["replaced_by_tx_id"] = "0x" + record.replaced_by
    if record.block_height is None:
        body |= {"receipt_time": int(record.received_at), "receipt_time_iso": iso(record.received_at)}
        return body
    result = record.result
    assert result is not None
    return (
        body
        | _in_block(chain, record.block_height)
        | {
            "canonical": True,
            "microblock_canonical": True,
            "tx_index": record.tx_index,
            "tx_result": _clarity(result),
            "event_count": len(record.events),
            "events": record.events,
        }
    )


def _in_block(chain: Chain, height: int) -> JsonObject:
    """Block fields; older than the kept blocks, a transaction keeps its height but no time of its own."""
    block = chain.block_at(height)
    block_hash, parent = (block.block_hash, block.parent_hash) if block else ("00" * 32, "00" * 32)
    at = block.time if block else 0.0
    return {
        "is_unanchored": False,
        "block_hash": "0x" + block_hash,
        "parent_block_hash": "0x" + parent,
        "block_height": height,
        "block_time": int(at),
        "block_time_iso": iso(at),
        "burn_block_height": height,
        "burn_block_time": int(at),
        "burn_block_time_iso": iso(at),
    }


def nonces(chain: Chain, address: str) -> JsonObject:
    """The reply of `/extended/v1/address/{a}/nonces`."""
    executed, pending = chain.ledger.nonce(address), chain.pending_nonces(address)
    following = chain.next_nonce(address)
    return {
        "last_mempool_tx_nonce": pending[-1] if pending else None,
        "last_executed_tx_nonce": executed - 1 if executed else None,
        "possible_next_nonce": following,
        "detected_missing_nonces": [n for n in range(following - 1, executed - 1, -1) if n not in set(pending)],
        "detected_mempool_nonces": sorted(pending, reverse=True),
    }


def account(chain: Chain, address: str) -> JsonObject:
    """The reply of `/v2/accounts/{a}?proof=0`."""
    return {
        "balance": f"0x{chain.ledger.balance(address):032x}",
        "locked": f"0x{0:032x}",
        "unlock_height": 0,
        "nonce": chain.ledger.nonce(address),
    }


def stx_balance(chain: Chain, address: str) -> JsonObject:
    """The reply of `/extended/v1/address/{a}/stx`."""
    sent = received = fees = 0
    for record in chain.of_address(address):
        if record.status == PENDING or record.block_height is None:
            continue
        fees += record.tx.fee if address == (record.sponsor or record.origin) else 0
        for event in record.events:
            asset = event.get("asset")
            if event["event_type"] == "stx_asset" and isinstance(asset, dict):
                sent += int(asset["amount"]) if asset["sender"] == address else 0
                received += int(asset["amount"]) if asset["recipient"] == address else 0
    return {
        "balance": str(chain.ledger.balance(address, STX)),
        "estimated_balance": str(chain.ledger.balance(address, STX)),
        "total_sent": str(sent),
        "total_received": str(received),
        "total_fees_sent": str(fees),
        "total_miner_rewards_received": "0",
        "lock_tx_id": "",
        "locked": "0",
        "lock_height": 0,
        "burnchain_lock_height": 0,
        "burnchain_unlock_height": 0,
    }


def balances(chain: Chain, address: str) -> JsonObject:
    """The reply of `/extended/v1/address/{a}/balances`."""
    tokens: JsonObject = {}
    for token in chain.tokens.values():
        units = chain.ledger.balance(address, token.asset_id)
        if units:
            tokens[token.asset_id] = {"balance": str(units), "total_sent": "0", "total_received": str(units)}
    return {"stx": stx_balance(chain, address), "fungible_tokens": tokens, "non_fungible_tokens": {}}
