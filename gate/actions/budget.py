"""Rates of the meters, and an owner's budget."""

from actors.wallet.commands import SetBudget
from actors.wallet.meters import METERS, NAMES, TOTAL, Budget, of
from gate.actions.sandbox import shown
from gate.context import RequestContext, action
from operations import budget as b
from operations.errors import SatboxError
from operations.models import Nothing
from operations.sandbox import SandboxStatus

USAT_PER_SAT = 1_000_000


@action("sandbox.meters")
async def meters(context: RequestContext, data: Nothing) -> b.Meters:
    """As they would be agreed on now."""
    services = context.services
    settings = services.settings
    return b.Meters(
        clock_usat_per_second=settings.rates_usat_per_second,
        paused_rate_percent=settings.policy.paused_rate_percent,
        items=[
            b.MeterInfo(name=meter.name, unit=meter.unit, rate_usat=of(settings.policy.meter_rates, meter.name))
            for meter in METERS.values()
        ],
    )


@action("sandbox.budget")
async def set_budget(context: RequestContext, data: b.BudgetInput) -> SandboxStatus:
    """Set the budget. It applies at once; what was spent in the current hour still counts. Without a field nothing changes."""
    services, caller = context.services, context.caller
    address = caller.owned(data.address)
    # By value: many clients, our own among them, send the fields that nobody gave a value.
    if not data.model_dump(exclude={"address"}, exclude_defaults=True):
        return shown(services, await services.views.get(address, fresh=True))
    unknown = sorted(set(data.max_sats_per_hour_by_meter) - set(NAMES))
    if unknown:
        raise SatboxError("invalid_request", details={"max_sats_per_hour_by_meter": f"one of {', '.join(NAMES)}"})
    caps = dict(data.max_sats_per_hour_by_meter)
    if data.max_sats_per_hour is not None:
        caps[TOTAL] = data.max_sats_per_hour
    warn_seconds = None if data.warn_seconds is None else tuple(sorted(set(data.warn_seconds), reverse=True))
    budget = Budget(
        tuple(sorted((name, sats * USAT_PER_SAT) for name, sats in caps.items())),
        None if data.max_sats_per_call is None else data.max_sats_per_call * USAT_PER_SAT,
        warn_seconds,
    )
    return shown(services, services.views.put(await services.system.ask(address, SetBudget(budget))))
