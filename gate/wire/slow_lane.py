"""Parse chunked bodies a few chunks at a time, so that bodies in chunks of one byte do not delay other requests.

A chunk of one byte costs as much as one of a kilobyte: 2 microseconds of the event loop to parse and to read. A read of a socket
may bring 40,000 of them, and by default parser and reader handle all of those in one turn of the loop. So aiohttp stops after
512 chunks (`BUFFER_BYTES`), and resumes when it is the body's turn here: all such bodies together get two milliseconds of each
round of the loop.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from aiohttp import StreamReader

BUFFER_BYTES = 8_192
"""aiohttp's limit of what it holds of a body: of chunks it holds a sixteenth of this number."""
BODY_BYTES = 65_536
"""Its limit in bytes, which is set again once a body has begun."""
SLICE_SECONDS = 0.002


class SlowLane:
    """Who waits for a turn, first come, first served: a share of each round of the loop, and at least one turn."""

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], float] | None = None) -> None:
        self._loop = loop
        self._now = now or loop.time
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_due = False

    def enter(self, turn: Callable[[], None]) -> None:
        """Wait for a turn. `turn` is called once; it must not raise."""
        self._waiting.append(turn)
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._serve)

    def _serve(self) -> None:
        until = self._now() + SLICE_SECONDS
        turns = len(self._waiting)  # who waits again meanwhile has its turn in another round
        try:
            while turns:
                turns -= 1
                self._waiting.popleft()()
                if self._now() >= until:
                    break
        finally:
            self._is_due = bool(self._waiting)
            if self._is_due:
                self._loop.call_soon(self._serve)


class Waiting:
    """One connection's place in the lane."""

    def __init__(self, lane: SlowLane, resume: Callable[[], None]) -> None:
        self._lane = lane
        self._resume = resume
        self._is_waiting = False
        self.is_chunked = False
        """Its body comes in chunks."""

    def begin(self, body: StreamReader, *, is_chunked: bool) -> None:
        """A body has begun."""
        self.is_chunked = is_chunked
        body.set_read_chunk_size(BODY_BYTES)

    def resume(self) -> None:
        """Resume the body when it is its turn; further requests for that before then change nothing."""
        if not self._is_waiting:
            self._is_waiting = True
            self._lane.enter(self._turn)

    def _turn(self) -> None:
        self._is_waiting = False
        self._resume()
