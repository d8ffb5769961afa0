"""A sandbox and its life: created, extended, woken, paused, reaped; what it is now, what happened to it, and its payments."""

import json
from collections.abc import AsyncIterator

from prometheus_client import Gauge

from actors.hosting.requests import EventsPage
from actors.view import View, iso, status
from actors.wallet.commands import Command, Pause, Reap, SetRate, Wake, WakeByLink
from actors.wallet.decide_pause import is_unsettled
from actors.wallet.state import Phase, Plan
from gate.context import RequestContext, action
from gate.identity.callers import ANYBODY, Caller
from gate.identity.named import meant
from gate.identity.wake_links import check_cap
from gate.parts.services import Services
from gate.payments.offers import price_of
from gate.payments.paywall import buy
from gate.payments.required import Purchase, offer_to_anybody
from gate.payments.status import payment_status
from gate.wire.outcomes import Reply, Stream
from operations.errors import SatboxError
from operations.models import Target
from operations.sandbox import (
    CreateInput,
    Event,
    Events,
    EventsInput,
    ExtendInput,
    PaymentInput,
    PaymentStatus,
    RateInput,
    ReapInput,
    SandboxStatus,
    StatusInput,
    WakeInput,
)
from relay_client.offers import USAT_PER_SAT
from relay_client.states import PaymentState, TerminalReason, next_step
from sandboxes.protocol import SandboxError
from sandboxes.wire import check_environment

EVENTS_WAIT_SECONDS = 15.0
SMALLEST = "nano"
"""What the price of time is shown for to somebody whose wallet is not known."""


def shown(services: Services, view: View) -> SandboxStatus:
    """A view as status, worked out for now; wallet_not_found when there never was one."""
    if not view.state.exists:
        raise SatboxError("wallet_not_found")
    return status(view, services.settings.policy, services.clock.wall_ms())


@action("sandbox.status")
async def read_status(context: RequestContext, data: StatusInput) -> SandboxStatus:
    """From a snapshot of up to a second ago, unless asked for a fresh one."""
    services, caller = context.services, context.caller
    return shown(services, await services.views.get(caller.address(data.address), fresh=data.fresh))


async def until_settled(services: Services, address: str, view: View, phases: frozenset[Phase]) -> View:
    """Wait while the wallet is in one of `phases`, within the start limit."""
    give_up = services.clock.monotonic_ms() + int(services.settings.start_wait_seconds * 1000)
    while view.state.phase in phases:
        left = (give_up - services.clock.monotonic_ms()) / 1000
        if left <= 0:
            break
        view = await services.system.wait(address, view.state.version, left)
    return services.views.put(view)


STARTING = frozenset({Phase.STARTING})
STOPPING = frozenset({Phase.STOPPING})


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
        missing = f"one of {known}; on the service's machine: satbox images build {data.image}, then restart satbox up"
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
    """Unconfirmed gifts may take half of the payments a wallet follows at once: strangers must not lock its owner out."""
    if len(view.state.pending) >= services.settings.policy.pending_max // 2:
        raise SatboxError("overloaded", details={"pending_payments": len(view.state.pending)}, retry_after=10)


@action("sandbox.wake")
async def wake(context: RequestContext, data: WakeInput) -> SandboxStatus:
    """Start again on the credit that is left; answers once it is up, or has failed to come up."""
    services, caller = context.services, context.caller
    if data.address is not None and data.handle is not None:
        raise SatboxError("invalid_request", details={"handle": "give address or handle, not both"})
    named = data.address if data.handle is None else await meant(services, data.handle, caller.known_address)
    address = caller.owned(named)
    view = await services.system.ask(address, _wake_command(services, caller, data))
    view = await until_settled(services, address, view, STARTING)
    if view.state.phase is Phase.REAPED and view.state.reason == "start_failed":
        raise SatboxError("start_failed")
    return shown(services, view)


def _wake_command(services: Services, caller: Caller, data: WakeInput) -> Command:
    if caller.link is not None:
        if data.size_class is not None:
            raise SatboxError("invalid_request", details={"size_class": "a wake link starts it as it was"})
        return WakeByLink(caller.link.token_hash)
    rate = None if data.size_class is None else services.settings.rates_usat_per_second[data.size_class]
    return Wake(data.size_class, rate)


