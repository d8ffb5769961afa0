"""Next nonces for pages: anybody may ask for any address's, so the chain is asked seldom and by few at once."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from gate.outside.turns import Turns

KEPT_MS = 1_000
KEPT_MAX = 4_096


class NextNonces:
    """Callable as what it wraps. An answer is kept for a second, asked for once however many want it, and the chain is asked
    for no more than 20 a second, 8 at once; past that the caller is refused, `overloaded`.
    """

    def __init__(self, ask: Callable[[str], Awaitable[int]], now_ms: Callable[[], int]) -> None:
        self._ask = ask
        self._now_ms = now_ms
        self._kept: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._asking: dict[str, asyncio.Task[int]] = {}
        self._turns = Turns(now_ms)

    async def __call__(self, address: str) -> int:
        """The nonce. Raises what the chain's client raises, and SatboxError."""
        kept = self._kept.get(address)
        if kept is not None and self._now_ms() - kept[0] < KEPT_MS:
            return kept[1]
        task = self._asking.get(address)
        if task is None:
            self._turns.take()
            task = self._asking[address] = asyncio.ensure_future(self._asked_for(address))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(task)

    async def _asked_for(self, address: str) -> int:
        try:
            nonce = await self._ask(address)
        finally:
            self._turns.give_back()
            del self._asking[address]
        self._kept[address] = (self._now_ms(), nonce)
        self._kept.move_to_end(address)
        while len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
        return nonce
