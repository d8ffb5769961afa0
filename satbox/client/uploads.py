"""What can be uploaded, as pieces."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path

from satbox.client.calls import Upload

PIECE_BYTES = 1 << 18


def is_repeatable(data: Upload | None) -> bool:
    """Whether the same upload can be sent a second time."""
    return data is None or isinstance(data, bytes | Path)


def pieces(data: Upload) -> bytes | AsyncIterable[bytes]:
    """The upload in a form the HTTP client takes."""
    return _file(data) if isinstance(data, Path) else data


async def _file(path: Path) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
            yield piece
    finally:
        file.close()
