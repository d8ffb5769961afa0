"""Messages between processes: late, lost, doubled, out of order, and cut off when either side dies.

A call is a coroutine that runs in the callee's process; the caller gets its result, its exception, or `Lost`, which says
nothing about whether it ran.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from simulator.virtual_loop import Incarnation, incarnation, note

TIMEOUT_SECONDS = 30.0
T = TypeVar("T")


class LostError(Exception):
    """No answer. What the other side did is unknown."""


@dataclass(slots=True)
class Weather:
    """How bad it is now; probabilities per message."""

    loss: float = 0.0
    double: float = 0.0
    slow: float = 0.0


class Process:
    """A place that lives, dies and lives again under one name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.life: Incarnation | None = None

    @property
    def is_up(self) -> bool:
        """Whether it runs."""
        return self.life is not None and not self.life.is_dead

    def begin(self) -> Incarnation:
        """A new life."""
        self.life = Incarnation(self.name)
        return self.life


class Network:
    """Everything that is said goes through here."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.weather = Weather()
        self.cuts: set[frozenset[str]] = set()
        self.messages = 0

    def _pause(self) -> float:
        if self._rng.random() < self.weather.slow:
            return self._rng.uniform(0.1, 20.0)
        return self._rng.uniform(0.0001, 0.02)

    def _is_cut(self, one: str, other: str) -> bool:
        return frozenset((one, other)) in self.cuts or self._rng.random() < self.weather.loss

    async def call(
        self,
        callee: Process,
        work: Callable[[], Coroutine[Any, Any, T]],
        *,
        repeatable: bool = False,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> T:
        """Have `work` done by `callee`. Raises what it raises, or LostError. `repeatable` messages may arrive twice."""
        whose = incarnation()
        caller = whose.name if whose else "world"
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self.messages += 1
        note(caller, callee.name)

        # The network is nobody's process: its callbacks outlive both sides.
        def post(pause: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
            return contextvars.Context().run(loop.call_later, pause, callback)

        def lose() -> None:
            if not answer.done():
                answer.set_exception(LostError(callee.name))

        def arrive() -> None:
            life = callee.life
            if life is None or life.is_dead:
                lose()
                return
            cut_off = partial(post, 0.001, lose)
            life.on_death[answer] = cut_off
            task = life.run(work(), "call")
            task.add_done_callback(partial(reply, life))

        def reply(life: Incarnation, done: asyncio.Task[T]) -> None:
            life.on_death.pop(answer, None)
            if done.cancelled():
                lose()
                return
            error = done.exception()
            if not self._is_cut(callee.name, caller):
                loop.call_later(self._pause(), settle, done, error)

        def settle(done: asyncio.Task[T], error: BaseException | None) -> None:
            if answer.done():
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(done.result())

        if not self._is_cut(caller, callee.name):
            post(self._pause(), arrive)
            if repeatable and self._rng.random() < self.weather.double:
                post(self._pause() * 3, arrive)
        patience = post(timeout_seconds, lose)
        try:
            return await answer
        finally:
            patience.cancel()
