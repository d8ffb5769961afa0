"""Answers of a sandbox node as its client reads them: within limits, charged to who asked, errors as they were meant."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp

from sandboxes.holding import EXPANSION, HOLD
from sandboxes.protocol import NoCapacity, NodeUnavailable
from sandboxes.texts import bytes_of, unfinished
from sandboxes.wire import load_error

LINE_BYTES_MAX = 8 << 20
UNCHARGED_BYTES = 1 << 16  # of a whole answer
ANSWER_BYTES_MAX = 64 << 20


def with_output(
    event: dict[str, Any], output: dict[str, bytearray], dropped: Mapping[str, int]
) -> tuple[dict[str, Any], dict[str, bytearray]]:
    """The result in an `exit` event, and the outputs as they came before it or in it; what was `dropped` is counted in it."""
    result = {name: value for name, value in event.items() if name != "event"}
    result["truncated"] = dict(result["truncated"])
    for name, data in output.items():
        if name in result:  # it came whole
            data += bytes_of(result, name)
        result.pop(name, None)
        result.pop(f"{name}_base64", None)
        if dropped[name]:
            cut = unfinished(bytes(data[-4:]))
            del data[len(data) - cut :]
            result["truncated"][f"{name}_bytes_dropped"] += dropped[name] + cut
    return result, output


async def whole(response: aiohttp.ClientResponse) -> bytes:
    """A whole answer, charged to who asked. Raises NodeUnavailable without a budget for it."""
    hold, pieces, size = HOLD.get(), list[bytes](), 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if size > ANSWER_BYTES_MAX:
            raise NodeUnavailable("the node's answer is over the limit")
        if size > UNCHARGED_BYTES and not await hold(len(piece) * EXPANSION):
            raise NoCapacity("too much is held in memory for this caller", retry_after_seconds=1.0)
        pieces.append(piece)
    return b"".join(pieces)


async def lines_of(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Lines of an answer. Raises ValueError for one that is too long."""
    pending = bytearray()
    async for piece in response.content.iter_any():
        searched = len(pending)
        pending += piece
        start = 0
        while (end := pending.find(b"\n", max(start, searched))) >= 0:
            yield bytes(pending[start:end])
            start = end + 1
        del pending[:start]
        if len(pending) > LINE_BYTES_MAX:
            raise ValueError("a line is over the limit")
    if pending:
        yield bytes(pending)


def error_of(status: int, body: bytes) -> Exception:
    """The domain error in an error answer."""
    try:
        return load_error(status, json.loads(body))
    except ValueError:
        return load_error(status, None)
