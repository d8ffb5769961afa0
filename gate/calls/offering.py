"""The 402s of calls: the price of one, and of waking what sleeps without credit."""

from gate.calls.guest import Call
from gate.charging.offering import offer_bill, payment_required
from gate.parts.services import Services
from gate.payments.offers import Price, offers_for
from gate.payments.required import withheld_extension
from gate.wire.means import Means
from gate.wire.outcomes import Reply

WAKE = "wake"
PURPOSE = "purpose"


async def offer_call(services: Services, means: Means, call: Call, caller: str | None = None) -> Reply:
    """402: what the call costs."""
    error = f"A call costs {call.route.sats} sats, paid to {call.payee} when it is answered."
    return await offer_bill(services, means, call.bill, error, caller)


async def offer_wake(services: Services, means: Means, address: str, price: Price) -> Reply:
    """A 402 that starts a reaped sandbox without credit. The entry says so, and the client sends it back with the payment."""
    made = await offers_for(services, price, None)
    accepts = [offer.requirements(rate_usat_per_second=price.rate_usat_per_second) for offer in made.offers]
    accepts = [entry.model_copy(update={"extra": {**entry.extra, PURPOSE: WAKE}}) for entry in accepts]
    return payment_required(
        services, means,
        error=f"The sandbox of {address} sleeps without credit: this pays {price.seconds} seconds for it and wakes it. "
        "Then repeat the request.",
        description=f"{price.seconds} seconds of the sandbox of {address}", accepts=accepts,
        extensions=withheld_extension(made),
    )  # fmt: skip


def wake_price(services: Services, rate_usat_per_second: int, debt_usat: int) -> Price:
    """So many seconds at the wallet's rate, and what it owes from before."""
    seconds = max(services.settings.wake_offer_seconds, services.settings.policy.wake_minimum_seconds)
    usat = rate_usat_per_second * seconds + debt_usat
    return Price(max(1, -(-usat // 1_000_000)) * 1_000_000, rate_usat_per_second)
