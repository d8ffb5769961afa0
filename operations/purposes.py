"""What money is paid for: the one list that payments on chain, buckets, statements and the audit know.

A purpose is text in every store, so a new one needs a line here and no migration.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Purpose:
    """One thing that money is paid for."""

    name: str
    description: str
    is_from_bucket: bool = False
    """Whether credit in a bucket pays for it, so that a spending key may."""
    recorded_as: tuple[str, ...] = ()
    """Names under which earlier versions recorded such a payment: shown again, it is still the same."""


_KNOWN = (
    Purpose("create", "a new sandbox, and its first seconds"),
    Purpose("extend", "more seconds of a sandbox"),
    Purpose("wake", "seconds of a sandbox that a call starts", recorded_as=("extend",)),
    Purpose("deposit", "credit in a bucket", recorded_as=("extend",)),
    Purpose("call", "an answer of what runs in a sandbox", is_from_bucket=True, recorded_as=("extend",)),
    Purpose("verification", "an answer of the Stacks and hashing tools", is_from_bucket=True),
)
PURPOSES = {purpose.name: purpose for purpose in _KNOWN}
"""By name."""


def check_purpose(name: str) -> str:
    """The name of a known purpose. Raises ValueError for any other."""
    if name not in PURPOSES:
        raise ValueError(f"{name!r} is not a purpose of payments")
    return name


def is_same_purpose(recorded: str, shown: str) -> bool:
    """Whether a payment recorded for one purpose may be shown again for the other."""
    return recorded == shown or (shown in PURPOSES and recorded in PURPOSES[shown].recorded_as)
