"""HTTP to one gate: deadlines, size limits, and errors that say what is known. Redirects are never followed."""

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from typing import Any

import aiohttp
from yarl import URL

from operations.errors import SatboxError
from satbox.client.answers import HttpResponse, error_of
from satbox.client.settings import Timeouts

ANSWER_BYTES_MAX = 64 << 20
LINE_BYTES_MAX = 16 << 20


class Lost(SatboxError):  # noqa: N818 - reads as what happened
    """No whole answer came. `was_sent` is False when no connection was made, so that nothing can have happened."""

    def __init__(self, gate: URL, reason: str, *, was_sent: bool) -> None:
        super().__init__("unreachable", details={"gate": str(gate), "reason": reason[:200]})
        self.was_sent = was_sent


class HttpTransport:
    """Requests to one gate. The session is made when first used, in the loop that uses it."""

    def __init__(self, gate: URL, timeouts: Timeouts) -> None:
        self.gate = gate
        self._timeouts = timeouts
        self._session: aiohttp.ClientSession | None = None

    async def session(self) -> aiohttp.ClientSession:
        """The session, opened when needed."""
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(read_bufsize=1 << 18)
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _url(self, path: str, query: Mapping[str, str]) -> URL:
        base = str(self.gate).rstrip("/")
        return URL(f"{base}{path}", encoded=True).with_query(query)

    @contextlib.asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        json: Any = None,
        data: bytes | AsyncIterable[bytes] | None = None,
        total_seconds: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A response whose body is still to be read. Without `total_seconds` only silence ends it. Raises Lost."""
        timeout = aiohttp.ClientTimeout(
            total=total_seconds,
            connect=self._timeouts.connect_seconds,
            sock_read=self._timeouts.silence_seconds if total_seconds is None else None,
        )
        session = await self.session()
        try:
            async with session.request(
                method,
                self._url(path, query),
                headers=headers,
                json=json,
                data=data,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                yield response
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Lost(self.gate, str(error), was_sent=False) from error
        except TimeoutError as error:
            raise Lost(self.gate, "no answer in time", was_sent=True) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Lost(self.gate, f"{type(error).__name__}: {error}", was_sent=True) from error

    async def websocket(
        self, path: str, *, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> aiohttp.ClientWebSocketResponse:
        """An open websocket. Raises the gate's refusal (asked for again without the upgrade, to read it), or Lost."""
        session = await self.session()
        try:
            return await session.ws_connect(
                self._url(path, query), headers=headers, max_msg_size=LINE_BYTES_MAX, heartbeat=30.0, compress=0
            )
        except aiohttp.WSServerHandshakeError as error:
            async with self.open("GET", path, query=query, headers=headers, total_seconds=30.0) as response:
                await refuse_errors(response)
            raise Lost(self.gate, f"no websocket: {error.status}", was_sent=True) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Lost(self.gate, str(error), was_sent=False) from error

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        json: Any = None,
        data: bytes | AsyncIterable[bytes] | None = None,
        total_seconds: float | None = None,
    ) -> HttpResponse:
        """One request and its whole answer. Raises Lost."""
        seconds = total_seconds or self._timeouts.answer_seconds
        opened = self.open(method, path, query=query, headers=headers, json=json, data=data, total_seconds=seconds)
        async with opened as response:
            return await read_answer(response)


async def read_answer(response: aiohttp.ClientResponse) -> HttpResponse:
    """The whole answer. Raises internal when it is larger than any answer may be."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(1 << 18):
        body += chunk
        if len(body) > ANSWER_BYTES_MAX:
            raise SatboxError("internal", f"The answer is over {ANSWER_BYTES_MAX} bytes.", hint="Stream it instead.")
    return HttpResponse(response.status, response.headers, bytes(body))


async def refuse_errors(response: aiohttp.ClientResponse) -> None:
    """Raise what the gate answered, when that is an error."""
    if not 200 <= response.status < 300:
        raise error_of(await read_answer(response))


async def lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The body by lines, without their ends; a line over the limit is an error, not memory."""
    rest = bytearray()
    async for chunk in response.content.iter_any():
        rest += chunk
        *whole, last = rest.split(b"\n")
        for line in whole:
            yield bytes(line).removesuffix(b"\r")
        rest = last
        if len(rest) > LINE_BYTES_MAX:
            raise SatboxError("internal", "The stream holds a line that is too long.")
        await asyncio.sleep(0)
