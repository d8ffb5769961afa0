"""Plain Stacks messages (not SIP-018), as @stacks/encryption hashes them: prefix, length, text."""

from stacks.c32 import Address
from stacks.errors import WrongSigner
from stacks.hashes import sha256
from stacks.keys import PrivateKey, PublicKey, recover_rsv

_PREFIX = b"\x17Stacks Signed Message:\n"


def _varint(number: int) -> bytes:
    if number < 0xFD:
        return bytes([number])
    for width, mark in ((2, b"\xfd"), (4, b"\xfe"), (8, b"\xff")):
        if number < 1 << (8 * width):
            return mark + number.to_bytes(width, "little")
    raise ValueError("message is too long")


def message_hash(message: str | bytes) -> bytes:
    """The 32 bytes that are signed."""
    raw = message.encode() if isinstance(message, str) else message
    return sha256(_PREFIX + _varint(len(raw)) + raw)


def sign_message(key: PrivateKey, message: str | bytes) -> bytes:
    """An RSV signature (65 bytes; on the wire its hex)."""
    return key.sign_rsv(message_hash(message))


def recover_message(message: str | bytes, signature: bytes | str) -> PublicKey:
    """The compressed public key that signed; raises SignatureError."""
    return recover_rsv(message_hash(message), signature)


def verify_message(message: str | bytes, signature: bytes | str, address: Address) -> PublicKey:
    """The signer's public key when its single-signature address is `address`; raises SignatureError otherwise."""
    key = recover_message(message, signature)
    if key.address(address.network) != address:
        raise WrongSigner("the message was signed by another key")
    return key
