"""How much may go out without anybody looking, and how long things take. Pure."""

from dataclasses import dataclass

SAT = 1_000_000
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class PayoutPolicy:
    """Amounts in usat, times in milliseconds, fees in micro-STX. A day is the last 24 hours."""

    approve_above_usat: int = 5_000 * SAT
    payout_max_usat: int = 1_000_000 * SAT
    wallet_day_usat: int = 10_000 * SAT
    day_usat: int = 100_000 * SAT
    network_fee_ustx: int = 3_000
    reorg_depth: int = 6
    tick_ms: int = 1_000
    rebroadcast_ms: int = 30_000
    key_retry_ms: int = 30_000
    untold_max: int = 64


KEY_WAITS = "payout_key"
USED_ELSEWHERE = "key_used_elsewhere"
"""The key has sent what is not in the queue's file: somebody else has it, or the file is an older copy, whose payouts may be paid
already. Nothing goes out before the operator lets a payout pass that waits for this.
"""


@dataclass(frozen=True, slots=True)
class Spent:
    """What was approved within a day and did not fail."""

    day_usat: int
    wallet_day_usat: int


def waits_for(policy: PayoutPolicy, usat: int, spent: Spent) -> str | None:
    """What a payout waits for before it goes out by itself; None when nothing. The operator can let any of these pass but
    `payout_limit`.
    """
    if usat > policy.payout_max_usat:
        return "payout_limit"
    if usat > policy.approve_above_usat:
        return "approval"
    if spent.wallet_day_usat + usat > policy.wallet_day_usat:
        return "wallet_day_limit"
    if spent.day_usat + usat > policy.day_usat:
        return "day_limit"
    return None
