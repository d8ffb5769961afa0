"""TCP ports inside: which are listened on, and descriptors of sockets in the sandbox's own network namespace.

A socket belongs to the namespace it was made in, wherever its descriptor travels: the node talks to a server inside, or
accepts its clients, with no byte passing through the supervisor.
"""

from __future__ import annotations

import _socket
import errno
import os
import time

from . import frames
from .loop import Loop

BACKLOG = 256
_LISTENING = "0A"
_TABLES = (("/proc/net/tcp", 8), ("/proc/net/tcp6", 32))
_PEERS = ((_socket.AF_INET, "127.0.0.1"), (_socket.AF_INET6, "::1"))


def listening() -> list[int]:
    """Ports somebody listens on, each once, ascending."""
    found = set()
    for path, digits in _TABLES:
        try:
            with open(path) as table:
                for line in table.read(1 << 20).splitlines()[1:]:
                    words = line.split()
                    if words[3] == _LISTENING and words[1][digits] == ":":
                        found.add(int(words[1][digits + 1 :], 16))
        except OSError:
            continue  # a kernel without IPv6
    return sorted(found)


def listen(port: int) -> _socket.socket:
    """A listening socket on the sandbox's loopback. Raises OSError when the port is taken."""
    server = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    try:
        server.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen(BACKLOG)
    except OSError:
        server.close()
        raise
    return server


def pass_on(connection: _socket.socket, passed: _socket.socket) -> None:
    """Answer a request with a socket and hang up; the socket is the node's from here on."""
    rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, passed.fileno().to_bytes(4, "little"))
    try:
        connection.sendmsg([frames.pack(frames.RESULT)], [rights])
    except OSError:
        return  # nobody listens any more
    finally:
        passed.close()
        connection.close()


class Connecting:
    """A connection on its way to a server inside, by IPv4 and then IPv6. A child of the loop in name only, like
    `main.Termination`: for its deadline.
    """

    def __init__(self, loop: Loop, connection: _socket.socket, port: int, timeout_ms: int) -> None:
        self.loop = loop
        self.connection = connection
        self.port = port
        self.deadline = time.monotonic() + timeout_ms / 1000
        self._key = -id(self)
        self._left = list(_PEERS)
        self._socket: _socket.socket | None = None
        self._error = errno.ECONNREFUSED
        loop.children[self._key] = self
        self._next()

    def _next(self) -> None:
        while self._left:
            family, host = self._left.pop(0)
            try:
                self._socket = peer = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK)
            except OSError as error:
                self._error = error.errno or errno.EIO
                continue
            code = peer.connect_ex((host, self.port))
            if code == 0:
                self._done()
                return
            if code == errno.EINPROGRESS:
                self.loop.watch(peer.fileno(), self.loop.WRITE, self._on_ready)
                return
            self._failed(code)
        self._refuse(self._error)

    def _on_ready(self, _events: int) -> None:
        assert self._socket is not None
        self.loop.forget(self._socket.fileno())
        code = self._socket.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        if code == 0:
            self._done()
        else:
            self._failed(code)
            self._next()

    def _failed(self, code: int) -> None:
        assert self._socket is not None
        self._error = code
        self._socket.close()
        self._socket = None

    def _done(self) -> None:
        assert self._socket is not None
        self.loop.children.pop(self._key, None)
        pass_on(self.connection, self._socket)

    def expire(self) -> None:
        """The server inside does not answer."""
        if self._socket is not None:
            self.loop.forget(self._socket.fileno())
            self._socket.close()
        self._refuse(errno.ETIMEDOUT)

    def on_exit(self, status: int, usage: object) -> None:
        """Never called: no process stands behind this entry."""

    def _refuse(self, code: int) -> None:
        self.loop.children.pop(self._key, None)
        fields: frames.Fields = [("code", b"port_closed"), ("message", os.strerror(code).encode())]
        try:
            self.connection.send(frames.pack(frames.ERROR, frames.pack_fields(fields)))
        except OSError:
            return
        finally:
            self.connection.close()
