"""Which entries a journal can hold: the kinds that `bucket` and the steps of a dispute post, and how each moves the accounts.

Whoever reads a journal as somebody else's word holds every entry against this table; money that moves in no known way is
invented. A test holds that every posting of `bucket` has its row here and that no row is without one.
"""

from collections.abc import Mapping

DISPUTE_STEPS = frozenset({"dispute_opened", "dispute_answered", "dispute_upheld", "dispute_denied"})
"""Entries that carry words and move nothing."""

SHAPES: Mapping[str, Mapping[str, int]] = {
    "deposit": {"deposits": -1, "bucket": 1},
    "reversal": {"deposits": 1, "bucket": -1, "owed": -1},
    "charge": {"bucket": -1, "owed": -1, "burnt": 1},
    "meter": {"bucket": -1, "owed": -1, "burnt": 1},
    "fee": {"bucket": -1, "burnt": 1},
    "arrears": {"bucket": -1, "owed": 1},
    "credit": {"credits": -1, "bucket": 1},
    "write_off": {"owed": 1, "write_offs": -1},
    "credit_back": {"burnt": -1, "owed": 1, "bucket": 1},
    "payout_hold": {"bucket": -1, "held": 1},
    "payout": {"held": -1, "paid_out": 1, "payout_fees": 1},
    "payout_return": {"held": -1, "bucket": 1},
    "reserve": {"bucket": -1, "reserved": 1},
    "unreserve": {"reserved": -1, "bucket": 1},
    "order": {"reserved": -1, "bucket": -1, "in_transit": 1},
    "spend": {"reserved": -1, "bucket": -1, "burnt": 1},
    "order_done": {"in_transit": -1, "spent": 1},
    "earning": {"earnings": -1, "bucket": 1, "call_fees": 1},
}
"""By kind: the accounts it moves and which way; where there are more than two, some may stay as they are."""


def shape_fault(kind: str, amounts: tuple[tuple[str, int], ...]) -> str | None:
    """Why no rule posts such an entry; None when one does."""
    if kind in DISPUTE_STEPS:
        return f"a {kind} moves nothing" if amounts else None
    shape = SHAPES.get(kind)
    if shape is None:
        return f"nothing posts a {kind[:60]}"
    moved = dict(amounts)
    if len(moved) != len(amounts) or moved.keys() != shape.keys():
        return f"a {kind} moves {', '.join(shape)}"
    if not any(moved.values()) or any(moved[name] * sign < 0 for name, sign in shape.items()):
        return f"a {kind} does not go this way"
    return None
