"""The 402 of a bill: pay on chain in any asset that is offered, or from a bucket here."""

from typing import Any

from gate.charging.bill import Bill
from gate.parts.services import Services
from gate.payments.offers import Price, offers_for
from gate.payments.required import withheld_extension
from gate.wire.means import Means
from gate.wire.outcomes import Reply
from operations.prices import USAT_PER_SAT
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


def bucket_offer(services: Services, bill: Bill) -> PaymentRequirements:
    """The entry for paying from a bucket: what to sign, with all that a signer cannot choose."""
    settings = services.settings
    return PaymentRequirements(
        scheme=SCHEME,
        network=settings.network.caip2,
        amount=str(bill.sats),
        asset=ASSET,
        payTo=bill.order_to,
        maxTimeoutSeconds=ORDER_SECONDS_MAX,
        extra={
            "sign": "SIP-018",
            "domain": {"name": DOMAIN[0], "version": DOMAIN[1], "chain-id": settings.network.chain_id},
            "message": {
                "action": "pay-call",
                "deployment": settings.deployment,
                "resource": bill.resource,
                "to": bill.order_to,
                "max-sats": bill.sats,
            },
            "yours": ["from", "nonce", "expires-at"],
            "order_seconds_max": ORDER_SECONDS_MAX,
        },
    )


async def offer_bill(services: Services, means: Means, bill: Bill, error: str, caller: str | None = None) -> Reply:
    """402: what it costs, in a sentence of `error`, and what becomes of a payment whose call fails. `caller`: the address of a
    pass, whose balance is shown.
    """
    only = chosen_asset(services.settings.network, *means.token_type)
    made = await offers_for(services, Price(bill.sats * USAT_PER_SAT, 0), only)
    accepts = [offer.requirements() for offer in made.offers]
    accepts.append(bucket_offer(services, bill))
    return payment_required(
        services, means, error=error, description=bill.resource, accepts=accepts,
        extensions={**withheld_extension(made), CREDIT: {"info": {"kept": KEPT, **await _credit_of(services, caller)}}},
    )  # fmt: skip


async def _credit_of(services: Services, caller: str | None) -> dict[str, Any]:
    """What is in the bucket of a caller whom a pass proves."""
    if caller is None:
        return {}
    view = await services.views.get(caller)
    return {"bucket": caller, "balance_usat": view.state.accounts.bucket}


def payment_required(
    services: Services,
    means: Means,
    *,
    error: str,
    description: str,
    accepts: list[PaymentRequirements],
    extensions: dict[str, Any],
) -> Reply:
    """The 402 with these entries; header and body carry the same document."""
    document = PaymentRequired(
        error=error,
        resource=ResourceInfo(url=f"{services.settings.public_url}{means.shown_path}"[:2048], description=description),
        accepts=accepts,
        extensions={**payment_identifier_extension(), **extensions},
    )
    return Reply(wire_json(document), 402, {"payment-required": encode_header(document)})
