"""What a request without payment is answered: 402, with what may be paid."""

from dataclasses import dataclass
from typing import Any

from actors.wallet.state import Phase, Plan
from gate.parts.services import Services
from gate.payments.offers import Offers, Price, offers_for
from gate.wire.means import Means
from gate.wire.outcomes import Reply
from oracle import AssetWithheld
from relay_client.models import (
    PaymentRequired,
    ResourceInfo,
    encode_header,
    payment_identifier_extension,
    wire_json,
)
from relay_client.offers import chosen_asset

WITHHELD = "offers-withheld"
PROVE_FIRST = "satbox-pass"
RESTING = frozenset({Phase.NONE, Phase.REAPED})


@dataclass(frozen=True, slots=True)
class Purchase:
    """What a paid request wants."""

    purpose: str
    address: str
    price: Price
    body: dict[str, Any]
    plan: Plan | None = None
    wakes: bool = True
    """False: it fills the bucket and starts nothing."""
    starts_on_mempool: bool = True
    """False: it starts nothing before it is confirmed."""


async def offer(services: Services, means: Means, purchase: Purchase) -> Reply:
    """402 for a wallet: what it may pay for what it asked for."""
    view = await services.views.get(purchase.address)
    if purchase.wakes and view.state.phase in RESTING:
        await services.room.check(purchase.plan.size_class if purchase.plan else view.state.plan.size_class)
    reason = f"Pay to {purchase.purpose} the sandbox of {purchase.address}."
    description = _seconds_of(purchase.price)
    if not purchase.wakes:
        reason = f"Pay into the bucket of {purchase.address}."
        description = f"{purchase.price.usat // 1_000_000} sats in a satbox bucket"
    return await _answered(services, means, purchase.price, reason, description, {})


async def offer_to_anybody(services: Services, means: Means, purpose: str, price: Price, size_class: str) -> Reply:
    """402 for somebody without a pass: the price, and what to do before paying it. Shows nothing of any wallet."""
    if purpose == "create":
        await services.room.check(size_class)
    url = services.settings.public_url
    info = {
        "required": True,
        "challenge": f"{url}/gate/challenge",
        "prove": f"{url}/gate/prove",
        "send_as": ["header Authorization: Bearer PASS", "query pass=PASS", "body pass: PASS"],
    }
    reason = f"Pay to {purpose} a sandbox. Prove your keys first: a payment is taken with a pass only."
    return await _answered(services, means, price, reason, _seconds_of(price), {PROVE_FIRST: {"info": info}})


def _seconds_of(price: Price) -> str:
    return f"{price.seconds} seconds of a satbox sandbox"


async def _answered(
    services: Services, means: Means, price: Price, reason: str, description: str, extensions: dict[str, Any]
) -> Reply:
    """Header and body carry the same document, so that every known client finds it."""
    only = chosen_asset(services.settings.network, *means.token_type)
    made = await offers_for(services, price, only)
    if not made.offers:
        asset, why = next(iter(made.not_offered.items()))
        raise AssetWithheld(asset, why)
    if made.not_offered:
        reason += " Not offered now: " + "; ".join(f"{asset}: {why}" for asset, why in made.not_offered.items())
    required = PaymentRequired(
        error=reason,
        resource=ResourceInfo(
            url=f"{services.settings.public_url}{means.path}", description=description, mimeType="application/json"
        ),
        accepts=[offer.requirements(rate_usat_per_second=price.rate_usat_per_second) for offer in made.offers],
        extensions={**payment_identifier_extension(), **withheld_extension(made), **extensions},
    )
    return Reply(wire_json(required), 402, {"payment-required": encode_header(required)})


def withheld_extension(made: Offers) -> dict[str, Any]:
    """How a 402 says for machines which assets are missing and why; nothing when none is."""
    if not made.not_offered:
        return {}
    info = {asset: {"code": why.code, "message": why.message} for asset, why in made.not_offered.items()}
    return {WITHHELD: {"info": info}}
