"""How long a request that was let in may last: sockets and streams end within seconds after what let them in is gone, which is a
port token that expired or was revoked, a pass that its owner voided, or a route that was taken away.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass

import structlog
from aiohttp import web

from actors.view import View
from gate.parts.views import Views
from operations.errors import SatboxError

LOOK_SECONDS = 1.0
VIEW_SECONDS_MAX = 5.0
"""For a wallet that does not answer; it is judged as it was last seen."""
CLOSE_SECONDS_MAX = 5.0
"""For a socket that says goodbye."""
TOKEN_ENDED, PASS_REVOKED, ROUTE_REMOVED = "port_token_ended", "pass_revoked", "route_removed"
KEY_REVOKED = "spending_key_invalid"
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Term:
    """What a request depends on in one wallet. `why_over` names what has ended, and is None while nothing has."""

    address: str
    why_over: Callable[[View], str | None]


class LapsedError(Exception):
    """A request was ended for this reason."""

    @property
    def reason(self) -> str:
        """One of those above."""
        return str(self.args[0])

    def refusal(self) -> SatboxError:
        """For a request that has no answer yet: as it would have been refused had it come now."""
        return SatboxError(self.reason if self.reason in (PASS_REVOKED, KEY_REVOKED) else "not_found")


class Tenure:
    """One request. Nothing ends it before `begin`: until a call is settled it is not cut short."""

    def __init__(self, terms: Iterable[Term], scope: asyncio.Timeout) -> None:
        self.terms = tuple(terms)
        self.over = asyncio.Event()
        self.reason: str | None = None
        self.has_begun = False
        self._scope = scope
        self._closes_itself = False

    def begin(self, *, closes_itself: bool = False) -> None:
        """From now on it may be ended. One that `closes_itself` looks at `over`, and is cut off some seconds later."""
        self.has_begun, self._closes_itself = True, closes_itself

    def end(self, reason: str) -> None:
        """Once."""
        if self.reason is None:
            self.reason = reason
            self.over.set()
            delay = CLOSE_SECONDS_MAX if self._closes_itself else 0.0
            self._scope.reschedule(asyncio.get_running_loop().time() + delay)


TENURE: web.RequestKey[Tenure] = web.RequestKey("tenure", Tenure)


def begin(request: web.Request) -> None:
    """The answer has begun. It ends when a term of the request ends."""
    if TENURE in request:
        request[TENURE].begin()


class Tenures:
    """All of one gate's. One look a second at each wallet on which something leans."""

    def __init__(self, views: Views) -> None:
        self._views = views
        self._all: dict[Tenure, None] = {}

    @contextlib.asynccontextmanager
    async def lasting(self, terms: Iterable[Term]) -> AsyncIterator[Tenure]:
        """A request for as long as its terms hold. Raises LapsedError in it when they no longer do."""
        try:
            async with asyncio.timeout(None) as scope:
                tenure = Tenure(terms, scope)
                self._all[tenure] = None
                try:
                    yield tenure
                finally:
                    del self._all[tenure]
        except TimeoutError as error:
            if tenure.reason is None:
                raise
            raise LapsedError(tenure.reason) from error

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """End what is over."""
        leaning: dict[str, list[tuple[Tenure, Term]]] = {}
        for tenure in self._all:
            for term in tenure.terms if tenure.has_begun else ():
                leaning.setdefault(term.address, []).append((tenure, term))
        await asyncio.gather(*(self._judge(address, found) for address, found in leaning.items()))

    async def _judge(self, address: str, found: list[tuple[Tenure, Term]]) -> None:
        try:
            async with asyncio.timeout(VIEW_SECONDS_MAX):
                view = await self._views.get(address)
        except Exception as error:  # noqa: BLE001 - whatever it is: what is known expires all the same
            log.warning("tenures.not_looked", address=address, reason=str(error)[:200])
            kept = self._views.kept(address)
            if kept is None:
                return
            view = kept
        for tenure, term in found:
            reason = term.why_over(view)
            if reason is not None:
                tenure.end(reason)


TENURES: web.AppKey[Tenures] = web.AppKey("tenures", Tenures)


def break_off(request: web.Request) -> None:
    """End an answer before its end, so that nobody takes it for whole."""
    if request.transport is not None:
        request.transport.close()
