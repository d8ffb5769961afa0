"""Verification as a service: text in, a plain document out. The command line and the gate answer with these, so they agree.

Every document has `valid`; where it is false, `error` says why: `{code, message}`. What cannot be judged at all (no hex, no
input, over a limit) raises UnusableInput. Bytes that are not a transaction, value or address raise their own StacksError.
Limits bound the work of one call to well under a second.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from stacks.c32 import Address, Principal
from stacks.clarity import ClarityValue, StringAscii, Tuple, UInt, deserialize
from stacks.describe import Document, describe_transaction, describe_value
from stacks.errors import AddressError, ClarityError, SignatureError, StacksError, WrongSigner
from stacks.hashes import hash160, sha256, sha512_256
from stacks.keys import PublicKey, recover_rsv
from stacks.message import message_hash
from stacks.network import Network, UnknownNetwork
from stacks.sip018 import structured_hash
from stacks.transaction import ANY_TRANSACTION_BYTES_MAX, decode_any_transaction

CLARITY_BYTES_MAX = 65_536
MESSAGE_BYTES_MAX = 65_536
HASH_BYTES_MAX = 1_048_576
_HEX = re.compile(r"(?:0[xX])?((?:[0-9a-fA-F]{2})+)")


class UnusableInput(StacksError):  # noqa: N818
    """Input that nothing can be said about; `field` names it."""

    code = "unusable_input"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class WrongNetwork(SignatureError):  # noqa: N818
    """Signed by the key of the address claimed, which is written for another network."""

    code = "wrong_network"


@dataclass(frozen=True, slots=True)
class _Judged:
    """A recovered signer, or why there is none."""

    key: PublicKey | None
    error: StacksError | None

    def document(self, network: Network, digest: bytes) -> Document:
        return {
            "valid": self.error is None,
            "address": None if self.key is None else str(self.key.address(network)),
            "public_key": None if self.key is None else self.key.data.hex(),
            "hash": digest.hex(),
            "error": None if self.error is None else describe_error(self.error),
        }


def describe_error(error: StacksError) -> Document:
    """What is wrong, for a document's `error`."""
    return {"code": error.code, "message": str(error)}


def hex_bytes(field: str, text: str, bytes_max: int) -> bytes:
    """The bytes of hex with or without 0x; raises UnusableInput."""
    if len(text) > 2 * bytes_max + 2:
        raise UnusableInput(field, f"at most {bytes_max} bytes")
    match = _HEX.fullmatch(text)
    if match is None:
        raise UnusableInput(field, "not hex" if text else "empty")
    raw = bytes.fromhex(match[1])
    if len(raw) > bytes_max:
        raise UnusableInput(field, f"at most {bytes_max} bytes")
    return raw


def _message_bytes(text: str) -> bytes:
    try:
        raw = text.encode()
    except UnicodeEncodeError as error:
        raise UnusableInput("message", "holds half a character") from error
    if len(raw) > MESSAGE_BYTES_MAX:
        raise UnusableInput("message", f"at most {MESSAGE_BYTES_MAX} bytes")
    return raw


def _claimed(address: str | None) -> Address | None:
    try:
        return None if address is None else Address.parse(address)
    except AddressError as error:
        raise UnusableInput("address", str(error)) from error


def transaction_report(text: str) -> Document:
    """Everything in a transaction. Valid: the origin signed it, and the sponsor too if there is a sponsor's signature."""
    document = describe_transaction(decode_any_transaction(hex_bytes("hex", text, ANY_TRANSACTION_BYTES_MAX)))
    origin, sponsor = document["origin"], document["sponsor"]
    awaits_sponsor = sponsor is not None and sponsor["signature_error"] == "unsigned"
    is_valid = origin["signature_valid"] and (sponsor is None or sponsor["signature_valid"] or awaits_sponsor)
    return {"valid": is_valid, **document}


def clarity_report(text: str) -> Document:
    """A Clarity value's type, text and data."""
    return {"valid": True, **describe_value(deserialize(hex_bytes("hex", text, CLARITY_BYTES_MAX)))}


def address_report(text: str) -> Document:
    """What an address or a contract's name says, and the same controller on both networks; raises AddressError."""
    if not text:
        raise UnusableInput("address", "empty")
    principal = Principal.parse(text)
    address = principal.address
    return {
        "valid": True,
        "address": str(address),
        "contract_name": principal.contract_name,
        "network": address.network.value,
        "version": address.version,
        "hash160": address.hash160.hex(),
        "type": "single_sig" if address.is_single_sig else "multi_sig",
        "mainnet": str(Principal(address.to_network(Network.MAINNET), principal.contract_name)),
        "testnet": str(Principal(address.to_network(Network.TESTNET), principal.contract_name)),
    }


