"""A small event loop: epoll, deadlines, children. `selectors` and `asyncio` would cost more than the rest of the start."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` costs a millisecond of enums
import os
import select
import time

TYPE_CHECKING = False  # `typing` and `collections.abc` would cost 7 ms of every cold start
if TYPE_CHECKING:
    import resource
    from collections.abc import Callable
    from typing import Protocol
else:
    Protocol = object


class Child(Protocol):
    """Something that waits for a process, and may have a deadline (in time.monotonic seconds, 0 for none)."""

    deadline: float

    def on_exit(self, status: int, usage: resource.struct_rusage) -> None:
        """The process was reaped."""

    def expire(self) -> None:
        """The deadline passed."""


class Loop:
    """Calls handlers for ready descriptors, reaped children and passed deadlines. As pid 1 it reaps orphans too."""

    READ = select.EPOLLIN
    WRITE = select.EPOLLOUT
    HANGUP = select.EPOLLRDHUP

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._handlers: dict[int, Callable[[int], object]] = {}
        self.children: dict[int, Child] = {}
        self.on_reaped: list[Callable[[], None]] = []
        self.null_fd = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)  # what commands without input read
        wake_r, wake_w = os.pipe()
        os.set_blocking(wake_r, False)
        os.set_blocking(wake_w, False)
        _signal.signal(_signal.SIGCHLD, lambda _number, _frame: None)
        _signal.set_wakeup_fd(wake_w, warn_on_full_buffer=False)
        self._wake = wake_r
        self.watch(wake_r, self.READ, self._on_wake)

    def watch(self, fd: int, events: int, handler: Callable[[int], object]) -> None:
        """Call `handler(events)` whenever `fd` is ready."""
        if fd in self._handlers:
            self._poll.modify(fd, events)
        else:
            self._poll.register(fd, events)
        self._handlers[fd] = handler

    def change(self, fd: int, events: int) -> None:
        """Change what a watched descriptor is watched for."""
        if fd in self._handlers:
            self._poll.modify(fd, events)

    def forget(self, fd: int) -> None:
        """Stop watching; harmless when it is not watched."""
        if self._handlers.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def run_once(self) -> None:
        """Wait for something to happen and deal with it."""
        deadlines = [child.deadline for child in self.children.values() if child.deadline]
        wait_seconds = max(0.0, min(deadlines) - time.monotonic()) if deadlines else -1
        for fd, events in self._poll.poll(wait_seconds):
            handler = self._handlers.get(fd)
            if handler is not None:
                handler(events)
        if deadlines:
            now = time.monotonic()
            for child in list(self.children.values()):
                if child.deadline and child.deadline <= now:
                    child.expire()

    def _on_wake(self, _events: int) -> None:
        try:
            os.read(self._wake, 4096)
        except BlockingIOError:
            return
        self.reap()

    def reap(self) -> None:
        """Collect every dead child, known or orphan."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            child = self.children.pop(pid, None)
            if child is not None:
                child.on_exit(status, usage)
        for callback in list(self.on_reaped):
            callback()
