"""The hash functions of Stacks and Bitcoin, for callers without them."""

from aiohttp import web

from gate.callers import Caller
from gate.handlers.verifying import report
from gate.ports import Services
from gate.routing import Handler
from operations import verification as v
from stacks.verification import hash_input, hash_report


async def digest(services: Services, request: web.Request, caller: Caller, data: v.HashInput) -> v.HashReport:
    """Hash text or bytes."""
    made = await report(services.settings, lambda: hash_report(data.algorithm, hash_input(data.data), data.encoding))
    return v.HashReport.model_validate(made)


HANDLERS: dict[str, Handler] = {"hashing.digest": digest}
