"""Quotes: a price with an id and an end, signed so that anybody can check it without asking.

A quote is exactly `{quote_id, amount, asset, sats, rate, sources, confidence, issued_at, expires_at, signature}`. The operator's
Ed25519 key signs `satbox-quote:NETWORK:PAY_TO`, a line feed, and the RFC 8785 form of the other nine members; so a quote is
bound to one network and one receiving address, and nothing else signed by that key (a pass, a receipt) can be taken for one.
As `accepted.extra.quote` it travels as base64url of its RFC 8785 form. Expiry is the settlements' to judge, not the
reader's: the same payment must read the same when it is presented again later.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from operations.errors import SatboxError
from oracle.pairs import USAT_PER_SAT

TOKEN_CHARS_MAX = 2_048
CONFIDENCE_PERCENT = 95
FIELDS = frozenset(
    {"quote_id", "amount", "asset", "sats", "rate", "sources", "confidence", "issued_at", "expires_at", "signature"}
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Quote:
    """`atomic_amount` of `asset` buys exactly `sats`, if presented before `expires_at_ms` (wall).

    `usat_per_coin` is the market's rate, between `low_usat_per_coin` and `high_usat_per_coin` with 95 % confidence;
    atomic_amount = ceil(sats / rate x (1 + haircut)).
    """

    quote_id: str
    asset: str
    atomic_amount: int
    sats: int
    usat_per_coin: int
    haircut_ppm: int
    low_usat_per_coin: int
    high_usat_per_coin: int
    sources: tuple[str, ...]
    issued_at_ms: int
    expires_at_ms: int
    signature: str = ""

    @property
    def usat(self) -> int:
        """Micro-sats it buys."""
        return self.sats * USAT_PER_SAT

    @property
    def document(self) -> dict[str, Any]:
        """The quote as everybody sees it: integers and texts, no floats."""
        return {
            "quote_id": self.quote_id,
            "amount": str(self.atomic_amount),
            "asset": self.asset,
            "sats": self.sats,
            "rate": {"sats_per_coin": sats_text(self.usat_per_coin), "haircut_ppm": self.haircut_ppm},
            "sources": list(self.sources),
            "confidence": {
                "percent": CONFIDENCE_PERCENT,
                "low_sats_per_coin": sats_text(self.low_usat_per_coin),
                "high_sats_per_coin": sats_text(self.high_usat_per_coin),
            },
            "issued_at": _time_text(self.issued_at_ms),
            "expires_at": _time_text(self.expires_at_ms),
            "signature": self.signature,
        }

    @property
    def token(self) -> str:
        """The quote as one word."""
        return base64.urlsafe_b64encode(rfc8785.dumps(self.document)).rstrip(b"=").decode()


def sats_text(usat: int) -> str:
    """Sats with all six decimals."""
    return f"{usat // USAT_PER_SAT}.{usat % USAT_PER_SAT:06d}"


def _time_text(at_ms: int) -> str:
    moment = _EPOCH + timedelta(milliseconds=at_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def signed_bytes(document: dict[str, Any], *, network: str, pay_to: str) -> bytes:
    """What the signature of a quote is over."""
    unsigned = {name: value for name, value in document.items() if name != "signature"}
    return f"satbox-quote:{network}:{pay_to}\n".encode() + rfc8785.dumps(unsigned)


def sign_quote(key: Ed25519PrivateKey, quote: Quote, *, network: str, pay_to: str) -> Quote:
    """The quote with its signature (base64)."""
    signature = key.sign(signed_bytes(quote.document, network=network, pay_to=pay_to))
    signed = replace(quote, signature=base64.b64encode(signature).decode())
    if len(signed.token) > TOKEN_CHARS_MAX:
        raise ValueError("a quote is longer than any reader takes")
    return signed


def is_signed_by(key: Ed25519PublicKey, document: dict[str, Any], *, network: str, pay_to: str) -> bool:
    """Whether the operator with this key gave this quote, for this network and address. Says nothing about the time."""
    try:
        signature = base64.b64decode(str(document["signature"]), validate=True)
        key.verify(signature, signed_bytes(document, network=network, pay_to=pay_to))
    except (KeyError, ValueError, TypeError, InvalidSignature, RecursionError):  # rfc8785's errors are ValueErrors
        return False
    return True


def _whole(value: Any, lowest: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value < 2**53:
        raise ValueError("no amount")
    return value


def _digits(value: Any) -> int:
    if not isinstance(value, str) or re.fullmatch(r"[1-9][0-9]{0,29}", value) is None:
        raise ValueError("no amount")
    return int(value)


def _usat(value: Any) -> int:
    if not isinstance(value, str) or re.fullmatch(r"[0-9]{1,15}\.[0-9]{6}", value) is None:
        raise ValueError("no rate")
    return int(value.replace(".", ""))


def _time(value: Any) -> int:
    if not isinstance(value, str) or _TIME.fullmatch(value) is None:
        raise ValueError("no time")
    return (datetime.fromisoformat(value) - _EPOCH) // timedelta(milliseconds=1)


def _read(document: dict[str, Any]) -> Quote:
    if set(document) != FIELDS or not isinstance(document["sources"], list):
        raise ValueError("not a quote")
    rate, confidence = document["rate"], document["confidence"]
    return Quote(
        quote_id=str(document["quote_id"]),
        asset=str(document["asset"]),
        atomic_amount=_digits(document["amount"]),
        sats=_whole(document["sats"]),
        usat_per_coin=_usat(rate["sats_per_coin"]),
        haircut_ppm=_whole(rate["haircut_ppm"], 0),
        low_usat_per_coin=_usat(confidence["low_sats_per_coin"]),
        high_usat_per_coin=_usat(confidence["high_sats_per_coin"]),
        sources=tuple(str(source) for source in document["sources"]),
        issued_at_ms=_time(document["issued_at"]),
        expires_at_ms=_time(document["expires_at"]),
        signature=str(document["signature"]),
    )


def quote_reader(key: Ed25519PublicKey, *, network: str, pay_to: str) -> Callable[[str], Quote]:
    """A function from a token to its quote; raises SatboxError quote_invalid. Does not look at the time."""

    def read(token: str) -> Quote:
        try:
            if len(token) > TOKEN_CHARS_MAX or not token.isascii():
                raise ValueError("not a quote")
            document = json.loads(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
            if not isinstance(document, dict) or not is_signed_by(key, document, network=network, pay_to=pay_to):
                raise ValueError("not ours")
            return _read(document)
        except (binascii.Error, KeyError, TypeError, ValueError, RecursionError) as error:
            raise SatboxError("quote_invalid") from error

    return read
