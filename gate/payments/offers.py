"""What a paid request costs, and the offers that answer it."""

from dataclasses import dataclass, field

from actors.wallet.metering import cost_usat, seconds_for
from gate.parts.services import Services
from operations.errors import SatboxError
from operations.models import SATS_MAX, Amount
from oracle import AssetWithheld, Reason
from relay_client.offers import USAT_PER_SAT, Asset, Offer, assets, in_offer_order, quoted_offer, sbtc_offer


@dataclass(frozen=True, slots=True)
class Price:
    """What is to be bought: micro-sats, and the seconds they give at the wallet's rate."""

    usat: int
    rate_usat_per_second: int

    @property
    def seconds(self) -> int:
        """Whole seconds this buys."""
        return seconds_for(self.rate_usat_per_second, self.usat)


@dataclass(slots=True)
class Offers:
    """Ways to pay, and why a way is missing."""

    offers: list[Offer] = field(default_factory=list)
    not_offered: dict[str, Reason] = field(default_factory=dict)


def price_of(amount: Amount, rate_usat_per_second: int, default_sats: int) -> Price:
    """Sats as asked for; seconds at the wallet's rate, rounded up to whole sats; otherwise the default."""
    if amount.sats is not None and amount.seconds is not None:
        raise SatboxError("invalid_request", details={"sats": "give sats or seconds, not both"})
    sats = default_sats
    if amount.sats is not None:
        sats = amount.sats
    elif amount.seconds is not None:
        sats = max(1, -(-cost_usat(rate_usat_per_second, amount.seconds) // USAT_PER_SAT))
    if sats > SATS_MAX:
        raise SatboxError("invalid_request", details={"sats": f"at most {SATS_MAX} at once", "asked": sats})
    return Price(sats * USAT_PER_SAT, rate_usat_per_second)


async def offers_for(services: Services, price: Price, only: Asset | None) -> Offers:
    """Every asset that can pay `price` now, sBTC first: clients take the first entry they can."""
    settings = services.settings
    made = Offers()
    is_sponsored = await services.settlements.can_sponsor()
    for asset in assets(settings.network):
        if only is not None and asset != only:
            continue
        if asset.symbol == "sBTC":
            made.offers.append(sbtc_offer(settings.network, price.usat, settings.pay_to, is_sponsored=is_sponsored))
            continue
        try:
            quote = await services.oracle.quote(asset.symbol, price.usat // USAT_PER_SAT)
        except AssetWithheld as error:
            made.not_offered[asset.symbol] = error.reason
        else:
            made.offers.append(quoted_offer(settings.network, quote, settings.pay_to, is_sponsored=is_sponsored))
    made.offers = list(in_offer_order(made.offers, only))
    return made
