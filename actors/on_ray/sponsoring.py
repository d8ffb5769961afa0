"""Whether the relay pays fees for others now, as every offer asks."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from operations.errors import SatboxError

FRESH_SECONDS = 5.0
WAIT_SECONDS = 1.0


class Sponsoring:
    """The last answer to whether payments are sponsored now. Every offer asks, so an answer serves for some seconds; one that is
    late or missing means no: an offer without sponsoring can always be paid.
    """

    def __init__(self, ask: Callable[[], Awaitable[Any]], monotonic_seconds: Callable[[], float]) -> None:
        self._ask = ask
        self._monotonic_seconds = monotonic_seconds
        self._answer = False
        self._asked_at: float | None = None
        self._asking: asyncio.Task[None] | None = None

    async def get(self) -> bool:
        """The answer; only the first caller of all waits for it."""
        now = self._monotonic_seconds()
        is_first = self._asked_at is None
        if self._asked_at is None or now - self._asked_at > FRESH_SECONDS:
            self._asked_at = now
            self._asking = asyncio.create_task(self._refresh(), name="is the relay sponsoring")
        if is_first and self._asking is not None:
            await asyncio.wait({self._asking}, timeout=WAIT_SECONDS)
        return self._answer

    async def _refresh(self) -> None:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                self._answer = bool(await self._ask())
        except (SatboxError, TimeoutError):
            self._answer = False
