"""Messages between two websockets: charged to a budget of bytes from when they are read until they are written."""

import asyncio
from typing import Any

import aiohttp
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from gate.wire.byte_budget import ByteBudget
from operations.errors import SatboxError

Socket = web.WebSocketResponse[Any] | aiohttp.ClientWebSocketResponse[Any]
UNCHARGED_BYTES = 16 << 10
COPIES = 2
"""The message, and its frame on its way into the socket."""
SEND_SECONDS_MAX = 60.0
MESSAGES_AT_ONCE = 16
"""In one turn of the event loop: a read of a socket may bring thousands of small ones, and nothing of passing them on waits."""


class MessageRelay:
    """Passes on the messages of one wallet's sockets. What a socket holds besides, in its reader, is at most two messages.
    Sockets are to be made with `decode_text=False`: decoded, one wide character makes a text four times as large.
    """

    def __init__(self, budget: ByteBudget, address: str) -> None:
        self._budget = budget
        self._owner = f"sockets of {address}"  # a reader that stalls takes nothing from the wallet's requests
        self._taken = 0

    async def make_way(self) -> None:
        """Called for each message: now and then others have their turn."""
        self._taken += 1
        if self._taken % MESSAGES_AT_ONCE == 0:
            await asyncio.sleep(0)

    async def send(self, message: WSMessage, target: Socket) -> None:
        """Write a text or binary message. Raises TimeoutError, and overloaded when the budget has no room for it in time."""
        data = message.data.encode() if isinstance(message.data, str) else message.data
        size = len(data)
        if size <= UNCHARGED_BYTES:
            await self._write(data, message.type, target)
            return
        with self._budget.lease(self._owner) as lease:
            await lease.need(COPIES * size)
            await self._write(data, message.type, target)

    async def _write(self, data: bytes, kind: WSMsgType, target: Socket) -> None:
        async with asyncio.timeout(SEND_SECONDS_MAX):  # who does not read holds up nobody for ever
            await target.send_frame(data, kind)


async def end_overloaded(error: SatboxError, source: Socket, target: Socket) -> None:
    """Close both sides of a message that there was no room for. First the one it came from: the reader of the other would
    pass its closing on as a broken connection.
    """
    for socket in (source, target):
        await socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=error.code.encode())
