"""Reads the node's meters for a host's wallets once in a while, many at a time; what bills nothing disturbs no wallet."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping

from actors.errors import FencedError
from actors.hosting.actor import WalletActor
from actors.wallet import commands as c
from actors.wallet.meters import STORAGE, Reading, bill, of
from actors.wallet.state import Phase, WalletState
from sandboxes.protocol import SandboxError, SandboxNode

log = logging.getLogger(__name__)

AT_ONCE = 1024
"""Runtimes asked about in one call; the node takes up to 4096."""


def readings(counts: Mapping[str, int], at_ms: int, period: int = 0) -> tuple[Reading, ...]:
    """A node's counts as readings."""
    return tuple(
        Reading(name, count, at_ms, period=period if name == STORAGE else 0) for name, count in sorted(counts.items())
    )


def matters(state: WalletState, found: tuple[Reading, ...]) -> bool:
    """Whether a wallet has something to write about these: money, or a counter that fell."""
    return any(
        of(state.meters.rates, reading.meter) and bill(state.meters, reading).metered != state.meters
        for reading in found
    )


class MeterReader:
    """See the module. `actors` gives the wallets that live here."""

    def __init__(self, node: SandboxNode, actors: Callable[[], Iterable[WalletActor]], seconds: float) -> None:
        self._node = node
        self._actors = actors
        self._seconds = seconds

    async def run(self) -> None:
        """For ever; a silent node is asked again the next time, and nothing is lost by that."""
        while True:
            await asyncio.sleep(self._seconds)
            try:
                await self.read()
            except (SandboxError, OSError, TimeoutError) as error:
                log.warning("the meters could not be read: %s", error)
            except Exception:
                log.exception("reading the meters failed; it is tried again")

    async def read(self) -> None:
        """Once, for every wallet whose sandbox is metered."""
        metered = {
            actor.state.runtime.runtime_id: actor
            for actor in self._actors()
            if actor.state.runtime is not None
            and actor.state.runtime.is_healthy
            and actor.state.phase in (Phase.ALIVE, Phase.GRACE)
            and any(rate for _, rate in actor.state.meters.rates)
        }
        ids = sorted(metered)
        for start in range(0, len(ids), AT_ONCE):
            for told in await self._node.meters(ids[start : start + AT_ONCE]):
                actor = metered.get(told.runtime_id)
                found = readings(told.counts, told.at_ms, told.period)
                if actor is not None and not actor.is_dead and matters(actor.state, found):
                    await self._tell(actor, c.Readings(told.runtime_id, found))

    async def _tell(self, actor: WalletActor, command: c.Readings) -> None:
        try:
            await actor.ask(command)
        except FencedError:
            pass  # its newer copy reads them
        except Exception:
            log.exception("the meters of %s were not billed; they are with the next reading", actor.address)
