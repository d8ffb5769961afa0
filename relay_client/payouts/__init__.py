"""Money out: a queue that pays each payout once, with the discipline of settlements turned outward (`design/refunds.md`)."""

from relay_client.payouts.keystore import KeyFile, KeyUnavailable
from relay_client.payouts.limits import PayoutPolicy
from relay_client.payouts.queue import PayoutQueue
from relay_client.payouts.records import PayoutOrder, PayoutReport, PayoutResult, PayoutState
from relay_client.payouts.schema import migrate

__all__ = [
    "KeyFile",
    "KeyUnavailable",
    "PayoutOrder",
    "PayoutPolicy",
    "PayoutQueue",
    "PayoutReport",
    "PayoutResult",
    "PayoutState",
    "migrate",
]
