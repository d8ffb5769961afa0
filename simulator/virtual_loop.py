"""An event loop whose time is a number, and whose processes can die at any instant.

Time jumps to the next timer when there is nothing to do. Work for an executor runs on the loop, after a pause drawn by the
caller's disk. Everything started under an `Incarnation` stops for good when it dies: no callback, no `finally`, no cleanup,
as after SIGKILL.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import hashlib
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from functools import partial
from typing import Any

START_SECONDS = 1_000.0
TASKS_SWEPT_AT = 256
_INCARNATION: contextvars.ContextVar[Incarnation | None] = contextvars.ContextVar("incarnation", default=None)


class StuckError(Exception):
    """Nothing is ready and no timer is set: waiters would wait forever."""


class Incarnation:
    """One life of a process."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_dead = False
        self._tasks: list[asyncio.Task[Any]] = []
        self._swept_at = TASKS_SWEPT_AT
        self.on_death: dict[object, Callable[[], object]] = {}

    def run(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Start a task of this process."""
        context = contextvars.copy_context()
        context.run(_INCARNATION.set, self)
        return asyncio.get_running_loop().create_task(work, name=f"{self.name} {name}", context=context)

    def freeze(self) -> None:
        """From this instant on nothing of it runs."""
        if not self.is_dead:
            self.is_dead = True
            for told in self.on_death.values():
                told()
            self.on_death.clear()

    def owns(self, task: asyncio.Task[Any]) -> None:
        """One of its tasks. Held until it is done: were it left to the collector, that would decide when it is closed."""
        self._tasks.append(task)
        if len(self._tasks) >= self._swept_at:
            self._tasks = [one for one in self._tasks if not one.done()]
            self._swept_at = max(TASKS_SWEPT_AT, 2 * len(self._tasks))

    def bury(self) -> None:
        """Let go of its tasks, the oldest first. What they do while they are closed is without effect: everything they could
        touch is dead.
        """
        for task in self._tasks:
            forget(task)
        self._tasks.clear()


def forget(task: asyncio.Task[Any]) -> None:
    """Close a task that will never run again."""
    if not task.done():
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        with contextlib.suppress(RuntimeError, ValueError):
            task.get_coro().close()


def incarnation() -> Incarnation | None:
    """The process that is running now; None for the world around."""
    return _INCARNATION.get()


class History:
    """All that happened, as one hash: two runs whose hashes are equal were the same run."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.events = 0

    def note(self, *parts: object) -> None:
        """One event."""
        self.events += 1
        self._hash.update(f"{parts}".encode())

    def digest(self) -> str:
        """Of everything up to now."""
        return f"{self.events}:{self._hash.hexdigest()}"


def note(*parts: object) -> None:
    """An event of the current run."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop.history.note(*parts)


class _Jump(selectors.SelectSelector):
    """Waits by moving the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START_SECONDS
        self.history = History()

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise StuckError("nothing is ready and no timer is set")
        if timeout > 0:
            self.now += timeout
            self.history.note(self.now)
        return []


def _unless_dead(whose: Incarnation, callback: Callable[..., Any], *values: Any) -> None:
    if not whose.is_dead:
        callback(*values)


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the module."""

    def __init__(self, disk_seconds: Callable[[], float]) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)
        self._disk_seconds = disk_seconds
        self._is_over = False
        self.history = self._jump.history
        self.set_task_factory(_make_task)

    def time(self) -> float:
        """Virtual seconds."""
        return self._jump.now

    def call_soon(  # type: ignore[override]
        self, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """As ever, unless its process has died meanwhile."""
        if self._is_over:
            return asyncio.Handle(callback, args, self, context)
        return super().call_soon(_guarded(callback, context), *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """As ever, unless its process has died meanwhile."""
        return super().call_at(when, _guarded(callback, context), *args, context=context)

    def finish(self) -> None:
        """Nothing runs any more; waiters are dropped without an error."""
        self._is_over = True
        for task in asyncio.all_tasks(self):
            forget(task)
        self.close()

    def _asyncgen_finalizer_hook(self, agen: Any) -> None:
        """Nothing: when a generator is collected is up to the collector, and must not be seen by anybody here."""

    call_soon_threadsafe = call_soon  # type: ignore[assignment] # there are no threads

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Run it here, in a while."""
        future = self.create_future()

        def work() -> None:
            if future.done():
                return
            try:
                result = func(*args)
            except Exception as error:  # noqa: BLE001 - raised at the waiter
                future.set_exception(error)
            else:
                future.set_result(result)

        self.call_later(self._disk_seconds(), work)
        return future


def _make_task(loop: Any, work: Any, *, context: contextvars.Context | None = None) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, context=context)
    whose = _INCARNATION.get() if context is None else context.get(_INCARNATION)
    if whose is not None:
        whose.owns(task)
    return task


def _guarded(callback: Any, context: contextvars.Context | None) -> Any:
    whose = _INCARNATION.get() if context is None else context.get(_INCARNATION)
    return callback if whose is None else partial(_unless_dead, whose, callback)


class HereExecutor(Executor):
    """For code that submits without waiting: done at once."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Run it now."""
        fn(*args, **kwargs)
