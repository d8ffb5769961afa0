"""Verification as a service: its operations and what they take and give. Answers are those of `stacks.verification`.

Amounts are JSON integers, also above 2^53; bytes are hex without 0x, and taken with or without it.
"""

from typing import Any, Literal

from pydantic import Field

from operations.codes import IDENTITY
from operations.models import Input, Output
from operations.prices import Fixed
from operations.registry import Auth, Feature, Operation
from operations.surfaces import NoTool, Tool, Verb

NetworkName = Literal["mainnet", "testnet"]
Algorithm = Literal["sha256", "sha512", "sha512-256", "keccak256", "hash160", "ripemd160"]
HEX_CHARS_MAX = 262_146
"""128 KiB in hex, with 0x."""


class TransactionInput(Input):
    """A transaction to read."""

    hex: str = Field(min_length=1, max_length=HEX_CHARS_MAX, description="the transaction's bytes in hex")


class ClarityInput(Input):
    """A Clarity value to read."""

    hex: str = Field(min_length=1, max_length=131_074, description="the value's bytes in hex")


class AddressInput(Input):
    """An address to read."""

    address: str = Field(min_length=1, max_length=100, description="a Stacks address, or a contract's ADDRESS.name")


class StructuredInput(Input):
    """Structured data and who is said to have signed it (SIP-018)."""

    domain_hex: str = Field(min_length=1, max_length=131_074, description="the domain tuple's Clarity bytes in hex")
    message_hex: str = Field(min_length=1, max_length=131_074, description="the message's Clarity bytes in hex")
    signature: str = Field(min_length=1, max_length=514, description="RSV, 65 bytes in hex")
    address: str | None = Field(None, max_length=100, description="the signer to expect; any when left out")
    network: NetworkName | None = Field(None, description="whose address is told; default: by the domain's chain-id")


class MessageInput(Input):
    """A plain message and who is said to have signed it with a Stacks wallet."""

    message: str = Field(max_length=65_536, description="the message, exactly as signed")
    signature: str = Field(min_length=1, max_length=514, description="RSV, 65 bytes in hex")
    address: str | None = Field(None, max_length=100, description="the signer to expect; any when left out")
    network: NetworkName | None = Field(None, description="whose address is told; default: the address's, or mainnet")


class BitcoinMessageInput(Input):
    """A message and the Bitcoin address that is said to have signed it."""

    address: str = Field(min_length=1, max_length=90, description="Bitcoin address: p2pkh, p2sh-p2wpkh, p2wpkh or p2tr")
    message: str = Field(max_length=65_536, description="the message, exactly as signed")
    signature: str = Field(max_length=1_024, description="base64: BIP-322 simple or BIP-137")


class HashInput(Input):
    """What to hash."""

    algorithm: Algorithm = Field(description="the hash function")
    data: str = Field(max_length=2_097_154, description="text, or bytes in hex with 0x")
    encoding: Literal["hex", "base64"] = Field("hex", description="how the hash is written")


class Fault(Output):
    """Why something is not valid."""

    code: str
    message: str


class Signer(Output):
    """A spending condition, and what its signatures are worth. `signature_error` is `unsigned` while nobody signed."""

    address: str
    nonce: int
    fee: int
    signature_valid: bool
    signature_error: str | None
    hash_mode: str
    public_keys: list[str]
    key_encoding: str | None = None
    signature: str | None = None
    signatures_required: int | None = None
    fields: list[dict[str, Any]] | None = None


class TransactionReport(Output):
    """Everything in a transaction. `valid`: its origin signed it, and so did its sponsor if there is a sponsor's signature."""

    valid: bool
    txid: str
    network: str
    chain_id: int
    auth: Literal["standard", "sponsored"]
    origin: Signer
    sponsor: Signer | None
    anchor_mode: str
    post_condition_mode: str
    post_conditions: list[dict[str, Any]]
    payload: dict[str, Any]


class ClarityReport(Output):
    """A Clarity value: `clarity` is its text, `value` its data."""

    valid: bool
    type: str
    clarity: str
    hex: str
    value: Any


class AddressReport(Output):
    """What an address says, and the same controller on both networks."""

    valid: bool
    address: str
    contract_name: str | None
    network: NetworkName
    version: int
    hash160: str
    type: Literal["single_sig", "multi_sig"]
    mainnet: str
    testnet: str


class SignatureReport(Output):
    """Who signed. `address` is the signer found, also when another was expected; `hash` is what was signed."""

    valid: bool
    address: str | None
    public_key: str | None
    hash: str
    error: Fault | None


class BitcoinSignatureReport(Output):
    """Whether the address signed."""

    valid: bool
    scheme: Literal["bip137", "bip322"]
    address_type: Literal["p2pkh", "p2sh_p2wpkh", "p2wpkh", "p2tr"]
    address: str
    error: Fault | None


