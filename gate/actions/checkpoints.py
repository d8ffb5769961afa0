"""Checkpoints, read from their log or made on demand."""

import asyncio

import structlog

from actors.books.checkpoints import CheckpointBook
from actors.view import iso
from gate.books.statements import inclusion_proof
from gate.context import RequestContext, action
from gate.parts.services import Services
from operations import checkpoints as c
from operations.errors import SatboxError
from operations.models import Nothing, Receipt, Target

log = structlog.get_logger()


def _log(services: Services) -> CheckpointBook:
    if services.checkpoints is None:
        raise SatboxError("checkpoint_not_found")
    return services.checkpoints


@action("checkpoints.list")
async def listing(context: RequestContext, data: c.CheckpointsInput) -> c.Checkpoints:
    """A page, or the newest."""
    services = context.services
    kept = _log(services)
    if data.last:
        newest = await asyncio.to_thread(kept.newest)
        documents = [] if newest is None else [newest]
    else:
        documents = await asyncio.to_thread(kept.page, data.after, data.limit)
    last = documents[-1]["statement"]["number"] if documents else data.after
    return c.Checkpoints(items=[Receipt(**document) for document in documents], next_cursor=last)


@action("checkpoints.proof")
async def proof(context: RequestContext, data: Target) -> c.InclusionProof:
    """The newest checkpoint that holds the wallet's head, and the way to it."""
    services, caller = context.services, context.caller
    address = caller.owned(data.address)
    found = await asyncio.to_thread(_log(services).inclusion, address)
    if found is None:
        raise SatboxError("checkpoint_not_found")
    return inclusion_proof(found)


@action("operator.checkpoint")
async def make(context: RequestContext, data: Nothing) -> c.MadeCheckpoint:
    """One more, over what has changed since the last."""
    services = context.services
    now_ms = services.clock.wall_ms()
    made = await asyncio.to_thread(_log(services).make, now_ms, iso(now_ms))
    for address, reason in made.rewritten.items():
        log.error("a wallet's past has changed", address=address, reason=reason)
    document = None if made.document is None else Receipt(**made.document)
    return c.MadeCheckpoint(made=made.is_new, checkpoint=document, rewritten=made.rewritten)
