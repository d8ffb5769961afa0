"""Quotes, prices, and the health of their sources: read from the oracle's last snapshot, so nobody waits for it."""

from actors.view import iso
from gate.context import RequestContext, action
from gate.parts.services import Services
from gate.payments.offers import offers_for, price_of
from operations import oracle as o
from operations.models import Nothing
from oracle import ASSETS, Quote, Rate, Snapshot, SourceHealth
from oracle.pairs import PICO
from oracle.quotes import sats_text
from relay_client.offers import USAT_PER_SAT, Offer


@action("sandbox.quote")
async def quote(context: RequestContext, data: o.QuoteInput) -> o.Quote:
    """What an amount costs in each asset; nothing is bought."""
    services = context.services
    settings = services.settings
    price = price_of(data, settings.rates_usat_per_second["small"], settings.default_sats)
    made = await offers_for(services, price, None)
    return o.Quote(
        sats=price.usat // USAT_PER_SAT,
        seconds=price.seconds,
        rate_usat_per_second=price.rate_usat_per_second,
        offers=[_offer(offer, price.seconds) for offer in made.offers],
        not_offered={
            asset: o.WithheldView(code=why.code, message=why.message) for asset, why in made.not_offered.items()
        },
    )


def _offer(offer: Offer, seconds: int) -> o.OfferView:
    terms = offer.quote
    return o.OfferView(
        asset=offer.asset.symbol,
        contract=offer.asset.wire,
        amount=str(offer.atomic_amount),
        sats=offer.usat // USAT_PER_SAT,
        seconds=seconds,
        quote_id=terms.quote_id if terms else None,
        expires_at=iso(terms.expires_at_ms) if terms else None,
        quote=o.SignedQuote.model_validate(terms.document) if isinstance(terms, Quote) else None,
    )


@action("oracle.prices")
async def prices(context: RequestContext, data: Nothing) -> o.Prices:
    """Every asset: sBTC, which is what it is, and those that have a market."""
    services = context.services
    snapshot = services.oracle.snapshot()
    one = sats_text(100_000_000 * USAT_PER_SAT)
    sbtc = o.AssetPrice(asset="sBTC", is_offered=True, sats_per_coin=one, low_sats_per_coin=one, high_sats_per_coin=one)
    return o.Prices(
        at=None if snapshot is None else iso(snapshot.at_ms),
        items=[sbtc, *(_price(services, asset, snapshot) for asset in ASSETS)],
    )


def _price(services: Services, asset: str, snapshot: Snapshot | None) -> o.AssetPrice:
    rate: Rate | None = None if snapshot is None else snapshot.rates.get(asset)
    anchor = None if snapshot is None else snapshot.anchors.get(asset)
    anchor_text = None if anchor is None else sats_text(anchor)
    if rate is None:
        why = services.oracle.why_not(asset)
        return o.AssetPrice(
            asset=asset,
            is_offered=False,
            code=why.code if why else None,
            message=why.message if why else None,
            anchor_sats_per_coin=anchor_text,
        )
    return o.AssetPrice(
        asset=asset,
        is_offered=True,
        sats_per_coin=sats_text(rate.usat_per_coin),
        low_sats_per_coin=sats_text(rate.low_usat_per_coin),
        high_sats_per_coin=sats_text(rate.high_usat_per_coin),
        haircut_ppm=rate.haircut_ppm,
        anchor_sats_per_coin=anchor_text,
        sources=list(rate.used),
        rejected=list(rate.rejected),
        oldest_at=iso(rate.oldest_at_ms),
    )


@action("oracle.sources")
async def sources(context: RequestContext, data: Nothing) -> o.Sources:
    """Every source's health."""
    services = context.services
    snapshot = services.oracle.snapshot()
    if snapshot is None:
        return o.Sources(at=None, items=[])
    return o.Sources(at=iso(snapshot.at_ms), items=[_source(source, snapshot.at_ms) for source in snapshot.sources])


def _source(source: SourceHealth, at_ms: int) -> o.Source:
    return o.Source(
        name=source.name,
        group=source.group,
        weight=source.weight,
        last_ok_at=None if source.last_ok_at_ms is None else iso(source.last_ok_at_ms),
        age_seconds=None if source.told_at_ms is None else (at_ms - source.told_at_ms) / 1000,
        error=source.error,
        failures_in_a_row=source.failures_in_a_row,
        prices={pair: f"{pico // PICO}.{pico % PICO:012d}" for pair, pico in source.pico.items()},
        standings={
            asset: o.SourceStanding(
                state=standing.state,
                sats_per_coin=None if standing.usat_per_coin is None else sats_text(standing.usat_per_coin),
                weight_ppm=standing.weight_ppm,
            )
            for asset, standing in source.standings.items()
        },
        timeout_seconds=source.timeout_seconds,
        heartbeat_seconds=source.heartbeat_ms / 1000,
        stale_seconds=source.stale_ms / 1000,
    )
