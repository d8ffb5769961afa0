"""A connection to a server inside whose bytes pass through the supervisor, for a sandbox that can't pass sockets out.

The request's own connection becomes the tunnel: one frame says that the server was reached, everything after it is the
server's and the client's. A side that does not read stops the other; the end of one direction leaves the other open.
"""

from __future__ import annotations

import _socket

from . import frames
from .loop import Loop
from .ports import Connecting

BUFFER_BYTES_MAX = 1 << 16
RELAYS_MAX = 128


class Side:
    """One end: what still has to be written to it, and what is known of its ends."""

    def __init__(self, peer: _socket.socket) -> None:
        self.socket = peer
        self.unsent = bytearray()
        self.has_read_all = False
        self.is_shut = False


class Relay:
    """Carries bytes between two sockets until both directions have ended, or one breaks."""

    running = 0

    def __init__(self, loop: Loop, connection: _socket.socket, server: _socket.socket) -> None:
        Relay.running += 1
        self.loop = loop
        self._sides = (Side(connection), Side(server))
        for side, other in (self._sides, self._sides[::-1]):
            side.socket.setblocking(False)
            loop.watch(side.socket.fileno(), 0, lambda _events, side=side, other=other: self._on_ready(side, other))  # type: ignore[misc]
        self._sides[0].unsent += frames.pack(frames.RESULT)
        self._listen()

    def _on_ready(self, side: Side, other: Side) -> None:
        try:
            self._write(side)
            self._read(side, other)
            self._write(other)
        except OSError:
            self._close()
            return
        self._listen()

    def _read(self, side: Side, other: Side) -> None:
        """From one side into what the other is to be sent."""
        if side.has_read_all or len(other.unsent) >= BUFFER_BYTES_MAX:
            return
        try:
            data = side.socket.recv(BUFFER_BYTES_MAX)
        except BlockingIOError:
            return
        if data:
            other.unsent += data
        else:
            side.has_read_all = True

    def _write(self, side: Side) -> None:
        if side.unsent:
            try:
                del side.unsent[: side.socket.send(side.unsent)]
            except BlockingIOError:
                return

    def _listen(self) -> None:
        """Wait for the sides that can read or write. Pass on an end of input once all bytes before it are written."""
        near, far = self._sides
        try:
            for side, other in ((near, far), (far, near)):
                if other.has_read_all and not side.unsent and not side.is_shut:
                    side.is_shut = True
                    side.socket.shutdown(_socket.SHUT_WR)
        except OSError:
            self._close()
            return
        if near.is_shut and far.is_shut:
            self._close()
            return
        for side, other in ((near, far), (far, near)):
            wants = self.loop.WRITE if side.unsent else 0
            if not side.has_read_all and len(other.unsent) < BUFFER_BYTES_MAX:
                wants |= self.loop.READ
            self.loop.change(side.socket.fileno(), wants)

    def _close(self) -> None:
        for side in self._sides:
            if side.socket.fileno() >= 0:
                self.loop.forget(side.socket.fileno())
                side.socket.close()
        Relay.running -= 1


class Relayed(Connecting):
    """As `Connecting`, but the answer is the connection itself, not a socket."""

    def _done(self) -> None:
        assert self._socket is not None
        self.loop.children.pop(self._key, None)
        Relay(self.loop, self.connection, self._socket)
