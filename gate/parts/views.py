"""Wallet snapshots, at most a second old, so that status costs no hop."""

from collections import OrderedDict

from actors.clock import Clock
from actors.system import ActorSystem
from actors.view import View

KEPT_MAX = 50_000


class Views:
    """The newest view of each wallet this gate has seen."""

    def __init__(self, system: ActorSystem, clock: Clock, age_ms_max: int) -> None:
        self._system = system
        self._clock = clock
        self._age_ms_max = age_ms_max
        self._views: OrderedDict[str, tuple[int, View]] = OrderedDict()

    def put(self, view: View) -> View:
        """Remember a view; an older version never replaces a newer one."""
        address = view.state.address
        kept = self._views.get(address)
        if kept is not None and kept[1].state.version > view.state.version:
            return kept[1]
        self._views[address] = (self._clock.monotonic_ms(), view)
        if len(self._views) > KEPT_MAX:
            self._views.popitem(last=False)
        return view

    def kept(self, address: str) -> View | None:
        """The newest view here, however old."""
        kept = self._views.get(address)
        return None if kept is None else kept[1]

    async def get(self, address: str, *, fresh: bool = False) -> View:
        """A view no older than the limit; asked for anew when `fresh`."""
        if not fresh:
            kept = self._views.get(address)
            if kept is not None and self._clock.monotonic_ms() - kept[0] <= self._age_ms_max:
                return kept[1]
        return self.put(await self._system.look(address))
