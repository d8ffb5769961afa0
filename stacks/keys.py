"""secp256k1 keys and recoverable signatures as Stacks uses them.

Signatures are deterministic (RFC 6979, as stacks.js makes them) and low-S; recovery refuses high-S, so that nobody
can turn one signed transaction into two different strings of bytes. Messages carry RSV (r, s, recovery byte),
transactions VRS.
"""

import re
from dataclasses import dataclass, field

import coincurve

from stacks.c32 import Address
from stacks.errors import (
    HighSSignature,
    KeyFormatError,
    MalformedSignature,
    UnrecoverableSignature,
)
from stacks.hashes import hash160
from stacks.network import Network

SIGNATURE_BYTES = 65
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
HALF_ORDER = _ORDER // 2
_HEX = re.compile(r"(?:0[xX])?([0-9a-fA-F]*)")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key in the encoding (33 or 65 bytes) whose hash is on chain."""

    data: bytes

    def __post_init__(self) -> None:
        try:
            coincurve.PublicKey(self.data)
        except ValueError as error:
            raise KeyFormatError("not a secp256k1 public key") from error

    @property
    def is_compressed(self) -> bool:
        """Whether it has the 33-byte form, as nearly every account's has."""
        return len(self.data) == 33

    def encoded(self, *, compressed: bool) -> "PublicKey":
        """The same point in the other or the same encoding."""
        return PublicKey(coincurve.PublicKey(self.data).format(compressed=compressed))

    @property
    def hash160(self) -> bytes:
        """What a P2PKH address holds of it."""
        return hash160(self.data)

    def address(self, network: Network) -> Address:
        """Its single-signature address."""
        return Address(network.single_sig_version, self.hash160)


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A private key: 32 secret bytes, and which public key encoding its address hashes.

    The secret never appears in repr. stacks.js takes a 64-digit key for uncompressed; every wallet of this ecosystem
    appends `01` and means compressed, so compressed is the default here for both lengths.
    """

    secret: bytes = field(repr=False)
    compressed: bool = True

    def __post_init__(self) -> None:
        if len(self.secret) != 32 or not 0 < int.from_bytes(self.secret, "big") < _ORDER:
            raise KeyFormatError("not a secp256k1 private key")

    @classmethod
    def from_hex(cls, text: str, *, compressed: bool = True) -> "PrivateKey":
        """A key of 64 hex digits, or of 66 where the last byte 01 says compressed."""
        match = _HEX.fullmatch(text)
        if match is None or len(match[1]) not in (64, 66):
            raise KeyFormatError("a private key has 64 or 66 hex digits")
        raw = bytes.fromhex(match[1])
        if len(raw) == 33:
            if raw[32] != 1:
                raise KeyFormatError("the 33rd byte of a private key is 01")
            compressed = True
        return cls(raw[:32], compressed)

    @property
    def public_key(self) -> PublicKey:
        """Its public key, in the encoding its address hashes."""
        return PublicKey(coincurve.PrivateKey(self.secret).public_key.format(compressed=self.compressed))

    def address(self, network: Network) -> Address:
        """Its single-signature address."""
        return self.public_key.address(network)

    def sign_rsv(self, digest: bytes) -> bytes:
        """65 bytes r, s, recovery byte over a 32-byte digest: the form of messages."""
        if len(digest) != 32:
            raise ValueError("a digest has 32 bytes")
        return coincurve.PrivateKey(self.secret).sign_recoverable(digest, hasher=None)

    def sign_vrs(self, digest: bytes) -> bytes:
        """65 bytes recovery byte, r, s over a 32-byte digest: the form of transactions."""
        signature = self.sign_rsv(digest)
        return signature[64:] + signature[:64]


def signature_bytes(signature: bytes | str) -> bytes:
    """The 65 bytes of a signature given as bytes or hex (0x optional); raises MalformedSignature."""
    if isinstance(signature, str):
        match = _HEX.fullmatch(signature) if len(signature) <= 2 * SIGNATURE_BYTES + 2 else None
        if match is None or len(match[1]) != 2 * SIGNATURE_BYTES:
            raise MalformedSignature("a signature has 130 hex digits")
        return bytes.fromhex(match[1])
    if len(signature) != SIGNATURE_BYTES:
        raise MalformedSignature(f"a signature has {SIGNATURE_BYTES} bytes, not {len(signature)}")
    return signature


def _recover(digest: bytes, rs: bytes, recovery: int) -> PublicKey:
    if len(digest) != 32:
        raise ValueError("a digest has 32 bytes")
    if not 0 <= recovery <= 3:
        raise MalformedSignature(f"recovery byte {recovery} is not 0 to 3")
    if int.from_bytes(rs[32:], "big") > HALF_ORDER:
        raise HighSSignature("s is in the upper half of the curve order")
    try:
        point = coincurve.PublicKey.from_signature_and_message(rs + bytes([recovery]), digest, hasher=None)
    except ValueError as error:
        raise UnrecoverableSignature("no public key gives this signature") from error
    return PublicKey(point.format(compressed=True))


def recover_rsv(digest: bytes, signature: bytes | str) -> PublicKey:
    """The compressed public key that signed `digest`. Recovery bytes 27 to 30, as some wallets write, are 0 to 3."""
    raw = signature_bytes(signature)
    recovery = raw[64] - 27 if 27 <= raw[64] <= 30 else raw[64]
    return _recover(digest, raw[:64], recovery)


def recover_vrs(digest: bytes, signature: bytes | str) -> PublicKey:
    """The compressed public key that signed `digest`; strict, as transactions need one form only."""
    raw = signature_bytes(signature)
    return _recover(digest, raw[1:], raw[0])
