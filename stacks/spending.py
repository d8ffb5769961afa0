"""Spending conditions (SIP-005): who pays for a transaction, with which nonce and fee, and how they signed."""

from dataclasses import dataclass
from enum import IntEnum

from stacks.c32 import Address
from stacks.errors import DecodeError, KeyFormatError
from stacks.hashes import hash160
from stacks.keys import PublicKey
from stacks.network import Network
from stacks.wire import Reader

EMPTY_SIGNATURE = bytes(65)
AUTH_FIELDS_MAX = 256
_U64 = 1 << 64
_MULTISIG_MODES = (0x01, 0x03, 0x05, 0x07)


class KeyEncoding(IntEnum):
    """Which form of the public key the signer's hash is of."""

    COMPRESSED = 0x00
    UNCOMPRESSED = 0x01


class HashMode(IntEnum):
    """How a single key's hash160 becomes the signer's."""

    P2PKH = 0x00
    P2WPKH_P2SH = 0x02


@dataclass(frozen=True, slots=True)
class SingleSig:
    """One key's condition: 103 bytes. `signature` is VRS, all zero while unsigned; `fee` in micro-STX."""

    hash_mode: HashMode
    signer: bytes
    nonce: int
    fee: int
    key_encoding: KeyEncoding
    signature: bytes

    def __post_init__(self) -> None:
        if len(self.signer) != 20 or len(self.signature) != 65:
            raise DecodeError("a signer has 20 bytes and a signature 65")
        if not 0 <= self.nonce < _U64 or not 0 <= self.fee < _U64:
            raise DecodeError("nonce and fee are unsigned 64-bit integers")
        if self.hash_mode is HashMode.P2WPKH_P2SH and self.key_encoding is KeyEncoding.UNCOMPRESSED:
            raise DecodeError("a segwit signer has a compressed key")

    def serialize(self) -> bytes:
        """Its 103 bytes."""
        return b"".join(
            (
                bytes([self.hash_mode]),
                self.signer,
                self.nonce.to_bytes(8, "big"),
                self.fee.to_bytes(8, "big"),
                bytes([self.key_encoding]),
                self.signature,
            )
        )

    def address(self, network: Network) -> Address:
        """The account that signs."""
        if self.hash_mode is HashMode.P2PKH:
            return Address(network.single_sig_version, self.signer)
        return Address(network.multi_sig_version, self.signer)

    def signer_of(self, key: PublicKey) -> bytes:
        """The signer hash that `key` would have under this condition's mode and encoding."""
        if self.hash_mode is HashMode.P2WPKH_P2SH:
            return hash160(b"\x00\x14" + key.encoded(compressed=True).hash160)
        return key.encoded(compressed=self.key_encoding is KeyEncoding.COMPRESSED).hash160

    @property
    def is_signed(self) -> bool:
        """Whether there is a signature at all; says nothing about whose."""
        return self.signature != EMPTY_SIGNATURE


@dataclass(frozen=True, slots=True)
class AuthField:
    """One part of a multi-signature: a public key (kind 0, 1; 33 bytes) or a signature (kind 2, 3; 65 bytes)."""

    kind: int
    data: bytes

    def __post_init__(self) -> None:
        if len(self.data) != (33 if self.is_public_key else 65):
            raise DecodeError("a public key has 33 bytes here and a signature 65")
        if self.is_public_key:
            try:
                PublicKey(self.data)
            except KeyFormatError as error:  # stacks-core reads it as a point at once
                raise DecodeError("a multi-signature field that is no public key") from error

    @property
    def is_public_key(self) -> bool:
        """Whether it stands for a key that did not sign."""
        return self.kind < 2

    @property
    def is_compressed(self) -> bool:
        """Whether its key goes into the script in the 33-byte form."""
        return self.kind % 2 == 0


@dataclass(frozen=True, slots=True)
class MultiSig:
    """A multi-signature condition (SIP-005; order-independent: SIP-027), decoded so that callers can refuse it by name.

    `stacks.authorization` checks its signatures. It may be short of some: wallets pass it around while they sign.
    """

    hash_mode: int
    signer: bytes
    nonce: int
    fee: int
    fields: tuple[AuthField, ...]
    signatures_required: int

    def __post_init__(self) -> None:
        if self.is_segwit and not all(field.is_compressed for field in self.fields):
            raise DecodeError("a segwit signer has compressed keys")

    @property
    def is_segwit(self) -> bool:
        """Whether its script is a P2WSH one within P2SH."""
        return self.hash_mode in (0x03, 0x07)

    @property
    def is_sequential(self) -> bool:
        """Whether each signature covers the one before (SIP-005), so that order matters."""
        return self.hash_mode in (0x01, 0x03)

    def serialize(self) -> bytes:
        """Its bytes."""
        return b"".join(
            (
                bytes([self.hash_mode]),
                self.signer,
                self.nonce.to_bytes(8, "big"),
                self.fee.to_bytes(8, "big"),
                len(self.fields).to_bytes(4, "big"),
                *(bytes([field.kind]) + field.data for field in self.fields),
                self.signatures_required.to_bytes(2, "big"),
            )
        )

    def address(self, network: Network) -> Address:
        """The account that signs."""
        return Address(network.multi_sig_version, self.signer)


SpendingCondition = SingleSig | MultiSig

# The sponsor slot while the origin signs (SIP-005), so that the origin's signature does not depend on its sponsor.
SPONSOR_SENTINEL = SingleSig(HashMode.P2PKH, bytes(20), 0, 0, KeyEncoding.COMPRESSED, EMPTY_SIGNATURE)
# The placeholder stacks.js writes into an unsponsored transaction: hash160 of 33 zero bytes.
UNSPONSORED = SingleSig(
    HashMode.P2PKH,
    bytes.fromhex("29cfc6376255a78451eeb4b129ed8eacffa2feef"),
    0,
    0,
    KeyEncoding.COMPRESSED,
    EMPTY_SIGNATURE,
)


def _read_auth_field(reader: Reader) -> AuthField:
    kind = reader.uint(1)
    if kind > 3:
        raise DecodeError(f"unknown multi-signature field {kind}")
    return AuthField(kind, reader.take(33 if kind < 2 else 65))


def read_condition(reader: Reader) -> SpendingCondition:
    """The next spending condition; raises DecodeError."""
    mode = reader.uint(1)
    signer, nonce, fee = reader.take(20), reader.uint(8), reader.uint(8)
    if mode in _MULTISIG_MODES:
        count = reader.count(4, AUTH_FIELDS_MAX)
        fields = tuple(_read_auth_field(reader) for _ in range(count))
        return MultiSig(mode, signer, nonce, fee, fields, reader.uint(2))
    encoding = reader.uint(1)
    if mode not in tuple(HashMode) or encoding not in tuple(KeyEncoding):
        raise DecodeError(f"unknown hash mode {mode} or key encoding {encoding}")
    return SingleSig(HashMode(mode), signer, nonce, fee, KeyEncoding(encoding), reader.take(65))
