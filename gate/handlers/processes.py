"""Background processes and ports of a sandbox."""

import base64
import binascii
import secrets
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from aiohttp import WSMsgType, web

from actors.view import iso
from actors.wallet.commands import Expose, Unexpose
from gate.identity.callers import SOCKET_PROTOCOL, Caller
from gate.identity.handler import Handler
from gate.identity.port_tokens import TOKEN_QUERY, token_hash
from gate.identity.tenures import TENURE
from gate.parts.services import Services
from gate.reach.reaching import Reach
from gate.reach.streams import event_stream
from gate.reach.websocket_ends import READER_BYTES_MAX, end_of
from gate.reach.websocket_messages import MessageRelay, Socket, end_overloaded
from gate.reach.websocket_pair import run_pair
from gate.wire.answers import BUDGET
from gate.wire.port_origins import PortOrigins
from operations import processes as p
from operations.errors import SatboxError
from operations.models import Target

HEARTBEAT_SECONDS = 30.0


def _view(services: Services, runtime_id: str, seen: dict[str, Any]) -> dict[str, Any]:
    """The node's process with its start in wall time: node time is worked out from the two clocks now."""
    now_ms = services.clock.monotonic_ms()
    started_ms = services.clock.wall_ms() - max(0, now_ms - int(seen["started_at_ms"]))
    return {**seen, "runtime_id": runtime_id, "started_at": iso(started_ms)}


async def start(services: Services, request: web.Request, caller: Caller, data: p.StartProcessInput) -> p.ProcessView:
    """Start; answers once it runs."""
    if (data.argv is None) == (data.shell is None):
        raise SatboxError("invalid_request", details={"argv": "exactly one of argv and shell"})
    command = data.argv if data.argv is not None else data.shell
    assert command is not None
    terminal = {"rows": data.rows, "columns": data.columns} if data.terminal else None
    reach = Reach(services, caller.owned(data.address))
    async with reach as runtime_id:
        seen = await services.node.processes.start(
            runtime_id, command, cwd=data.cwd, env=reach.variables(data.env), timeout_seconds=data.timeout_seconds,
            unattended_seconds=data.unattended_seconds, terminal=terminal,
        )  # fmt: skip
    return p.ProcessView.model_validate(_view(services, runtime_id, seen))


async def listing(services: Services, request: web.Request, caller: Caller, data: Target) -> p.ProcessList:
    """All of them."""
    async with Reach(services, caller.owned(data.address)) as runtime_id:
        found = await services.node.processes.all(runtime_id)
    return p.ProcessList(items=[p.ProcessView.model_validate(_view(services, runtime_id, seen)) for seen in found])


async def get(services: Services, request: web.Request, caller: Caller, data: p.ProcessInput) -> p.ProcessView:
    """One of them."""
    async with Reach(services, caller.owned(data.address)) as runtime_id:
        seen = await services.node.processes.get(runtime_id, data.process_id)
    return p.ProcessView.model_validate(_view(services, runtime_id, seen))


async def kill(services: Services, request: web.Request, caller: Caller, data: p.ProcessInput) -> p.ProcessView:
    """End all of it; answers once it is gone."""
    async with Reach(services, caller.owned(data.address)) as runtime_id:
        seen = await services.node.processes.kill(runtime_id, data.process_id)
    return p.ProcessView.model_validate(_view(services, runtime_id, seen))


async def signal(services: Services, request: web.Request, caller: Caller, data: p.SignalInput) -> p.Told:
    """Signal its group."""
    async with Reach(services, caller.owned(data.address)) as runtime_id:
        await services.node.processes.signal(runtime_id, data.process_id, data.signal)
    return p.Told()


