"""Call what another agent sells, and pay for it from one's own bucket: one signature, no transaction, no gas.

The gate is not trusted with what is signed: whom it pays and for what are read from the address that was asked for, and the
price must lie within what the caller allows. Who asks for a name takes the gate's word for whose it is.
"""

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import aiohttp
from yarl import URL

from operations.errors import SatboxError
from relay_client.orders import ORDER_SECONDS_MAX, SCHEME, Order
from satbox.agent.keystore import Agent
from satbox.client.answers import HttpResponse, error_of, has_error, payment_required_of
from satbox.client.settings import ClientSettings

ANSWER_BYTES_MAX = 64 << 20
ANSWER_SECONDS = 300
"""How long a gate waits for the head of a paid answer, and so how long waiting for one makes sense."""
ORDER_SECONDS = 120
PROXY = "/sandbox/proxy/"
AUTHORIZATION = "Authorization"
WHAT = "A call is ADDRESS-OR-NAME/PORT/PATH, or a whole URL of this gate that satbox routes list shows."


class Paying(Protocol):
    """Who calls: `satbox.client.Client`."""

    settings: ClientSettings
    agent: Agent | None
    api_key: str | None

    async def gate_pass(self) -> str:
        """The agent's pass; it proves itself when it has none."""

    async def session(self) -> aiohttp.ClientSession:
        """The connections to the gate."""

    def now_seconds(self) -> float:
        """Wall time."""


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """What the server inside answered. `sats` is what it cost; `receipt` the operator's signed word on that, if it did.
    `is_cut`: the body is longer, and reading stopped where the caller wanted it to.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    sats: int = 0
    order_id: str | None = None
    receipt: dict[str, Any] | None = None
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class _Request:
    """What stays the same however often it is asked."""

    client: Paying
    method: str
    data: bytes | None
    timeout_seconds: float
    cut_at_bytes: int | None


async def call(
    client: Paying,
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    data: bytes | None = None,
    max_sats: int = 100,
    timeout_seconds: float = ANSWER_SECONDS,
    cut_at_bytes: int | None = None,
) -> CallAnswer:
    """One call. `url` is whole, or a path from `/sandbox/proxy/` on, or `ADDRESS-OR-NAME/PORT/PATH`. An answer is waited for so
    long, and read up to `cut_at_bytes`; without that, one that is too large is an error. Raises max_sats_exceeded before
    anything is signed, `ambiguous` when the call was sent with an order and no answer came: it may have been made, and paid,
    once.
    """
    where = _where(client, url)
    headers = dict(headers or {})
    request = _Request(client, method, data, timeout_seconds, cut_at_bytes)
    unpaid = await _ask(request, where, headers)
    if unpaid.status == 307 and not _is_inner(unpaid):
        where = _where(client, unpaid.headers.get("Location", ""))
        unpaid = await _ask(request, where, headers)
    if _is_hidden(unpaid, headers) or (unpaid.status == 402 and _is_own(client, where)):  # nobody pays oneself
        headers = await _with_pass(client, headers)
        if AUTHORIZATION in headers:
            unpaid = await _ask(request, where, headers)
    required = (
        payment_required_of(HttpResponse(unpaid.status, unpaid.headers, unpaid.body)) if unpaid.status == 402 else None
    )
    if required is None:
        return _understood(unpaid, _is_own(client, where))
    if client.api_key is not None:
        return await _by_key(client, request, where, headers, required, max_sats)
    order, sats = _order(client, method, where, required, max_sats)
    assert client.agent is not None
    network = client.settings.network
    payload = {
        "x402Version": 2,
        "accepted": {"scheme": SCHEME, "network": network.caip2, "payTo": order.payee, "amount": str(sats)},
        "payload": {"order": order.wire(), "signature": order.signed(client.agent.stacks_key, network)},
    }
    signed = base64.b64encode(json.dumps(payload, separators=(",", ":")).encode()).decode()
    order_id = order.order_id(network)
    try:
        paid = await _ask(request, where, {**headers, "payment-signature": signed})
    except SatboxError as error:
        raise SatboxError(
            "ambiguous", f"No answer came: the call may have been made, and paid with {sats} sats, once.",
            details={"order_id": order_id, "reason": error.code}, funds_moved="unknown",
            hint="The order ends within two minutes: satbox bucket, or satbox ledger, shows by then whether it was paid.",
        ) from error  # fmt: skip
    try:
        answer = _understood(paid, is_own=False)
    except SatboxError as error:
        if error.code not in ("wallet_not_found", "credit_insufficient"):
            raise
        raise SatboxError(
            "credit_insufficient", f"Your bucket does not hold {sats} sats.",
            details={"payer": order.payer, "sats": sats} | _missing(error.details),
            hint="Fill it: satbox deposit --sats N.", funds_moved=False,
        ) from error  # fmt: skip
    return _with_receipt(paid, answer, sats, order_id)


async def _by_key(
    client: Paying, request: _Request, where: URL, headers: dict[str, str], required: Any, max_sats: int
) -> CallAnswer:
    """Paid by an API key: its wallet's caps hold, and the call is made once by its name."""
    _, sats = _bucket_offer(client, where, required, max_sats)
    named = {AUTHORIZATION: f"Bearer {client.api_key}", "Idempotency-Key": secrets.token_hex(16)}
    try:
        paid = await _ask(request, where, {**headers, **named})
    except SatboxError as error:
        raise SatboxError(
            "ambiguous", f"No answer came: the call may have been made, and paid with {sats} sats, once.",
            details={"reason": error.code}, funds_moved="unknown",
            hint="The key's owner sees what was paid: satbox api-key list.",
        ) from error  # fmt: skip
    return _with_receipt(paid, _understood(paid, is_own=False), sats)


