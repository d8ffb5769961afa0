"""Transactions (SIP-005): bytes to a value and back, and the transaction id.

Decoding is strict: one transaction has one encoding, version byte and chain id name the same network, nothing trails.
It says nothing about signatures; `stacks.signing` checks those.
"""

from dataclasses import dataclass
from enum import IntEnum

from stacks.c32 import Address
from stacks.errors import DecodeError
from stacks.hashes import sha512_256
from stacks.network import Network
from stacks.newer_conditions import AnyPostCondition, any_post_condition_bytes, read_any_post_condition
from stacks.other_payloads import AnyPayload, read_any_payload
from stacks.payloads import Payload, read_payload
from stacks.postconditions import POST_CONDITIONS_MAX, PostCondition, PostConditionMode, read_post_condition
from stacks.spending import SpendingCondition, read_condition
from stacks.wire import Reader

TRANSACTION_BYTES_MAX = 65_536  # a payment has about 400; contract deployments are refused anyway
ANY_TRANSACTION_BYTES_MAX = 131_072  # room for a deployment of 100,000 characters
_STANDARD, _SPONSORED = 0x04, 0x05


class AnchorMode(IntEnum):
    """Historic: which kind of block may include it. Clients write ANY."""

    ON_CHAIN = 0x01
    OFF_CHAIN = 0x02
    ANY = 0x03


@dataclass(frozen=True, slots=True)
class AnyTransaction:
    """One transaction of any kind. `sponsor` is None for a standard one; a sponsored one's slot may still be unsigned."""

    network: Network
    origin: SpendingCondition
    sponsor: SpendingCondition | None
    anchor_mode: AnchorMode
    post_condition_mode: PostConditionMode
    post_conditions: tuple[AnyPostCondition, ...]
    payload: AnyPayload

    @property
    def is_sponsored(self) -> bool:
        """Whether its fee is a sponsor's to pay (auth type 05), signed by the sponsor or not."""
        return self.sponsor is not None

    @property
    def origin_address(self) -> Address:
        """The account whose assets move; claimed only, until the origin's signature is verified."""
        return self.origin.address(self.network)

    @property
    def sponsor_address(self) -> Address | None:
        """The account that pays the fee of a sponsored transaction; claimed only."""
        return None if self.sponsor is None else self.sponsor.address(self.network)

    @property
    def fee(self) -> int:
        """Micro-STX that the payer of the fee offers."""
        return (self.sponsor or self.origin).fee

    def serialize(self) -> bytes:
        """Its only encoding."""
        return b"".join(
            (
                bytes([self.network.transaction_version]),
                self.network.chain_id.to_bytes(4, "big"),
                bytes([_STANDARD if self.sponsor is None else _SPONSORED]),
                self.origin.serialize(),
                b"" if self.sponsor is None else self.sponsor.serialize(),
                bytes([self.anchor_mode, self.post_condition_mode]),
                len(self.post_conditions).to_bytes(4, "big"),
                *map(any_post_condition_bytes, self.post_conditions),
                self.payload.serialize(),
            )
        )

    def txid(self) -> str:
        """64 hex digits without 0x. Sponsoring changes it; the origin's signature does not cover it."""
        return sha512_256(self.serialize()).hex()


@dataclass(frozen=True, slots=True)
class Transaction(AnyTransaction):
    """A transaction that can be a payment: a token transfer or a contract call, with the post-conditions of SIP-005."""

    post_conditions: tuple[PostCondition, ...]
    payload: Payload


def _read_network(reader: Reader) -> Network:
    version, chain_id = reader.uint(1), reader.uint(4)
    for network in Network:
        if version == network.transaction_version and chain_id == network.chain_id:
            return network
    raise DecodeError(f"version {version:#04x} with chain id {chain_id:#010x} is no Stacks network")


def _read_mode(reader: Reader) -> tuple[AnchorMode, PostConditionMode]:
    anchor, mode = reader.uint(1), reader.uint(1)
    if anchor not in tuple(AnchorMode) or mode not in tuple(PostConditionMode):
        raise DecodeError(f"unknown anchor mode {anchor} or post-condition mode {mode}")
    return AnchorMode(anchor), PostConditionMode(mode)


@dataclass(frozen=True, slots=True)
class _Head:
    """What comes before the post-conditions, whatever the kind."""

    network: Network
    origin: SpendingCondition
    sponsor: SpendingCondition | None
    anchor_mode: AnchorMode
    post_condition_mode: PostConditionMode
    post_condition_count: int


def _read_head(reader: Reader) -> _Head:
    network = _read_network(reader)
    auth = reader.uint(1)
    if auth not in (_STANDARD, _SPONSORED):
        raise DecodeError(f"unknown authorization type {auth:#04x}")
    origin = read_condition(reader)
    sponsor = read_condition(reader) if auth == _SPONSORED else None
    return _Head(network, origin, sponsor, *_read_mode(reader), reader.count(4, POST_CONDITIONS_MAX))


def _reader(data: bytes, bytes_max: int) -> Reader:
    if len(data) > bytes_max:
        raise DecodeError(f"a transaction has at most {bytes_max} bytes here")
    return Reader(data, DecodeError)


def decode_transaction(data: bytes) -> Transaction:
    """The payment that `data` is the encoding of; raises DecodeError or UnsupportedPayload, nothing else."""
    reader = _reader(data, TRANSACTION_BYTES_MAX)
    head = _read_head(reader)
    conditions = tuple(read_post_condition(reader) for _ in range(head.post_condition_count))
    payload = read_payload(reader)
    reader.finish()
    return Transaction(
        head.network, head.origin, head.sponsor, head.anchor_mode, head.post_condition_mode, conditions, payload
    )


def decode_any_transaction(data: bytes) -> AnyTransaction:
    """The transaction of any kind that `data` is the encoding of, for showing it; raises DecodeError or UnsupportedPayload."""
    reader = _reader(data, ANY_TRANSACTION_BYTES_MAX)
    head = _read_head(reader)
    conditions = tuple(read_any_post_condition(reader) for _ in range(head.post_condition_count))
    payload = read_any_payload(reader)
    reader.finish()
    return AnyTransaction(
        head.network, head.origin, head.sponsor, head.anchor_mode, head.post_condition_mode, conditions, payload
    )
