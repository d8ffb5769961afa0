"""The shell around one wallet: turns, commits, effects.

One turn at a time. A turn takes every queued command, decides them one after another on the same state, writes the
outcome in one transaction, and only then answers, tells events and runs effects. Whoever waits for an answer therefore
never learns of anything that a crash could take back.
"""

import asyncio
import collections
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from actors.clock import Clock
from actors.errors import FencedError
from actors.hosting import marks as marks_of
from actors.stores.wallets import Batch, Mark, WalletStore
from actors.view import View
from actors.wallet.bucket import BrokenInvariantError
from actors.wallet.commands import (
    Command,
    DeliverOrders,
    Effect,
    Look,
    PostOrders,
)
from actors.wallet.decide import Decision, decide, needs_proof, resume
from actors.wallet.lifecycle import next_alarm_ms
from actors.wallet.state import Instant, UptimeProof, WalletPolicy, WalletState

log = logging.getLogger(__name__)

TURN_COMMANDS_MAX = 256
"""Commands decided in one commit: enough to amortise an fsync, few enough to answer within milliseconds."""

QUEUE_MAX = 4096
"""Commands waiting for one wallet; more are refused."""


class QueueFullError(Exception):
    """This wallet has more commands waiting than it should ever have."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a wallet needs from its host."""

    clock: Clock
    policy: WalletPolicy
    executor: Executor
    new_runtime_id: Callable[[], str]
    proof: Callable[[str | None], UptimeProof | None]
    refresh_proof: Callable[[], Awaitable[None]]
    run_effect: Callable[["WalletActor", Effect], Awaitable[None]]
    deliver_orders: Callable[["WalletActor"], None]
    armed: Callable[[str, int | None], None]
    died: Callable[["WalletActor", BaseException], None]


