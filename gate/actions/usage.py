"""What a sandbox uses, as the host saw it."""

from itertools import pairwise
from typing import Any

from actors.view import iso
from gate.context import RequestContext, action
from gate.reach.reaching import Reach
from operations import usage as u


@action("sandbox.usage")
async def read(context: RequestContext, data: u.UsageInput) -> u.Usage:
    """Now, and samples of the time before."""
    services, caller = context.services, context.caller
    async with Reach(services, caller.owned(data.address), paused_too=True) as (node, runtime_id):
        seen = await node.metrics(runtime_id, data.seconds)
    now, samples = seen["now"], seen["samples"]
    offset_ms = services.clock.wall_ms() - int(seen["at_ms"])
    cpu_us = now.pop("cpu_us")
    return u.Usage(
        runtime_id=runtime_id,
        cpu_seconds=None if cpu_us is None else cpu_us / 1e6,
        samples=[_sample(before, after, offset_ms) for before, after in pairwise([None, *samples])],
        **now,
    )


def _sample(before: dict[str, Any] | None, after: dict[str, Any] | None, offset_ms: int) -> u.UsageSample:
    assert after is not None
    percent = None
    if before is not None and None not in (before["cpu_us"], after["cpu_us"]) and after["at_ms"] > before["at_ms"]:
        percent = round((after["cpu_us"] - before["cpu_us"]) / (after["at_ms"] - before["at_ms"]) / 10, 2)
    rest = {name: value for name, value in after.items() if name not in ("at_ms", "cpu_us")}
    return u.UsageSample(at=iso(after["at_ms"] + offset_ms), cpu_percent=percent, **rest)
