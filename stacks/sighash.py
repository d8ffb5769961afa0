"""What the signatures of a transaction cover (SIP-005): a hash without any authorization, then one step per signature."""

from dataclasses import replace

from stacks.hashes import sha512_256
from stacks.spending import EMPTY_SIGNATURE, SPONSOR_SENTINEL, MultiSig, SpendingCondition
from stacks.transaction import AnyTransaction

ORIGIN_FLAG, SPONSOR_FLAG = b"\x04", b"\x05"
"""The origin signs under the standard flag even in a sponsored transaction."""


def cleared_hash(tx: AnyTransaction) -> bytes:
    """The hash before anybody signed: no nonce, fee, signature or field, and a fixed sponsor."""
    if isinstance(tx.origin, MultiSig):
        origin: SpendingCondition = replace(tx.origin, nonce=0, fee=0, fields=())
    else:
        origin = replace(tx.origin, nonce=0, fee=0, signature=EMPTY_SIGNATURE)
    sponsor = None if tx.sponsor is None else SPONSOR_SENTINEL
    return sha512_256(replace(tx, origin=origin, sponsor=sponsor).serialize())


def pre_sign(before: bytes, flag: bytes, condition: SpendingCondition) -> bytes:
    """What a key of this condition signs."""
    return sha512_256(before + flag + condition.fee.to_bytes(8, "big") + condition.nonce.to_bytes(8, "big"))


def post_sign(before: bytes, key_encoding: int, signature: bytes) -> bytes:
    """The hash that the next signature builds on."""
    return sha512_256(before + bytes([key_encoding]) + signature)
