"""The payloads that are not payments: deployments and what miners write (SIP-005, SIP-015, SIP-021).

Only for reading and showing a transaction; `decode_transaction` refuses them by name.
"""

from dataclasses import dataclass

from stacks.c32 import Principal, check_contract_name
from stacks.clarity import (
    ClarityValue,
    ContractPrincipal,
    NoneValue,
    Some,
    StandardPrincipal,
    principal_value,
    read_value,
    serialize,
)
from stacks.errors import AddressError, ClarityError, DecodeError
from stacks.payloads import Payload, read_payload_body
from stacks.postconditions import name_bytes, read_name
from stacks.wire import Reader

CLARITY_VERSIONS = range(1, 7)
TENURE_CAUSES = (
    "block_found", "extended", "extended_runtime", "extended_read_count", "extended_read_length",
    "extended_write_count", "extended_write_length",
)  # fmt: skip
COINBASE_BYTES, VRF_PROOF_BYTES, MICROBLOCK_HEADER_BYTES = 32, 80, 132
CONTRACT_NAME_CHARS_MAX = 40
_CODE = frozenset(range(0x20, 0x7F)) | frozenset(b"\t\n\r")


@dataclass(frozen=True, slots=True)
class SmartContract:
    """A deployment; `clarity_version` is None where the block's epoch decides (kind 01)."""

    name: str
    code: str
    clarity_version: int | None

    def serialize(self) -> bytes:
        """Its bytes, kind byte first."""
        head = b"\x01" if self.clarity_version is None else bytes([0x06, self.clarity_version])
        code = self.code.encode("ascii")
        return head + name_bytes(self.name) + len(code).to_bytes(4, "big") + code


@dataclass(frozen=True, slots=True)
class PoisonMicroblock:
    """Two microblock headers of one sequence, 132 bytes each: proof that a miner forked its own stream."""

    headers: tuple[bytes, bytes]

    def serialize(self) -> bytes:
        """Its bytes, kind byte first."""
        return b"\x03" + b"".join(self.headers)


@dataclass(frozen=True, slots=True)
class Coinbase:
    """A miner's reward; `recipient` None: the miner itself. With a proof it is the one of Nakamoto (SIP-021)."""

    data: bytes
    recipient: Principal | None = None
    vrf_proof: bytes | None = None

    def serialize(self) -> bytes:
        """Its bytes, kind byte first."""
        to = None if self.recipient is None else principal_value(self.recipient)
        if self.vrf_proof is not None:
            value: ClarityValue = NoneValue() if to is None else Some(to)
            return b"\x08" + self.data + serialize(value) + self.vrf_proof
        return b"\x04" + self.data if to is None else b"\x05" + self.data + serialize(to)


@dataclass(frozen=True, slots=True)
class TenureChange:
    """A miner's tenure begins or is extended (SIP-021). Hashes as bytes; `cause` is an index of TENURE_CAUSES."""

    tenure_hash: bytes
    previous_tenure_hash: bytes
    burn_view_hash: bytes
    previous_tenure_end: bytes
    previous_tenure_blocks: int
    cause: int
    public_key_hash: bytes

    def serialize(self) -> bytes:
        """Its bytes, kind byte first."""
        hashes = self.tenure_hash + self.previous_tenure_hash + self.burn_view_hash + self.previous_tenure_end
        return (
            b"\x07" + hashes + self.previous_tenure_blocks.to_bytes(4, "big") + bytes([self.cause])
            + self.public_key_hash
        )  # fmt: skip


OtherPayload = SmartContract | PoisonMicroblock | Coinbase | TenureChange
AnyPayload = Payload | OtherPayload


def _contract(reader: Reader, clarity_version: int | None) -> SmartContract:
    if clarity_version is not None and clarity_version not in CLARITY_VERSIONS:
        raise DecodeError(f"unknown Clarity version {clarity_version}")
    try:
        name = check_contract_name(read_name(reader, CONTRACT_NAME_CHARS_MAX))
    except AddressError as error:
        raise DecodeError(str(error)) from error
    code = reader.take(reader.uint(4))
    if not _CODE.issuperset(code):
        raise DecodeError("contract code holds a character outside printable ASCII")
    return SmartContract(name, code.decode("ascii"), clarity_version)


def _principal(value: ClarityValue) -> Principal:
    if not isinstance(value, StandardPrincipal | ContractPrincipal):
        raise DecodeError("the recipient is no principal")
    return value.principal


def _value(reader: Reader) -> ClarityValue:
    try:
        return read_value(reader)
    except ClarityError as error:
        raise DecodeError(f"payload value: {error}") from error


def _nakamoto_coinbase(reader: Reader) -> Coinbase:
    data, value = reader.take(COINBASE_BYTES), _value(reader)
    if isinstance(value, NoneValue):
        return Coinbase(data, None, reader.take(VRF_PROOF_BYTES))
    if not isinstance(value, Some):
        raise DecodeError("the recipient is no optional principal")
    return Coinbase(data, _principal(value.value), reader.take(VRF_PROOF_BYTES))


def _tenure_change(reader: Reader) -> TenureChange:
    hashes = reader.take(20), reader.take(20), reader.take(20), reader.take(32)
    blocks, cause = reader.uint(4), reader.uint(1)
    if cause >= len(TENURE_CAUSES):
        raise DecodeError(f"unknown tenure change cause {cause}")
    return TenureChange(*hashes, blocks, cause, reader.take(20))


def read_any_payload(reader: Reader) -> AnyPayload:
    """The next payload of any kind; raises DecodeError, or UnsupportedPayload for a kind that does not exist."""
    match reader.uint(1):
        case 0x01:
            return _contract(reader, None)
        case 0x03:
            return PoisonMicroblock((reader.take(MICROBLOCK_HEADER_BYTES), reader.take(MICROBLOCK_HEADER_BYTES)))
        case 0x04:
            return Coinbase(reader.take(COINBASE_BYTES))
        case 0x05:
            return Coinbase(reader.take(COINBASE_BYTES), _principal(_value(reader)))
        case 0x06:
            return _contract(reader, reader.uint(1))
        case 0x07:
            return _tenure_change(reader)
        case 0x08:
            return _nakamoto_coinbase(reader)
        case kind:
            return read_payload_body(reader, kind)
