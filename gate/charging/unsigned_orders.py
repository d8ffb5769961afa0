"""What is bought from an account, by a pass or an API key: nobody signs it, so its order's id is made from what it is."""

import hashlib

from gate.charging.bill import Bill
from gate.charging.used_orders import ANSWERED_WITHIN_MS
from gate.parts.orders import UNSIGNED, Held
from gate.wire.means import IDEMPOTENCY_HEADER, Means
from operations.errors import SatboxError

ONCE_MS = 3_600_000
"""The same purchase of the same payer in the same hour is one: a client that lost the answer asks again."""
IDEMPOTENCY_CHARS_MAX = 255


def _named(account: str, what: str) -> str:
    """The id of an order from an account that nobody signed: the same for the same purchase."""
    return f"{UNSIGNED}{hashlib.sha256(f'{account} {what}'.encode()).hexdigest()[:32]}"


def unsigned_order(bill: Bill, means: Means, account: str, what: str, wall_ms: int) -> Held:
    """A purchase from an account: a new one with each request, unless its `Idempotency-Key` was there before, at any time."""
    given = means.idempotency_key
    if len(given) > IDEMPOTENCY_CHARS_MAX:
        raise SatboxError(
            "invalid_request", details={IDEMPOTENCY_HEADER: f"at most {IDEMPOTENCY_CHARS_MAX} characters"}
        )
    order_id = _named(account, f"{what} named {given}" if given else f"{what} request {means.request_id}")
    until_ms = wall_ms + ANSWERED_WITHIN_MS
    return Held(order_id, account, bill.payee, bill.usat, until_ms, bill.resource, is_named=bool(given))


def hourly_order(bill: Bill, account: str, what: str, wall_ms: int) -> Held:
    """A purchase that is one for as long as the hour lasts. The log keeps it for an hour more: by a time that goes with its
    name, so that it is known there whenever it was trimmed.
    """
    hour = wall_ms // ONCE_MS
    until_ms = (hour + 2) * ONCE_MS
    order_id = _named(account, f"{what} of {hour}")
    return Held(order_id, account, bill.payee, bill.usat, until_ms, bill.resource, is_named=True, kept_ms=until_ms)