def _with_receipt(paid: CallAnswer, answer: CallAnswer, sats: int, order_id: str | None = None) -> CallAnswer:
    receipt = paid.headers.get("X-Satbox-Receipt")
    if receipt is None:
        return answer
    document = json.loads(base64.urlsafe_b64decode(receipt))
    named = order_id or document.get("statement", {}).get("order_id")  # who signed an order knows its id
    return replace(answer, sats=sats, order_id=named, receipt=document)


def _where(client: Paying, url: str) -> URL:
    gate = client.settings.gate_url
    where = URL(url, encoded=True)
    if not where.is_absolute():
        path = "/" + url.lstrip("/")
        path = path if path.startswith(PROXY) else PROXY + path[1:]
        where = URL(f"{str(gate).rstrip('/')}{path}", encoded=True)
    if where.origin() != gate.origin():
        raise SatboxError("invalid_request", f"This is no call at {gate}: the URL is of {where.origin()}.", hint=WHAT)
    if not where.raw_path.startswith(PROXY) or where.raw_path.count("/") < 4:
        raise SatboxError("invalid_request", f"This is no call at {gate}.", hint=WHAT)
    return where


def _is_inner(answer: CallAnswer) -> bool:
    """Whether the server inside says this, and not the gate."""
    return answer.headers.get("X-Satbox-Origin") == "sandbox"


def _is_hidden(answer: CallAnswer, headers: Mapping[str, str]) -> bool:
    """Whether the answer is a 404 of the gate to a request without a pass: a route may exist for callers with one."""
    is_named = any(name.lower() == AUTHORIZATION.lower() for name in headers)
    return answer.status == 404 and not _is_inner(answer) and not is_named


async def _with_pass(client: Paying, headers: dict[str, str]) -> dict[str, str]:
    """With the agent's pass, which the gate keeps from the server inside; without when it has none to show."""
    if client.agent is None:
        return headers
    try:
        return {**headers, AUTHORIZATION: f"Bearer {await client.gate_pass()}"}
    except SatboxError:
        return headers  # not registered, or not known just now: it is what it was


def _is_own(client: Paying, where: URL) -> bool:
    own = None if client.agent is None else client.agent.addresses(client.settings.network).stx
    return own is not None and _payee(where) == own


def _payee(where: URL) -> str:
    return where.raw_path.removeprefix(PROXY).partition("/")[0]


def _missing(details: Mapping[str, Any]) -> dict[str, Any]:
    return {name: details[name] for name in ("missing_sats",) if name in details}