class WalletActor:
    """One resident wallet."""

    def __init__(self, store: WalletStore, surroundings: Surroundings) -> None:
        self._store = store
        self._around = surroundings
        self._queue: collections.deque[tuple[Command, asyncio.Future[View], UptimeProof | None]] = collections.deque()
        self._effects: asyncio.Queue[Effect] = asyncio.Queue()
        self._turns: asyncio.Task[None] | None = None
        self._doing: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self.is_dead = False
        self.last_used_ms = surroundings.clock.monotonic_ms()

    @property
    def state(self) -> WalletState:
        """The committed state."""
        return self._store.state

    @property
    def store(self) -> WalletStore:
        """The wallet's file, for reads."""
        return self._store

    @property
    def address(self) -> str:
        """The Stacks address that owns this wallet."""
        return self._store.state.address

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way, so that the wallet may be put away."""
        return not self._queue and self._turns is None and self._doing is None

    def resume(self) -> None:
        """After activation: arm the alarm and repeat the effects a crash may have cut off."""
        self._around.armed(self.address, next_alarm_ms(self.state, self._around.policy))
        self._run(resume(self.state))

    async def ask(self, command: Command, *, proof: UptimeProof | None = None) -> View:
        """Have a command decided and committed. `proof` overrides what the node link knows (used for outages)."""
        if self.is_dead:
            raise FencedError(f"{self.address}: this copy is dead")
        if len(self._queue) >= QUEUE_MAX:
            raise QueueFullError(self.address)
        self.last_used_ms = self._around.clock.monotonic_ms()
        future: asyncio.Future[View] = asyncio.get_running_loop().create_future()
        self._queue.append((command, future, proof))
        if self._turns is None:
            self._turns = asyncio.create_task(self._take_turns(), name=f"turns {self.address}")
        return await future

    async def wait_change(self, version: int, timeout_seconds: float) -> View:
        """The wallet once its version is past `version`, or as it is when the time is up."""
        try:
            async with asyncio.timeout(timeout_seconds):
                while self.state.version <= version and not self.is_dead:
                    await self._changed.wait()
        except TimeoutError:
            pass
        return self._view(None)

    async def settled(self) -> None:
        """Wait until no turn and no effect is under way."""
        while (task := self._turns or self._doing) is not None:
            await asyncio.wait([task])

    def retire(self) -> None:
        """Take no more commands; the caller has made sure that nothing is under way, and closes the file."""
        self.is_dead = True
        if self._doing is not None:
            self._doing.cancel()
        self._notify()

    def close(self) -> None:
        """Retire, and let go of the file."""
        self.retire()
        self._store.close()

    async def _take_turns(self) -> None:
        try:
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), TURN_COMMANDS_MAX))]
                await self._turn(batch)
        except Exception as error:
            log.exception("wallet %s stops", self.address)
            self._die(error)
        finally:
            self._turns = None

    async def _turn(self, batch: list[tuple[Command, "asyncio.Future[View]", UptimeProof | None]]) -> None:
        try:
            if any(needs_proof(self.state, command) for command, _, _ in batch):
                await self._around.refresh_proof()
            if all(isinstance(command, Look) for command, _, _ in batch):
                # Looking changes nothing, unless a deadline has passed: then it is a turn like any other.
                first = self._decide(self.state, batch[0][0], batch[0][2], ())
                if not first.is_changed:
                    self._answer([(future, first) for _, future, _ in batch])
                    return
            loop = asyncio.get_running_loop()
            results = await loop.run_in_executor(self._around.executor, self._decide_and_commit, batch)
        except BaseException as error:
            for _, future, _ in batch:
                if not future.done():
                    future.set_exception(error if isinstance(error, Exception) else FencedError("the host is stopping"))
            raise
        decided = [(future, made) for (_, future, _), made in zip(batch, results, strict=True)]
        self._answer(decided)
        decisions = [made for made in results if isinstance(made, Decision)]
        if any(made.is_changed for made in decisions):
            self._around.armed(self.address, next_alarm_ms(self.state, self._around.policy))
            self._notify()
        self._run(effect for made in decisions for effect in made.effects)

    def _decide_and_commit(
        self, batch: list[tuple[Command, "asyncio.Future[View]", UptimeProof | None]]
    ) -> list[Decision | BrokenInvariantError]:
        """In the executor: decide all, write once. A command that breaks an invariant fails alone."""
        state = self._store.state
        results: list[Decision | BrokenInvariantError] = []
        marks: list[Mark] = []
        for command, _, proof in batch:
            try:
                made = self._decide(state, command, proof, marks)
            except BrokenInvariantError as error:
                log.exception("refused to break an invariant of %s", self.address)
                results.append(error)
                continue
            if not made.is_duplicate and made.refusal is None:
                marks += [*marks_of.made_by(command), *marks_of.posted(made.posted)]
            state = made.state
            results.append(made)
        decisions = [made for made in results if isinstance(made, Decision)]
        if marks or any(made.is_changed for made in decisions):
            self._store.commit(
                Batch(
                    state,
                    self._around.clock.wall_ms(),
                    [entry for made in decisions for entry in made.entries],
                    [span for made in decisions for span in made.spans],
                    [event for made in decisions for event in made.events],
                    marks,
                    [order for made in decisions for order in made.orders],
                )
            )
        return results

    def _decide(
        self, state: WalletState, command: Command, proof: UptimeProof | None, marks: list[Mark] | tuple[()]
    ) -> Decision:
        def has_seen(mark: Mark) -> bool:
            is_new = any((one.kind, one.id) == (mark.kind, mark.id) for one in marks)
            return is_new or self._store.has_seen(mark.kind, mark.id)

        is_duplicate = any(map(has_seen, marks_of.barring(command)))
        conflict = next((code for mark, code in marks_of.conflicting(command) if has_seen(mark)), None)
        used: frozenset[str] = frozenset()
        if isinstance(command, PostOrders):
            ids = [one.order_id for one in command.orders]
            used = self._store.seen_among(marks_of.ORDER, ids) | {one.id for one in marks if one.kind == marks_of.ORDER}
        at = Instant(self._around.clock.wall_ms(), proof or self._proof(state), self._around.new_runtime_id())
        return decide(state, command, at, self._around.policy, is_duplicate=is_duplicate, conflict=conflict, used=used)

    def _proof(self, state: WalletState) -> UptimeProof | None:
        return self._around.proof(None if state.runtime is None else state.runtime.runtime_id)

    def _view(self, made: Decision | None) -> View:
        at_ms, proof = self._around.clock.wall_ms(), self._proof(self.state)
        if made is None:
            return View(self.state, at_ms, proof)
        return View(made.state, at_ms, proof, made.refusal, made.is_duplicate)

    def _answer(self, decided: "list[tuple[asyncio.Future[View], Decision | BrokenInvariantError]]") -> None:
        for future, made in decided:
            if future.done():
                continue  # the caller went away; the turn stands
            if isinstance(made, BrokenInvariantError):
                future.set_exception(made)
            else:
                future.set_result(self._view(made))

    def _run(self, effects: "collections.abc.Iterable[Effect]") -> None:
        for effect in effects:
            if isinstance(effect, DeliverOrders):
                self._around.deliver_orders(self)  # not in line: orders wait for no sandbox, and no sandbox for them
            else:
                self._effects.put_nowait(effect)
        if not self._effects.empty() and self._doing is None and not self.is_dead:
            self._doing = asyncio.create_task(self._do(), name=f"effects {self.address}")

    async def _do(self) -> None:
        """Run effects in the order they were committed."""
        try:
            while not self._effects.empty():
                await self._around.run_effect(self, self._effects.get_nowait())
        except FencedError:
            pass  # a newer copy repeats what is left
        finally:
            self._doing = None

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _die(self, error: BaseException) -> None:
        self.is_dead = True
        for _, future, _ in self._queue:
            if not future.done():
                future.set_exception(FencedError(f"{self.address}: {error}"))
        self._queue.clear()
        self._notify()
        self._around.died(self, error)
