"""Payments as clients sign them, for tests: real keys, real bytes."""

from dataclasses import dataclass

from relay_client.verify import VerifiedPayment, verify_payment
from stacks import Network, PrivateKey, Transaction, sbtc
from stacks.signing import Sender, sign_origin, sip010_transfer, token_transfer

NETWORK = Network.TESTNET
PAYER = PrivateKey(bytes(31) + b"\x11")
OTHER = PrivateKey(bytes(31) + b"\x22")
PAY_TO_KEY = PrivateKey(bytes(31) + b"\x33")
PAY_TO = str(PAY_TO_KEY.public_key.address(NETWORK))
SBTC = sbtc(NETWORK)


@dataclass(frozen=True)
class Terms:
    """A quote as the verifier sees it: 1 STX buys 1,000 sats."""

    quote_id: str = "quote-1"
    asset: str = "STX"
    atomic_amount: int = 1_000_000
    usat: int = 1_000_000_000
    expires_at_ms: int = 1_900_000_000_000
    token: str = "quote-token"


def read_quote(token: str) -> Terms:
    """The one quote of these tests."""
    assert token == "quote-token"
    return Terms()


QUOTED = {"extra": {"quote": "quote-token"}}


def sender(key: PrivateKey = PAYER, *, nonce: int = 0, fee: int = 1000, sponsored: bool = False) -> Sender:
    """Whoever signs."""
    return Sender(key.public_key, NETWORK, nonce, 0 if sponsored else fee, sponsored)


def sbtc_payment(
    sats: int = 250, *, key: PrivateKey = PAYER, nonce: int = 0, sponsored: bool = False, memo: str | None = None
) -> Transaction:
    """A signed sBTC transfer to the service."""
    address = PAY_TO_KEY.public_key.address(NETWORK)
    return sign_origin(sip010_transfer(sender(key, nonce=nonce, sponsored=sponsored), SBTC, address, sats, memo), key)


def stx_payment(
    micro_stx: int = 1_000_000, *, key: PrivateKey = PAYER, nonce: int = 0, sponsored: bool = False, memo: str = ""
) -> Transaction:
    """A signed STX transfer to the service."""
    address = PAY_TO_KEY.public_key.address(NETWORK)
    return sign_origin(token_transfer(sender(key, nonce=nonce, sponsored=sponsored), address, micro_stx, memo), key)


def verified(tx: Transaction) -> VerifiedPayment:
    """The same, judged."""
    return verify_payment(tx.serialize(), accepted=QUOTED, network=NETWORK, pay_to=PAY_TO, read_quote=read_quote)
