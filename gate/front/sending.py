"""Outcomes of actions as HTTP answers."""

import asyncio
from functools import partial
from typing import Any

from aiohttp import WSMsgType, web
from pydantic import BaseModel

from gate.context import RequestContext
from gate.identity.callers import SOCKET_PROTOCOL
from gate.identity.tenures import TENURE, begin
from gate.reach.websocket_ends import READER_BYTES_MAX, end_of
from gate.reach.websocket_messages import MessageRelay, Socket, end_overloaded
from gate.reach.websocket_pair import run_pair
from gate.wire.answers import BUDGET, reply_response
from gate.wire.outcomes import Duplex, Outcome, Reply, Stream, Whole, close
from gate.wire.whole_answers import send as send_whole
from gate.wire.whole_answers import send_json
from operations.errors import SatboxError
from sandboxes.protocol import NodeUnavailable, RuntimeGone

HEARTBEAT_SECONDS = 30.0


async def send(request: web.Request, context: RequestContext, outcome: Outcome) -> web.StreamResponse:
    """Answer a request with what its action came to."""
    named = {"x-request-id": context.means.request_id}
    match outcome:
        case BaseModel():
            return await send_json(request, outcome.__pydantic_serializer__.to_json(outcome), named)
        case Reply():
            return reply_response(outcome, context.means.request_id)
        case Whole():
            headers = {**named, "Content-Type": "application/json", **outcome.headers}
            return await send_whole(request, outcome.pieces, outcome.size_bytes, headers)
        case Stream():
            return await send_stream(request, outcome, named)
        case Duplex():
            return await _join(request, outcome)


async def send_stream(request: web.Request, stream: Stream, named: dict[str, str]) -> web.StreamResponse:
    """Write a stream, and give back what it holds."""
    try:
        headers = {**named, "Content-Type": stream.content_type, **stream.headers}
        response = web.StreamResponse(status=stream.status, headers=headers)
        response.content_length = stream.length
        await response.prepare(request)
        begin(request)
        try:
            if stream.first:
                await response.write(stream.first)
            async for chunk in stream.chunks:
                async with asyncio.timeout(stream.chunk_seconds_max):
                    await response.write(chunk)
        except (NodeUnavailable, RuntimeGone) as error:
            if stream.on_break is None:
                _cut(request)
                return response
            await response.write(stream.on_break(error))
        except TimeoutError:
            if stream.chunk_seconds_max is None:
                raise
            _cut(request)
            return response
        if stream.finish is not None:
            await stream.finish()
        return response
    finally:
        try:
            await close(stream.chunks)
        finally:  # money may be held for it, however its chunks end
            if stream.release is not None:
                await stream.release()


def _cut(request: web.Request) -> None:
    """So that nobody takes what came for the whole."""
    if request.transport is not None:
        request.transport.abort()


async def _join(request: web.Request, duplex: Duplex) -> web.StreamResponse:
    """A websocket between the caller and what the action opens."""
    if request.headers.get("Upgrade", "").lower() != "websocket":
        raise SatboxError("invalid_request", "This is a websocket.", hint="Use satbox processes attach, or logs.")
    outer = web.WebSocketResponse(
        max_msg_size=READER_BYTES_MAX, heartbeat=HEARTBEAT_SECONDS, compress=False, protocols=(SOCKET_PROTOCOL,),
        decode_text=False,
    )  # fmt: skip
    if not outer.can_prepare(request):  # before there is anything that would have to be closed
        raise SatboxError("invalid_request", "The websocket handshake is not complete.")
    inner: Any = await duplex.connect()
    await outer.prepare(request)
    relay = MessageRelay(request.app[BUDGET], duplex.owner)
    await run_pair(outer, inner, request[TENURE], partial(_pump, relay))
    return outer


async def _pump(relay: MessageRelay, source: Socket, target: Socket) -> None:
    while True:
        message = await source.receive()
        await relay.make_way()
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            try:
                await relay.send(message, target)
            except SatboxError as error:
                await end_overloaded(error, source, target)
                return
        else:
            code, reason = end_of(message)
            await target.close(code=code, message=reason)
            return
