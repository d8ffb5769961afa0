"""Paying tools: at most what is asked for, within the session's budget."""

from collections.abc import Awaitable, Callable
from typing import Any

from operations.errors import SatboxError
from satbox.client import Client
from satbox.client.paid_calls import CallAnswer
from satbox.mcp_server.budget import SessionBudget


async def pay(
    client: Client, budget: SessionBudget, method: Callable[..., Awaitable[Any]], values: dict[str, Any]
) -> dict[str, Any]:
    """One payment on chain by one client method; its answer, and the rest of the session's budget."""
    max_sats = values.pop("max_sats", None)
    if max_sats is None:
        max_sats = values.get("sats", budget.left_sats)
    with budget.reserved(whole_sats(max_sats)) as reservation:
        reservation.spent_sats = max_sats  # until it is known to be less: also when this call is cancelled half way
        try:
            paid = await method(**values, max_sats=max_sats)
        except SatboxError as error:
            if error.funds_moved is False:
                reservation.spent_sats = 0
            raise
        signed = client.sats_signed_for(paid.paymentId)  # never the gate's word: it could say that nothing was paid
        reservation.spent_sats = max_sats if signed is None else signed
    document: dict[str, Any] = paid.model_dump(mode="json", exclude_none=True)
    return document | left_of(budget)


async def pay_order(budget: SessionBudget, max_sats: int, call: Callable[[], Awaitable[CallAnswer]]) -> CallAnswer:
    """One call paid from the bucket. What a failed one cost is the gate's word: the money is in its hands as it is."""
    with budget.reserved(max_sats) as reservation:
        reservation.spent_sats = max_sats
        try:
            answer = await call()
        except SatboxError as error:
            if error.funds_moved is False:
                reservation.spent_sats = 0
            raise
        reservation.spent_sats = answer.sats
    return answer


def left_of(budget: SessionBudget) -> dict[str, Any]:
    """What every paying tool tells beside its answer."""
    return {"session_budget": {"spent_sats": budget.spent_sats, "left_sats": budget.left_sats}}


def whole_sats(value: Any) -> int:
    """Sats as they were given. Raises invalid_request."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise SatboxError("invalid_request", "max_sats is a whole number of sats.")
    return value
