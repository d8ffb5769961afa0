"""Create, extend, payment status."""

from actors.view import View
from actors.wallet.state import Phase, Plan
from gate.context import RequestContext, action
from gate.identity.callers import ANYBODY
from gate.identity.wake_links import check_cap
from gate.parts.services import Services
from gate.payments.offers import price_of
from gate.payments.paywall import buy
from gate.payments.required import Purchase, offer_to_anybody
from gate.payments.status import payment_status
from gate.wire.outcomes import Reply
from operations.errors import SatboxError
from operations.sandbox import CreateInput, ExtendInput, PaymentInput, PaymentStatus
from relay_client.offers import USAT_PER_SAT
from relay_client.states import PaymentState, TerminalReason, next_step
from sandboxes.protocol import SandboxError
from sandboxes.wire import check_environment

SMALLEST = "nano"
"""What the price of time is shown for to somebody whose wallet is not known."""


@action("sandbox.create")
async def create(context: RequestContext, data: CreateInput) -> Reply:
    """A sandbox for the proven wallet."""
    services, caller = context.services, context.caller
    settings = services.settings
    rate = settings.rates_usat_per_second[data.size_class]
    price = price_of(data, rate, settings.default_sats)
    least = rate * settings.policy.wake_minimum_seconds
    if price.usat < least:
        raise SatboxError("invalid_request", details={"sats": f"at least {-(-least // USAT_PER_SAT)} to start"})
    address = None if caller is ANYBODY else caller.owned(None)
    if context.means.payment is None and address is not None:
        view = await services.views.get(address)
        if view.state.phase not in (Phase.NONE, Phase.REAPED):
            raise SatboxError("already_exists", details={"state": view.state.phase.value})
    if data.image not in settings.images:
        known = ", ".join(sorted(settings.images))
        missing = f"one of {known}; on the service's machine: satbox images build {data.image}, then satbox up anew"
        raise SatboxError("invalid_request", details={"image": missing})
    try:
        check_environment(data.environment)
    except SandboxError as error:
        raise SatboxError("invalid_request", details={"environment": error.message}) from error
    plan = Plan(data.size_class, data.image, tuple(sorted(data.environment.items())))
    body = data.model_dump(mode="json")
    if address is None:
        return await offer_to_anybody(services, context.means, "create", price, data.size_class)
    return await buy(services, context.means, caller, Purchase("create", address, price, body, plan))


@action("sandbox.extend")
async def extend(context: RequestContext, data: ExtendInput) -> Reply:
    """More time for one's own wallet, a gift to another, or what the holder of a link or a key pays for its wallet."""
    services, caller = context.services, context.caller
    if caller is ANYBODY:  # shows what time costs, and nothing of any wallet
        rate = services.settings.rates_usat_per_second[SMALLEST]
        price = price_of(data, rate, services.settings.default_sats)
        return await offer_to_anybody(services, context.means, "extend", price, SMALLEST)
    address = caller.address(data.address) if caller.key is None else caller.owned(data.address)
    view = await services.views.get(address)
    if not view.state.is_planned:
        raise SatboxError("wallet_not_found")
    if caller.link is not None or (caller.gate_pass is not None and caller.gate_pass.address != address):
        _leave_room_for_the_owner(services, view)
    price = price_of(data, view.state.rate_usat_per_second, services.settings.default_sats)
    if caller.link is not None and context.means.payment is None:
        check_cap(services, caller.link, view, price.usat)
    body = data.model_dump(mode="json") | {"address": address}
    return await buy(services, context.means, caller, Purchase("extend", address, price, body))


def _leave_room_for_the_owner(services: Services, view: View) -> None:
    """Gifts under way may take half of the payments a wallet follows at once: strangers must not lock its owner out."""
    if len(view.state.pending) >= services.settings.policy.pending_max // 2:
        raise SatboxError("overloaded", details={"pending_payments": len(view.state.pending)}, retry_after=10)


@action("payment.status")
async def status(context: RequestContext, data: PaymentInput) -> PaymentStatus:
    """Where a payment stands."""
    services = context.services
    report = await services.settlements.report(data.payment_id)
    if report is None:
        unknown = TerminalReason.UNKNOWN_PAYMENT_IDENTITY
        raise SatboxError(
            "payment_not_found",
            details={
                "paymentId": data.payment_id,
                "status": PaymentState.NOT_FOUND.value,
                "terminalReason": unknown.value,
                "nextSteps": next_step(PaymentState.NOT_FOUND, unknown),
            },
        )
    return payment_status(services, report)
