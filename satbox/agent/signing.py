"""Sign a gate's challenge with both keys, after reading what it says: nothing unexpected is ever signed.

The gate is not trusted here. Text and tuple are rebuilt from the challenge's fields and must be the same to the byte; they must
name this agent's pair, the scope that was asked for, the network in use, a moment soon, and the deployment we think we talk
to, so that a gate in the middle cannot have a proof for another gate signed.
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime

import coincurve

from operations.errors import SatboxError
from operations.identity import Challenge
from satbox.agent.keystore import Agent
from stacks import Network, PrivateKey
from stacks.clarity import StringAscii, Tuple, UInt, serialize
from stacks.sip018 import domain, sign_structured

PROOF_SECONDS_MAX = 900
"""A challenge lives five minutes; one that lives much longer is not one."""
_P2WPKH_HEADER = 39
_FIELDS = frozenset({"btc-address", "deployment", "expires-at", "nonce", "scope", "stx-address"})
_NONCE = re.compile(r"[0-9a-f]{32}")
_DEPLOYMENT = re.compile(r"[a-zA-Z0-9.-]{1,64}")


def sign_bitcoin_message(key: PrivateKey, text: str) -> str:
    """BIP-137 for p2wpkh: base64 of header 39..42, r, low s over the double sha256 of the prefixed text."""
    message = text.encode()
    framed = b"\x18Bitcoin Signed Message:\n" + _length(len(message)) + message
    digest = hashlib.sha256(hashlib.sha256(framed).digest()).digest()
    signature = coincurve.PrivateKey(key.secret).sign_recoverable(digest, hasher=None)
    return base64.b64encode(bytes([_P2WPKH_HEADER + signature[64]]) + signature[:64]).decode()


def _length(count: int) -> bytes:
    """Bitcoin's CompactSize."""
    if count < 0xFD:
        return bytes([count])
    if count <= 0xFFFF:
        return b"\xfd" + count.to_bytes(2, "little")
    raise ValueError("a message to sign is short")


@dataclass(frozen=True, slots=True)
class Expected:
    """What a challenge must say. `deployment` None accepts any name (for a gate on loopback only)."""

    network: Network
    scope: str
    deployment: str | None
    now_seconds: float


@dataclass(frozen=True, slots=True)
class ChallengeSignatures:
    """Both signatures, as /gate/prove takes them."""

    btc_signature: str
    stx_signature: str


def sign_challenge(agent: Agent, challenge: Challenge, expected: Expected) -> ChallengeSignatures:
    """Check a challenge and sign it with both keys. Raises challenge_invalid and signs nothing when anything is odd."""
    text, message = _checked(agent, challenge, expected)
    tuple_domain = domain("satbox", "1", expected.network.chain_id)
    if serialize(tuple_domain).hex() != challenge.domain_hex:
        raise _odd("domain_hex is not the domain of this service and network")
    if serialize(message).hex() != challenge.message_hex:
        raise _odd("message_hex is not the message")
    return ChallengeSignatures(
        sign_bitcoin_message(agent.bitcoin_key, text),
        sign_structured(agent.stacks_key, tuple_domain, message).hex(),
    )


def _odd(reason: str) -> SatboxError:
    return SatboxError(
        "challenge_invalid",
        "This challenge is not what was asked for; nothing was signed.",
        details={"reason": reason},
        hint="Check the gate's address; if it is right, name its deployment.",
    )


def _checked(agent: Agent, challenge: Challenge, expected: Expected) -> tuple[str, Tuple]:
    fields = challenge.message
    if fields.keys() != _FIELDS:
        raise _odd("the message has other fields")
    pair = agent.addresses(expected.network)
    if (fields["btc-address"], fields["stx-address"]) != (pair.btc, pair.stx):
        raise _odd("it names another pair of addresses")
    if fields["scope"] != expected.scope:
        raise _odd("it asks for another scope")
    deployment, nonce, expires_at = fields["deployment"], fields["nonce"], fields["expires-at"]
    if not isinstance(deployment, str) or _DEPLOYMENT.fullmatch(deployment) is None:
        raise _odd("the deployment has no proper name")
    if expected.deployment is not None and deployment != expected.deployment:
        raise _odd(f"it is a proof for {deployment}, not for {expected.deployment}")
    if not isinstance(nonce, str) or _NONCE.fullmatch(nonce) is None:
        raise _odd("the nonce is not 32 hex digits")
    if isinstance(expires_at, bool) or not isinstance(expires_at, int):
        raise _odd("the expiry is not a number")
    if not expected.now_seconds - PROOF_SECONDS_MAX <= expires_at <= expected.now_seconds + PROOF_SECONDS_MAX:
        raise _odd("it is valid for too long, or long expired")
    text = _text(fields, expected.network, expires_at)
    if challenge.text != text:
        raise _odd("the text says something else than the message")
    message = {name: UInt(value) if isinstance(value, int) else StringAscii(value) for name, value in fields.items()}
    return text, Tuple.of(message)


def _text(fields: dict[str, object], network: Network, expires_at: int) -> str:
    """The only text ever signed with the Bitcoin key."""
    until = datetime.fromtimestamp(expires_at, UTC).isoformat().replace("+00:00", "Z")
    return (
        f"satbox proof for {fields['deployment']} on {network.caip2}: {fields['btc-address']} and "
        f"{fields['stx-address']}, scope {fields['scope']}, nonce {fields['nonce']}, valid until {until}"
    )
