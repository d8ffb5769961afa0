"""One request to a server inside and its answer back: bytes as they come, headers that are ours never from outside."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import aiohttp
from aiohttp import WSMsgType, web
from multidict import CIMultiDict
from yarl import URL

from gate.calls.matching import OVERRIDES
from gate.port_tokens import TOKEN_HEADER
from gate.proxy.connector import Unreachable, inner_url
from gate.routing import error_response
from gate.settings import GateSettings
from operations.errors import SatboxError

MESSAGE_BYTES_MAX = 1 << 20
SEND_SECONDS_MAX = 60.0
IDLE_SECONDS_MAX = 300.0
FIRST_BYTE_SECONDS_MAX = 1.0
ANSWER_SECONDS_MAX = 300.0
Settle = Callable[[int], Awaitable[Mapping[str, str]]]
"""Takes the status of an answer that is there; returns headers for the caller."""

HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
     "transfer-encoding", "upgrade")
)  # fmt: skip
"""RFC 9110, 7.6.1: meant for the next hop only."""
GATES = ("payment-", "x-payment", "x-satbox-", "access-control-")
NOT_THEIRS = frozenset(
    (
        "x-request-id",
        "clear-site-data",
        "strict-transport-security",
        "service-worker-allowed",
        "alt-svc",
        "nel",
        "report-to",
        "reporting-endpoints",
        "accept-ch",
        "use-as-dictionary",
    )
)
"""What would speak for the gate, or for its whole origin: a payment asked for in its name, cookies and rules for others."""
ISOLATED = "sandbox allow-scripts allow-forms allow-modals allow-popups"
"""A page from a sandbox has an origin of its own in a browser, whatever it says."""
OURS = frozenset(("payment-signature", "x-payment", "x-payment-token-type", TOKEN_HEADER.lower(), "x-request-id"))
"""Words between a caller and the gate."""


def inward(
    request: web.Request, address: str, *, keeps_authorization: bool, payer: str | None = None
) -> CIMultiDict[str]:
    """The caller's headers as the server inside sees them. `X-Satbox-*` and `X-Forwarded-*` are set here, never passed on."""
    dropped = {word.strip().lower() for word in request.headers.get("Connection", "").split(",")}
    headers: CIMultiDict[str] = CIMultiDict()
    for name, value in request.headers.items():
        lower = name.lower().replace("_", "-")  # CGI, WSGI and their like take both for one
        is_spoken_for = lower in HOP_BY_HOP or lower in OURS or lower in dropped or lower in ("host", "forwarded")
        if is_spoken_for or lower.startswith(("x-forwarded-", "x-satbox-")):
            continue
        if (lower == "authorization" and not keeps_authorization) or lower in OVERRIDES:
            continue
        headers.add(name, value)
    headers["Host"] = request.headers.get("Host", "")
    headers["X-Forwarded-For"] = request.remote or ""
    headers["X-Forwarded-Proto"] = request.scheme
    headers["X-Forwarded-Host"] = request.headers.get("Host", "")
    headers["X-Forwarded-Prefix"] = prefix_of(request)
    headers["X-Satbox-Address"] = address
    if payer is not None:
        headers["X-Satbox-Payer"] = payer
    return headers


def outward(response: aiohttp.ClientResponse, request_id: str, prefix: str) -> CIMultiDict[str]:
    """The server's headers as the caller sees them."""
    dropped = {word.strip().lower() for word in response.headers.get("Connection", "").split(",")}
    headers: CIMultiDict[str] = CIMultiDict()
    for name, value in response.headers.items():
        lower = name.lower()
        if lower in HOP_BY_HOP or lower in dropped or lower in NOT_THEIRS or lower.startswith(GATES):
            continue
        if lower == "set-cookie":
            value = narrowed(value, prefix)
        headers.add(name, value)
    headers["x-request-id"] = request_id
    headers["X-Satbox-Origin"] = "sandbox"
    headers.add("Content-Security-Policy", ISOLATED)
    return headers


def narrowed(cookie: str, prefix: str) -> str:
    """A cookie for this port's paths only: no domain, no other path."""
    kept = [part for part in cookie.split(";") if part.strip().partition("=")[0].lower() not in ("domain", "path")]
    return ";".join([*kept, f" Path={prefix}"])


def prefix_of(request: web.Request) -> str:
    """The part of the path that names wallet and port."""
    return f"/sandbox/proxy/{request.match_info['address']}/{request.match_info['port']}"


async def _body(request: web.Request, settings: GateSettings) -> AsyncIterator[bytes]:
    received = 0
    while chunk := await asyncio.wait_for(request.content.readany(), settings.body_seconds_max):
        received += len(chunk)
        if received > settings.upload_bytes_max:
            raise SatboxError("body_too_large", details={"limit_bytes": settings.upload_bytes_max})
        yield chunk