class HashReport(Output):
    """A hash."""

    hash: str
    algorithm: Algorithm
    encoding: Literal["hex", "base64"]
    inputLength: int  # noqa: N815 - the name x402-api gives it


_ERRORS = ("invalid_request", "not_found", "overloaded", *IDENTITY, "wallet_not_found", "credit_insufficient")
"""The last ones only where the operator has set a price."""
_BYTES = (*_ERRORS, "bytes_invalid")
PRICE = Fixed("verification")

FEATURE = Feature(
    220,
    (
        Operation(
            "stacks.decode_transaction", "POST", "/stacks/decode/transaction",
            "Read a Stacks transaction and check its signatures.",
            TransactionInput, TransactionReport, Auth.NONE, price=PRICE, errors=_BYTES, positional=("hex",),
            verb=Verb(
                ("stacks", "decode-tx"), "read a transaction, check its signatures",
                help={"hex": "the transaction's bytes in hex; - reads it from standard input"}, run="books.verifying:read",
            ),
            tool=Tool("satbox_decode_transaction"),
        ),
        Operation(
            "stacks.decode_clarity", "POST", "/stacks/decode/clarity",
            "Read a Clarity value.",
            ClarityInput, ClarityReport, Auth.NONE, price=PRICE, errors=_BYTES, positional=("hex",),
            verb=Verb(
                ("stacks", "decode-clarity"), "read a Clarity value",
                help={"hex": "the value's bytes in hex; - reads it from standard input"}, run="books.verifying:read",
            ),
            tool=Tool("satbox_decode_clarity"),
        ),
        Operation(
            "stacks.address", "GET", "/stacks/address/{address}",
            "Check a Stacks address and see it on both networks.",
            AddressInput, AddressReport, Auth.NONE, price=PRICE, errors=(*_ERRORS, "stx_address_invalid"),
            positional=("address",),
            verb=Verb(
                ("stacks", "address"), "check an address, see it on both networks",
                help={"address": "a Stacks address, or a contract's ADDRESS.name; - reads it from standard input"},
                run="books.verifying:read",
            ),
            tool=Tool("satbox_check_address"),
        ),
        Operation(
            "stacks.verify_sip018", "POST", "/stacks/verify/sip018",
            "Check who signed structured data (SIP-018).",
            StructuredInput, SignatureReport, Auth.NONE, price=PRICE, errors=_BYTES,
            verb=Verb(
                ("stacks", "verify-sip018"), "check who signed structured data (SIP-018)",
                help={
                    "domain_hex": "the domain tuple's Clarity bytes in hex; - reads it from standard input",
                    "message_hex": "the message's Clarity bytes in hex; - reads it from standard input",
                },
                hidden=("network",), run="books.verifying:read",
            ),
            tool=Tool("satbox_verify_structured_data"),
        ),
        Operation(
            "stacks.verify_message", "POST", "/stacks/verify/message",
            "Check who signed a plain message with a Stacks wallet.",
            MessageInput, SignatureReport, Auth.NONE, price=PRICE, errors=_ERRORS,
            verb=Verb(
                ("stacks", "verify-message"), "check who signed a plain message",
                help={"message": "the message, exactly as signed; - reads it from standard input"}, hidden=("network",),
                run="books.verifying:read",
            ),
            tool=Tool("satbox_verify_message"),
        ),
        Operation(
            "stacks.verify_btc_message", "POST", "/stacks/verify/btc-message",
            "Check whether a Bitcoin address signed a message (BIP-322 simple, BIP-137).",
            BitcoinMessageInput, BitcoinSignatureReport, Auth.NONE, price=PRICE, errors=_ERRORS,
            verb=Verb(
                ("stacks", "verify-btc-message"), "check a Bitcoin address's signature",
                help={"message": "the message, exactly as signed; - reads it from standard input"}, run="books.verifying:read",
            ),
            tool=Tool("satbox_verify_bitcoin_message"),
        ),
        Operation(
            "hashing.digest", "POST", "/hashing/{algorithm}",
            "Hash text or bytes.",
            HashInput, HashReport, Auth.NONE, price=PRICE, errors=_ERRORS, positional=("algorithm", "data"),
            verb=Verb(
                ("hash",), "hash text, or bytes in hex with 0x",
                help={"data": "text, or bytes in hex with 0x; - reads it from standard input"}, run="books.verifying:read",
            ),
            tool=NoTool("an agent's own machine has these"),
        ),
    ),
    verb_groups={"stacks": "read transactions, check signatures (no gate needed)"},
)  # fmt: skip
"""What anybody may ask, to check a payment, a signature, or us."""
