"""The hash functions of Stacks and Bitcoin, for callers without them."""

from aiohttp import web

from gate.handlers.verifying import report
from gate.identity.callers import Caller
from gate.identity.handler import Handler
from gate.parts.services import Services
from operations import verification as v
from stacks.verification import hash_input, hash_report


async def digest(services: Services, request: web.Request, caller: Caller, data: v.HashInput) -> v.HashReport:
    """Hash text or bytes."""
    made = await report(services.settings, lambda: hash_report(data.algorithm, hash_input(data.data), data.encoding))
    return v.HashReport.model_validate(made)


HANDLERS: dict[str, Handler] = {"hashing.digest": digest}
