"""The wallets that a host holds in memory: opened when somebody asks, put away when nobody does, opened again when a copy died.

Nothing of it is needed after a crash: every wallet that something runs for, or something is still to be done for, is found by
the repository.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor

from actors.clock import Clock
from actors.errors import FencedError, is_damage
from actors.hosting.actor import WalletActor
from actors.hosting.host_settings import HostSettings
from actors.stores.wallets import WalletRepository, WalletStore
from actors.wallet import commands as c
from actors.wallet.unfinished import is_unfinished

log = logging.getLogger(__name__)

CLOSING_AT_ONCE = 256
OPENED_AT_ONCE = 64
FENCED_REOPEN_SECONDS = 20.0
"""Long enough that two hosts of one wallet do not fence each other in turns."""
REOPEN_SECONDS = 1.0
REOPEN_AGAIN_SECONDS = 30.0
SETTLE_SECONDS_MAX = 5.0
LOOK_MS = 5_000
"""How often residents are looked through: at ten thousand that costs milliseconds each time."""


class Residents:
    """Of one host. `made` makes a wallet of its store; `activated` is awaited before the wallet's effects are taken up again."""

    def __init__(
        self,
        settings: HostSettings,
        clock: Clock,
        executor: Executor,
        wallets: WalletRepository,
        made: Callable[[WalletStore], WalletActor],
        activated: Callable[[WalletActor], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._executor = executor
        self._wallets = wallets
        self._made = made
        self._activated = activated
        self._opening: dict[str, asyncio.Future[WalletActor]] = {}
        self._looked_ms = 0
        self._is_closing = False
        self.actors: dict[str, WalletActor] = {}

    async def exists(self, address: str) -> bool:
        """Whether this wallet was ever written: looking must not begin it."""
        return address in self.actors or await self._wallets.exists(address)

    async def get(self, address: str) -> WalletActor:
        """The wallet, opened unless it is here. Raises FencedError when the host is closing, CorruptWalletError."""
        actor = self.actors.get(address)
        if actor is not None and not actor.is_dead:
            return actor
        opening = self._opening.get(address)
        if opening is None:
            opening = asyncio.ensure_future(self._activate(address))
            self._opening[address] = opening
            opening.add_done_callback(lambda _: self._opening.pop(address, None))
        return await asyncio.shield(opening)

    async def _activate(self, address: str) -> WalletActor:
        if self._is_closing:
            raise FencedError("the host is closing")
        store = await asyncio.get_running_loop().run_in_executor(self._executor, self._wallets.open, address)
        actor = self._made(store)
        self.actors[address] = actor
        await self._activated(actor)
        actor.resume()
        return actor

    async def open_unfinished(self) -> None:
        """Open the wallets that somebody must look after; the rest can wait until somebody asks."""
        loop = asyncio.get_running_loop()
        addresses = await loop.run_in_executor(self._executor, self._wallets.unfinished, self._settings.owns)
        for start in range(0, len(addresses), OPENED_AT_ONCE):
            await asyncio.gather(*(self._open_undamaged(a) for a in addresses[start : start + OPENED_AT_ONCE]))

    async def _open_undamaged(self, address: str) -> None:
        """One wallet's damage must not keep the others from starting; it fails whoever asks for it."""
        try:
            await self.get(address)
        except Exception as error:
            if not is_damage(error):
                raise
            log.exception("the wallet of %s is damaged", address)

    def passivate(self) -> None:
        """Put wallets away that nothing runs for and nobody has asked about."""
        if self._clock.monotonic_ms() - self._looked_ms < LOOK_MS:
            return
        self._looked_ms = self._clock.monotonic_ms()
        oldest_ms = self._clock.monotonic_ms() - int(self._settings.idle_seconds * 1000)
        excess = len(self.actors) - self._settings.resident_max
        for address, actor in list(self.actors.items()):
            is_old = actor.last_used_ms < oldest_ms
            if (is_old or excess > 0) and actor.is_idle and not is_unfinished(actor.state):
                del self.actors[address]
                actor.retire()
                self._executor.submit(actor.store.close)  # closing writes the log back: not on the loop
                excess -= 1
        self.rest()

    def rest(self) -> None:
        """Close the files of the wallets used longest ago, when more are open than descriptors allow."""
        opened = [actor for actor in self.actors.values() if actor.store.is_open]
        excess = len(opened) - self._settings.open_files_max
        if excess > 0:
            opened.sort(key=lambda actor: actor.last_used_ms)
            for actor in opened[:excess]:
                if actor.is_idle:
                    self._executor.submit(actor.store.rest)  # a commit that comes meanwhile waits, and opens it again

    def died(self, actor: WalletActor, error: BaseException) -> None:
        """A copy can go on no more. If its wallet cannot wait, another one is opened."""
        if self.actors.get(actor.address) is actor:
            del self.actors[actor.address]
        actor.close()
        if is_unfinished(actor.state) and not self._is_closing:
            # A newer copy looks after it now; but its host may be the one that is gone soon, and somebody must.
            pause = FENCED_REOPEN_SECONDS if isinstance(error, FencedError) else REOPEN_SECONDS
            asyncio.get_running_loop().call_later(pause, self._reopen, actor.address)

    def _reopen(self, address: str) -> None:
        if not self._is_closing:
            task = asyncio.ensure_future(self.get(address))
            task.add_done_callback(lambda done: self._reopened(address, done))

    def _reopened(self, address: str, done: "asyncio.Future[WalletActor]") -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None and not self._is_closing:
            log.warning("the wallet of %s is opened later: %s", address, error)
            asyncio.get_running_loop().call_later(REOPEN_AGAIN_SECONDS, self._reopen, address)

    def forget(self, address: str) -> None:
        """This copy was fenced: the next one who asks opens the wallet anew."""
        self.actors.pop(address, None)

    def end(self) -> None:
        """Open no more."""
        self._is_closing = True

    async def put_away(self) -> None:
        """Post what every wallet owes up to now, let it finish, close its file."""
        actors = list(self.actors.values())
        for start in range(0, len(actors), CLOSING_AT_ONCE):  # each may have to open its file again
            await asyncio.gather(*(_put_away(actor) for actor in actors[start : start + CLOSING_AT_ONCE]))
        self.actors.clear()


async def _put_away(actor: WalletActor) -> None:
    with contextlib.suppress(Exception):  # a wallet that cannot write now is taken up by its next activation
        if actor.state.runtime is not None:
            await actor.ask(c.Checkpoint())
        async with asyncio.timeout(SETTLE_SECONDS_MAX):
            await actor.settled()
    actor.close()
