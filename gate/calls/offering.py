"""The 402 of a call: pay on chain in any asset that is offered, or from a bucket here."""

from typing import Any

from aiohttp import web

from gate.calls.guest import Call
from gate.calls.paths import shown_path
from gate.offers import Price, offers_for
from gate.payment_required import withheld_extension
from gate.ports import Services
from relay_client.models import (
    PaymentRequired,
    PaymentRequirements,
    ResourceInfo,
    encode_header,
    payment_identifier_extension,
    wire_json,
)
from relay_client.offers import chosen_asset
from relay_client.orders import ASSET, DOMAIN, ORDER_SECONDS_MAX, SCHEME

CREDIT = "satbox-credit"
KEPT = (
    "A payment whose call fails stays in its payer's bucket here. Shown again, it pays for its own call; a new payment by "
    "the same key is not sent while that credit covers the call."
)
WAKE = "wake"
PURPOSE = "purpose"


def bucket_offer(services: Services, call: Call) -> PaymentRequirements:
    """The entry for paying from a bucket: what to sign, with all that a signer cannot choose."""
    settings = services.settings
    return PaymentRequirements(
        scheme=SCHEME,
        network=settings.network.caip2,
        amount=str(call.route.sats),
        asset=ASSET,
        payTo=call.payee,
        maxTimeoutSeconds=ORDER_SECONDS_MAX,
        extra={
            "sign": "SIP-018",
            "domain": {"name": DOMAIN[0], "version": DOMAIN[1], "chain-id": settings.network.chain_id},
            "message": {
                "action": "pay-call",
                "deployment": settings.deployment,
                "resource": call.resource,
                "to": call.payee,
                "max-sats": call.route.sats,
            },
            "yours": ["from", "nonce", "expires-at"],
            "order_seconds_max": ORDER_SECONDS_MAX,
        },
    )


async def offer_call(
    services: Services, request: web.Request, call: Call, request_id: str, caller: str | None = None
) -> web.Response:
    """402: what the call costs, and what becomes of a payment whose call fails."""
    price = Price(call.usat, 0)
    only = chosen_asset(
        services.settings.network, request.query.get("tokenType"), request.headers.get("X-PAYMENT-TOKEN-TYPE")
    )
    made = await offers_for(services, price, only)
    accepts = [offer.requirements() for offer in made.offers]
    accepts.append(bucket_offer(services, call))
    return _required(
        services, request, request_id,
        error=f"A call costs {call.route.sats} sats, paid to {call.payee} when it is answered.",
        description=f"{call.resource}", accepts=accepts,
        extensions={**withheld_extension(made), CREDIT: {"info": {"kept": KEPT, **await _credit_of(services, caller)}}},
    )  # fmt: skip


async def _credit_of(services: Services, caller: str | None) -> dict[str, Any]:
    """What is in the bucket of a caller whom a pass proves."""
    if caller is None:
        return {}
    view = await services.views.get(caller)
    return {"bucket": caller, "balance_usat": view.state.accounts.bucket}


async def offer_wake(
    services: Services, request: web.Request, address: str, price: Price, request_id: str
) -> web.Response:
    """402: what starts a sandbox that sleeps without credit. The entry says so, and comes back with the payment."""
    made = await offers_for(services, price, None)
    accepts = [offer.requirements(rate_usat_per_second=price.rate_usat_per_second) for offer in made.offers]
    accepts = [entry.model_copy(update={"extra": {**entry.extra, PURPOSE: WAKE}}) for entry in accepts]
    return _required(
        services, request, request_id,
        error=f"The sandbox of {address} sleeps without credit: this pays {price.seconds} seconds for it and wakes it. "
        "Then repeat the request.",
        description=f"{price.seconds} seconds of the sandbox of {address}", accepts=accepts,
        extensions=withheld_extension(made),
    )  # fmt: skip


def _required(
    services: Services,
    request: web.Request,
    request_id: str,
    *,
    error: str,
    description: str,
    accepts: list[PaymentRequirements],
    extensions: dict[str, Any],
) -> web.Response:
    required = PaymentRequired(
        error=error,
        resource=ResourceInfo(
            url=f"{services.settings.public_url}{shown_path(request)}"[:2048], description=description
        ),
        accepts=accepts,
        extensions={**payment_identifier_extension(), **extensions},
    )
    headers = {"payment-required": encode_header(required), "x-request-id": request_id}
    return web.json_response(wire_json(required), status=402, headers=headers)


def wake_price(services: Services, rate_usat_per_second: int, debt_usat: int) -> Price:
    """So many seconds at the wallet's rate, and what it owes from before."""
    seconds = max(services.settings.wake_offer_seconds, services.settings.policy.wake_minimum_seconds)
    usat = rate_usat_per_second * seconds + debt_usat
    return Price(max(1, -(-usat // 1_000_000)) * 1_000_000, rate_usat_per_second)
