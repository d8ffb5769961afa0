"""Callers that leave before their answer: what is done for them alone ends and gives its place back."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

LOOK_SECONDS = 1.0
"""How often a request that is being worked on looks whether its caller is still there."""


def has_left(request: web.Request) -> bool:
    """Whether nobody waits for the answer any more."""
    return request.transport is None or request.transport.is_closing()


@contextlib.asynccontextmanager
async def while_there(request: web.Request) -> AsyncIterator[None]:
    """Cancel what is inside once the caller has left. Raises ConnectionResetError then."""
    loop = asyncio.get_running_loop()
    look: asyncio.TimerHandle | None = None
    try:
        async with asyncio.timeout(None) as limit:

            def look_again() -> None:
                nonlocal look
                if has_left(request):
                    limit.reschedule(loop.time())
                else:
                    look = loop.call_later(LOOK_SECONDS, look_again)

            look = loop.call_later(LOOK_SECONDS, look_again)
            try:
                yield
            finally:
                look.cancel()
    except TimeoutError as error:
        if limit.expired():
            raise ConnectionResetError("the caller has left") from error
        raise
