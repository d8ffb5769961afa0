"""Bitcoin addresses and the messages they signed: BIP-137, and BIP-322 simple by the `bip322` package.

Light enough for a command line: nothing but that package, and only for signatures that need it. `gate.genesis.bitcoin`
verifies by bitcoinlib instead; tests hold the two against each other.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Literal

from stacks.errors import AddressError, HighSSignature, MalformedSignature, SignatureError, WrongSigner
from stacks.hashes import hash160, sha256
from stacks.keys import HALF_ORDER, PublicKey, recover_rsv

AddressType = Literal["p2pkh", "p2sh_p2wpkh", "p2wpkh", "p2tr"]
Scheme = Literal["bip137", "bip322"]

BIP137_BYTES = 65
SIGNATURE_CHARS_MAX = 1_024
ADDRESS_CHARS_MAX = 90
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_OF_VERSION = {0: 1, 1: 0x2BC830A3}  # bech32 (BIP-173), bech32m (BIP-350)
_LEGACY: dict[int, AddressType] = {0x00: "p2pkh", 0x6F: "p2pkh", 0x05: "p2sh_p2wpkh", 0xC4: "p2sh_p2wpkh"}
_PREFIX = b"\x18Bitcoin Signed Message:\n"


@dataclass(frozen=True, slots=True)
class SingleKeyAddress:
    """An address that one key can sign for. A p2sh address is taken for p2sh-p2wpkh: no other script has one key here."""

    text: str
    type: AddressType
    program: bytes


def parse_bitcoin_address(text: str) -> SingleKeyAddress:
    """The address written in `text`, of mainnet or testnet; raises AddressError."""
    if len(text) > ADDRESS_CHARS_MAX or not text.isascii():
        raise AddressError("not a Bitcoin address")
    lower = text.lower()
    if lower.startswith(("bc1", "tb1")):
        if text not in (lower, text.upper()):
            raise AddressError("a bech32 address has one case")
        return _segwit(lower)
    number = 0
    for letter in text:
        value = _BASE58.find(letter)
        if value < 0:
            raise AddressError("not a Bitcoin address")
        number = number * 58 + value
    if number >> 200:
        raise AddressError("not a Bitcoin address")
    raw = number.to_bytes(25, "big")
    ones = len(text) - len(text.lstrip("1"))  # one for each leading zero byte
    if ones != len(raw) - len(raw.lstrip(b"\0")) or sha256(sha256(raw[:21]))[:4] != raw[21:] or raw[0] not in _LEGACY:
        raise AddressError("not a Bitcoin address")
    return SingleKeyAddress(text, _LEGACY[raw[0]], raw[1:21])


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for i, generator in enumerate(_GENERATOR):
            check ^= generator if top >> i & 1 else 0
    return check


def _segwit(lower: str) -> SingleKeyAddress:
    prefix, digits = lower[:2], [_BECH32.find(letter) for letter in lower[3:]]
    if min(digits, default=-1) < 0 or len(digits) < 8:
        raise AddressError("not a bech32 address")
    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    version, body = digits[0], digits[1:-6]
    if _polymod(expanded + digits) != _CHECKSUM_OF_VERSION.get(version):
        raise AddressError("address checksum does not match")
    number = 0
    for digit in body:
        number = number << 5 | digit
    spare = len(body) * 5 % 8
    if spare > 4 or number & ((1 << spare) - 1):
        raise AddressError("not a bech32 address")
    program = (number >> spare).to_bytes(len(body) * 5 // 8, "big")
    if (version, len(program)) == (0, 20):
        return SingleKeyAddress(lower, "p2wpkh", program)
    if (version, len(program)) == (1, 32):
        return SingleKeyAddress(lower, "p2tr", program)
    raise AddressError("only p2wpkh and p2tr witness programs")


def bip137_hash(message: str) -> bytes:
    """The 32 bytes that are signed by BIP-137."""
    raw = message.encode()
    for width, mark in ((0, b""), (2, b"\xfd"), (4, b"\xfe")):
        if len(raw) < (0xFD if not width else 1 << 8 * width):
            length = mark + len(raw).to_bytes(width or 1, "little")
            return sha256(sha256(_PREFIX + length + raw))
    raise ValueError("message is too long")


def signature_scheme(raw: bytes) -> Scheme:
    """How a decoded signature was made: 65 bytes are BIP-137, anything else is a witness stack."""
    return "bip137" if len(raw) == BIP137_BYTES else "bip322"


def decoded_signature(text: str) -> bytes:
    """The bytes of a signature in base64 (an `smp` tag is tolerated); raises MalformedSignature."""
    try:
        if len(text) > SIGNATURE_CHARS_MAX:
            raise ValueError("too long")
        return base64.b64decode(text.removeprefix("smp"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedSignature("a Bitcoin message signature is base64") from error


def verify_bitcoin_message(address: SingleKeyAddress, message: str, signature: str) -> Scheme:
    """Check that `address` signed `message`; raises SignatureError."""
    raw = decoded_signature(signature)
    if signature_scheme(raw) == "bip137":
        _verify_bip137(address, message, raw)
        return "bip137"
    _verify_bip322(address, message, signature.removeprefix("smp"))
    return "bip322"


def _program_of(key: PublicKey, address_type: AddressType) -> bytes:
    if address_type == "p2sh_p2wpkh":
        return hash160(b"\x00\x14" + key.hash160)
    return key.hash160


def _verify_bip137(address: SingleKeyAddress, message: str, raw: bytes) -> None:
    if address.type == "p2tr":
        raise MalformedSignature("BIP-137 is not defined for taproot")
    header = raw[0]
    if not 27 <= header <= 42:
        raise MalformedSignature(f"header byte {header} is not 27 to 42")
    if int.from_bytes(raw[33:], "big") > HALF_ORDER:
        raise HighSSignature("s is in the upper half of the curve order")
    key = recover_rsv(bip137_hash(message), raw[1:] + bytes([(header - 27) % 4]))
    # BIP-137 has headers for each address type; wallets do not keep to them (Electrum writes 31 to 34 for all). The key decides.
    found = key.encoded(compressed=header >= 31)
    if _program_of(found, address.type) != address.program:
        raise WrongSigner("the message was signed by another key")


def _verify_bip322(address: SingleKeyAddress, message: str, text: str) -> None:
    if address.type == "p2pkh":
        raise MalformedSignature("BIP-322 simple needs a segwit address")
    import bip322

    try:
        bip322.verify_simple_encoded(address.text, message, text)
    except bip322.VerificationError as error:
        raise SignatureError("not a BIP-322 simple signature of this address") from error