@action("sandbox.reap")
async def reap(context: RequestContext, data: ReapInput) -> SandboxStatus:
    """Stop and keep what was made; answers once the workspace is saved."""
    services, caller = context.services, context.caller
    address = caller.owned(data.address)
    view = await services.system.ask(address, Reap(data.destroy))
    view = await until_settled(services, address, view, STOPPING)
    if services.secrets is not None and data.destroy:
        await services.secrets.forget(
            view.state
        )  # should we end before this: they are of another lifetime, and never used
    return shown(services, view)


@action("sandbox.pause")
async def pause(context: RequestContext, data: Target) -> SandboxStatus:
    """Freeze; answers once nothing of it runs."""
    services, caller = context.services, context.caller
    return await _set_paused(services, caller.owned(data.address), paused=True)


@action("sandbox.resume")
async def resume(context: RequestContext, data: Target) -> SandboxStatus:
    """Thaw; answers once it runs."""
    services, caller = context.services, context.caller
    return await _set_paused(services, caller.owned(data.address), paused=False)


async def _set_paused(services: Services, address: str, *, paused: bool) -> SandboxStatus:
    view = await services.system.ask(address, Pause(paused))
    give_up = services.clock.monotonic_ms() + int(services.settings.start_wait_seconds * 1000)
    while is_unsettled(view.state) and view.state.wants_pause == paused:
        left = (give_up - services.clock.monotonic_ms()) / 1000
        if left <= 0:
            raise SatboxError("node_unavailable", retry_after=1)
        view = await services.system.wait(address, view.state.version, left)
    services.views.put(view)
    answer = shown(services, view)
    if answer.state in ("alive", "grace") and answer.paused != paused:
        raise SatboxError("pause_unavailable")
    return answer


@action("operator.rate")
async def set_rate(context: RequestContext, data: RateInput) -> SandboxStatus:
    """Charge one wallet at another rate from here on."""
    services = context.services
    view = await services.system.ask(data.address, SetRate(data.rate_usat_per_second))
    return shown(services, services.views.put(view))


def _page(page: EventsPage) -> Events:
    items = [Event(seq=e.seq, at=iso(e.at_ms), type=e.type, data=e.data) for e in page.events]
    last = items[-1].seq if items else page.last_seq
    return Events(items=items, next_cursor=last, has_more=last < page.last_seq)


@action("sandbox.events")
async def events(context: RequestContext, data: EventsInput) -> Events | Stream:
    """A page of events, or a stream of them."""
    services, address = context.services, context.caller.owned(data.address)
    follows = data.follow or "text/event-stream" in context.headers.get("Accept", "")
    after = data.after
    resumed = context.headers.get("Last-Event-ID", "")
    if resumed.isascii() and resumed.isdigit():
        after = max(after, int(resumed[:18]))
    if not follows:
        return _page(await services.system.events(address, after, data.limit))
    streams = context.metrics.streams
    if streams._value.get() >= services.settings.streams_max:
        raise SatboxError("overloaded", retry_after=5)
    await services.system.events(address, after, 1)  # an unknown wallet is an error, not a silent stream
    return Stream(
        _followed(services, streams, address, after, data.limit),
        content_type="text/event-stream",
        headers={"Cache-Control": "no-store"},
    )


async def _followed(services: Services, streams: Gauge, address: str, after: int, limit: int) -> AsyncIterator[bytes]:
    """Until the reader leaves: the request ends with it."""
    with streams.track_inprogress():
        while True:
            page = await services.system.events(address, after, limit, EVENTS_WAIT_SECONDS)
            for event in page.events:
                after = event.seq
                body = json.dumps({"seq": event.seq, "at": iso(event.at_ms), "type": event.type, "data": event.data})
                yield f"id: {event.seq}\nevent: {event.type}\ndata: {body}\n\n".encode()
            if not page.events:
                yield b": still here\n\n"


@action("payment.status")
async def read_payment(context: RequestContext, data: PaymentInput) -> PaymentStatus:
    """Where a payment stands, for any caller."""
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
