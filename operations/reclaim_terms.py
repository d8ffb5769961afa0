"""What a reclaim's proof says: its challenge names every deposit, what arrives where, the fee, and what leaves the bucket.

Both sides make it from the same numbers: a gate to be signed, a client to see that it signs what it was shown.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

PREFIX = "reclaim "
PARTS_MAX = 8
_PART = re.compile(
    r"(pay_[0-9a-f]{32}(?:_[0-9]{1,4})?) ([1-9][0-9]{0,19}) (sBTC|STX) to ([A-Z0-9]{28,41})"
    r" fee ([0-9]{1,19}) for ([1-9][0-9]{0,18}) usat"
)


@dataclass(frozen=True, slots=True)
class Terms:
    """One deposit: `atomic` units of `asset` (sats, micro-STX) arrive at `origin`, `fee_atomic` stay here, `usat` leave."""

    payment_id: str
    atomic: int
    asset: str
    origin: str
    fee_atomic: int
    usat: int


def terms_text(parts: Sequence[Terms]) -> str:
    """The scope of a reclaim's challenge."""
    return PREFIX + "; ".join(
        f"{p.payment_id} {p.atomic} {p.asset} to {p.origin} fee {p.fee_atomic} for {p.usat} usat" for p in parts
    )


def read_terms(text: str) -> tuple[Terms, ...] | None:
    """The parts of such a text; None when it is none, to the letter."""
    if not text.startswith(PREFIX):
        return None
    found = [_PART.fullmatch(part) for part in text[len(PREFIX) :].split("; ")]
    if len(found) > PARTS_MAX:
        return None
    parts = [Terms(m[1], int(m[2]), m[3], m[4], int(m[5]), int(m[6])) for m in found if m is not None]
    return tuple(parts) if len(parts) == len(found) and terms_text(parts) == text else None
