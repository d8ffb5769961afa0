"""What is left of each deposit: the part that can be sent back to where it came from.

Old money is spent first, so what is left is left of the newest deposits. The lots of a wallet never sum to more than its
bucket with what it has set aside for calls; what the bucket holds beyond them (what was put right, dust, deposits too small to
be kept here) stays credit.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Lot:
    """A deposit that is not spent: `left_usat` of its `usat`, which came in as `atomic` units of `asset` from `origin`."""

    payment_id: str
    origin: str
    asset: str
    atomic: int
    usat: int
    left_usat: int


Lots = tuple[Lot, ...]
"""Oldest first."""


@dataclass(frozen=True, slots=True)
class PayoutTerms:
    """What sending a lot back comes to: `usat` leave the bucket, `atomic` units arrive, `fee_usat` is the difference."""

    usat: int
    atomic: int
    fee_atomic: int
    fee_usat: int


def fitted(lots: Lots, bucket_usat: int) -> Lots:
    """The lots once the bucket holds no more than this: the oldest were spent."""
    excess = sum(lot.left_usat for lot in lots) - bucket_usat
    if excess <= 0:
        return lots
    kept: list[Lot] = []
    for lot in lots:
        spent = min(lot.left_usat, excess)
        excess -= spent
        if lot.left_usat > spent:
            kept.append(replace(lot, left_usat=lot.left_usat - spent) if spent else lot)
    return tuple(kept)


def with_lot(lots: Lots, lot: Lot, most: int) -> Lots:
    """One more deposit. When there are too many, the smallest goes: strangers' gifts of a sat push no real one out."""
    if lot.atomic <= 0 or lot.usat <= 0:
        return lots
    lots = (*lots, lot)
    if len(lots) > most:
        smallest = min(lots, key=lambda one: one.left_usat)
        lots = tuple(one for one in lots if one is not smallest)
    return lots


def without(lots: Lots, payment_ids: Collection[str]) -> Lots:
    """The lots but those of these deposits."""
    return tuple(lot for lot in lots if lot.payment_id not in payment_ids)


def terms_of(lot: Lot, fee_atomic: int) -> PayoutTerms | None:
    """What is left of a deposit, in whole units of its asset at the rate it came in at; None when the fee eats it up.

    What does not make a whole unit stays in the bucket. The fee is rounded up in usat, and is never less than it is.
    """
    gross = lot.atomic * lot.left_usat // lot.usat
    if gross <= fee_atomic:
        return None
    usat = -(-gross * lot.usat // lot.atomic)
    fee_usat = -(-fee_atomic * lot.usat // lot.atomic)
    if usat <= 0 or fee_usat >= usat:
        return None
    return PayoutTerms(usat, gross - fee_atomic, fee_atomic, fee_usat)
