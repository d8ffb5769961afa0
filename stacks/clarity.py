"""Clarity values: their bytes (SIP-005), both ways and strict, and their text as @stacks/transactions prints it.

Strict means that a value has exactly one encoding here: sorted unique tuple keys, checked string contents, no trailing
bytes, bounded depth and size. Anything else raises ClarityError.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from stacks.c32 import Address, Principal, check_contract_name
from stacks.errors import AddressError, ClarityError
from stacks.wire import Reader

DEPTH_MAX = 32  # nesting the Clarity type system allows
VALUE_BYTES_MAX = 1_048_576  # MAX_VALUE_SIZE of the Clarity VM
VALUES_MAX = 8_192  # of one reader, those within others too; ours, so that nobody pays for a list of 100,000 truths
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_!?+<>=/*-]{0,127}|[-+=/*]|[<>]=?")
_ASCII = frozenset(range(0x20, 0x7F)) | frozenset(b"\t\n\x0c\r")


def is_clarity_name(text: str) -> bool:
    """Whether `text` can name a tuple key, a function or a token class (ClarityName of stacks-core, 128 characters)."""
    return _NAME.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Int:
    """A signed 128-bit integer."""

    value: int

    def __post_init__(self) -> None:
        if not -(1 << 127) <= self.value < 1 << 127:
            raise ClarityError("int does not fit 128 bits")


@dataclass(frozen=True, slots=True)
class UInt:
    """An unsigned 128-bit integer."""

    value: int

    def __post_init__(self) -> None:
        if not 0 <= self.value < 1 << 128:
            raise ClarityError("uint does not fit 128 bits")


@dataclass(frozen=True, slots=True)
class Buffer:
    """Bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Bool:
    """True or false."""

    value: bool


@dataclass(frozen=True, slots=True)
class StandardPrincipal:
    """An account."""

    address: Address

    @property
    def principal(self) -> Principal:
        """The same as a Principal."""
        return Principal(self.address)


@dataclass(frozen=True, slots=True)
class ContractPrincipal:
    """A contract deployed under an address."""

    address: Address
    name: str

    def __post_init__(self) -> None:
        try:
            check_contract_name(self.name)
        except AddressError as error:
            raise ClarityError(str(error)) from error

    @property
    def principal(self) -> Principal:
        """The same as a Principal."""
        return Principal(self.address, self.name)


@dataclass(frozen=True, slots=True)
class ResponseOk:
    """`(ok value)`."""

    value: "ClarityValue"


@dataclass(frozen=True, slots=True)
class ResponseErr:
    """`(err value)`."""

    value: "ClarityValue"


@dataclass(frozen=True, slots=True)
class NoneValue:
    """`none`."""


@dataclass(frozen=True, slots=True)
class Some:
    """`(some value)`."""

    value: "ClarityValue"


@dataclass(frozen=True, slots=True)
class List:
    """A list; items are not checked to be of one type."""

    items: "tuple[ClarityValue, ...]"


