"""Bytes and events of the node as what an operation answers: as they come, never a broken end taken for a good one."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from gate.wire.outcomes import Stream, close
from sandboxes.protocol import SandboxError

FILE_CHUNK_BYTES = 1 << 18
WRITE_SECONDS_MAX = 60.0
"""A client that takes no chunk of a file for this long is not reading it."""
NOSNIFF = {"X-Content-Type-Options": "nosniff"}


async def event_stream(events: AsyncIterator[dict[str, Any]]) -> Stream:
    """Server-sent events; a stream without its last event, or with `error`, was broken off. A refusal is still an ordinary error:
    the first event is waited for here.
    """
    first = sse(await anext(events))

    async def rest() -> AsyncIterator[bytes]:
        try:
            async for event in events:
                yield sse(event)
        finally:
            await close(events)

    return Stream(
        rest(), first, content_type="text/event-stream", headers={"Cache-Control": "no-store"}, on_break=_broken
    )


def _broken(error: SandboxError) -> bytes:
    return sse({"event": "error", "code": "node_unavailable", "message": error.message})


def sse(event: dict[str, Any]) -> bytes:
    """One event on the wire, named by its field `event`."""
    return f"event: {event['event']}\ndata: {json.dumps(event)}\n\n".encode()


def bytes_out(
    first: bytes,
    chunks: AsyncIterator[bytes],
    length: int | None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    content_type: str = "application/octet-stream",
) -> Stream:
    """Raw bytes; when they break off, so does the connection, before its announced or chunked end."""
    return Stream(
        chunks, first, status=status, content_type=content_type, headers={**NOSNIFF, **(headers or {})}, length=length
    )


async def file_out(
    opened: AbstractAsyncContextManager[Path], content_type: str, name: str, seconds: float = WRITE_SECONDS_MAX
) -> Stream:
    """A whole file of ours as a download; broken off when no chunk is taken for `seconds`. The file is kept until it is sent."""
    async with contextlib.AsyncExitStack() as stack:
        path = await stack.enter_async_context(opened)
        file = stack.enter_context(await asyncio.to_thread(path.open, "rb"))
        kept = stack.pop_all()

    async def chunks() -> AsyncIterator[bytes]:
        while chunk := await asyncio.to_thread(file.read, FILE_CHUNK_BYTES):
            yield chunk

    return Stream(
        chunks(),
        content_type=content_type,
        headers={**NOSNIFF, "Content-Disposition": f'attachment; filename="{name}"'},
        length=os.fstat(file.fileno()).st_size,
        chunk_seconds_max=seconds,
        release=kept.aclose,
    )
