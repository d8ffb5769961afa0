"""Post-conditions (SIP-005): what a transaction may move, checked by the chain after it ran."""

from dataclasses import dataclass
from enum import IntEnum

from stacks.c32 import Address, Principal
from stacks.clarity import ClarityValue, is_clarity_name, read_value, serialize
from stacks.errors import AddressError, ClarityError, DecodeError
from stacks.wire import Reader

POST_CONDITIONS_MAX = 256
CLARITY_NAME_CHARS_MAX = 128


class PostConditionMode(IntEnum):
    """What happens to movements no condition names: allowed, denied, or denied for the origin's assets only."""

    ALLOW = 0x01
    DENY = 0x02
    ORIGINATOR = 0x03


class Comparison(IntEnum):
    """How the amount sent compares with the amount named."""

    EQUAL = 0x01
    GREATER = 0x02
    GREATER_OR_EQUAL = 0x03
    LESS = 0x04
    LESS_OR_EQUAL = 0x05

    def holds(self, sent: int, named: int) -> bool:
        """Whether `sent` satisfies the condition on `named`."""
        match self:
            case Comparison.EQUAL:
                return sent == named
            case Comparison.GREATER:
                return sent > named
            case Comparison.GREATER_OR_EQUAL:
                return sent >= named
            case Comparison.LESS:
                return sent < named
            case Comparison.LESS_OR_EQUAL:
                return sent <= named


class Ownership(IntEnum):
    """Whether a non-fungible token has been sent."""

    SENT = 0x10
    NOT_SENT = 0x11


@dataclass(frozen=True, slots=True)
class AssetId:
    """A token class of a contract, printed `CONTRACT::asset`."""

    contract: Principal
    name: str

    def __str__(self) -> str:
        return f"{self.contract}::{self.name}"


@dataclass(frozen=True, slots=True)
class StxPostCondition:
    """On the micro-STX that `principal` (None: the origin) sends."""

    principal: Principal | None
    comparison: Comparison
    amount: int


@dataclass(frozen=True, slots=True)
class FungiblePostCondition:
    """On the units of `asset` that `principal` (None: the origin) sends."""

    principal: Principal | None
    asset: AssetId
    comparison: Comparison
    amount: int


@dataclass(frozen=True, slots=True)
class NonFungiblePostCondition:
    """On one non-fungible token, named by `value`, of `principal` (None: the origin)."""

    principal: Principal | None
    asset: AssetId
    value: ClarityValue
    ownership: Ownership


PostCondition = StxPostCondition | FungiblePostCondition | NonFungiblePostCondition


def address_bytes(address: Address) -> bytes:
    """Version byte and hash160."""
    return bytes([address.version]) + address.hash160


def read_address(reader: Reader) -> Address:
    """The next version byte and hash160; raises DecodeError."""
    version = reader.uint(1)
    try:
        return Address(version, reader.take(20))
    except AddressError as error:
        raise DecodeError(str(error)) from error


def read_name(reader: Reader, limit: int) -> str:
    """The next length-prefixed ASCII name; raises DecodeError."""
    length = reader.uint(1)
    if not 1 <= length <= limit:
        raise DecodeError(f"a name of {length} characters")
    try:
        name = reader.take(length).decode("ascii")
    except UnicodeDecodeError as error:
        raise DecodeError("a name that is not ASCII") from error
    if not name.isprintable() or " " in name:
        raise DecodeError("a name with unprintable characters")
    return name


def read_clarity_name(reader: Reader) -> str:
    """The next name of a function or a token class; raises DecodeError."""
    name = read_name(reader, CLARITY_NAME_CHARS_MAX)
    if not is_clarity_name(name):
        raise DecodeError(f"{name!r} is no Clarity name")
    return name


def read_contract(reader: Reader) -> Principal:
    """The next contract: address and name; raises DecodeError."""
    address = read_address(reader)
    try:
        return Principal(address, read_name(reader, 128))
    except AddressError as error:
        raise DecodeError(str(error)) from error


def name_bytes(name: str) -> bytes:
    """A length-prefixed ASCII name."""
    raw = name.encode("ascii")
    return bytes([len(raw)]) + raw


def contract_bytes(contract: Principal) -> bytes:
    """Address and name of a contract; raises DecodeError for a principal that is not a contract."""
    if contract.contract_name is None:
        raise DecodeError(f"{contract} is no contract")
    return address_bytes(contract.address) + name_bytes(contract.contract_name)


def principal_bytes(principal: Principal | None) -> bytes:
    """A post-condition principal; None is the origin."""
    if principal is None:
        return b"\x01"
    if principal.contract_name is None:
        return b"\x02" + address_bytes(principal.address)
    return b"\x03" + contract_bytes(principal)


def read_principal(reader: Reader) -> Principal | None:
    """The next post-condition principal, None for the origin; raises DecodeError."""
    match reader.uint(1):
        case 0x01:
            return None
        case 0x02:
            return Principal(read_address(reader))
        case 0x03:
            return read_contract(reader)
        case other:
            raise DecodeError(f"unknown post-condition principal {other}")


def asset_bytes(asset: AssetId) -> bytes:
    """A token class: contract and name."""
    return contract_bytes(asset.contract) + name_bytes(asset.name)


def read_asset(reader: Reader) -> AssetId:
    """The next token class; raises DecodeError."""
    contract = read_contract(reader)
    return AssetId(contract, read_clarity_name(reader))


def read_comparison(reader: Reader) -> Comparison:
    """The next comparison code; raises DecodeError."""
    code = reader.uint(1)
    if code not in tuple(Comparison):
        raise DecodeError(f"unknown comparison {code}")
    return Comparison(code)


def post_condition_bytes(condition: PostCondition) -> bytes:
    """The bytes of one post-condition."""
    principal = principal_bytes(condition.principal)
    match condition:
        case StxPostCondition():
            return b"\x00" + principal + bytes([condition.comparison]) + condition.amount.to_bytes(8, "big")
        case FungiblePostCondition():
            head = b"\x01" + principal + asset_bytes(condition.asset)
            return head + bytes([condition.comparison]) + condition.amount.to_bytes(8, "big")
        case NonFungiblePostCondition():
            head = b"\x02" + principal + asset_bytes(condition.asset)
            return head + serialize(condition.value) + bytes([condition.ownership])


def read_condition_value(reader: Reader) -> ClarityValue:
    """The next Clarity value; raises DecodeError."""
    try:
        return read_value(reader)
    except ClarityError as error:
        raise DecodeError(f"post-condition value: {error}") from error


def read_post_condition(reader: Reader) -> PostCondition:
    """The next post-condition of SIP-005; raises DecodeError."""
    kind = reader.uint(1)
    return read_condition_body(reader, kind, read_principal(reader))


def read_condition_body(reader: Reader, kind: int, principal: Principal | None) -> PostCondition:
    """What follows a post-condition's type byte and principal; raises DecodeError."""
    match kind:
        case 0x00:
            return StxPostCondition(principal, read_comparison(reader), reader.uint(8))
        case 0x01:
            asset = read_asset(reader)
            return FungiblePostCondition(principal, asset, read_comparison(reader), reader.uint(8))
        case 0x02:
            asset, value, code = read_asset(reader), read_condition_value(reader), reader.uint(1)
            if code not in tuple(Ownership):
                raise DecodeError(f"unknown ownership code {code}")
            return NonFungiblePostCondition(principal, asset, value, Ownership(code))
        case other:
            raise DecodeError(f"unknown post-condition type {other}")
