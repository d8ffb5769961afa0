"""pid 1 of a sandbox: takes connections from the node and serves one request on each.

The connections arrive as descriptors over one inherited socket pair. No socket of the supervisor has a name anywhere, so
there is nothing for a tenant to open, and nothing to sweep up after a crash.
"""

from __future__ import annotations

import _socket
import gc
import os
import sys
import time

from . import frames
from .commands import Command
from .execute import WORKSPACE, CommandRequest, RequestError
from .harden import harden
from .loop import Loop
from .tenant import TAG_COUNT, TAG_FIRST, processes, tagged

CONTROL_FD = 3
OPERATIONS_MAX = 256
REQUEST_WAIT_SECONDS = 5.0
SIGTERM, SIGKILL = 15, 9


class Supervisor:
    """Hands each connection to a command or to a file worker."""

    def __init__(self, control: _socket.socket) -> None:
        self.loop = Loop()
        self.control = control
        self._tag = 0
        self.loop.watch(control.fileno(), self.loop.READ, self._on_control)

    def run(self) -> None:
        """Serve until the node hangs up."""
        self.loop.run_once()  # asked for a listener, as a rule; then the node is busy for a moment, and so are we:
        import resource  # noqa: F401 - the usage of the first command needs it

        while True:
            self.loop.run_once()

    def _on_control(self, _events: int) -> None:
        try:
            message, ancillary, _flags, _address = self.control.recvmsg(1, _socket.CMSG_SPACE(4))
        except BlockingIOError:
            return
        if not message:
            os._exit(0)  # the node closed its end: as pid 1, leaving ends the sandbox
        for level, kind, data in ancillary:
            if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
                fd = int.from_bytes(data[:4], "little")
                os.set_inheritable(fd, False)
                Pending(self, _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, fd))

    def next_tag(self) -> int:
        """A tag no living process carries."""
        for _ in range(TAG_COUNT):
            tag = TAG_FIRST + self._tag % TAG_COUNT
            fresh = self._tag < TAG_COUNT
            self._tag += 1
            if fresh or not tagged(tag):
                return tag
        raise RequestError("too many commands have left processes behind")


class Pending:
    """A connection whose request has not arrived in full."""

    def __init__(self, supervisor: Supervisor, connection: _socket.socket) -> None:
        self.supervisor = supervisor
        self.connection = connection
        self.buffer = bytearray()
        self._is_watched = False
        connection.setblocking(False)
        self._on_data(0)  # as a rule all of it is there

    def _on_data(self, _events: int) -> None:
        try:
            # Exactly one frame is read: the bytes of a following body stay in the socket for the code that serves it.
            while len(self.buffer) < self._wanted():
                data = self.connection.recv(self._wanted() - len(self.buffer))
                if not data:
                    self._drop()
                    return
                self.buffer += data
        except BlockingIOError:
            if not self._is_watched:
                self._is_watched = True
                self.supervisor.loop.watch(self.connection.fileno(), self.supervisor.loop.READ, self._on_data)
            return
        except (OSError, frames.FrameError):
            self._drop()
            return
        self.supervisor.loop.forget(self.connection.fileno())
        self._serve(self.buffer[4], bytes(self.buffer[frames.HEADER_BYTES :]))

    def _wanted(self) -> int:
        if len(self.buffer) < frames.HEADER_BYTES:
            return frames.HEADER_BYTES
        return frames.HEADER_BYTES + frames.payload_bytes(self.buffer)

    def _drop(self) -> None:
        self.supervisor.loop.forget(self.connection.fileno())
        self.connection.close()

    def _serve(self, kind: int, payload: bytes) -> None:
        supervisor, connection = self.supervisor, self.connection
        try:
            if kind != frames.REQUEST:
                raise RequestError("not a request")
            if len(supervisor.loop.children) >= OPERATIONS_MAX:
                raise RequestError("too many commands at once")
            fields = frames.unpack_fields(payload)
            operation = dict(fields).get("op", b"")
            if operation == b"exec":
                command = Command(supervisor.loop, connection, CommandRequest(fields), supervisor.next_tag())
                supervisor.loop.children[command.pid] = command
            elif operation == b"terminate":
                Termination(supervisor.loop, connection, int(dict(fields).get("timeout_ms", b"0")))
            elif operation in (b"ports", b"connect", b"relay", b"listen"):
                self._serve_ports(operation, dict(fields))
            else:
                from . import files  # not needed for a start

                worker = files.Worker(connection, fields, supervisor.next_tag())
                supervisor.loop.children[worker.pid] = worker
        except (RequestError, frames.FrameError, ValueError, KeyError, OverflowError, OSError) as error:
            refuse(connection, error)

    def _serve_ports(self, operation: bytes, fields: dict[str, bytes]) -> None:
        from . import ports  # not needed for a start

        if operation == b"ports":
            found = ",".join(str(port) for port in ports.listening())
            reply(self.connection, frames.RESULT, [("ports", found.encode())])
        elif operation == b"connect":
            timeout_ms = int(fields["timeout_ms"])
            ports.Connecting(self.supervisor.loop, self.connection, int(fields["port"]), timeout_ms)
        elif operation == b"relay":
            from . import relay

            if relay.Relay.running >= relay.RELAYS_MAX:
                raise RequestError("too many connections at once")
            relay.Relayed(self.supervisor.loop, self.connection, int(fields["port"]), int(fields["timeout_ms"]))
        else:
            ports.pass_on(self.connection, ports.listen(int(fields["port"])))


