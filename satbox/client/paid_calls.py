"""Call what another agent sells, and pay for it from one's own bucket: one signature, no transaction, no gas.

The gate is not trusted with what is signed: whom it pays and for what are read from the address that was asked for, and the
price must lie within what the caller allows.
"""

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from operations.errors import SatboxError
from relay_client.orders import ORDER_SECONDS_MAX, SCHEME, Order
from satbox.client.answers import Answer, error_of, has_error, payment_required_of

if TYPE_CHECKING:
    from satbox.client.client import Client

ANSWER_BYTES_MAX = 64 << 20
ORDER_SECONDS = 120
PROXY = "/sandbox/proxy/"


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """What the server inside answered. `sats` is what it cost; `receipt` the operator's signed word on that, if it did."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    sats: int = 0
    order_id: str | None = None
    receipt: dict[str, Any] | None = None


async def call(
    client: "Client",
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    data: bytes | None = None,
    max_sats: int = 100,
    timeout_seconds: float = 300.0,
) -> CallAnswer:
    """One call. `url` is whole, or a path from `/sandbox/proxy/` on. Raises max_sats_exceeded before anything is signed,
    `ambiguous` when the call was sent with an order and no answer came: it may have been made, and paid, once.
    """
    where = _where(client, url)
    unpaid = await _ask(client, method, where, dict(headers or {}), data, timeout_seconds)
    required = payment_required_of(Answer(unpaid.status, unpaid.headers, unpaid.body)) if unpaid.status == 402 else None
    if required is None:
        return _understood(unpaid)
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
        paid = await _ask(
            client, method, where, {**(headers or {}), "payment-signature": signed}, data, timeout_seconds
        )
    except SatboxError as error:
        raise SatboxError(
            "ambiguous", f"No answer came: the call may have been made, and paid with {sats} sats, once.",
            details={"order_id": order_id, "reason": error.code}, funds_moved="unknown",
        ) from error  # fmt: skip
    try:
        answer = _understood(paid)
    except SatboxError as error:
        if error.code not in ("wallet_not_found", "credit_insufficient"):
            raise
        raise SatboxError(
            "credit_insufficient", f"Your bucket does not hold {sats} sats.", details={"payer": order.payer, "sats": sats},
            hint="Fill it: satbox deposit --sats N.", funds_moved=False,
        ) from error  # fmt: skip
    receipt = paid.headers.get("X-Satbox-Receipt")
    if receipt is None:
        return answer
    document = json.loads(base64.urlsafe_b64decode(receipt))
    return CallAnswer(answer.status, answer.headers, answer.body, sats, order_id, document)


def _where(client: "Client", url: str) -> URL:
    gate = client.settings.gate_url
    where = URL(url, encoded=True)
    if not where.is_absolute():
        where = URL(f"{str(gate).rstrip('/')}/{url.lstrip('/')}", encoded=True)
    if where.origin() != gate.origin() or not where.raw_path.startswith(PROXY):
        raise SatboxError(
            "invalid_request", f"This is no call at {gate}.", hint=f"Such a URL has {PROXY}ADDRESS/PORT/PATH."
        )
    return where


def _order(client: "Client", method: str, where: URL, required: Any, max_sats: int) -> tuple[Order, int]:
    if client.agent is None:
        raise SatboxError("payment_required", "This call must be paid, and no agent's keys were given to pay with.")
    settings = client.settings
    entries = required.get("accepts", []) if isinstance(required, dict) else []
    entry = next(
        (
            e
            for e in entries
            if isinstance(e, dict) and (e.get("scheme"), e.get("network")) == (SCHEME, settings.network.caip2)
        ),
        None,
    )
    if entry is None:
        raise SatboxError("payment_required", "This call can't be paid from a bucket.", hint="Wake the sandbox first.")
    payee = where.raw_path.removeprefix(PROXY).partition("/")[0]
    amount = str(entry.get("amount", ""))
    if not amount.isascii() or not amount.isdigit() or int(amount) < 1 or entry.get("payTo") != payee:
        raise SatboxError("quote_invalid", "The gate's offer is not for this call; nothing was signed.")
    sats = int(amount)
    if sats > max_sats:
        raise SatboxError("max_sats_exceeded", details={"asked_sats": sats, "max_sats": max_sats})
    extra = entry.get("extra")
    message = extra.get("message") if isinstance(extra, dict) else None
    deployment = str(message.get("deployment", "")) if isinstance(message, dict) else ""
    if settings.expected_deployment is not None and deployment != settings.expected_deployment:
        raise SatboxError("quote_invalid", f"This gate is {deployment[:60]!r}; nothing was signed.")
    expires_at = int(client.now_seconds()) + min(ORDER_SECONDS, ORDER_SECONDS_MAX)
    payer = client.agent.addresses(settings.network).stx
    resource = f"{method} {where.raw_path}"
    return Order(deployment, payer, payee, sats, resource, secrets.token_hex(16), expires_at), sats


async def _ask(
    client: "Client", method: str, where: URL, headers: dict[str, str], data: bytes | None, timeout_seconds: float
) -> CallAnswer:
    session = await client.session()
    timeout = aiohttp.ClientTimeout(total=timeout_seconds)
    try:
        async with session.request(
            method, where, headers=headers, data=data, allow_redirects=False, timeout=timeout
        ) as response:
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > ANSWER_BYTES_MAX:
                    raise SatboxError("body_too_large", details={"limit_bytes": ANSWER_BYTES_MAX})
            return CallAnswer(response.status, response.headers, bytes(body))
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise SatboxError("unreachable", details={"reason": type(error).__name__}) from error


def _understood(answer: CallAnswer) -> CallAnswer:
    """The gate's own errors are raised; what the server inside says is returned, whatever it is."""
    if answer.headers.get("X-Satbox-Origin") != "sandbox":
        known = Answer(answer.status, answer.headers, answer.body)
        if has_error(known):
            raise error_of(known)
    return answer
