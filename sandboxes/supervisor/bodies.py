"""File bodies as DATA frames, up to END."""

from __future__ import annotations

import _socket
import os

from . import frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK_BYTES = 1 << 18


class BodyTooLargeError(Exception):
    """The body is larger than its limit."""


def send_body(connection: _socket.socket, fd: int, left: int) -> None:
    """Send `left` bytes of a file from where it stands. Raises OSError when it shrinks meanwhile."""
    while left:
        size = min(left, frames.FRAME_BYTES_MAX)
        connection.sendall(size.to_bytes(4, "big") + bytes((frames.DATA,)))
        sent = 0
        while sent < size:
            step = os.sendfile(connection.fileno(), fd, None, size - sent)
            if step == 0:
                raise OSError("the file shrank")
            sent += step
        left -= size
    connection.sendall(frames.pack(frames.END))


def send_data(connection: _socket.socket, data: bytes) -> None:
    """Send bytes as DATA frames."""
    for at in range(0, len(data), frames.FRAME_BYTES_MAX):
        connection.sendall(frames.pack(frames.DATA, data[at : at + frames.FRAME_BYTES_MAX]))


def body(connection: _socket.socket, limit_bytes: int) -> Iterator[bytes]:
    """The DATA frames up to END, in pieces."""
    total = 0
    while True:
        header = exactly(connection, frames.HEADER_BYTES)
        left = frames.payload_bytes(header)
        if header[4] == frames.END:
            return
        if header[4] != frames.DATA:
            raise frames.FrameError("not a body frame")
        total += left
        if total > limit_bytes:
            raise BodyTooLargeError(f"more than {limit_bytes} bytes")
        while left:
            data = connection.recv(min(left, CHUNK_BYTES))
            if not data:
                raise frames.FrameError("body cut short")
            left -= len(data)
            yield data


def exactly(connection: _socket.socket, size: int) -> bytes:
    """The next `size` bytes. Raises FrameError when the connection ends before."""
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise frames.FrameError("body cut short")
        data += more
    return data
