"""What the tools for calls do: buy one, set routes, fill a bucket."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from operations.errors import SatboxError
from operations.routes import RouteInput
from satbox.client import Client
from satbox.client.paid_calls import ANSWER_SECONDS, CallAnswer
from satbox.client.reclaimable import warning_about
from satbox.client.route_changes import change_route, same_route
from satbox.mcp_server.budget import SessionBudget
from satbox.mcp_server.spending import left_of, pay, pay_order, whole_sats
from satbox.mcp_server.trade_tools import BODY_BYTES_DEFAULT, BODY_BYTES_MAX, BODY_CHARS_MAX, CALL_SATS_DEFAULT

TIMEOUT_SECONDS_DEFAULT = 60
METHOD = re.compile(r"[A-Z]{1,16}")
ADDRESS = re.compile(r"S[0-9A-Z]{27,41}")
HEADERS_MAX = 50
HEADER_CHARS_MAX = 1_000
HEADERS_SHOWN = (
    "Content-Type", "Content-Length", "Content-Range", "Content-Encoding", "Content-Language", "Content-Disposition", "Location",
    "Link", "ETag", "Last-Modified", "Cache-Control", "Retry-After", "WWW-Authenticate", "Allow", "Mcp-Session-Id",
)  # fmt: skip
"""Headers that an agent can act on; the others would only fill its context."""
_BESIDE = ("action", "address")


async def buy(client: Client, budget: SessionBudget, values: dict[str, Any]) -> dict[str, Any]:
    """One call, and what came of it. Raises SatboxError."""
    url = values.get("url")
    if not isinstance(url, str) or not url:
        raise SatboxError("invalid_request", "url is missing: what is called.")
    data = _body(values.get("body"), values.get("body_base64"))
    method = values.get("method", "GET" if data is None else "POST")
    if not isinstance(method, str) or METHOD.fullmatch(method) is None:
        raise SatboxError("invalid_request", "method is a word such as GET or POST.")
    headers = _headers(values.get("headers", {}))
    max_sats = whole_sats(values.get("max_sats", min(CALL_SATS_DEFAULT, budget.left_sats)))
    seconds = _within("timeout_seconds", values.get("timeout_seconds", TIMEOUT_SECONDS_DEFAULT), ANSWER_SECONDS)
    limit_bytes = _within("limit_bytes", values.get("limit_bytes", BODY_BYTES_DEFAULT), BODY_BYTES_MAX)

    async def call() -> CallAnswer:
        return await client.call(
            url, method=method, headers=headers, data=data, max_sats=max_sats, timeout_seconds=seconds,
            cut_at_bytes=limit_bytes,
        )  # fmt: skip

    answer = await pay_order(budget, max_sats, call)
    return _told(answer) | left_of(budget)


def _short(value: str) -> str:
    left_out = len(value) - HEADER_CHARS_MAX
    return value if left_out <= 0 else f"{value[:HEADER_CHARS_MAX]}... {left_out} characters left out"


def _told(answer: CallAnswer) -> dict[str, Any]:
    shown = {name: _short(answer.headers[name]) for name in HEADERS_SHOWN if name in answer.headers}
    document: dict[str, Any] = {"status": answer.status, "headers": shown}
    try:
        document["body"] = _text(answer.body, is_cut=answer.is_cut)
    except UnicodeDecodeError:
        document["body_base64"] = base64.b64encode(answer.body).decode()
    document["paid_sats"] = answer.sats
    if answer.order_id is not None:
        document |= {"order_id": answer.order_id, "receipt": answer.receipt}
    if answer.is_cut:
        document["note"] = (
            f"The body is cut to its first {len(answer.body)} bytes. Another call is paid anew: give limit_bytes up to"
            f" {BODY_BYTES_MAX}, or ask the seller's server for a part."
        )
    return document


def _text(body: bytes, *, is_cut: bool) -> str:
    """Raises UnicodeDecodeError. A character that was cut through is left out."""
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        if not is_cut or error.start < len(body) - 3 or error.reason != "unexpected end of data":
            raise
        return body[: error.start].decode()


def _body(text: Any, encoded: Any) -> bytes | None:
    if text is None and encoded is None:
        return None
    if text is not None and encoded is not None:
        raise SatboxError("invalid_request", "Give one of body and body_base64.")
    given = str(text if encoded is None else encoded)
    if len(given) > BODY_CHARS_MAX:
        raise SatboxError("body_too_large", details={"limit_chars": BODY_CHARS_MAX})
    try:
        return given.encode() if encoded is None else base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SatboxError("invalid_request", "body_base64 is not base64.") from error


def _headers(given: Any) -> dict[str, str]:
    if not isinstance(given, Mapping) or not all(isinstance(part, str) for pair in given.items() for part in pair):
        raise SatboxError("invalid_request", "headers is an object of texts.")
    if len(given) > HEADERS_MAX:
        raise SatboxError("headers_too_large", details={"headers_max": HEADERS_MAX})
    if any(name.lower().startswith("payment-") for name in given):
        raise SatboxError("invalid_request", "satbox_call pays by itself: leave headers that carry payments out.")
    return dict(given)


def _within(name: str, value: Any, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise SatboxError("invalid_request", f"{name} is a whole number from 1 to {most}.")
    return value


async def routes(client: Client, values: dict[str, Any]) -> dict[str, Any]:
    """List routes, set one, or remove one. Raises SatboxError."""
    action, address = values.get("action", "list"), values.get("address")
    given = {name: value for name, value in values.items() if name not in _BESIDE}
    if action == "list":
        if given:
            raise SatboxError(
                "invalid_request", f"To change a route, say action=set; list takes no {', '.join(sorted(given))}."
            )
        return (await client.routes_list(address=await _found(client, address))).model_dump(
            mode="json", exclude_none=True
        )
    if action not in ("set", "remove"):
        raise SatboxError("invalid_request", "action is one of list, set, remove.")
    route = _route(given, is_removed=action == "remove")
    answer = await change_route(client, address, route, is_removed=action == "remove")
    document: dict[str, Any] = answer.model_dump(mode="json", exclude_none=True)
    ours = None if action == "remove" else next((one for one in answer.items if same_route(one, route)), None)
    return document if ours is None else document | {"called_at": ours.url}


def _route(given: dict[str, Any], *, is_removed: bool) -> RouteInput:
    is_listed = bool(given.get("addresses"))
    given = {"callers": "list" if is_listed else "anyone"} | given
    if not is_removed and is_listed != (given["callers"] == "list"):
        raise SatboxError("invalid_request", "callers=list wants at least one of addresses, and only that does.")
    try:
        return RouteInput.model_validate(given)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in faults)
        raise SatboxError("invalid_request", f"This is no route: {told[:500]}.") from error


async def _found(client: Client, whose: Any) -> str | None:
    if whose is None or ADDRESS.fullmatch(str(whose)):
        return None if whose is None else str(whose)
    return (await client.agents_resolve(str(whose))).address


async def bucket(client: Client, budget: SessionBudget, values: dict[str, Any]) -> dict[str, Any]:
    """Look into a bucket, or fill it. Raises SatboxError."""
    action = values.pop("action", "show")
    if "address" not in values:
        if client.agent is None:
            raise SatboxError("invalid_request", "address is missing: this server has no agent of its own.")
        values["address"] = client.agent.addresses(client.settings.network).stx
    if action == "show":
        if set(values) != {"address"}:
            raise SatboxError("invalid_request", "To put money in, say action=deposit; show takes an address alone.")
        return (await client.bucket_show(address=values["address"])).model_dump(mode="json", exclude_none=True)
    if action != "deposit":
        raise SatboxError("invalid_request", "action is one of show, deposit.")
    if "sats" not in values:
        raise SatboxError("invalid_request", "sats is missing: how much to put in.")
    warning = await warning_about(client, str(values["address"]))
    document = await pay(client, budget, client.bucket_deposit, values)
    return document if warning is None else document | {"warning": warning}
