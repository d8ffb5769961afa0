"""What the chain says of a payment: its transaction, another one in its place, nothing, or no answer."""

import functools
from dataclasses import dataclass

from relay_client.chain import CallView, Chain, ChainPhase, ChainTransaction, ChainUnavailable
from relay_client.settlements.records import SELF_PAID, Payment
from stacks import ContractCall, TokenTransfer, decode_transaction
from stacks.clarity import serialize


@dataclass(frozen=True, slots=True)
class Found:
    """The payment's own transaction, pending or in a block."""

    tx: ChainTransaction


@dataclass(frozen=True, slots=True)
class Displaced:
    """Another transaction in a block has used the payment's nonce: the payment can never confirm."""

    by: ChainTransaction


@dataclass(frozen=True, slots=True)
class Absent:
    """The API answers and does not know it (any more). It may still come."""


@dataclass(frozen=True, slots=True)
class Silent:
    """The API does not answer."""


Sight = Found | Displaced | Absent | Silent


@functools.lru_cache(maxsize=4096)
def _asked_for(transaction: bytes) -> CallView:
    payload = decode_transaction(transaction).payload
    match payload:
        case TokenTransfer():
            return CallView("token_transfer", recipient=str(payload.recipient), amount=str(payload.amount))
        case ContractCall():
            arguments = tuple(serialize(argument).hex() for argument in payload.arguments)
            return CallView("contract_call", str(payload.contract), payload.function, arguments)


def _is_ours(payment: Payment, tx: ChainTransaction) -> bool:
    """Whether `tx` is this payment under a txid we were not told: the same origin, nonce and payload, sponsored.

    A self-paid payment has one txid. The origin signs its nonce once for us; sponsors only add their half, and anybody may
    sponsor what an origin has signed, whether or not a sponsor had signed it when it was presented.
    """
    if tx.sender != payment.origin or tx.nonce != payment.nonce:
        return False
    if payment.sponsored == SELF_PAID or tx.txid == payment.txid:
        return tx.txid == payment.txid
    return tx.sponsored and tx.call == _asked_for(payment.transaction_bytes)


async def look(chain: Chain, payment: Payment) -> Sight:
    """Ask by txid, then by origin and nonce: a sponsored payment may have two txids, of which one can confirm."""
    try:
        if payment.txid is not None:
            tx = await chain.transaction(payment.txid)
            if tx is not None and tx.phase is not ChainPhase.DROPPED:
                return Found(tx)
        others = await chain.by_nonce(payment.origin, payment.nonce)
        pending: ChainTransaction | None = None
        displaced: ChainTransaction | None = None
        for candidate in others:
            tx = await chain.transaction(candidate.txid)  # listings leave out events and arguments
            if tx is None or tx.phase is ChainPhase.DROPPED:
                continue
            if _is_ours(payment, tx):
                if tx.phase is not ChainPhase.PENDING:
                    return Found(tx)
                pending = tx
            elif tx.phase in (ChainPhase.SUCCESS, ChainPhase.ABORTED):
                displaced = tx
    except ChainUnavailable:
        return Silent()
    if displaced is not None:
        return Displaced(displaced)
    return Absent() if pending is None else Found(pending)