class Termination:
    """SIGTERM to all the tenant has, then an answer once all are gone or the time is up. A child of the loop in name
    only: its number is negative, so that no process can have it.
    """

    def __init__(self, loop: Loop, connection: _socket.socket, timeout_ms: int) -> None:
        self.loop = loop
        self.connection = connection
        self.deadline = time.monotonic() + timeout_ms / 1000
        self._key = -id(self)
        loop.children[self._key] = self
        loop.on_reaped.append(self._look)
        if processes():
            os.kill(-1, SIGTERM)  # from pid 1: everyone here but itself
        self._look()

    def _look(self) -> None:
        if not processes():
            self._answer()

    def expire(self) -> None:
        """The politeness is over."""
        self._answer()

    def on_exit(self, status: int, usage: object) -> None:
        """Never called: no process stands behind this entry."""

    def _answer(self) -> None:
        if self.loop.children.pop(self._key, None) is None:
            return
        self.loop.on_reaped.remove(self._look)
        left = str(len(processes())).encode()
        reply(self.connection, frames.RESULT, [("left", left)])


def refuse(connection: _socket.socket, error: Exception) -> None:
    """Answer with an error and hang up."""
    reply(connection, frames.ERROR, [("code", b"request_refused"), ("message", str(error).encode()[:500])])


def reply(connection: _socket.socket, kind: int, fields: frames.Fields) -> None:
    """Answer with one small frame and hang up, whether or not anyone still listens."""
    try:
        connection.send(frames.pack(kind, frames.pack_fields(fields)))
    except OSError:
        return
    finally:
        connection.close()


def main() -> None:
    """Harden, say ready, serve."""
    harden(CONTROL_FD)
    os.set_inheritable(CONTROL_FD, False)
    control = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, CONTROL_FD)
    control.setblocking(False)
    os.chdir(WORKSPACE)  # before any tenant's code can have closed it
    supervisor = Supervisor(control)
    gc.freeze()  # what is loaded now lives for ever: no later collection looks at it
    control.send(b"ready")
    try:
        supervisor.run()
    except BaseException as error:  # noqa: BLE001 - pid 1 leaves a word before it takes all along
        sys.stderr.write(f"supervisor: {type(error).__name__}: {error}\n"[:400])
        os._exit(70)
