"""Which token a transaction pays in and which one an offer names, as the relay understands both.

The relay's reading is wider than ours should be (any `sbtc-token` on testnet, aeUSDC taken for USDCx): it is imitated here so
that satbox is tested against it, and must not be copied. [relay: services/settlement.ts, endpoints/v2-helpers.ts]
"""

import re
from dataclasses import dataclass

from stacks.c32 import Principal
from stacks.clarity import ContractPrincipal, StandardPrincipal, UInt
from stacks.errors import AddressError
from stacks.network import Network
from stacks.payloads import TokenTransfer
from stacks.transaction import Transaction

_MAINNET = {
    "SM3VDXK3WZZSA84XXFKAFAF15NNZX32CTSG82JFQ4.sbtc-token": "sBTC",
    "SP120SBRBQJ00MCWS7TM5R8WJNTTKD5K0HFRC2CNE.usdcx": "USDCx",
    "SP3K8BC0PPEVCV7NZ6QSRWPQ2JE9E5B6N3PA0KBR9.token-aeusdc": "USDCx",
}
_CAIP19 = re.compile(r"stacks:[0-9]+/sip010:([0-9A-Z]+\.[A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Movement:
    """What a payment moves: token type (STX, sBTC, USDCx), amount in its smallest unit, recipient."""

    token_type: str
    amount: int
    recipient: Principal


def contract_type(contract: str, network: Network) -> str | None:
    """The token type of a contract, or None when the relay does not know it."""
    if network is Network.MAINNET:
        return _MAINNET.get(contract)
    return "sBTC" if contract.endswith(".sbtc-token") else None


def asset_type(asset: str, network: Network) -> str | None:
    """The token type an offer's `asset` names, or None when the relay does not recognise it."""
    named = {"STX": "STX", "SBTC": "sBTC", "USDCX": "USDCx"}.get(asset.upper())
    if named is not None:
        return named
    caip19 = _CAIP19.fullmatch(asset)
    contract = caip19[1] if caip19 else asset
    try:
        principal = Principal.parse(contract)
    except AddressError:
        return None
    return contract_type(str(principal), network) if principal.is_contract else None


def movement(tx: Transaction) -> Movement | None:
    """What a transaction pays, or None when it is not a transfer that the relay understands."""
    payload = tx.payload
    if isinstance(payload, TokenTransfer):
        return Movement("STX", payload.amount, payload.recipient)
    kind = contract_type(str(payload.contract), tx.network)
    if kind is None or payload.function != "transfer" or len(payload.arguments) not in (3, 4):
        return None
    amount, recipient = payload.arguments[0], payload.arguments[2]
    if not isinstance(amount, UInt) or not isinstance(recipient, StandardPrincipal | ContractPrincipal):
        return None
    return Movement(kind, amount.value, recipient.principal)


def requirement_error(tx: Transaction, pay_to: str, amount: int, token_type: str) -> str | None:
    """The relay's error string when a transaction does not meet a requirement; only these three are compared."""
    moved = movement(tx)
    if moved is None:
        return "invalid_transaction_state"
    if moved.token_type != token_type:
        return "unsupported_scheme"
    if str(moved.recipient.address).lower() != pay_to.partition(".")[0].lower():
        return "recipient_mismatch"
    return "amount_insufficient" if moved.amount < amount else None
