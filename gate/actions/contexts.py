"""Code contexts of a sandbox."""

import json
from collections.abc import AsyncIterator
from typing import Any

from actors.view import iso
from gate.context import RequestContext, action
from gate.parts.services import Services
from gate.reach.reaching import Reach
from gate.reach.streams import event_stream
from gate.wire.byte_budget import Lease
from gate.wire.outcomes import Stream
from operations import contexts as k
from operations.models import Done, Target

EVENT_COPIES = 3
"""The event, the result made of it, and that as JSON."""


def _view(services: Services, seen: dict[str, Any]) -> k.Context:
    age_ms = max(0, services.clock.monotonic_ms() - int(seen["created_at_ms"]))
    return k.Context(context_id=seen["context_id"], created_at=iso(services.clock.wall_ms() - age_ms))


@action("contexts.create")
async def create(context: RequestContext, data: k.CreateContextInput) -> k.Context:
    """Start a kernel; answers when it takes code."""
    services, caller = context.services, context.caller
    reach = Reach(services, caller.owned(data.address))
    async with reach as (node, runtime_id):
        variables = reach.variables(data.env)
        return _view(services, await node.contexts.create(runtime_id, cwd=data.cwd, env=variables))


@action("contexts.list")
async def listing(context: RequestContext, data: Target) -> k.ContextList:
    """Those that live."""
    services, caller = context.services, context.caller
    async with Reach(services, caller.owned(data.address)) as (node, runtime_id):
        found = await node.contexts.all(runtime_id)
    return k.ContextList(items=[_view(services, seen) for seen in found])


@action("contexts.run")
async def run(context: RequestContext, data: k.RunInput) -> k.RunResult | Stream:
    """Run code: the whole result, or its events as they happen."""
    services, caller = context.services, context.caller
    async with Reach(services, caller.owned(data.address)) as (node, runtime_id):
        events = node.contexts.run(runtime_id, data.context_id, data.code, timeout_seconds=data.timeout_seconds)
        if data.stream:
            return await event_stream(events)
        return collected(*await _within_budget(events, context.lease))


async def _within_budget(events: AsyncIterator[dict[str, Any]], lease: Lease) -> tuple[list[dict[str, Any]], bool]:
    """(events, whether some are missing). When the budget is used up, only the last of the events that follow is kept."""
    found: list[dict[str, Any]] = []
    is_cut = False
    async for event in events:
        size = len(json.dumps(event)) * EVENT_COPIES
        is_cut = is_cut or not await lease.grow(size)
        if not is_cut or event["event"] == "done":
            found.append(event)
    return found, is_cut


def collected(events: list[dict[str, Any]], is_cut: bool = False) -> k.RunResult:
    """Events as one result. What is in them is a tenant's: fields of other types are left out."""
    texts: dict[str, list[str]] = {"stdout": [], "stderr": []}
    results: list[k.Shown] = []
    error: k.Raised | None = None
    for event in events:
        kind, content = event["event"], event.get("data")
        if kind in texts and isinstance(content, str):
            texts[kind].append(content)
        elif kind in ("result", "display") and isinstance(content, dict):
            results.append(k.Shown(kind=kind, data=content))
        elif kind == "error":
            trace = event.get("traceback")
            error = k.Raised(
                name=str(event.get("name")), value=str(event.get("value")),
                traceback=[str(line) for line in trace] if isinstance(trace, list) else [],
            )  # fmt: skip
    last = events[-1]
    return k.RunResult(
        stdout="".join(texts["stdout"]), stderr="".join(texts["stderr"]), results=results, error=error,
        timed_out=bool(last["timed_out"]), truncated=is_cut or bool(last["truncated"]), execution_count=last["execution_count"],
    )  # fmt: skip


@action("contexts.interrupt")
async def interrupt(context: RequestContext, data: k.ContextInput) -> Done:
    """As ctrl-C would."""
    services, caller = context.services, context.caller
    async with Reach(services, caller.owned(data.address)) as (node, runtime_id):
        await node.contexts.interrupt(runtime_id, data.context_id)
    return Done()


@action("contexts.delete")
async def delete(context: RequestContext, data: k.ContextInput) -> Done:
    """End it."""
    services, caller = context.services, context.caller
    async with Reach(services, caller.owned(data.address)) as (node, runtime_id):
        await node.contexts.delete(runtime_id, data.context_id)
    return Done()
