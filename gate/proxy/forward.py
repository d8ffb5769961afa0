"""One request to a server inside and its answer back: bytes as they come, headers that are ours never from outside."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from actors.wallet.state import RuntimeRef
from gate.identity.tenures import TENURE, begin
from gate.parts.nodes import Nodes
from gate.proxy import raw_answers, websockets
from gate.proxy.connector import PortConnector, Unreachable, inner_url
from gate.proxy.entering import HEAD_WORDS
from gate.proxy.heads import ForwardedInfo, announced_length, check_reason, outward
from gate.settings import GateSettings
from gate.wire.answers import BUDGET
from gate.wire.departures import while_there
from gate.wire.paths import place_of
from gate.wire.slow_lane import BUFFER_BYTES
from gate.wire.uploads import Body
from operations.errors import SatboxError

SEND_SECONDS_MAX = 60.0
IDLE_SECONDS_MAX = 300.0
FIRST_BYTE_SECONDS_MAX = 1.0
ANSWER_SECONDS_MAX = 300.0
Settle = Callable[[int], Awaitable[Mapping[str, str]]]
"""Takes the status of an answer that is there; returns headers for the caller."""


def said_of(request: web.Request, payer: str | None = None) -> ForwardedInfo:
    """What the server inside learns of a request's caller."""
    host = request.headers.get("Host", "")
    return ForwardedInfo(place_of(request), host, request.remote or "", request.scheme, payer)


class Forwarder:
    """Passes requests on. Those without a body share a pool of connections. One with a body has a connection of its own,
    which is closed after it: many servers answer without reading a body, and would take its unread rest for a request
    of the next caller, payer's name and all.
    """

    def __init__(self, nodes: Nodes, settings: GateSettings) -> None:
        connector = PortConnector(nodes)
        self._pooled = _session(connector)
        self._single = _session(PortConnector(nodes, force_close=True))
        self._handshakes = websockets.handshakes(connector)
        self._settings = settings

    async def close(self) -> None:
        """Close every connection."""
        await self._handshakes.close()
        await self._pooled.close()
        await self._single.close()

    async def forward(
        self,
        request: web.Request,
        runtime: RuntimeRef,
        port: int,
        target: str,
        headers: CIMultiDict[str],
        request_id: str,
        settle: Settle | None = None,
    ) -> web.StreamResponse:
        """The answer of the server inside, streamed. Raises port_closed, gateway_timeout, and the like before it began;
        one that breaks off later closes the caller's connection before its end. `settle` is asked once it is certain that
        there is an answer, before the caller has a byte of it; the headers that it returns go along.
        """
        if settle is None:
            begin(request)  # a paid call is not cut before it is settled
        if request.method == "CONNECT" or request.method != request.method.upper():
            raise SatboxError("method_not_allowed")  # it would be forwarded as another method than the priced one
        url = inner_url(runtime, port, target)
        if url.raw_path_qs != target:
            raise SatboxError("path_ambiguous")  # what was priced is what must arrive
        has_body = request.can_read_body
        if request.content_length and not has_body:
            raise SatboxError("invalid_request", "The request announces a body that does not follow.")
        # A handshake is a GET (RFC 6455, 4.1); it would be one inside, whatever was priced here.
        if request.method == "GET" and request.headers.get("Upgrade", "").lower() == "websocket":
            if has_body:
                raise SatboxError("invalid_request", "A websocket handshake has no body.")
            if not web.WebSocketResponse().can_prepare(request):  # before anything is dialled, or paid
                raise SatboxError("invalid_request", "The websocket handshake is not complete.")
            return await self._websocket(request, url, headers, request_id, settle)
        async with Body(request, self._settings, is_as_it_came=True) as body:
            # A paid call continues without its caller: its seller may have done the work.
            async with while_there(request) if settle is None else contextlib.nullcontext():
                answer = await self._ask(request, url, headers, body, settle)
            return await self._passed_on(request, answer, request_id, settle)

    async def _ask(
        self, request: web.Request, url: URL, headers: CIMultiDict[str], body: Body, settle: Settle | None
    ) -> aiohttp.ClientResponse:
        has_body = request.can_read_body
        if request.content_length is not None:
            headers["Content-Length"] = str(request.content_length)
        session = self._single if has_body else self._pooled
        timeout = aiohttp.ClientTimeout(total=None, sock_read=IDLE_SECONDS_MAX)
        try:
            # Who pays waits no longer than an order lasts, however slowly the head of the answer drips.
            async with asyncio.timeout(None if settle is None else ANSWER_SECONDS_MAX):
                return await session.request(
                    request.method,
                    url,
                    headers=headers,
                    data=body.chunks() if has_body else None,
                    allow_redirects=False,
                    timeout=timeout,
                )
        except Unreachable as error:
            raise error.cause from error
        except TimeoutError as error:
            raise SatboxError("gateway_timeout") from error
        except (aiohttp.ClientError, OSError) as error:
            raise SatboxError("bad_gateway", details={"reason": type(error).__name__}) from error

    async def _passed_on(
        self, request: web.Request, answer: aiohttp.ClientResponse, request_id: str, settle: Settle | None
    ) -> web.StreamResponse:
        async with answer:
            told = _told(request, answer, request_id)
            length = announced_length(answer.headers)
            if answer.content.is_eof() and request.method != "HEAD":
                return await _whole(answer, answer.content.read_nowait(), told, settle)
            first = b""
            if settle is not None:
                first = await _first_bytes(answer)
                told.update(await settle(answer.status))
                begin(request)
            if length is not None:
                told["Content-Length"] = str(length)
            response = raw_answers.stream(status=answer.status, reason=answer.reason, headers=told)
            await response.prepare(request)
            try:
                async with while_there(request):
                    if first:
                        await response.write(first)
                    async for chunk in answer.content.iter_any():
                        async with asyncio.timeout(SEND_SECONDS_MAX):  # who does not read holds up nobody for ever
                            await response.write(chunk)
            except (aiohttp.ClientError, TimeoutError):
                if request.transport is not None:
                    request.transport.close()
            return response

    async def _websocket(
        self, request: web.Request, url: URL, headers: CIMultiDict[str], request_id: str, settle: Settle | None
    ) -> web.StreamResponse:
        try:
            inner = await websockets.opened(self._handshakes, url, headers)
        except websockets.HandshakeRefusedError as refused:
            # An answer like any other: the upgrade was the caller's idea.
            told = _told(request, refused.answer, request_id)
            return await _whole(refused.answer, refused.body, told, settle)
        outer = websockets.answering(inner)
        try:
            if settle is not None:
                outer.headers.update(await settle(101))
            await outer.prepare(request)
        except BaseException:
            await inner.close()
            raise
        await websockets.passed(outer, inner, request[TENURE], request.app[BUDGET], place_of(request).address)
        return outer


