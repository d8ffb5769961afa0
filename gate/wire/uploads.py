"""The body of an HTTP request as an upload, within limits."""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType

from aiohttp import web

from gate.settings import GateSettings
from gate.wire.content_encoding import Inflater
from operations.errors import SatboxError


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
