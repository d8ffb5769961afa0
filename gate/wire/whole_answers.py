"""Answers that are there as a whole. A large one leaves in slices, at the pace of its reader, while its request still holds its
place and its memory: were both given back first, one caller who does not read could have any number of answers kept for it.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping

from aiohttp import web

SMALL_BYTES = 65_536
"""What a connection's buffer takes at once: smaller ones leave without a wait."""
SLICE_BYTES = 1 << 18
SECONDS_LEAST = 60.0
BYTES_PER_SECOND_LEAST = 65_536
"""Who reads more slowly than that is cut off, a minute later."""


def seconds_for(size: int) -> float:
    """How long an answer of so many bytes may take to leave."""
    return SECONDS_LEAST + size / BYTES_PER_SECOND_LEAST


async def send(
    request: web.Request, pieces: Iterable[bytes], size: int, headers: Mapping[str, str], *, status: int = 200
) -> web.StreamResponse:
    """An answer in pieces, of about `size` bytes. It ends before its end when its reader is too slow."""
    response = web.StreamResponse(status=status, headers=headers)
    try:
        async with asyncio.timeout(seconds_for(size)):
            await response.prepare(request)
            for piece in pieces:
                await response.write(piece)
            await response.write_eof()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
    return response


async def send_json(
    request: web.Request, body: bytes, headers: Mapping[str, str], *, status: int = 200
) -> web.StreamResponse:
    """A JSON document as an answer."""
    kind = {"Content-Type": "application/json"}
    if len(body) <= SMALL_BYTES or request.method == "HEAD":
        return web.Response(body=body, status=status, headers={**headers, **kind})
    return await send(
        request, _sliced(body), len(body), {**headers, **kind, "Content-Length": str(len(body))}, status=status
    )


def _sliced(body: bytes) -> Iterator[bytes]:
    for at in range(0, len(body), SLICE_BYTES):
        yield body[at : at + SLICE_BYTES]
