"""What an operation costs, as its contract says it. Amounts are integers: whole sats where people see them, micro-sats (usat)
where they are charged.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from operations.purposes import check_purpose

USAT_PER_SAT = 1_000_000
CHARGE_USAT_MAX = 1_000_000_000 * USAT_PER_SAT
"""The most that one charge may be."""


@dataclass(frozen=True, slots=True)
class Free:
    """Costs nothing."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """Costs the same each time: `sats`, or what the operator set for the purpose. 0 is free."""

    purpose: str
    sats: int = 0

    def __post_init__(self) -> None:
        check_purpose(self.purpose)
        checked_usat(self.sats * USAT_PER_SAT)


@dataclass(frozen=True, slots=True)
class Metered:
    """Costs what it used. `estimate_usat`: the most it can be, from the input. That much is held; what was used is paid."""

    purpose: str
    estimate_usat: Callable[[Any], int]

    def __post_init__(self) -> None:
        check_purpose(self.purpose)


@dataclass(frozen=True, slots=True)
class OnChain:
    """Paid by a transaction, of an amount that its caller chooses."""

    purpose: str

    def __post_init__(self) -> None:
        check_purpose(self.purpose)


PriceRule = Free | Fixed | Metered | OnChain
FREE = Free()


def checked_usat(usat: int) -> int:
    """An amount that can be charged. Raises ValueError for a negative one, a fraction or one that is too large."""
    if type(usat) is not int or not 0 <= usat <= CHARGE_USAT_MAX:
        raise ValueError(f"a charge is 0 to {CHARGE_USAT_MAX} whole micro-sats, not {usat!r}")
    return usat
