"""The one transaction a payout is: deterministic, so that signing again after a crash gives the same bytes. Pure."""

from dataclasses import dataclass

from relay_client.payouts.records import PayoutOrder, PayoutReport
from stacks import Address, Network, PrivateKey, Transaction, sbtc
from stacks.signing import Sender, sign_origin, sip010_transfer, token_transfer

ASSETS = ("sBTC", "STX")


@dataclass(frozen=True, slots=True)
class Signed:
    """Bytes to send, and what they will be called on chain."""

    txid: str
    transaction_bytes: bytes


def asset_id(asset: str, network: Network) -> str | None:
    """What transfer events call it; None for STX."""
    return None if asset == "STX" else sbtc(network).asset_id


def sign(payout: PayoutOrder | PayoutReport, key: PrivateKey, network: Network, nonce: int, fee_ustx: int) -> Signed:
    """The transfer, signed. sBTC in deny mode with the one condition that exactly this leaves."""
    sender = Sender(key.public_key, network, nonce, fee_ustx)
    recipient = Address.parse(payout.recipient)
    # The memo makes two payouts of one amount to one recipient tell apart on chain.
    memo = payout.payout_id.encode()[:34]
    unsigned: Transaction
    if payout.asset == "STX":
        unsigned = token_transfer(sender, recipient, payout.atomic, memo)
    else:
        unsigned = sip010_transfer(sender, sbtc(network), recipient, payout.atomic, memo.decode())
    tx = sign_origin(unsigned, key)
    return Signed(tx.txid(), tx.serialize())
