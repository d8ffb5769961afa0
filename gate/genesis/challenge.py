"""Challenges: signed tokens that say what to sign, so that any gate can serve any step without shared memory.

A challenge is bound to one deployment, network, pair, scope and moment. Its nonce is burnt by the caller after both
signatures verify, so a replay fails everywhere. Text and tuple carry the same fields; no key is named `type`, and the hints
give wallet tools (which read bare text as utf8 and numbers as int) the exact Clarity types.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gate.genesis.bitcoin import parse_bitcoin_address
from operations.errors import SatboxError
from stacks import Address, AddressError, Network
from stacks.clarity import ClarityValue, Int, StringAscii, StringUtf8, Tuple, UInt, serialize
from stacks.sip018 import domain as sip018_domain

CHALLENGE_SECONDS = 300
DOMAIN_NAME = "satbox"
DOMAIN_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a challenge says: who proves what, to whom, until when."""

    deployment: str
    network: str
    btc_address: str
    stx_address: str
    scope: str
    nonce: str
    expires_at: int

    def text(self) -> str:
        """The one line the Bitcoin key signs."""
        until = datetime.fromtimestamp(self.expires_at, UTC).isoformat().replace("+00:00", "Z")
        return (
            f"satbox proof for {self.deployment} on {self.network}: {self.btc_address} and {self.stx_address}, "
            f"scope {self.scope}, nonce {self.nonce}, valid until {until}"
        )

    def fields(self) -> dict[str, str | int]:
        """The SIP-018 message, by field."""
        return {
            "btc-address": self.btc_address,
            "deployment": self.deployment,
            "expires-at": self.expires_at,
            "nonce": self.nonce,
            "scope": self.scope,
            "stx-address": self.stx_address,
        }

    def message(self) -> Tuple:
        """The SIP-018 message as satbox asks for it: text is ascii, numbers are uint."""
        return Tuple.of({name: _typed(value) for name, value in self.fields().items()})

    def untyped_message(self) -> Tuple:
        """The same fields as a signer without hints encodes them: text is utf8, numbers are int."""
        return Tuple.of({name: _untyped(value) for name, value in self.fields().items()})


def _typed(value: str | int) -> ClarityValue:
    return StringAscii(value) if isinstance(value, str) else UInt(value)


def _untyped(value: str | int) -> ClarityValue:
    return StringUtf8(value) if isinstance(value, str) else Int(value)


def _hint(value: str | int) -> dict[str, str]:
    return {"type": "ascii", "value": value} if isinstance(value, str) else {"type": "uint", "value": str(value)}


@dataclass(frozen=True, slots=True)
class IssuedChallenge:
    """A challenge with everything a signer may want to be given."""

    token: str
    claims: Claims
    domain: dict[str, Any]
    domain_hints: dict[str, Any]
    domain_hex: str
    message_hex: str

    @property
    def message_hints(self) -> dict[str, Any]:
        """The message with its Clarity types spelt out, as wallet tools want it."""
        return {name: _hint(value) for name, value in self.claims.fields().items()}


class Challenger:
    """Issues and reads the challenges of one deployment."""

    def __init__(
        self, key: Ed25519PrivateKey, *, deployment: str, network: Network, wall_seconds: Callable[[], float]
    ) -> None:
        self._key = key
        self._public = key.public_key()
        self._deployment = deployment
        self._network = network
        self._wall_seconds = wall_seconds

    def domain(self) -> Tuple:
        """The SIP-018 domain of this deployment's network."""
        return sip018_domain(DOMAIN_NAME, DOMAIN_VERSION, self._network.chain_id)

    def issue(self, btc_address: str, stx_address: str, scope: str) -> IssuedChallenge:
        """A fresh challenge for a pair; refuses addresses that could never be proven here."""
        parse_bitcoin_address(btc_address, self._network)
        check_stacks_address(stx_address, self._network)
        claims = Claims(
            self._deployment,
            self._network.caip2,
            btc_address,
            stx_address,
            scope,
            secrets.token_hex(16),
            int(self._wall_seconds()) + CHALLENGE_SECONDS,
        )
        token = jwt.encode(
            {
                "typ": "challenge",
                "aud": self._deployment,
                "net": claims.network,
                "btc": btc_address,
                "stx": stx_address,
                "scp": scope,
                "nonce": claims.nonce,
                "exp": claims.expires_at,
            },
            self._key,
            algorithm="EdDSA",
        )
        names: dict[str, str | int] = {
            "name": DOMAIN_NAME,
            "version": DOMAIN_VERSION,
            "chain-id": self._network.chain_id,
        }
        return IssuedChallenge(
            token,
            claims,
            dict(names),
            {name: _hint(value) for name, value in names.items()},
            serialize(self.domain()).hex(),
            serialize(claims.message()).hex(),
        )

    def read(self, token: str) -> Claims:
        """The claims of a challenge of ours that is still valid."""
        try:
            # Expiry is judged by the injected clock below, not by the library's.
            data = jwt.decode(
                token,
                self._public,
                algorithms=["EdDSA"],
                audience=self._deployment,
                options={"verify_exp": False, "require": ["exp", "aud"]},
            )
            if data.get("typ") != "challenge" or data["net"] != self._network.caip2:
                raise SatboxError("challenge_invalid")
            claims = Claims(
                self._deployment, data["net"], data["btc"], data["stx"], data["scp"], data["nonce"], int(data["exp"])
            )
        except (jwt.PyJWTError, KeyError, TypeError, ValueError) as error:
            raise SatboxError("challenge_invalid") from error
        if claims.expires_at <= self._wall_seconds():
            raise SatboxError("challenge_expired")
        return claims


def check_stacks_address(text: str, network: Network) -> Address:
    """A canonical single-key Stacks address of this network."""
    try:
        address = Address.parse(text)
    except AddressError as error:
        raise SatboxError("stx_address_invalid", details={"reason": str(error)}) from error
    if address.network is not network:
        raise SatboxError("stx_network_mismatch", details={"expected": network.caip2})
    return address
