"""Bitcoin addresses and message signatures, by libraries: bitcoinlib (BIP-137) and bip322 (BIP-322 simple).

bitcoinlib takes about a second and 40 MB to import and writes to a home folder, so it is imported here alone, when first
needed, with its folder pointed at a temporary one. `warm()` does it ahead of time.
"""

import atexit
import base64
import binascii
import importlib
import os
import shutil
import tempfile
import threading
import warnings
from dataclasses import dataclass
from typing import Any, Literal

from operations.errors import SatboxError
from stacks import Network

AddressKind = Literal["p2pkh", "p2sh", "p2wpkh", "p2tr"]

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
BIP137_BYTES = 65
_STRICT_HEADER = {"p2pkh": 31, "p2sh": 35, "p2wpkh": 39}
"""The first header byte that BIP-137 gives to a compressed key's signature, by address type."""
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class BitcoinAddress:
    """An address by what it commits to, so that the same key on two networks compares equal."""

    text: str
    kind: AddressKind
    program: bytes


def _bitcoinlib(module: str) -> Any:
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it leaves a file open at import and uses a deprecated SQLAlchemy call
        if "BCL_DATA_DIR" not in os.environ:
            folder = tempfile.mkdtemp(prefix="satbox-bitcoinlib-")
            os.environ["BCL_DATA_DIR"] = folder
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return importlib.import_module(f"bitcoinlib.{module}")


def warm() -> None:
    """Import the slow library now, so that the first proof does not wait for it."""
    _bitcoinlib("keys")


def parse_bitcoin_address(text: str, network: Network | None) -> BitcoinAddress:
    """An address of a kind that can prove itself, of the network (either one when None)."""
    lower = text.lower()
    for prefix, of in (("bc1", Network.MAINNET), ("tb1", Network.TESTNET)):
        if lower.startswith(prefix):
            address = _segwit(text, lower)
            return _of_network(address, of, network)
    return _base58(text, network)


def _of_network(address: BitcoinAddress, of: Network, network: Network | None) -> BitcoinAddress:
    if network is not None and of is not network:
        raise SatboxError("btc_network_mismatch", details={"expected": network.caip2})
    return address


def _unsupported(text: str, reason: str) -> SatboxError:
    return SatboxError("btc_address_unsupported", details={"address": text[:90], "reason": reason})


def _segwit(text: str, lower: str) -> BitcoinAddress:
    if text not in (lower, text.upper()):
        raise _unsupported(text, "mixed case")
    encoding = _bitcoinlib("encoding")
    try:
        program = bytes(encoding.addr_bech32_to_pubkeyhash(lower, include_witver=True))
    except Exception as error:
        raise _unsupported(text, "not bech32") from error
    version, length, body = program[0], program[1], program[2:]
    if length != len(body):
        raise _unsupported(text, "not a witness program")
    if version == 0 and len(body) == 20:
        return BitcoinAddress(lower, "p2wpkh", body)
    if version in (1, 0x51) and len(body) == 32:
        return BitcoinAddress(lower, "p2tr", body)
    raise _unsupported(text, "only p2wpkh and p2tr witness programs")


_BASE58: dict[int, tuple[AddressKind, Network]] = {
    0x00: ("p2pkh", Network.MAINNET),
    0x05: ("p2sh", Network.MAINNET),
    0x6F: ("p2pkh", Network.TESTNET),
    0xC4: ("p2sh", Network.TESTNET),
}


def _base58(text: str, network: Network | None) -> BitcoinAddress:
    encoding = _bitcoinlib("encoding")
    try:
        raw = bytes(encoding.change_base(text, 58, 256, 25))
        if len(raw) != 25 or encoding.double_sha256(raw[:21])[:4] != raw[21:]:
            raise ValueError("checksum")
        kind, of = _BASE58[raw[0]]
    except Exception as error:
        raise _unsupported(text, "not a Bitcoin address") from error
    return _of_network(BitcoinAddress(text, kind, raw[1:21]), of, network)


def verify_bitcoin(address: BitcoinAddress, message: str, signature: str) -> str:
    """Check that `address` signed `message`; returns the scheme. Raises btc_signature_invalid or signature_high_s.

    65 bytes are a BIP-137 signature, anything else the witness stack of BIP-322 simple (an `smp` tag is tolerated).
    """
    text = signature.removeprefix("smp")
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SatboxError("btc_signature_invalid", details={"reason": "not base64"}) from error
    if len(raw) == BIP137_BYTES:
        return _verify_bip137(address, message, text, raw)
    return _verify_bip322(address, message, text)


def _verify_bip137(address: BitcoinAddress, message: str, text: str, raw: bytes) -> str:
    if address.kind == "p2tr":
        raise SatboxError("btc_signature_invalid", details={"reason": "BIP-137 is not defined for taproot"})
    if not 27 <= raw[0] <= 42:
        raise SatboxError("btc_signature_invalid", details={"reason": "header byte"})
    r, s = int.from_bytes(raw[1:33], "big"), int.from_bytes(raw[33:], "big")
    if not 0 < r < CURVE_ORDER or not 0 < s < CURVE_ORDER:
        raise SatboxError("btc_signature_invalid", details={"reason": "out of range"})
    if s > CURVE_ORDER // 2:
        raise SatboxError("signature_high_s")
    if raw[0] >= _STRICT_HEADER["p2pkh"]:
        # Electrum writes 31 to 34 for every address type, and bitcoinlib believes the header. The address decides.
        text = base64.b64encode(bytes([_STRICT_HEADER[address.kind] + (raw[0] - 27) % 4]) + raw[1:]).decode()
    keys = _bitcoinlib("keys")
    network = "bitcoin" if address.text[0] in "13b" else "testnet"
    try:
        is_valid = bool(keys.verify_message(message, text, address.text, network=network))
    except Exception as error:
        raise SatboxError("btc_signature_invalid", details={"scheme": "bip137"}) from error
    if not is_valid:
        raise SatboxError("btc_signature_invalid", details={"scheme": "bip137"})
    return "bip137"


def _verify_bip322(address: BitcoinAddress, message: str, text: str) -> str:
    if address.kind == "p2pkh":
        raise SatboxError("btc_signature_invalid", details={"reason": "BIP-322 simple needs a segwit address"})
    import bip322

    try:
        bip322.verify_simple_encoded(address.text, message, text)
    except bip322.VerificationError as error:
        raise SatboxError("btc_signature_invalid", details={"scheme": "bip322"}) from error
    return "bip322"
