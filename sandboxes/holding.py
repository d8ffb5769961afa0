"""Who pays, in bytes of a budget, for what a node's client holds in memory: set for a request, charged wherever it buffers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar

Hold = Callable[[int], Awaitable[bool]]
"""Take so many more bytes, waiting for room; False when there is none."""


async def _unbounded(_size: int) -> bool:
    return True


HOLD: ContextVar[Hold] = ContextVar("hold", default=_unbounded)
EXPANSION = 8
"""Bytes of memory for each byte of JSON that is parsed and checked by models: measured 5 to 8 for lists of files."""
