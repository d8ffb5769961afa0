"""Quotes: a price with an id and an end, signed so that any gate can check it without asking anybody.

The token is a compact JWS (EdDSA) of its own type and audience, bound to one network and one receiving address: a gate
pass, or a quote of another deployment under the same key, is none. Expiry is the settlements' to judge, not the reader's:
the same payment must read the same when it is presented again later.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from operations.errors import SatboxError

TOKEN_CHARS_MAX = 2_048
_TYPE = "satbox-quote+jws"


@dataclass(frozen=True, slots=True)
class Quote:
    """`atomic_amount` of `asset` buys exactly `usat`, if presented before `expires_at_ms` (wall).

    `rate` says what it was made from: nano-dollars of the coin and of bitcoin, and the haircut in parts per million.
    """

    quote_id: str
    asset: str
    atomic_amount: int
    usat: int
    coin_usd_nano: int
    btc_usd_nano: int
    haircut_ppm: int
    sources: tuple[str, ...]
    issued_at_ms: int
    expires_at_ms: int
    token: str = ""

    @property
    def sats(self) -> int:
        """Whole sats it buys."""
        return self.usat // 1_000_000

    @property
    def rate(self) -> str:
        """For people: dollars per coin and per bitcoin."""
        return (
            f"{self.coin_usd_nano / 1e9:.6f} USD; BTC {self.btc_usd_nano / 1e9:.2f} USD; +{self.haircut_ppm / 1e4:g} %"
        )


def _audience(network: str, pay_to: str) -> str:
    return f"satbox-quote:{network}:{pay_to}"


def sign_quote(key: Ed25519PrivateKey, quote: Quote, *, network: str, pay_to: str) -> str:
    """The quote's token. Amounts travel as text, since JSON numbers lose digits in some readers."""
    claims = {
        "aud": _audience(network, pay_to),
        "jti": quote.quote_id,
        "asset": quote.asset,
        "amount": str(quote.atomic_amount),
        "usat": str(quote.usat),
        "coin": str(quote.coin_usd_nano),
        "btc": str(quote.btc_usd_nano),
        "cut": quote.haircut_ppm,
        "src": list(quote.sources),
        "from": quote.issued_at_ms,
        "until": quote.expires_at_ms,
    }
    token = jwt.encode(claims, key, algorithm="EdDSA", headers={"typ": _TYPE})
    if len(token) > TOKEN_CHARS_MAX:
        raise ValueError("a quote's token is longer than any reader takes")
    return token


def _digits(claims: dict[str, Any], name: str) -> int:
    value = claims[name]
    if not isinstance(value, str) or not value.isascii() or not value.isdigit() or len(value) > 30 or int(value) <= 0:
        raise ValueError(f"{name} is no amount")
    return int(value)


def _moment(claims: dict[str, Any], name: str) -> int:
    value = claims[name]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**53:
        raise ValueError(f"{name} is no time")
    return value


def _read(claims: dict[str, Any], token: str) -> Quote:
    sources = claims["src"]
    if not isinstance(sources, list):
        raise ValueError("src is no list")
    return Quote(
        quote_id=str(claims["jti"]),
        asset=str(claims["asset"]),
        atomic_amount=_digits(claims, "amount"),
        usat=_digits(claims, "usat"),
        coin_usd_nano=_digits(claims, "coin"),
        btc_usd_nano=_digits(claims, "btc"),
        haircut_ppm=int(claims["cut"]),
        sources=tuple(str(source) for source in sources),
        issued_at_ms=_moment(claims, "from"),
        expires_at_ms=_moment(claims, "until"),
        token=token,
    )


def quote_reader(key: Ed25519PublicKey, *, network: str, pay_to: str) -> Callable[[str], Quote]:
    """A function from a token to its quote; raises SatboxError quote_invalid. Does not look at the time."""

    def read(token: str) -> Quote:
        try:
            if len(token) > TOKEN_CHARS_MAX or jwt.get_unverified_header(token).get("typ") != _TYPE:
                raise ValueError("not a quote")
            claims = jwt.decode(
                token,
                key,
                algorithms=["EdDSA"],
                audience=_audience(network, pay_to),
                options={"require": ["aud", "jti"], "verify_exp": False, "verify_iat": False},
            )
            return _read(claims, token)
        except (jwt.PyJWTError, KeyError, TypeError, ValueError) as error:
            raise SatboxError("quote_invalid") from error

    return read
