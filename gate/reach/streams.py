"""Bytes and events between a caller and the node: as they come, within limits, never a broken end told as a good one."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from aiohttp import web

from gate.identity.tenures import begin
from gate.settings import GateSettings
from gate.wire.answers import REQUEST_ID
from gate.wire.content_encoding import Inflater
from operations.errors import SatboxError
from sandboxes.protocol import NodeUnavailable, RuntimeGone

FILE_CHUNK_BYTES = 1 << 18
WRITE_SECONDS_MAX = 60.0
"""Whoever takes no chunk of a file for so long is not reading it."""


def _headers(request: web.Request, extra: Mapping[str, str]) -> dict[str, str]:
    return {"x-request-id": request[REQUEST_ID], **extra}


async def event_stream(request: web.Request, events: AsyncIterator[dict[str, Any]]) -> web.StreamResponse:
    """Server-sent events; a stream without its last event, or with `error`, was broken off."""
    first = await anext(events)  # a refusal is still an ordinary error
    extra = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    response = web.StreamResponse(headers=_headers(request, extra))
    await response.prepare(request)
    begin(request)
    try:
        await response.write(_sse(first))
        async for event in events:
            await response.write(_sse(event))
    except (NodeUnavailable, RuntimeGone) as error:
        await response.write(_sse({"event": "error", "code": "node_unavailable", "message": error.message}))
    return response


def _sse(event: dict[str, Any]) -> bytes:
    return f"event: {event['event']}\ndata: {json.dumps(event)}\n\n".encode()


async def bytes_out(
    request: web.Request,
    first: bytes,
    chunks: AsyncIterator[bytes],
    length: int | None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> web.StreamResponse:
    """Raw bytes; when they break off, so does the connection, before its announced or chunked end."""
    extra = {"Content-Type": "application/octet-stream", "X-Content-Type-Options": "nosniff", **(headers or {})}
    response = web.StreamResponse(status=status, headers=_headers(request, extra))
    response.content_length = length
    await response.prepare(request)
    begin(request)
    try:
        await response.write(first)
        async for chunk in chunks:
            await response.write(chunk)
    except (NodeUnavailable, RuntimeGone):
        if request.transport is not None:
            request.transport.close()
    return response


async def file_out(
    request: web.Request, path: Path, content_type: str, name: str, seconds: float = WRITE_SECONDS_MAX
) -> web.StreamResponse:
    """A whole file of ours as a download; broken off when no chunk is taken for `seconds`."""
    extra = {"Content-Type": content_type, "Content-Disposition": f'attachment; filename="{name}"'}
    response = web.StreamResponse(headers=_headers(request, {"X-Content-Type-Options": "nosniff", **extra}))
    with path.open("rb") as file:
        response.content_length = os.fstat(file.fileno()).st_size
        await response.prepare(request)
        begin(request)
        try:
            while chunk := await asyncio.to_thread(file.read, FILE_CHUNK_BYTES):
                async with asyncio.timeout(seconds):
                    await response.write(chunk)
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
    return response


class Body:
    """An upload on its way in. Why it was refused wins over what the node says of a sending that broke off."""

    def __init__(self, request: web.Request, settings: GateSettings, *, is_as_it_came: bool = False) -> None:
        """`is_as_it_came`: whatever its Content-Encoding says."""
        self._request = request
        self._encoding = "" if is_as_it_came else request.headers.get("Content-Encoding", "")
        self._limit_bytes = settings.upload_bytes_max
        self._silence_seconds = settings.body_seconds_max
        self._refused: SatboxError | None = None

    async def __aenter__(self) -> "Body":
        if self._request.content_length is not None and self._request.content_length > self._limit_bytes:
            raise self._too_large()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, SatboxError) and self._refused is not None:
            raise self._refused from error

    def _too_large(self) -> SatboxError:
        return SatboxError("body_too_large", details={"limit_bytes": self._limit_bytes})

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes."""
        received = 0
        try:
            inflater = Inflater(self._encoding)
            while chunk := await self._piece():
                for piece in inflater.feed(chunk):
                    received += len(piece)
                    if received > self._limit_bytes:
                        raise self._too_large()
                    yield piece
            inflater.end()
        except SatboxError as error:
            self._refused = error
            raise

    async def _piece(self) -> bytes:
        """A caller that stops sending holds a connection only so long."""
        try:
            async with asyncio.timeout(self._silence_seconds):
                return await self._request.content.readany()
        except TimeoutError as error:
            raise SatboxError("invalid_request", "The upload stopped.") from error
        except web.RequestPayloadError as error:
            raise SatboxError("invalid_request", "The upload cannot be decoded.") from error
