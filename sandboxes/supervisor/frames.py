"""Frames between the node and a supervisor, or a child that works for one.

A frame is four bytes of length (big-endian, of the payload), one byte of kind, the payload. Field payloads are a flat
list of (name, value) pairs, each a two-byte length and a name, a four-byte length and bytes. Nothing nests, so a hostile
peer has nothing to build with. Both sides import this file; it imports nothing, because a supervisor's start is counted
in milliseconds.
"""

from __future__ import annotations

FRAME_BYTES_MAX = 1 << 20
FIELDS_MAX = 4096
HEADER_BYTES = 5

# node -> supervisor
REQUEST = ord("Q")
STDIN = ord("I")
STDIN_END = ord("C")
SIGNAL = ord("K")
RESIZE = ord("W")
KILL = ord("T")
# supervisor -> node
STARTED = ord("S")
STDOUT = ord("O")
STDERR = ord("E")
EXIT = ord("X")
RESULT = ord("R")
ERROR = ord("!")
# both ways: file bodies
DATA = ord("D")
END = ord("F")

Fields = list[tuple[str, bytes]]


class FrameError(Exception):
    """The peer sent something that is not a frame, or one over the limit."""


def pack(kind: int, payload: bytes = b"") -> bytes:
    """One frame as bytes."""
    if len(payload) > FRAME_BYTES_MAX:
        raise FrameError("frame over the limit")
    return len(payload).to_bytes(4, "big") + bytes((kind,)) + payload


def pack_fields(fields: Fields) -> bytes:
    """A field list as a payload."""
    parts: list[bytes] = []
    for name, value in fields:
        raw = name.encode()
        parts.append(len(raw).to_bytes(2, "big") + raw + len(value).to_bytes(4, "big"))
        parts.append(value)
    return b"".join(parts)


def unpack_fields(payload: bytes) -> Fields:
    """The field list in a payload. Raises FrameError for anything but an exact encoding."""
    fields: Fields = []
    at, end = 0, len(payload)
    while at < end:
        name_end = at + 2 + int.from_bytes(payload[at : at + 2], "big")
        value_at = name_end + 4
        if value_at > end or len(fields) >= FIELDS_MAX:
            raise FrameError("fields cut short or too many")
        value_end = value_at + int.from_bytes(payload[name_end:value_at], "big")
        if value_end > end:
            raise FrameError("field value cut short")
        try:
            name = payload[at + 2 : name_end].decode("ascii")
        except UnicodeDecodeError:
            raise FrameError("field name is not ascii") from None
        fields.append((name, payload[value_at:value_end]))
        at = value_end
    return fields


def payload_bytes(header: bytes | bytearray) -> int:
    """Length of the payload that follows a header. Raises FrameError over the limit."""
    size = int.from_bytes(header[:4], "big")
    if size > FRAME_BYTES_MAX:
        raise FrameError("frame over the limit")
    return size


class Decoder:
    """Cuts a byte stream into frames. Never holds more than one frame and one read."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The frames completed by `data`. Raises FrameError when one announces more than the limit."""
        buffer = self._buffer
        buffer += data
        frames: list[tuple[int, bytes]] = []
        at = 0
        while len(buffer) - at >= HEADER_BYTES:
            size = payload_bytes(buffer[at : at + 4])
            end = at + HEADER_BYTES + size
            if len(buffer) < end:
                break
            frames.append((buffer[at + 4], bytes(buffer[at + HEADER_BYTES : end])))
            at = end
        del buffer[:at]
        return frames