def _bucket_offer(client: Paying, where: URL, required: Any, max_sats: int) -> tuple[dict[str, Any], int]:
    """The offer to pay from a bucket, and its price. Raises payment_required, quote_invalid, max_sats_exceeded."""
    settings = client.settings
    entries = required.get("accepts", []) if isinstance(required, dict) else []
    wanted = (SCHEME, settings.network.caip2)
    entry = next((e for e in entries if isinstance(e, dict) and (e.get("scheme"), e.get("network")) == wanted), None)
    if entry is None:
        raise SatboxError("payment_required", "This call can't be paid from a bucket.", hint="Wake the sandbox first.")
    amount = str(entry.get("amount", ""))
    if not amount.isascii() or not amount.isdigit() or int(amount) < 1 or entry.get("payTo") != _payee(where):
        raise SatboxError("quote_invalid", "The gate's offer is not for this call; nothing was signed.")
    sats = int(amount)
    if sats > max_sats:
        raise SatboxError("max_sats_exceeded", details={"asked_sats": sats, "max_sats": max_sats})
    return entry, sats


def _order(client: Paying, method: str, where: URL, required: Any, max_sats: int) -> tuple[Order, int]:
    if client.agent is None:
        raise SatboxError("payment_required", "This call must be paid, and no agent's keys were given to pay with.")
    settings = client.settings
    entry, sats = _bucket_offer(client, where, required, max_sats)
    extra = entry.get("extra")
    message = extra.get("message") if isinstance(extra, dict) else None
    deployment = str(message.get("deployment", "")) if isinstance(message, dict) else ""
    if settings.expected_deployment is not None and deployment != settings.expected_deployment:
        raise SatboxError("quote_invalid", f"This gate is {deployment[:60]!r}; nothing was signed.")
    expires_at = int(client.now_seconds()) + min(ORDER_SECONDS, ORDER_SECONDS_MAX)
    payer = client.agent.addresses(settings.network).stx
    resource = f"{method} {where.raw_path}"
    return Order(deployment, payer, _payee(where), sats, resource, secrets.token_hex(16), expires_at), sats


async def _ask(request: _Request, where: URL, headers: dict[str, str]) -> CallAnswer:
    session = await request.client.session()
    timeout = aiohttp.ClientTimeout(total=request.timeout_seconds)
    try:
        async with session.request(
            request.method, where, headers=headers, data=request.data, allow_redirects=False, timeout=timeout
        ) as response:
            is_inner = response.headers.get("X-Satbox-Origin") == "sandbox"
            cut_at_bytes = (
                request.cut_at_bytes if is_inner else None
            )  # what the gate says is short, and read as a whole
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if cut_at_bytes is not None and len(body) > cut_at_bytes:
                    kept = bytes(body[:cut_at_bytes])
                    return CallAnswer(response.status, response.headers, kept, is_cut=True)
                if len(body) > ANSWER_BYTES_MAX:
                    raise SatboxError("body_too_large", details={"limit_bytes": ANSWER_BYTES_MAX})
            return CallAnswer(response.status, response.headers, bytes(body))
    except TimeoutError as error:
        raise SatboxError(
            "timeout", f"No whole answer came within {request.timeout_seconds:g} seconds.", hint="Allow it more time."
        ) from error
    except (aiohttp.ClientError, OSError) as error:
        raise SatboxError("unreachable", details={"reason": type(error).__name__}) from error


ABROAD = {
    "not_found": ("Nobody sells this there, or not to you.", "satbox routes list ADDRESS shows what is sold there."),
    "sandbox_reaped": (
        "The seller's sandbox sleeps, and this call does not wake it.",
        "Its owner wakes it; a gift of more time may: satbox extend --address ADDRESS --seconds 3600.",
    ),
    "port_closed": ("The seller's server is not there; nothing was paid.", "Try again later, or tell its owner."),
    "bad_gateway": (
        "The seller's server did not answer as one; nothing was paid.",
        "Try again later, or tell its owner.",
    ),
    "gateway_timeout": ("The seller's server fell silent; nothing was paid.", "Try again later, or tell its owner."),
}
"""Message and hint by code, for buyers: the gate's own texts address owners."""


def _understood(answer: CallAnswer, is_own: bool) -> CallAnswer:
    """The gate's own errors are raised; what the server inside says is returned, whatever it is."""
    if not _is_inner(answer):
        known = HttpResponse(answer.status, answer.headers, answer.body)
        if has_error(known):
            error = error_of(known)
            if not is_own and error.code in ABROAD and error.funds_moved is False:
                message, hint = ABROAD[error.code]
                raise SatboxError(
                    error.code,
                    message,
                    details=error.details,
                    retry_after=error.retry_after,
                    hint=hint,
                    funds_moved=False,
                ) from error
            raise error
    return answer
