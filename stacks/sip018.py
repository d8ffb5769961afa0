"""SIP-018: signatures over structured Clarity data, bound to a domain (application, version, chain)."""

from stacks.clarity import ClarityValue, StringAscii, Tuple, UInt, serialize
from stacks.hashes import sha256
from stacks.keys import PrivateKey, PublicKey, recover_rsv

_PREFIX = b"SIP018"


def domain(name: str, version: str, chain_id: int) -> Tuple:
    """The domain tuple of an application; `chain_id` keeps a testnet signature off mainnet."""
    return Tuple.of({"name": StringAscii(name), "version": StringAscii(version), "chain-id": UInt(chain_id)})


def structured_hash(domain: Tuple, message: ClarityValue) -> bytes:
    """What is signed: sha256("SIP018" || sha256(domain) || sha256(message))."""
    return sha256(_PREFIX + sha256(serialize(domain)) + sha256(serialize(message)))


def sign_structured(key: PrivateKey, domain: Tuple, message: ClarityValue) -> bytes:
    """An RSV signature (65 bytes; on the wire its hex)."""
    return key.sign_rsv(structured_hash(domain, message))


def recover_structured(domain: Tuple, message: ClarityValue, signature: bytes | str) -> PublicKey:
    """The compressed public key that signed; raises SignatureError. Compare its address with the one claimed."""
    return recover_rsv(structured_hash(domain, message), signature)
