"""The two payloads a payment can have: a token transfer and a contract call (SIP-005)."""

from dataclasses import dataclass

from stacks.c32 import Principal
from stacks.clarity import (
    ClarityValue,
    ContractPrincipal,
    StandardPrincipal,
    principal_value,
    read_value,
    serialize,
)
from stacks.errors import ClarityError, DecodeError, UnsupportedPayload
from stacks.postconditions import contract_bytes, name_bytes, read_clarity_name, read_contract
from stacks.wire import Reader

MEMO_BYTES = 34
ARGUMENTS_MAX = 256


@dataclass(frozen=True, slots=True)
class TokenTransfer:
    """Micro-STX sent to a principal; `memo` is always the 34 bytes on the wire, zero padded."""

    recipient: Principal
    amount: int
    memo: bytes

    def __post_init__(self) -> None:
        if len(self.memo) != MEMO_BYTES:
            raise DecodeError(f"a memo has {MEMO_BYTES} bytes")
        if not 0 <= self.amount < 1 << 64:
            raise DecodeError("an amount is an unsigned 64-bit integer")

    def serialize(self) -> bytes:
        """Its bytes, kind byte first."""
        return b"\x00" + serialize(principal_value(self.recipient)) + self.amount.to_bytes(8, "big") + self.memo


@dataclass(frozen=True, slots=True)
class ContractCall:
    """A call of a contract's public function."""

    contract: Principal
    function: str
    arguments: tuple[ClarityValue, ...]

    def serialize(self) -> bytes:
        """Its bytes, kind byte first."""
        head = b"\x02" + contract_bytes(self.contract) + name_bytes(self.function)
        return head + len(self.arguments).to_bytes(4, "big") + b"".join(map(serialize, self.arguments))


Payload = TokenTransfer | ContractCall


def padded_memo(memo: str | bytes) -> bytes:
    """A memo as the wire has it: at most 34 bytes, zero padded; raises DecodeError when longer."""
    raw = memo.encode() if isinstance(memo, str) else memo
    if len(raw) > MEMO_BYTES:
        raise DecodeError(f"a memo has at most {MEMO_BYTES} bytes")
    return raw.ljust(MEMO_BYTES, b"\0")


def read_payload(reader: Reader) -> Payload:
    """The next payload; raises DecodeError, or UnsupportedPayload for kinds that are not payments."""
    return read_payload_body(reader, reader.uint(1))


def read_payload_body(reader: Reader, kind: int) -> Payload:
    """What follows a payload's kind byte; raises as `read_payload`."""
    try:
        if kind == 0x00:
            value = read_value(reader)
            if not isinstance(value, StandardPrincipal | ContractPrincipal):
                raise DecodeError("the recipient is no principal")
            return TokenTransfer(value.principal, reader.uint(8), reader.take(MEMO_BYTES))
        if kind == 0x02:
            contract = read_contract(reader)
            function = read_clarity_name(reader)
            count = reader.count(4, ARGUMENTS_MAX)
            return ContractCall(contract, function, tuple(read_value(reader) for _ in range(count)))
    except ClarityError as error:
        raise DecodeError(f"payload value: {error}") from error
    raise UnsupportedPayload(kind)
