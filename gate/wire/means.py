"""What a request says about paying, and which payment it turned out to carry."""

from dataclasses import dataclass

from aiohttp import web

from gate.wire.answers import REQUEST_ID
from gate.wire.paths import shown_path

IDEMPOTENCY_HEADER = "Idempotency-Key"


@dataclass(frozen=True, slots=True)
class Presented:
    """The valid payment that a request carries."""

    payment_id: str
    identity: str
    is_call: bool


@dataclass(slots=True)
class Means:
    """How a request pays, and for what.

    `payment` is its `payment-signature`. `is_v1`: it speaks x402 version 1, which is refused. `path` is as it was asked for,
    `shown_path` as people and offers see it: below the gate, also for a port's own origin.
    """

    method: str
    path: str
    shown_path: str
    request_id: str
    payment: str | None = None
    is_v1: bool = False
    token_type: tuple[str | None, str | None] = (None, None)
    """The asset asked for, in the query and in a header."""
    settle: str | None = None
    """`confirmed`: nothing is to start before the payment is confirmed."""
    idempotency_key: str = ""
    presented: Presented | None = None
    """Set once the payment is known to be valid: from then on every error names it."""
    is_charged: bool = False
    """Set once what the request is billed has been paid: from then on no error says that nothing was."""


MEANS: web.RequestKey[Means] = web.RequestKey("means", Means)


def means_of(request: web.Request) -> Means:
    """Of an HTTP request that has its id; the same object each time."""
    found = request.get(MEANS)
    if found is None:
        headers, query = request.headers, request.query
        found = request[MEANS] = Means(
            method=request.method,
            path=request.path,
            shown_path=shown_path(request),
            request_id=request[REQUEST_ID],
            payment=headers.get("payment-signature"),
            is_v1="X-PAYMENT" in headers,
            token_type=(query.get("tokenType"), headers.get("X-PAYMENT-TOKEN-TYPE")),
            settle=query.get("settle"),
            idempotency_key=headers.get(IDEMPOTENCY_HEADER, ""),
        )
    return found