async def write(services: Services, request: web.Request, caller: Caller, data: p.ProcessWriteInput) -> p.Told:
    """Pass input on, at the pace the process reads it."""
    try:
        raw = base64.b64decode(data.data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SatboxError("invalid_request", details={"data": "not base64"}) from error
    async with Reach(services, caller.owned(data.address)) as runtime_id:
        await services.node.processes.write(runtime_id, data.process_id, raw, end=data.end)
    return p.Told()


async def resize(services: Services, request: web.Request, caller: Caller, data: p.ResizeInput) -> p.Told:
    """Tell its terminal the size."""
    async with Reach(services, caller.owned(data.address)) as runtime_id:
        await services.node.processes.resize(runtime_id, data.process_id, data.rows, data.columns)
    return p.Told()


async def wait(services: Services, request: web.Request, caller: Caller, data: p.WaitInput) -> p.Waited:
    """Wait; answers when it came to pass, can no longer, or the time is up."""
    condition = data.model_dump(include={"until", "text", "port", "after", "timeout_seconds"}, exclude_none=True)
    async with Reach(services, caller.owned(data.address)) as runtime_id:
        seen = await services.node.processes.wait(runtime_id, data.process_id, **condition)
    return p.Waited.model_validate(_view(services, runtime_id, seen))


async def logs(
    services: Services, request: web.Request, caller: Caller, data: p.LogsInput
) -> p.Logs | web.StreamResponse:
    """A page, or a stream until it ends."""
    async with Reach(services, caller.owned(data.address)) as runtime_id:
        node = services.node.processes
        if data.follow or "text/event-stream" in request.headers.get("Accept", ""):
            return await event_stream(request, _followed(services, runtime_id, data))
        page = await node.logs(runtime_id, data.process_id, after=data.after, limit_bytes=data.limit_bytes)
    return p.Logs.model_validate(page)


async def _followed(services: Services, runtime_id: str, data: p.LogsInput) -> AsyncIterator[dict[str, Any]]:
    async for event in services.node.processes.follow(runtime_id, data.process_id, after=data.after):
        yield _view(services, runtime_id, event) if event["event"] == "exit" else event


async def attach(services: Services, request: web.Request, caller: Caller, data: p.AttachInput) -> web.StreamResponse:
    """Messages both ways, as they are (`sandboxes.node.background.attach` says what they mean)."""
    async with Reach(services, caller.owned(data.address)) as runtime_id:
        await services.node.processes.get(runtime_id, data.process_id)  # refused before the switch, not after
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise SatboxError("invalid_request", "This is a websocket.", hint="Use satbox processes attach, or logs.")
        outer = web.WebSocketResponse(
            max_msg_size=READER_BYTES_MAX, heartbeat=HEARTBEAT_SECONDS, compress=False, protocols=(SOCKET_PROTOCOL,),
            decode_text=False,
        )  # fmt: skip
        if not outer.can_prepare(request):  # before there is anything that would have to be closed
            raise SatboxError("invalid_request", "The websocket handshake is not complete.")
        inner = await services.node.processes.attach(runtime_id, data.process_id, after=data.after)
    await outer.prepare(request)
    relay = MessageRelay(request.app[BUDGET], caller.owned(data.address))
    await run_pair(outer, inner, request[TENURE], partial(_pump, relay))
    return outer


async def _pump(relay: MessageRelay, source: Socket, target: Socket) -> None:
    while True:
        message = await source.receive()
        await relay.make_way()
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            try:
                await relay.send(message, target)
            except SatboxError as error:
                await end_overloaded(error, source, target)
                return
        else:
            code, reason = end_of(message)
            await target.close(code=code, message=reason)
            return


async def ports(services: Services, request: web.Request, caller: Caller, data: Target) -> p.Ports:
    """What is listened on inside."""
    async with Reach(services, caller.owned(data.address)) as runtime_id:
        found = await services.node.processes.ports(runtime_id)
    state, now_ms = (await services.views.get(caller.owned(data.address))).state, services.clock.wall_ms()
    given = [each for each in state.exposed if each.expires_wall_ms > now_ms]
    exposed = [p.ExposedPort(port=each.port, expires_at=iso(each.expires_wall_ms)) for each in given]
    return p.Ports(items=found, exposed=exposed)


async def expose(services: Services, request: web.Request, caller: Caller, data: p.ExposeInput) -> p.PortToken:
    """Give a port out; the token is shown here and never again."""
    address, token = caller.owned(data.address), "pt_" + secrets.token_urlsafe(32)
    expires_ms = services.clock.wall_ms() + data.seconds * 1000
    services.views.put(await services.system.ask(address, Expose(data.port, token_hash(token), expires_ms)))
    settings, entry = services.settings, f"/?{TOKEN_QUERY}={token}"
    path_url = f"{settings.public_url}/sandbox/proxy/{address}/{data.port}{entry}"
    origin = PortOrigins.of(settings.public_url, settings.ports_host).url(address, data.port)
    url = path_url if origin is None else origin + entry
    return p.PortToken(port=data.port, token=token, url=url, path_url=path_url, expires_at=iso(expires_ms))


async def revoke(services: Services, request: web.Request, caller: Caller, data: p.PortInput) -> p.Told:
    """Void its tokens."""
    services.views.put(await services.system.ask(caller.owned(data.address), Unexpose(data.port)))
    return p.Told()


HANDLERS: dict[str, Handler] = {
    "processes.start": start,
    "processes.list": listing,
    "processes.get": get,
    "processes.kill": kill,
    "processes.signal": signal,
    "processes.write": write,
    "processes.resize": resize,
    "processes.wait": wait,
    "processes.logs": logs,
    "processes.attach": attach,
    "ports.list": ports,
    "ports.expose": expose,
    "ports.revoke": revoke,
}