class Forwarder:
    """Passes requests on over one pool of connections."""

    def __init__(self, session: aiohttp.ClientSession, settings: GateSettings) -> None:
        self._session = session
        self._settings = settings

    async def forward(
        self,
        request: web.Request,
        runtime_id: str,
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
        url = inner_url(runtime_id, port, target)
        if url.raw_path_qs != target:
            raise SatboxError("path_ambiguous")  # what was priced is what must arrive
        # A handshake is a GET (RFC 6455, 4.1); it would be one inside, whatever was priced here.
        if request.method == "GET" and request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._websocket(request, url, headers, request_id, settle)
        data = _body(request, self._settings) if request.can_read_body else None
        timeout = aiohttp.ClientTimeout(total=None, sock_read=IDLE_SECONDS_MAX)
        try:
            # Who pays waits no longer than an order lasts, however slowly the head of the answer drips.
            async with asyncio.timeout(None if settle is None else ANSWER_SECONDS_MAX):
                answer = await self._session.request(
                    request.method, url, headers=headers, data=data, allow_redirects=False, timeout=timeout
                )
        except Unreachable as error:
            raise error.cause from error
        except TimeoutError as error:
            raise SatboxError("gateway_timeout") from error
        except (aiohttp.ClientError, OSError) as error:
            raise SatboxError("bad_gateway", details={"reason": type(error).__name__}) from error
        async with answer:
            if not 200 <= answer.status <= 599:
                answer.close()  # what comes behind it is no answer of this connection any more
                raise SatboxError("bad_gateway", details={"status": answer.status})
            told = outward(answer, request_id, prefix_of(request))
            if answer.content.is_eof() and request.method != "HEAD":
                return await _at_once(answer, told, settle)
            first = b""
            if settle is not None:
                first = await _first_bytes(answer)
                told.update(await settle(answer.status))
            response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=told)
            await response.prepare(request)
            try:
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
        for name in list(headers):
            if name.lower().startswith("sec-websocket-"):
                del headers[name]
        protocols = [
            word.strip() for word in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if word.strip()
        ]
        try:
            inner = await self._session.ws_connect(
                url,
                headers=headers,
                protocols=protocols,
                max_msg_size=MESSAGE_BYTES_MAX,
                autoping=False,
                autoclose=False,
            )
        except Unreachable as error:
            raise error.cause from error
        except aiohttp.WSServerHandshakeError as error:
            refused = SatboxError("bad_gateway", details={"status": error.status})
            if settle is None or not 200 <= error.status < 500:
                raise refused from error
            # The server has done what was asked, but for the upgrade, which was the caller's idea.
            answer = error_response(refused, request_id)
            answer.headers.update(await settle(error.status))
            return answer
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise SatboxError("bad_gateway", details={"reason": type(error).__name__}) from error
        chosen = [inner.protocol] if inner.protocol else []
        outer = web.WebSocketResponse(
            max_msg_size=MESSAGE_BYTES_MAX, protocols=chosen, autoping=False, autoclose=False, compress=False
        )
        try:
            if settle is not None:
                outer.headers.update(await settle(101))
            await outer.prepare(request)
        except BaseException:
            await inner.close()
            raise
        idle = _Idle()
        pumps = [asyncio.ensure_future(_pump(outer, inner, idle)), asyncio.ensure_future(_pump(inner, outer, idle))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            await inner.close()
            await outer.close()
        return outer


async def _at_once(answer: aiohttp.ClientResponse, told: CIMultiDict[str], settle: Settle | None) -> web.Response:
    """An answer that came whole with its head, as small ones do: it leaves as it came, in one piece."""
    body = answer.content.read_nowait()
    if settle is not None:
        told.update(await settle(answer.status))
    told.popall("Content-Length", None)
    return web.Response(status=answer.status, reason=answer.reason, headers=told, body=body)


async def _first_bytes(answer: aiohttp.ClientResponse) -> bytes:
    """The beginning of a body, or nothing when it has none or takes its time. Raises bad_gateway when it breaks off at once."""
    try:
        async with asyncio.timeout(FIRST_BYTE_SECONDS_MAX):
            return await answer.content.readany()
    except TimeoutError:
        return b""  # a stream that has begun and says nothing yet
    except aiohttp.ClientError as error:
        raise SatboxError("bad_gateway", details={"reason": type(error).__name__}) from error


Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


class _Idle:
    """Since when neither side has said anything."""

    def __init__(self) -> None:
        self.heard()

    def heard(self) -> None:
        self._at = time.monotonic()

    def is_over(self) -> bool:
        return time.monotonic() - self._at >= IDLE_SECONDS_MAX - 1


async def _pump(source: Socket, target: Socket, idle: _Idle) -> None:
    """Messages, pings and the closing code from one side to the other, until both have been silent for too long."""
    while True:
        try:
            message = await source.receive(IDLE_SECONDS_MAX)
        except TimeoutError:
            if not idle.is_over():
                continue
            await target.close(code=1001, message=b"idle")
            return
        idle.heard()
        if message.type is WSMsgType.TEXT:
            await asyncio.wait_for(target.send_str(message.data), SEND_SECONDS_MAX)
        elif message.type is WSMsgType.BINARY:
            await asyncio.wait_for(target.send_bytes(message.data), SEND_SECONDS_MAX)
        elif message.type is WSMsgType.PING:
            await target.ping(message.data)
        elif message.type is WSMsgType.PONG:
            await target.pong(message.data)
        else:
            code = message.data if message.type is WSMsgType.CLOSE and isinstance(message.data, int) else 1000
            reason = str(message.extra or "").encode()[:123] if message.type is WSMsgType.CLOSE else b""
            await target.close(code=code, message=reason)
            return
