"""One command: start it as the tenant, carry its streams, end it as a whole, tell how it ended."""

from __future__ import annotations

import _socket
import os
import time

from . import frames
from .execute import CommandRequest, refusal, start
from .loop import Loop
from .tenant import SIGKILL, kill_tagged

TYPE_CHECKING = False
if TYPE_CHECKING:
    import resource

READ_BYTES = 1 << 16
UNSENT_BYTES_MAX = 1 << 18  # past this the command's pipes are left unread until the node catches up
DRAIN_BYTES_MAX = 1 << 20  # what may still be read after exit; background children can write for ever
STDIN_BYTES_MAX = 1 << 18  # past this the connection is left unread until the command catches up


class Stream:
    """One output pipe of a command: what was passed on, what was cut."""

    def __init__(self, fd: int, kind: int, limit_bytes: int) -> None:
        self.fd = fd
        self.kind = kind
        self.left_bytes = limit_bytes
        self.dropped_bytes = 0


class Command:
    """A running command and its connection to the node. Losing the connection ends the command."""

    def __init__(self, loop: Loop, connection: _socket.socket, request: CommandRequest, tag: int) -> None:
        self.loop = loop
        self.connection = connection
        self.request = request
        self.tag = tag
        self.decoder = frames.Decoder()
        self.unsent = bytearray()
        self.stdin_buffer = bytearray()
        self.stdin_fd = -1
        self.stdin_ending = False
        self.timed_out = False
        self.closing = False
        self.reaped = False
        self.paused = False
        self.started_at = time.monotonic()
        self.deadline = self.started_at + request.timeout_ms / 1000 if request.timeout_ms else 0.0
        self.pid, self.report_fd, out_fd, err_fd = self._open_terminal() if request.terminal else self._spawn()
        self.streams = [
            Stream(out_fd, frames.STDOUT, request.limit_bytes),
            Stream(err_fd, frames.STDERR, request.limit_bytes),
        ]
        for stream in self.streams:
            if stream.fd >= 0:
                loop.watch(stream.fd, loop.READ, lambda _events, stream=stream: self._read(stream))  # type: ignore[misc]
        loop.watch(connection.fileno(), loop.READ, self._on_connection)
        self.unsent += frames.pack(frames.STARTED, frames.pack_fields([("pid", str(self.pid).encode())]))
        if request.has_stdin:
            self._flush()  # the node waits for it; otherwise it travels with what comes first

    def _spawn(self) -> tuple[int, int, int, int]:
        out_r, out_w = os.pipe()
        err_r, err_w = os.pipe()
        report_r, report_w = os.pipe()
        in_r, in_w = os.pipe() if self.request.has_stdin else (self.loop.null_fd, -1)
        pid = start(self.request, self.tag, in_r, out_w, err_w, report_w, report_r)
        for fd in (in_r, out_w, err_w, report_w):
            if fd != self.loop.null_fd:
                os.close(fd)
        self.stdin_fd = in_w
        for fd in (out_r, err_r, report_r, in_w):
            if fd >= 0:
                os.set_blocking(fd, False)
        return pid, report_r, out_r, err_r

    def _open_terminal(self) -> tuple[int, int, int, int]:
        """Both outputs and the input are one terminal; there is no second stream."""
        from . import terminal  # few commands need one

        assert self.request.terminal is not None
        ours, theirs = terminal.open_pair(self.request.terminal)
        report_r, report_w = os.pipe()
        pid = start(self.request, self.tag, theirs, theirs, theirs, report_w, report_r)
        os.close(theirs)
        os.close(report_w)
        self.stdin_fd = os.dup(ours)
        for fd in (ours, report_r):
            os.set_blocking(fd, False)
        return pid, report_r, ours, -1

    # Output

    def _read(self, stream: Stream) -> bool:
        """Read once; False when there is nothing more for now or for good."""
        try:
            data = os.read(stream.fd, READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""  # a terminal nobody holds open any more
        if not data:
            self._close_stream(stream)
            return False
        kept = data[: stream.left_bytes]
        stream.left_bytes -= len(kept)
        stream.dropped_bytes += len(data) - len(kept)
        if kept:
            self._send(stream.kind, kept)
        return True

    def _close_stream(self, stream: Stream) -> None:
        if stream.fd >= 0:
            self.loop.forget(stream.fd)
            os.close(stream.fd)
            stream.fd = -1

    def _send(self, kind: int, payload: bytes) -> None:
        self.unsent += frames.pack(kind, payload)
        self._flush()

    def _flush(self) -> None:
        while self.unsent:
            try:
                sent = self.connection.send(self.unsent)
            except BlockingIOError:
                break
            except OSError:
                self._abandon()
                return
            del self.unsent[:sent]
        if self.connection.fileno() < 0:
            return
        self._listen()
        self._pause(len(self.unsent) > UNSENT_BYTES_MAX)

    def _listen(self) -> None:
        """What the connection is watched for: its end always, more input only while stdin is being read."""
        events = self.loop.HANGUP
        if len(self.stdin_buffer) <= STDIN_BYTES_MAX:
            events |= self.loop.READ
        if self.unsent:
            events |= self.loop.WRITE
        if self.connection.fileno() >= 0:
            self.loop.change(self.connection.fileno(), events)

    def _pause(self, paused: bool) -> None:
        if paused == self.paused:
            return
        self.paused = paused
        for stream in self.streams:
            if stream.fd < 0:
                continue
            if paused:
                self.loop.forget(stream.fd)
            else:
                self.loop.watch(stream.fd, self.loop.READ, lambda _events, stream=stream: self._read(stream))  # type: ignore[misc]

    # Input

    def _on_connection(self, events: int) -> None:
        if events & self.loop.WRITE:
            self._flush()
        if not events & ~self.loop.WRITE or self.connection.fileno() < 0:
            return
        if not events & self.loop.READ:
            self._abandon()
            return
        try:
            data = self.connection.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._abandon()
            return
        if self.closing:
            return  # the report is out; late input is read and dropped, so that the report is not reset away
        try:
            for kind, payload in self.decoder.feed(data):
                self._on_frame(kind, payload)
        except frames.FrameError:
            self._abandon()

    def _on_frame(self, kind: int, payload: bytes) -> None:
        if kind == frames.STDIN and self.stdin_fd >= 0 and not self.stdin_ending:
            self.stdin_buffer += payload
            self._feed_stdin()
        elif kind == frames.STDIN_END:
            self.stdin_ending = True
            self._feed_stdin()
        elif kind == frames.RESIZE and self.request.terminal and self.stdin_fd >= 0:
            from . import terminal

            terminal.resize(self.stdin_fd, (int.from_bytes(payload[:2], "big"), int.from_bytes(payload[2:4], "big")))
        elif kind == frames.KILL:
            self.kill()
        elif kind == frames.SIGNAL and payload and not self.reaped:
            self._signal(payload[0])

    def _feed_stdin(self) -> None:
        if self.stdin_fd < 0:
            return
        try:
            while self.stdin_buffer:
                sent = os.write(self.stdin_fd, self.stdin_buffer[:READ_BYTES])
                del self.stdin_buffer[:sent]
        except BlockingIOError:
            self.loop.watch(self.stdin_fd, self.loop.WRITE, lambda _events: self._feed_stdin())
            self._listen()
            return
        except OSError:
            self._close_stdin()
            return
        self._listen()
        self.loop.forget(self.stdin_fd)
        if not self.stdin_ending:
            return
        if self.request.terminal:
            from . import terminal

            self.stdin_ending = False  # a terminal's end of input is a byte, and more may follow
            self.stdin_buffer += terminal.END_OF_INPUT
            self._feed_stdin()
        else:
            self._close_stdin()

    def _close_stdin(self) -> None:
        if self.stdin_fd >= 0:
            self.loop.forget(self.stdin_fd)
            os.close(self.stdin_fd)
            self.stdin_fd = -1
            self.stdin_buffer.clear()
            self._listen()

    # The end

    def expire(self) -> None:
        """The time is up: kill all of it. The exit report follows when the main process is reaped."""
        self.timed_out = True
        self.deadline = 0.0
        self.kill()

    def kill(self) -> None:
        """SIGKILL the command and all it started."""
        if not self.reaped:
            self._signal(SIGKILL)
        kill_tagged(self.tag)

    def _signal(self, number: int) -> None:
        """Signal its group, or itself while it has no group of its own yet."""
        for send in (os.killpg, os.kill):
            try:
                send(self.pid, number)
            except OSError:
                continue
            return

    def on_exit(self, status: int, usage: resource.struct_rusage) -> None:
        """The main process was reaped: pass on what its pipes still hold, then report."""
        self.reaped = True
        self.deadline = 0.0
        if self.connection.fileno() < 0:
            self._release()
            return
        for stream in self.streams:
            drained = 0
            while stream.fd >= 0 and drained < DRAIN_BYTES_MAX and self._read(stream):
                drained += READ_BYTES
        report = self._start_error()
        refused = refusal(report, self.request)
        code = str(os.WEXITSTATUS(status)).encode() if os.WIFEXITED(status) else b""
        if refused is not None:
            report, code = b"", str(refused[1]).encode()
            self._send(frames.STDERR, refused[0][: self.streams[1].left_bytes])
        fields: frames.Fields = [
            ("code", code),
            ("signal", str(os.WTERMSIG(status)).encode() if os.WIFSIGNALED(status) else b""),
            ("timed_out", b"1" if self.timed_out else b"0"),
            ("cpu_us", str(int((usage.ru_utime + usage.ru_stime) * 1e6)).encode()),
            ("max_rss_bytes", str(usage.ru_maxrss * 1024).encode()),
            ("duration_us", str(int((time.monotonic() - self.started_at) * 1e6)).encode()),
            ("stdout_dropped", str(self.streams[0].dropped_bytes).encode()),
            ("stderr_dropped", str(self.streams[1].dropped_bytes).encode()),
            ("start_error", report),
        ]
        self._release()  # what background children write from here on has no reader
        self.closing = True
        self._send(frames.EXIT, frames.pack_fields(fields))

    def _start_error(self) -> bytes:
        try:
            return os.read(self.report_fd, 512)
        except OSError:
            return b""

    def _abandon(self) -> None:
        """The node is gone from this connection: nobody may be left running for it."""
        if self.connection.fileno() >= 0:
            self.loop.forget(self.connection.fileno())
            self.connection.close()
        self.unsent.clear()
        if not self.reaped:
            self.kill()
        self._release()

    def _release(self) -> None:
        for stream in self.streams:
            self._close_stream(stream)
        self._close_stdin()
        if self.report_fd >= 0:
            os.close(self.report_fd)
            self.report_fd = -1
