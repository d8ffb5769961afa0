"""Background processes and ports of a sandbox."""

import base64
import binascii
import secrets
from collections.abc import AsyncIterator
from typing import Any

from actors.view import iso
from actors.wallet.commands import Expose, Unexpose
from gate.context import RequestContext, action
from gate.identity.port_tokens import TOKEN_QUERY, token_hash
from gate.parts.services import Services
from gate.reach.reaching import Reach
from gate.reach.streams import event_stream
from gate.wire.outcomes import Duplex, Stream
from gate.wire.port_origins import PortOrigins
from operations import processes as p
from operations.errors import SatboxError
from operations.models import Target
from sandboxes.client import NodeClient


def _view(services: Services, runtime_id: str, seen: dict[str, Any]) -> dict[str, Any]:
    """The node's process with its start in wall time: node time is worked out from the two clocks now."""
    now_ms = services.clock.monotonic_ms()
    started_ms = services.clock.wall_ms() - max(0, now_ms - int(seen["started_at_ms"]))
    return {**seen, "runtime_id": runtime_id, "started_at": iso(started_ms)}


@action("processes.start")
async def start(context: RequestContext, data: p.StartProcessInput) -> p.ProcessView:
    """Start; answers once it runs."""
    services, caller = context.services, context.caller
    if (data.argv is None) == (data.shell is None):
        raise SatboxError("invalid_request", details={"argv": "exactly one of argv and shell"})
    command = data.argv if data.argv is not None else data.shell
    assert command is not None
    terminal = {"rows": data.rows, "columns": data.columns} if data.terminal else None
    reach = Reach(services, caller.owned(data.address))
    async with reach as (node, runtime_id):
        seen = await node.processes.start(
            runtime_id, command, cwd=data.cwd, env=reach.variables(data.env), timeout_seconds=data.timeout_seconds,
            unattended_seconds=data.unattended_seconds, terminal=terminal,
        )  # fmt: skip
    return p.ProcessView.model_validate(_view(services, runtime_id, seen))


@action("processes.list")
async def listing(context: RequestContext, data: Target) -> p.ProcessList:
    """All of them."""
    services, caller = context.services, context.caller
    async with Reach(services, caller.owned(data.address)) as (node, runtime_id):
        found = await node.processes.all(runtime_id)
    return p.ProcessList(items=[p.ProcessView.model_validate(_view(services, runtime_id, seen)) for seen in found])


@action("processes.get")
async def get(context: RequestContext, data: p.ProcessInput) -> p.ProcessView:
    """One of them."""
    services, caller = context.services, context.caller
    async with Reach(services, caller.owned(data.address)) as (node, runtime_id):
        seen = await node.processes.get(runtime_id, data.process_id)
    return p.ProcessView.model_validate(_view(services, runtime_id, seen))


@action("processes.kill")
async def kill(context: RequestContext, data: p.ProcessInput) -> p.ProcessView:
    """End all of it; answers once it is gone."""
    services, caller = context.services, context.caller
    async with Reach(services, caller.owned(data.address)) as (node, runtime_id):
        seen = await node.processes.kill(runtime_id, data.process_id)
    return p.ProcessView.model_validate(_view(services, runtime_id, seen))


@action("processes.signal")
async def signal(context: RequestContext, data: p.SignalInput) -> p.Told:
    """Signal its group."""
    services, caller = context.services, context.caller
    async with Reach(services, caller.owned(data.address)) as (node, runtime_id):
        await node.processes.signal(runtime_id, data.process_id, data.signal)
    return p.Told()