def _told(request: web.Request, answer: aiohttp.ClientResponse, request_id: str) -> CIMultiDict[str]:
    """The head of an answer as its caller sees it. Raises bad_gateway."""
    if not 200 <= answer.status <= 599:
        answer.close()  # bytes that follow it do not belong to an answer of this connection
        raise SatboxError("bad_gateway", details={"status": answer.status})
    check_reason(answer.reason or "")
    told = outward(
        answer.headers.items(), request_id, place_of(request), target=answer.url.raw_path_qs,
        outer_host=request.headers.get("Host", ""),
    )  # fmt: skip
    for name, value in request.get(HEAD_WORDS, {}).items():
        told.add(name, value)
    return told


def _session(connector: PortConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector, auto_decompress=False, read_bufsize=BUFFER_BYTES, cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    )  # fmt: skip


async def _whole(
    answer: aiohttp.ClientResponse, body: bytes, told: CIMultiDict[str], settle: Settle | None
) -> web.Response:
    """An answer that is there as a whole, as small ones are with their head: it leaves as it came, in one piece."""
    if settle is not None:
        told.update(await settle(answer.status))
    return raw_answers.whole(body, status=answer.status, reason=answer.reason, headers=told)


async def _first_bytes(answer: aiohttp.ClientResponse) -> bytes:
    """The beginning of a body, or nothing when it has none or takes its time. Raises bad_gateway when it breaks off at once."""
    try:
        async with asyncio.timeout(FIRST_BYTE_SECONDS_MAX):
            return await answer.content.readany()
    except TimeoutError:
        return b""  # a stream that has begun and says nothing yet
    except aiohttp.ClientError as error:
        raise SatboxError("bad_gateway", details={"reason": type(error).__name__}) from error