def _judge(digest: bytes, signature: str, claimed: Address | None, network: Network) -> _Judged:
    raw = hex_bytes("signature", signature, 256)
    try:
        key = recover_rsv(digest, raw)
    except StacksError as error:
        return _Judged(None, error)
    if claimed is not None and key.address(network) != claimed:
        if key.hash160 == claimed.hash160 and claimed.is_single_sig:
            return _Judged(key, WrongNetwork(f"{claimed} is of {claimed.network.value}, asked for {network.value}"))
        return _Judged(key, WrongSigner("signed by another key than that of the address"))
    return _Judged(key, None)


def _network_of(domain: Tuple, named: Network | None) -> Network:
    chain_id = domain.get("chain-id")
    assert isinstance(chain_id, UInt)
    if named is not None:
        return named
    try:
        return Network.from_chain_id(chain_id.value)
    except UnknownNetwork as error:
        raise UnusableInput("network", f"chain id {chain_id.value} is of neither; name one") from error


def _domain(value: ClarityValue) -> Tuple:
    """As @stacks/transactions judges domains: more entries are allowed, these must be there."""
    wanted = {"name": StringAscii, "version": StringAscii, "chain-id": UInt}
    if not isinstance(value, Tuple) or not all(isinstance(value.get(name), kind) for name, kind in wanted.items()):
        raise ClarityError("a domain is a tuple of name and version (string-ascii) and chain-id (uint)")
    return value


def sip018_report(
    domain_hex: str, message_hex: str, signature: str, address: str | None = None, network: Network | None = None
) -> Document:
    """Who signed structured data (SIP-018); without an address any key will do. Raises ClarityError for other bytes."""
    claimed = _claimed(address)
    raw_domain = hex_bytes("domain_hex", domain_hex, CLARITY_BYTES_MAX)
    raw_message = hex_bytes("message_hex", message_hex, CLARITY_BYTES_MAX)
    hex_bytes("signature", signature, 256)
    domain = _domain(deserialize(raw_domain))
    on = _network_of(domain, network)
    digest = structured_hash(domain, deserialize(raw_message))
    return _judge(digest, signature, claimed, on).document(on, digest)


def message_report(
    message: str, signature: str, address: str | None = None, network: Network | None = None
) -> Document:
    """Who signed a plain Stacks message; the network is the address's, else mainnet."""
    claimed = _claimed(address)
    digest = message_hash(_message_bytes(message))
    on = network or (Network.MAINNET if claimed is None else claimed.network)
    return _judge(digest, signature, claimed, on).document(on, digest)


def bitcoin_report(address: str, message: str, signature: str) -> Document:
    """Whether a Bitcoin address signed a message (BIP-137, BIP-322 simple)."""
    from stacks.bitcoin import decoded_signature, parse_bitcoin_address, signature_scheme, verify_bitcoin_message

    try:
        parsed = parse_bitcoin_address(address)
    except AddressError as error:
        raise UnusableInput("address", str(error)) from error
    _message_bytes(message)
    try:
        scheme = signature_scheme(decoded_signature(signature))
    except SignatureError as error:
        raise UnusableInput("signature", str(error)) from error
    error_found: Document | None = None
    try:
        verify_bitcoin_message(parsed, message, signature)
    except StacksError as error:
        error_found = describe_error(error)
    return {
        "valid": error_found is None,
        "scheme": scheme,
        "address_type": parsed.type,
        "address": parsed.text,
        "error": error_found,
    }


def _keccak256(data: bytes) -> bytes:
    from Crypto.Hash import keccak

    return keccak.new(digest_bits=256, data=data).digest()


def _ripemd160(data: bytes) -> bytes:
    try:
        return hashlib.new("ripemd160", data).digest()
    except ValueError:  # OpenSSL 3 without the legacy provider
        from Crypto.Hash import RIPEMD160

        return RIPEMD160.new(data).digest()


_ALGORITHMS: dict[str, Callable[[bytes], bytes]] = {
    "sha256": sha256,
    "sha512": lambda data: hashlib.sha512(data).digest(),
    "sha512-256": sha512_256,
    "keccak256": _keccak256,
    "hash160": hash160,
    "ripemd160": _ripemd160,
}
ALGORITHMS = tuple(_ALGORITHMS)


def hash_input(text: str) -> bytes:
    """What is hashed: hex when it begins with 0x, otherwise the text as UTF-8."""
    if text.startswith("0x"):
        return b"" if text == "0x" else hex_bytes("data", text, HASH_BYTES_MAX)
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise UnusableInput("data", "holds half a character") from error


def hash_report(algorithm: str, data: bytes, encoding: str = "hex") -> Document:
    """A hash, as hex or base64."""
    if algorithm not in _ALGORITHMS:
        raise UnusableInput("algorithm", f"one of {', '.join(ALGORITHMS)}")
    if len(data) > HASH_BYTES_MAX:
        raise UnusableInput("data", f"at most {HASH_BYTES_MAX} bytes")
    digest = _ALGORITHMS[algorithm](data)
    text = base64.b64encode(digest).decode() if encoding == "base64" else binascii.hexlify(digest).decode()
    return {"hash": text, "algorithm": algorithm, "encoding": encoding, "inputLength": len(data)}
