"""Make committed decisions happen at the sandbox node and at settlements.

Every effect is idempotent and implied by the wallet's committed state, so it may be run again after any crash. A silent
node is asked again for as long as it takes: unknown is not failure.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from actors.errors import FencedError
from actors.hosting.actor import WalletActor
from actors.hosting.meter_reader import readings
from actors.wallet import commands as c
from actors.wallet.state import Payout, RuntimeRef
from sandboxes.protocol import (
    NoCapacity,
    NodeUnavailable,
    RuntimeGone,
    SandboxError,
    SandboxNode,
    StartFailed,
    StartRequest,
    StopRequest,
)

log = logging.getLogger(__name__)

RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses between tries; the last one repeats."""

USED_UP = frozenset({"runtime_lost", "runtime_stopped"})
"""Refusals that say nothing about a new runtime id."""

LossSink = Callable[[str, str, int], Awaitable[None]]
"""Tells settlements of a start on credit that was never paid: payment id, payer, usat."""


PayoutSink = Callable[[str, Payout], Awaitable[None]]
"""Hands a payout of this wallet to the queue; returns once it is durable there. The same payout again is no other one."""


async def _no_queue(address: str, payout: Payout) -> None:
    raise RuntimeError("this host was given no payout queue")


class Effects:
    """What a host does on behalf of its wallets."""

    def __init__(
        self,
        node: SandboxNode,
        tell_loss: LossSink,
        pre_stop_seconds: float,
        send_payout: PayoutSink | None = None,
    ) -> None:
        self._node = node
        self._send_payout = send_payout or _no_queue
        self._tell_loss = tell_loss
        self._pre_stop_seconds = pre_stop_seconds
        self._is_closing = False

    def close(self) -> None:
        """Start nothing more; what is cut off is repeated at the next activation."""
        self._is_closing = True

    async def run(self, actor: WalletActor, effect: c.Effect) -> None:
        """Run one effect until it is done, the wallet's copy is dead, or the host closes."""
        tries = 0
        while not self._is_closing and not actor.is_dead:
            try:
                await self._try(actor, effect)
            except FencedError:
                return
            except Exception as error:  # noqa: BLE001 - whatever it was, the effect is owed until it has happened
                if tries % 10 == 0:
                    log.warning("%s of %s is tried again: %s", type(effect).__name__, actor.address, error)
            else:
                return
            await asyncio.sleep(RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)])
            tries += 1

    async def _try(self, actor: WalletActor, effect: c.Effect) -> None:
        match effect:
            case c.StartSandbox():
                await self._start_sandbox(actor, effect)
            case c.StopSandbox():
                await self._stop_sandbox(actor, effect)
            case c.SetPaused():
                await self._set_paused(actor, effect)
            case c.TellLoss():
                await self._tell_loss(effect.payment_id, effect.payer, effect.usat)
                await actor.ask(c.LossTold(effect.payment_id))
            case c.SendPayout():
                for payout in actor.state.payouts:
                    if payout.payout_id == effect.payout_id and not payout.is_told:
                        await self._send_payout(actor.address, payout)
                        await actor.ask(c.PayoutTold(payout.payout_id))
            case c.ForgetSnapshots():
                await self._node.forget(actor.address)
                await actor.ask(c.Forgotten())

    async def _start_sandbox(self, actor: WalletActor, effect: c.StartSandbox) -> None:
        runtime_ref = actor.state.runtime
        if runtime_ref is None or runtime_ref.runtime_id != effect.runtime_id:
            return
        request = StartRequest(
            effect.runtime_id,
            actor.address,
            effect.plan.size_class,
            effect.plan.image,
            effect.snapshot_digest,
            dict(effect.plan.environment),
        )
        try:
            runtime = await self._node.start(request)
        except NodeUnavailable:
            raise
        except (StartFailed, NoCapacity) as error:
            is_used_up = error.code in USED_UP
            if is_used_up:
                if not actor.store.is_newest():
                    # An old host that lives on: a newer copy may have had it up, and has to hear of its loss before it is ended.
                    raise FencedError(f"{actor.address}: a newer copy owns runtime {effect.runtime_id}") from error
                # It died while we were not looking: finalise it, so that its slot is free, and start under a new id.
                await self._node.stop(StopRequest(effect.runtime_id, snapshot=True))
            retryable = error.retryable or is_used_up
            await actor.ask(c.StartFailed(effect.runtime_id, error.code, error.message, retryable))
            return
        except SandboxError as error:
            await actor.ask(c.StartFailed(effect.runtime_id, error.code, error.message, retryable=False))
            return
        healthy = runtime.healthy_at_ms
        await actor.ask(c.Started(RuntimeRef(effect.runtime_id, runtime.node_id, runtime.boot_id, healthy, healthy)))

    async def _set_paused(self, actor: WalletActor, effect: c.SetPaused) -> None:
        runtime_ref = actor.state.runtime
        if runtime_ref is None or runtime_ref.runtime_id != effect.runtime_id:
            return
        try:
            told = await self._node.pause(effect.runtime_id, actor.state.wants_pause)
        except NodeUnavailable:
            raise
        except RuntimeGone:
            return  # its loss or its stop is on the way
        except SandboxError as error:
            await actor.ask(c.PauseFailed(effect.runtime_id, error.code))
            return
        await actor.ask(c.Paused(effect.runtime_id, told.boot_id, told.is_paused, told.at_ms))

    async def _stop_sandbox(self, actor: WalletActor, effect: c.StopSandbox) -> None:
        runtime_ref = actor.state.runtime
        if runtime_ref is None or runtime_ref.runtime_id != effect.runtime_id:
            return
        stopped = await self._node.stop(StopRequest(effect.runtime_id, effect.snapshot, self._pre_stop_seconds))
        await actor.ask(
            c.Stopped(
                effect.runtime_id,
                stopped.known,
                stopped.boot_id,
                stopped.stopped_at_ms,
                stopped.snapshot_digest,
                stopped.reason,
                readings(stopped.counts, stopped.stopped_at_ms or 0),
                stopped.skipped,
                stopped.skipped_examples,
            )
        )
