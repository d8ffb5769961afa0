"""Websockets between a caller and a server inside: the handshake, which the server may refuse, and what passes afterwards."""

import time

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse, WSMsgType, web
from multidict import CIMultiDict
from yarl import URL

from gate.identity.tenures import Tenure
from gate.proxy.connector import PortConnector, Unreachable
from gate.reach.websocket_ends import READER_BYTES_MAX, end_of
from gate.reach.websocket_messages import MessageRelay, Socket, end_overloaded
from gate.reach.websocket_pair import run_pair
from gate.wire.byte_budget import ByteBudget
from gate.wire.slow_lane import BUFFER_BYTES
from operations.errors import SatboxError

IDLE_SECONDS_MAX = 300.0
HANDSHAKE_SECONDS_MAX = 300.0
REFUSAL_BYTES_MAX = 65_536
"""Limit of the body when the answer is not a protocol switch. A larger one raises bad_gateway."""
Inner = aiohttp.ClientWebSocketResponse[bool]


class HandshakeRefusedError(Exception):
    """The server inside has answered, and not by switching protocols."""

    def __init__(self, answer: ClientResponse, body: bytes) -> None:
        super().__init__(answer.status)
        self.answer = answer
        self.body = body


def handshakes(connector: PortConnector) -> aiohttp.ClientSession:
    """A session for handshakes alone."""
    return aiohttp.ClientSession(
        connector=connector, connector_owner=False, auto_decompress=False, read_bufsize=BUFFER_BYTES,
        cookie_jar=aiohttp.DummyCookieJar(), skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        middlewares=(_unless_refused,), timeout=aiohttp.ClientTimeout(total=HANDSHAKE_SECONDS_MAX),
    )  # fmt: skip


async def _unless_refused(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Pass on an answer that is not a switch. aiohttp alone would not read its body, and would follow its redirects anywhere."""
    answer = await handler(request)
    if answer.status == 101:
        return answer
    async with answer:
        body = bytearray()
        async for piece in answer.content.iter_any():
            body += piece
            if len(body) > REFUSAL_BYTES_MAX:
                answer.close()
                details = {"reason": "a refused handshake with too long a body", "limit_bytes": REFUSAL_BYTES_MAX}
                raise SatboxError("bad_gateway", details=details)
        raise HandshakeRefusedError(answer, bytes(body))


async def opened(session: aiohttp.ClientSession, url: URL, headers: CIMultiDict[str]) -> Inner:
    """The socket to the server inside. Raises HandshakeRefusedError, port_closed, gateway_timeout and the like."""
    offered = headers.getall("Sec-WebSocket-Protocol", ())
    protocols = [word.strip() for words in offered for word in words.split(",") if word.strip()]
    for name in list(headers):
        if name.lower().startswith("sec-websocket-"):
            del headers[name]
    try:
        return await session.ws_connect(
            url, headers=headers, protocols=protocols, max_msg_size=READER_BYTES_MAX, autoping=False, autoclose=False,
            decode_text=False,
        )  # fmt: skip
    except Unreachable as error:
        raise error.cause from error
    except aiohttp.WSServerHandshakeError as error:  # an invalid switch
        raise SatboxError("bad_gateway", details={"status": error.status}) from error
    except TimeoutError as error:
        raise SatboxError("gateway_timeout") from error
    except (aiohttp.ClientError, OSError) as error:
        raise SatboxError("bad_gateway", details={"reason": type(error).__name__}) from error


def answering(inner: Inner) -> web.WebSocketResponse[bool]:
    """The caller's side of a socket."""
    return web.WebSocketResponse(
        max_msg_size=READER_BYTES_MAX, protocols=[inner.protocol] if inner.protocol else [], autoping=False,
        autoclose=False, compress=False, decode_text=False,
    )  # fmt: skip


async def passed(outer: Socket, inner: Socket, tenure: Tenure, budget: ByteBudget, address: str) -> None:
    """Messages, pings and the closing code, until one side ends, both are silent for too long, or the request is over."""
    idle, relay = _Idle(), MessageRelay(budget, address)

    async def pump(source: Socket, target: Socket) -> None:
        await _pump(source, target, idle, relay)

    await run_pair(outer, inner, tenure, pump)


class _Idle:
    """Since when neither side has said anything."""

    def __init__(self) -> None:
        self.heard()

    def heard(self) -> None:
        self._at = time.monotonic()

    def is_over(self) -> bool:
        return time.monotonic() - self._at >= IDLE_SECONDS_MAX - 1


async def _pump(source: Socket, target: Socket, idle: _Idle, relay: MessageRelay) -> None:
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
        await relay.make_way()
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            try:
                await relay.send(message, target)
            except SatboxError as error:
                await end_overloaded(error, source, target)
                return
        elif message.type is WSMsgType.PING:
            await target.ping(message.data)
        elif message.type is WSMsgType.PONG:
            await target.pong(message.data)
        else:
            code, reason = end_of(message)
            await target.close(code=code, message=reason)
            return
