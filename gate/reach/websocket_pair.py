"""Two websockets that belong together, a caller's and one inside: both are closed when one ends, or when the request is over."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import WSCloseCode

from gate.identity.tenures import Tenure
from gate.reach.websocket_messages import Socket


async def run_pair(
    outer: Socket, inner: Socket, tenure: Tenure, pump: Callable[[Socket, Socket], Awaitable[None]]
) -> None:
    """Pump messages both ways. When a term of the request ends, close both sides with 1008 and the reason."""
    tenure.begin(closes_itself=True)
    pumps = [asyncio.ensure_future(pump(source, target)) for source, target in ((outer, inner), (inner, outer))]
    over = asyncio.ensure_future(tenure.over.wait())
    tasks = (*pumps, over)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        code, reason = WSCloseCode.OK, b""
        if tenure.reason is not None:
            code, reason = WSCloseCode.POLICY_VIOLATION, tenure.reason.encode()
        # At once, so that neither side holds up the other's end.
        closings = (outer.close(code=code, message=reason), inner.close(code=code, message=reason))
        await asyncio.gather(*closings, return_exceptions=True)
