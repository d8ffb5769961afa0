"""What a Stacks node checks before it takes a transaction into its mempool, in its words.

Source of names and order: stacks-core, chainstate/stacks/db/blocks.rs (`MemPoolRejection`).
"""

from collections.abc import Mapping

from devnet.ledger import STX, Ledger
from devnet.records import JsonObject
from stacks.clarity import (
    Buffer,
    ClarityValue,
    ContractPrincipal,
    NoneValue,
    Some,
    StandardPrincipal,
    UInt,
)
from stacks.errors import SignatureError, TransactionError
from stacks.network import Network
from stacks.payloads import ContractCall, TokenTransfer
from stacks.signing import verify_origin, verify_sponsor
from stacks.spending import SpendingCondition
from stacks.tokens import Token
from stacks.transaction import Transaction

CHAINING_MAX = 25  # unconfirmed nonces a node lets one account queue up
FEE_USTX_PER_BYTE = 1
MEMO_BYTES_MAX = 34


class Rejected(Exception):  # noqa: N818 - named for what the node says
    """The node refuses the transaction: `reason` and `data` are its rejection object's."""

    def __init__(self, reason: str, data: JsonObject | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.data = data

    def body(self, txid: str) -> JsonObject:
        """The JSON body of the node's 400."""
        body: JsonObject = {"error": "transaction rejected", "txid": txid, "reason": self.reason}
        if self.data is not None:
            body["reason_data"] = self.data
        return body


def _hex128(amount: int) -> str:
    return f"0x{amount:032x}"


def _check_nonce(ledger: Ledger, who: str, condition: SpendingCondition, *, is_origin: bool) -> None:
    expected = ledger.nonce(who)
    data: JsonObject = {"expected": expected, "actual": condition.nonce, "principal": who, "is_origin": is_origin}
    if condition.nonce < expected:
        raise Rejected("BadNonce", data)
    if condition.nonce >= expected + CHAINING_MAX:
        data |= {"expected": expected + CHAINING_MAX, "message": "Nonce would exceed chaining limit in mempool"}
        raise Rejected("TooMuchChaining", data)


def _check_transfer(ledger: Ledger, tx: Transaction, payload: TokenTransfer) -> None:
    origin = str(tx.origin_address)
    if str(payload.recipient) == origin:
        raise Rejected("TransferRecipientCannotEqualSender", {"recipient": origin})
    if payload.amount == 0:
        raise Rejected("TransferAmountMustBePositive")
    needed = payload.amount + (0 if tx.is_sponsored else tx.fee)
    if ledger.balance(origin) < needed:
        raise Rejected("NotEnoughFunds", {"expected": _hex128(needed), "actual": _hex128(ledger.balance(origin))})


def is_transfer_arguments(arguments: tuple[ClarityValue, ...]) -> bool:
    """Whether the arguments fit SIP-010's `transfer`."""
    if len(arguments) != 4:
        return False
    amount, sender, recipient, memo = arguments
    principals = StandardPrincipal | ContractPrincipal
    fits = isinstance(amount, UInt) and isinstance(sender, principals) and isinstance(recipient, principals)
    if isinstance(memo, Some) and isinstance(memo.value, Buffer):
        return fits and len(memo.value.data) <= MEMO_BYTES_MAX
    return fits and isinstance(memo, NoneValue)


def _check_call(tokens: Mapping[str, Token], payload: ContractCall) -> None:
    if str(payload.contract) not in tokens:
        raise Rejected("NoSuchContract")
    if payload.function != "transfer":
        raise Rejected("NoSuchPublicFunction")
    if not is_transfer_arguments(payload.arguments):
        raise Rejected("BadFunctionArgument", {"message": "transfer takes (uint principal principal (optional buff))"})


def check_admission(
    ledger: Ledger, network: Network, tokens: Mapping[str, Token], tx: Transaction, size_bytes: int
) -> None:
    """Raises Rejected unless the node would take the transaction; conflicts in the mempool are the chain's to see."""
    if tx.network is not network:
        raise Rejected("BadTransactionVersion")
    try:
        verify_origin(tx)
        if tx.is_sponsored:
            verify_sponsor(tx)
    except (SignatureError, TransactionError) as error:
        raise Rejected("SignatureValidation", {"message": str(error)}) from error
    minimum = size_bytes * FEE_USTX_PER_BYTE
    if tx.fee < minimum:
        raise Rejected("FeeTooLow", {"expected": minimum, "actual": tx.fee})
    origin = str(tx.origin_address)
    payer = origin if tx.sponsor is None else str(tx.sponsor_address)
    _check_nonce(ledger, origin, tx.origin, is_origin=True)
    if tx.sponsor is not None:
        _check_nonce(ledger, payer, tx.sponsor, is_origin=False)
    if ledger.balance(payer, STX) < tx.fee:
        raise Rejected("NotEnoughFunds", {"expected": _hex128(tx.fee), "actual": _hex128(ledger.balance(payer, STX))})
    if isinstance(tx.payload, TokenTransfer):
        _check_transfer(ledger, tx, tx.payload)
    else:
        _check_call(tokens, tx.payload)
