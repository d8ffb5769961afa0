"""Post-conditions newer than SIP-005, as @stacks/transactions 7.6 writes them: "may be sent", staking, stacking.

Only for reading and showing a transaction: what they mean for a payment is not settled on chain yet, so
`decode_transaction` refuses them.
"""

from dataclasses import dataclass
from enum import IntEnum

from stacks.c32 import Principal
from stacks.clarity import ClarityValue, serialize
from stacks.errors import DecodeError
from stacks.postconditions import (
    AssetId,
    Comparison,
    NonFungiblePostCondition,
    Ownership,
    PostCondition,
    asset_bytes,
    post_condition_bytes,
    principal_bytes,
    read_asset,
    read_comparison,
    read_condition_body,
    read_condition_value,
    read_principal,
)
from stacks.wire import Reader

_NON_FUNGIBLE, _STAKING, _STACKING, _MAYBE_SENT = 0x02, 0x03, 0x04, 0x12


class StackingAction(IntEnum):
    """Whether a principal performs a stacking (PoX) action."""

    WILL_NOT = 0x30
    MAY = 0x31
    WILL = 0x32


@dataclass(frozen=True, slots=True)
class MaybeSentPostCondition:
    """One non-fungible token may, but need not, leave `principal` (None: the origin)."""

    principal: Principal | None
    asset: AssetId
    value: ClarityValue


@dataclass(frozen=True, slots=True)
class StakingPostCondition:
    """On the micro-STX that `principal` (None: the origin) stakes."""

    principal: Principal | None
    comparison: Comparison
    amount: int


@dataclass(frozen=True, slots=True)
class StackingPostCondition:
    """On whether `principal` (None: the origin) performs a stacking action."""

    principal: Principal | None
    action: StackingAction


NewerPostCondition = MaybeSentPostCondition | StakingPostCondition | StackingPostCondition
AnyPostCondition = PostCondition | NewerPostCondition


def any_post_condition_bytes(condition: AnyPostCondition) -> bytes:
    """The bytes of one post-condition."""
    match condition:
        case MaybeSentPostCondition():
            head = bytes([_NON_FUNGIBLE]) + principal_bytes(condition.principal) + asset_bytes(condition.asset)
            return head + serialize(condition.value) + bytes([_MAYBE_SENT])
        case StakingPostCondition():
            head = bytes([_STAKING]) + principal_bytes(condition.principal) + bytes([condition.comparison])
            return head + condition.amount.to_bytes(8, "big")
        case StackingPostCondition():
            return bytes([_STACKING]) + principal_bytes(condition.principal) + bytes([condition.action])
        case _:
            return post_condition_bytes(condition)


def _non_fungible(reader: Reader, principal: Principal | None) -> NonFungiblePostCondition | MaybeSentPostCondition:
    asset, value, code = read_asset(reader), read_condition_value(reader), reader.uint(1)
    if code == _MAYBE_SENT:
        return MaybeSentPostCondition(principal, asset, value)
    if code not in tuple(Ownership):
        raise DecodeError(f"unknown ownership code {code}")
    return NonFungiblePostCondition(principal, asset, value, Ownership(code))


def read_any_post_condition(reader: Reader) -> AnyPostCondition:
    """The next post-condition of any sort; raises DecodeError."""
    kind = reader.uint(1)
    principal = read_principal(reader)
    match kind:
        case 0x02:
            return _non_fungible(reader, principal)
        case 0x03:
            return StakingPostCondition(principal, read_comparison(reader), reader.uint(8))
        case 0x04:
            code = reader.uint(1)
            if code not in tuple(StackingAction):
                raise DecodeError(f"unknown stacking code {code}")
            return StackingPostCondition(principal, StackingAction(code))
        case _:
            return read_condition_body(reader, kind, principal)
