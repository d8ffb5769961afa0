"""Status, wake, reap, events, the operator's rate."""

import json

from aiohttp import web
from aiohttp.client_exceptions import ClientConnectionResetError

from actors.requests import EventsPage
from actors.view import View, iso, status
from actors.wallet.commands import Command, Pause, Reap, SetRate, Wake, WakeByLink
from actors.wallet.decide_pause import is_unsettled
from actors.wallet.state import Phase
from gate.identity.callers import Caller
from gate.identity.handler import Handler
from gate.identity.named import meant
from gate.identity.tenures import begin
from gate.parts.services import Services
from gate.wire.answers import METRICS, REQUEST_ID
from operations import models as m
from operations.errors import SatboxError

EVENTS_WAIT_SECONDS = 15.0


def shown(services: Services, view: View) -> m.SandboxStatus:
    """A view as status, worked out for now; wallet_not_found when there never was one."""
    if not view.state.exists:
        raise SatboxError("wallet_not_found")
    return status(view, services.settings.policy, services.clock.wall_ms())


async def read_status(services: Services, request: web.Request, caller: Caller, data: m.StatusInput) -> m.SandboxStatus:
    """From a snapshot of up to a second ago, unless asked for a fresh one."""
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


async def wake(services: Services, request: web.Request, caller: Caller, data: m.WakeInput) -> m.SandboxStatus:
    """Start again on the credit that is left; answers once it is up, or has failed to come up."""
    if data.address is not None and data.handle is not None:
        raise SatboxError("invalid_request", details={"handle": "give address or handle, not both"})
    named = data.address if data.handle is None else await meant(services, data.handle, caller.known_address)
    address = caller.owned(named)
    view = await services.system.ask(address, _wake_command(services, caller, data))
    view = await until_settled(services, address, view, STARTING)
    if view.state.phase is Phase.REAPED and view.state.reason == "start_failed":
        raise SatboxError("start_failed")
    return shown(services, view)


def _wake_command(services: Services, caller: Caller, data: m.WakeInput) -> Command:
    if caller.link is not None:
        if data.size_class is not None:
            raise SatboxError("invalid_request", details={"size_class": "a wake link starts it as it was"})
        return WakeByLink(caller.link.token_hash)
    rate = None if data.size_class is None else services.settings.rates_usat_per_second[data.size_class]
    return Wake(data.size_class, rate)


async def reap(services: Services, request: web.Request, caller: Caller, data: m.ReapInput) -> m.SandboxStatus:
    """Stop and keep what was made; answers once the workspace is saved."""
    address = caller.owned(data.address)
    view = await services.system.ask(address, Reap(data.destroy))
    view = await until_settled(services, address, view, STOPPING)
    if services.secrets is not None and data.destroy:
        await services.secrets.forget(
            view.state
        )  # should we end before this: they are of another lifetime, and never used
    return shown(services, view)


async def pause(services: Services, request: web.Request, caller: Caller, data: m.Target) -> m.SandboxStatus:
    """Freeze; answers once nothing of it runs."""
    return await _set_paused(services, caller.owned(data.address), paused=True)


async def resume(services: Services, request: web.Request, caller: Caller, data: m.Target) -> m.SandboxStatus:
    """Thaw; answers once it runs."""
    return await _set_paused(services, caller.owned(data.address), paused=False)


async def _set_paused(services: Services, address: str, *, paused: bool) -> m.SandboxStatus:
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


async def set_rate(services: Services, request: web.Request, caller: Caller, data: m.RateInput) -> m.SandboxStatus:
    """Charge one wallet at another rate from here on."""
    view = await services.system.ask(data.address, SetRate(data.rate_usat_per_second))
    return shown(services, services.views.put(view))


def _page(page: EventsPage) -> m.Events:
    items = [m.Event(seq=e.seq, at=iso(e.at_ms), type=e.type, data=e.data) for e in page.events]
    last = items[-1].seq if items else page.last_seq
    return m.Events(items=items, next_cursor=last, has_more=last < page.last_seq)


async def events(
    services: Services, request: web.Request, caller: Caller, data: m.EventsInput
) -> m.Events | web.StreamResponse:
    """A page of events, or a stream of them."""
    address = caller.owned(data.address)
    follows = data.follow or "text/event-stream" in request.headers.get("Accept", "")
    after = data.after
    resumed = request.headers.get("Last-Event-ID", "")
    if resumed.isascii() and resumed.isdigit():
        after = max(after, int(resumed[:18]))
    if not follows:
        return _page(await services.system.events(address, after, data.limit))
    return await _follow(services, request, address, after, data.limit)


async def _follow(services: Services, request: web.Request, address: str, after: int, limit: int) -> web.StreamResponse:
    streams = request.app[METRICS].streams
    if streams._value.get() >= services.settings.streams_max:
        raise SatboxError("overloaded", retry_after=5)
    await services.system.events(address, after, 1)  # an unknown wallet is an error, not a silent stream
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            "x-request-id": request[REQUEST_ID],
        }
    )
    streams.inc()
    try:
        await response.prepare(request)
        begin(request)
        while request.transport is not None and not request.transport.is_closing():
            page = await services.system.events(address, after, limit, EVENTS_WAIT_SECONDS)
            for event in page.events:
                after = event.seq
                body = json.dumps({"seq": event.seq, "at": iso(event.at_ms), "type": event.type, "data": event.data})
                await response.write(f"id: {event.seq}\nevent: {event.type}\ndata: {body}\n\n".encode())
            if not page.events:
                await response.write(b": still here\n\n")
    except (ConnectionResetError, ClientConnectionResetError):
        pass  # the reader went away
    finally:
        streams.dec()
    return response


HANDLERS: dict[str, Handler] = {
    "sandbox.status": read_status,
    "sandbox.wake": wake,
    "sandbox.reap": reap,
    "sandbox.pause": pause,
    "sandbox.resume": resume,
    "sandbox.events": events,
    "operator.rate": set_rate,
}
