"""Answers with a price: paid from the caller's own bucket, once an answer is there, once for the same question in an hour."""

import hashlib

from aiohttp import web
from pydantic import BaseModel

from actors.wallet.commands import Spend
from gate.callers import Caller, bearer, check_epoch
from gate.ports import Services
from gate.routing import Handler

FREE_AGAIN_MS = 3_600_000
USAT_PER_SAT = 1_000_000


def priced(name: str, handler: Handler) -> Handler:
    """The handler of an operation, paid for by what `verification_sats` says; free and open to anybody at 0."""

    async def serve(
        services: Services, request: web.Request, caller: Caller, data: BaseModel
    ) -> BaseModel | web.StreamResponse:
        sats = services.settings.verification_sats
        if not sats:
            return await handler(services, request, caller, data)
        gate_pass = services.passes.read(bearer(request))
        check_epoch(gate_pass, await services.views.get(gate_pass.address))
        answer = await handler(services, request, caller, data)  # what gets no answer costs nothing
        now_ms = services.clock.wall_ms()
        reference = reference_of(name, data, now_ms)
        spend = Spend(reference, sats * USAT_PER_SAT, now_ms + 2 * FREE_AGAIN_MS)
        services.views.put(await services.system.ask(gate_pass.address, spend))
        return answer

    return serve


def reference_of(name: str, data: BaseModel, wall_ms: int) -> str:
    """The same for the same question in the same hour: whoever lost an answer asks again and pays no second time."""
    question = f"{name} {data.model_dump_json()}"
    return f"fee_{wall_ms // FREE_AGAIN_MS}_{hashlib.sha256(question.encode()).hexdigest()[:32]}"