@action("processes.write")
async def write(context: RequestContext, data: p.ProcessWriteInput) -> p.Told:
    """Pass input on, at the pace the process reads it."""
    services, caller = context.services, context.caller
    try:
        raw = base64.b64decode(data.data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SatboxError("invalid_request", details={"data": "not base64"}) from error
    async with Reach(services, caller.owned(data.address)) as (node, runtime_id):
        await node.processes.write(runtime_id, data.process_id, raw, end=data.end)
    return p.Told()


@action("processes.resize")
async def resize(context: RequestContext, data: p.ResizeInput) -> p.Told:
    """Tell its terminal the size."""
    services, caller = context.services, context.caller
    async with Reach(services, caller.owned(data.address)) as (node, runtime_id):
        await node.processes.resize(runtime_id, data.process_id, data.rows, data.columns)
    return p.Told()


@action("processes.wait")
async def wait(context: RequestContext, data: p.WaitInput) -> p.Waited:
    """Wait; answers when it came to pass, can no longer, or the time is up."""
    services, caller = context.services, context.caller
    condition = data.model_dump(include={"until", "text", "port", "after", "timeout_seconds"}, exclude_none=True)
    async with Reach(services, caller.owned(data.address)) as (node, runtime_id):
        seen = await node.processes.wait(runtime_id, data.process_id, **condition)
    return p.Waited.model_validate(_view(services, runtime_id, seen))


@action("processes.logs")
async def logs(context: RequestContext, data: p.LogsInput) -> p.Logs | Stream:
    """A page, or a stream until it ends."""
    services, caller = context.services, context.caller
    async with Reach(services, caller.owned(data.address)) as (node, runtime_id):
        if data.follow or "text/event-stream" in context.headers.get("Accept", ""):
            return await event_stream(_followed(services, node, runtime_id, data))
        page = await node.processes.logs(runtime_id, data.process_id, after=data.after, limit_bytes=data.limit_bytes)
    return p.Logs.model_validate(page)


async def _followed(
    services: Services, node: NodeClient, runtime_id: str, data: p.LogsInput
) -> AsyncIterator[dict[str, Any]]:
    async for event in node.processes.follow(runtime_id, data.process_id, after=data.after):
        yield _view(services, runtime_id, event) if event["event"] == "exit" else event


@action("processes.attach")
async def attach(context: RequestContext, data: p.AttachInput) -> Duplex:
    """Messages both ways, as they are (`sandboxes.node.background.attach` says what they mean)."""
    services, address = context.services, context.caller.owned(data.address)
    async with Reach(services, address) as (node, runtime_id):
        await node.processes.get(runtime_id, data.process_id)  # refused before the switch, not after

    async def connect() -> Any:
        async with Reach(services, address) as (node, runtime_id):
            return await node.processes.attach(runtime_id, data.process_id, after=data.after)

    return Duplex(connect, address)


@action("ports.list")
async def ports(context: RequestContext, data: Target) -> p.Ports:
    """What is listened on inside."""
    services, caller = context.services, context.caller
    async with Reach(services, caller.owned(data.address)) as (node, runtime_id):
        found = await node.processes.ports(runtime_id)
    state, now_ms = (await services.views.get(caller.owned(data.address))).state, services.clock.wall_ms()
    given = [each for each in state.exposed if each.expires_wall_ms > now_ms]
    exposed = [p.ExposedPort(port=each.port, expires_at=iso(each.expires_wall_ms)) for each in given]
    return p.Ports(items=found, exposed=exposed)


@action("ports.expose")
async def expose(context: RequestContext, data: p.ExposeInput) -> p.PortToken:
    """Give a port out; the token is shown here and never again."""
    services, caller = context.services, context.caller
    address, token = caller.owned(data.address), "pt_" + secrets.token_urlsafe(32)
    expires_ms = services.clock.wall_ms() + data.seconds * 1000
    services.views.put(await services.system.ask(address, Expose(data.port, token_hash(token), expires_ms)))
    settings, entry = services.settings, f"/?{TOKEN_QUERY}={token}"
    path_url = f"{settings.public_url}/sandbox/proxy/{address}/{data.port}{entry}"
    origin = PortOrigins.of(settings.public_url, settings.ports_host).url(address, data.port)
    url = path_url if origin is None else origin + entry
    return p.PortToken(port=data.port, token=token, url=url, path_url=path_url, expires_at=iso(expires_ms))


@action("ports.revoke")
async def revoke(context: RequestContext, data: p.PortInput) -> p.Told:
    """Void its tokens."""
    services, caller = context.services, context.caller
    services.views.put(await services.system.ask(caller.owned(data.address), Unexpose(data.port)))
    return p.Told()