@dataclass(frozen=True, slots=True, eq=False)
class Tuple:
    """Named values. Keeps the order they were given in for `to_text`; bytes, equality and hash use sorted keys."""

    entries: "tuple[tuple[str, ClarityValue], ...]"

    def __post_init__(self) -> None:
        names = [name for name, _ in self.entries]
        if len(set(names)) != len(names):
            raise ClarityError("a tuple key appears twice")
        for name in names:
            if not is_clarity_name(name):
                raise ClarityError(f"{name[:60]!r} is no Clarity name")

    @classmethod
    def of(cls, entries: "Mapping[str, ClarityValue]") -> "Tuple":
        """A tuple from a mapping, since most Clarity keys (`chain-id`) are not Python names."""
        return cls(tuple(entries.items()))

    def get(self, name: str) -> "ClarityValue | None":
        """The value under `name`, or None."""
        return dict(self.entries).get(name)

    @property
    def sorted_entries(self) -> "tuple[tuple[str, ClarityValue], ...]":
        """Entries in byte order of their keys, as they are serialized."""
        return tuple(sorted(self.entries, key=lambda entry: entry[0].encode()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tuple) and self.sorted_entries == other.sorted_entries

    def __hash__(self) -> int:
        return hash(self.sorted_entries)


@dataclass(frozen=True, slots=True)
class StringAscii:
    """Printable ASCII text and whitespace."""

    text: str

    def __post_init__(self) -> None:
        if not self.text.isascii() or not _ASCII.issuperset(self.text.encode("ascii")):
            raise ClarityError("string-ascii holds a character outside printable ASCII")


@dataclass(frozen=True, slots=True)
class StringUtf8:
    """Any Unicode text."""

    text: str

    def __post_init__(self) -> None:
        try:
            self.text.encode()
        except UnicodeEncodeError as error:
            raise ClarityError("string-utf8 holds a lone surrogate") from error


ClarityValue = (
    Int
    | UInt
    | Buffer
    | Bool
    | StandardPrincipal
    | ContractPrincipal
    | ResponseOk
    | ResponseErr
    | NoneValue
    | Some
    | List
    | Tuple
    | StringAscii
    | StringUtf8
)


def principal_value(principal: Principal) -> StandardPrincipal | ContractPrincipal:
    """A principal as a Clarity value."""
    if principal.contract_name is None:
        return StandardPrincipal(principal.address)
    return ContractPrincipal(principal.address, principal.contract_name)


def _prefixed(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _address_bytes(address: Address) -> bytes:
    return bytes([address.version]) + address.hash160


def _body(value: ClarityValue, depth: int) -> bytes:
    if depth > DEPTH_MAX:
        raise ClarityError(f"nested deeper than {DEPTH_MAX}")
    match value:
        case Int(number):
            return b"\x00" + number.to_bytes(16, "big", signed=True)
        case UInt(number):
            return b"\x01" + number.to_bytes(16, "big")
        case Buffer(data):
            return b"\x02" + _prefixed(data)
        case Bool(flag):
            return b"\x03" if flag else b"\x04"
        case StandardPrincipal(address):
            return b"\x05" + _address_bytes(address)
        case ContractPrincipal(address, name):
            return b"\x06" + _address_bytes(address) + bytes([len(name)]) + name.encode()
        case ResponseOk(inner):
            return b"\x07" + _body(inner, depth + 1)
        case ResponseErr(inner):
            return b"\x08" + _body(inner, depth + 1)
        case NoneValue():
            return b"\x09"
        case Some(inner):
            return b"\x0a" + _body(inner, depth + 1)
        case List(items):
            return b"\x0b" + len(items).to_bytes(4, "big") + b"".join(_body(item, depth + 1) for item in items)
        case Tuple():
            entries = value.sorted_entries
            pairs = (bytes([len(name)]) + name.encode() + _body(item, depth + 1) for name, item in entries)
            return b"\x0c" + len(entries).to_bytes(4, "big") + b"".join(pairs)
        case StringAscii(text):
            return b"\x0d" + _prefixed(text.encode("ascii"))
        case StringUtf8(text):
            return b"\x0e" + _prefixed(text.encode())


def serialize(value: ClarityValue) -> bytes:
    """The value's only encoding; raises ClarityError beyond 1 MiB or 32 levels."""
    data = _body(value, 1)
    if len(data) > VALUE_BYTES_MAX:
        raise ClarityError(f"a value has at most {VALUE_BYTES_MAX} bytes")
    return data


def _read_address(reader: Reader) -> Address:
    version = reader.uint(1)
    try:
        return Address(version, reader.take(20))
    except AddressError as error:
        raise ClarityError(str(error)) from error


def _read_ascii(raw: bytes) -> str:
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError as error:
        raise ClarityError("not ASCII") from error


def _read_tuple(reader: Reader, depth: int) -> Tuple:
    entries: list[tuple[str, ClarityValue]] = []
    previous = b""
    for _ in range(reader.count(4, VALUE_BYTES_MAX)):
        raw = reader.take(reader.uint(1))
        if raw <= previous:
            raise ClarityError("tuple keys are not sorted and unique")
        previous = raw
        entries.append((_read_ascii(raw), read_value(reader, depth + 1)))
    return Tuple(tuple(entries))


def read_value(reader: Reader, depth: int = 1) -> ClarityValue:
    """The next value of a reader whose error class is ClarityError; for codecs that embed values."""
    if depth > DEPTH_MAX:
        raise ClarityError(f"nested deeper than {DEPTH_MAX}")
    reader.next_value(VALUES_MAX)
    match reader.uint(1):
        case 0x00:
            return Int(int.from_bytes(reader.take(16), "big", signed=True))
        case 0x01:
            return UInt(reader.uint(16))
        case 0x02:
            return Buffer(reader.take(reader.uint(4)))
        case 0x03:
            return Bool(True)
        case 0x04:
            return Bool(False)
        case 0x05:
            return StandardPrincipal(_read_address(reader))
        case 0x06:
            address = _read_address(reader)
            return ContractPrincipal(address, _read_ascii(reader.take(reader.uint(1))))
        case 0x07:
            return ResponseOk(read_value(reader, depth + 1))
        case 0x08:
            return ResponseErr(read_value(reader, depth + 1))
        case 0x09:
            return NoneValue()
        case 0x0A:
            return Some(read_value(reader, depth + 1))
        case 0x0B:
            count = reader.count(4, VALUE_BYTES_MAX)
            return List(tuple(read_value(reader, depth + 1) for _ in range(count)))
        case 0x0C:
            return _read_tuple(reader, depth)
        case 0x0D:
            return StringAscii(_read_ascii(reader.take(reader.uint(4))))
        case 0x0E:
            try:
                return StringUtf8(reader.take(reader.uint(4)).decode())
            except UnicodeDecodeError as error:
                raise ClarityError("string-utf8 is no UTF-8") from error
        case other:
            raise ClarityError(f"unknown Clarity type {other:#04x}")


def deserialize(data: bytes) -> ClarityValue:
    """The value that `data` is the encoding of; raises ClarityError for anything that is not exactly one."""
    if len(data) > VALUE_BYTES_MAX:
        raise ClarityError(f"a value has at most {VALUE_BYTES_MAX} bytes")
    reader = Reader(data, ClarityError)
    value = read_value(reader)
    reader.finish()
    return value


def to_text(value: ClarityValue) -> str:
    """The value as people read it (`(tuple (amount u5))`), to the letter as cvToString of @stacks/transactions.

    For display only: strings are not escaped.
    """
    match value:
        case Int(number):
            return str(number)
        case UInt(number):
            return f"u{number}"
        case Buffer(data):
            return f"0x{data.hex()}"
        case Bool(flag):
            return "true" if flag else "false"
        case StandardPrincipal(address):
            return str(address)
        case ContractPrincipal(address, name):
            return f"{address}.{name}"
        case ResponseOk(inner):
            return f"(ok {to_text(inner)})"
        case ResponseErr(inner):
            return f"(err {to_text(inner)})"
        case NoneValue():
            return "none"
        case Some(inner):
            return f"(some {to_text(inner)})"
        case List(items):
            return f"(list {' '.join(map(to_text, items))})"
        case Tuple(entries):
            return f"(tuple {' '.join(f'({name} {to_text(item)})' for name, item in entries)})"
        case StringAscii(text):
            return f'"{text}"'
        case StringUtf8(text):
            return f'u"{text}"'
