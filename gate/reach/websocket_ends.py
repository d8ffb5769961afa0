"""How a websocket's end on one side is passed on to the other: as it was said, or as what it was, never as a normal one."""

from aiohttp import WebSocketError, WSCloseCode, WSMessage, WSMsgType

MESSAGE_BYTES_MAX = 1 << 20
"""Of one message, which is held as a whole."""
READER_BYTES_MAX = MESSAGE_BYTES_MAX + 1
"""What aiohttp is given: it refuses a message of exactly its limit."""
REASON_BYTES_MAX = 123
"""RFC 6455, 5.5: a control frame has up to 125 bytes, two of which are the code."""
_NO_STATUS = 1005


def end_of(message: WSMessage) -> tuple[int, bytes]:
    """(code, reason) for the other side. A message over the limit is 1009, an end without a closing handshake 1011."""
    if message.type is WSMsgType.CLOSE:
        code = message.data if isinstance(message.data, int) else 0
        if code in (0, _NO_STATUS):
            return WSCloseCode.OK, b""
        return code, str(message.extra or "").encode()[:REASON_BYTES_MAX]
    if message.type is WSMsgType.ERROR and isinstance(message.data, WebSocketError):
        if message.data.code == WSCloseCode.MESSAGE_TOO_BIG:
            return WSCloseCode.MESSAGE_TOO_BIG, f"a message over {MESSAGE_BYTES_MAX} bytes was not passed on".encode()
        return WSCloseCode.INTERNAL_ERROR, b"the other side broke the protocol"
    return WSCloseCode.INTERNAL_ERROR, b"the other side ended without a closing handshake"
