"""How everything else reaches wallets, wherever they live.

`ActorSystem` is what everybody asks; a `Transport` carries it: `LocalTransport` to a host in this process (tests, the
simulator), `RayTransport` (`actors.on_ray.transport`) to hosts on Ray. One contract suite passes on all of them.
"""

import asyncio
from typing import Protocol, TypeVar, overload

from actors.books.ranges import Range
from actors.hosting.actor import QueueFullError
from actors.hosting.host import WalletHost
from actors.hosting.overview import HostOverview
from actors.hosting.requests import (
    Ask,
    DisputesPage,
    EventsPage,
    LedgerPage,
    MeterPage,
    OrderSight,
    Pay,
    Preparation,
    Purse,
    ReadDisputes,
    ReadEvents,
    ReadLedger,
    ReadMeter,
    ReadOrder,
    ReadSpans,
    Request,
    Response,
    SpansPage,
    Spending,
    Wait,
    serve,
)
from actors.view import View
from actors.wallet.commands import Command, Look, Prepare, Refusal
from actors.wallet.journal import Entry
from operations.errors import SatboxError

T = TypeVar("T", bound=Response)


class Transport(Protocol):
    """Carries a request to the host of its address and the answer back."""

    async def send(self, request: Request) -> Response:
        """Serve a request; SatboxError for refusals of the transport itself."""
        ...

    async def broadcast_outage(self, since_ms: int, until_ms: int | None) -> None:
        """Tell every host that payments cannot, or could not, be taken."""
        ...

    async def statistics(self) -> dict[str, dict[str, int]]:
        """Counts by host."""
        ...

    async def overview(self) -> dict[str, HostOverview]:
        """Every wallet in a few numbers, by host."""
        ...


class ActorSystem:
    """Wallets by address."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def look(self, address: str) -> View:
        """The wallet now, changing nothing."""
        return await self.ask(address, Look())

    async def ask(self, address: str, command: Command) -> View:
        """Run a command; a refusal by the rules raises its SatboxError."""
        return _accepted(_expect(View, await self._transport.send(Ask(address, command))))

    async def pay(self, address: str, command: Spending) -> Purse:
        """Pay for calls out of a wallet, or set money aside for them; a refusal by the rules raises its SatboxError."""
        purse = _expect(Purse, await self._transport.send(Pay(address, command)))
        if purse.refusal is not None:
            raise _refused(purse.refusal)
        return purse

    async def has_order(self, address: str, order_id: str) -> bool:
        """Whether a wallet has paid or promised an order already. One that is not there has not."""
        try:
            return _expect(OrderSight, await self._transport.send(ReadOrder(address, order_id))).is_used
        except SatboxError as error:
            if error.code != "wallet_not_found":
                raise
            return False

    async def prepare(self, address: str, command: Prepare) -> View:
        """May a payment for this wallet be presented now? Reserves a slot when it would start a sandbox."""
        return _accepted(_expect(View, await self._transport.send(Preparation(address, command))))

    async def wait(self, address: str, version: int, timeout_seconds: float) -> View:
        """The wallet once it is past `version`, or as it is when the time is up."""
        return _expect(View, await self._transport.send(Wait(address, version, timeout_seconds)))

    async def ledger(self, address: str, wanted: Range, limit: int) -> LedgerPage:
        """A page of a range of the journal, from its beginning on."""
        return _expect(LedgerPage, await self._transport.send(ReadLedger(address, wanted, limit)))

    async def spans(self, address: str, after: int, limit: int) -> SpansPage:
        """A page of the spans, oldest first."""
        return _expect(SpansPage, await self._transport.send(ReadSpans(address, after, limit)))

    async def disputes(self, address: str) -> list[Entry]:
        """Every step of every dispute of a wallet, oldest first."""
        return _expect(DisputesPage, await self._transport.send(ReadDisputes(address))).entries

    async def events(self, address: str, after: int, limit: int, timeout_seconds: float = 0.0) -> EventsPage:
        """Events after a cursor; waits for the first when there are none yet."""
        return _expect(EventsPage, await self._transport.send(ReadEvents(address, after, limit, timeout_seconds)))

    async def meter(self, address: str) -> MeterPage:
        """Every span and the two sums that must agree."""
        return _expect(MeterPage, await self._transport.send(ReadMeter(address)))

    async def payments_unavailable(self, since_ms: int, until_ms: int | None) -> None:
        """Payments cannot be taken since then, or could not until then: hold grace."""
        await self._transport.broadcast_outage(since_ms, until_ms)

    async def statistics(self) -> dict[str, dict[str, int]]:
        """Counts by host."""
        return await self._transport.statistics()

    async def overview(self) -> dict[str, HostOverview]:
        """Every wallet in a few numbers, by host. For those who watch over the service: a look at each wallet."""
        return await self._transport.overview()


def _accepted(view: View) -> View:
    if view.refusal is not None:
        raise _refused(view.refusal)
    return view


def _refused(refusal: Refusal) -> SatboxError:
    return SatboxError(refusal.code, details=refusal.details, retry_after=refusal.retry_after)


@overload
def _expect(kind: type[View], response: Response) -> View: ...
@overload
def _expect(kind: type[Purse], response: Response) -> Purse: ...
@overload
def _expect(kind: type[LedgerPage], response: Response) -> LedgerPage: ...
@overload
def _expect(kind: type[SpansPage], response: Response) -> SpansPage: ...
@overload
def _expect(kind: type[DisputesPage], response: Response) -> DisputesPage: ...
@overload
def _expect(kind: type[EventsPage], response: Response) -> EventsPage: ...
@overload
def _expect(kind: type[MeterPage], response: Response) -> MeterPage: ...
@overload
def _expect(kind: type[OrderSight], response: Response) -> OrderSight: ...
def _expect(kind: type[T], response: Response) -> T:
    if not isinstance(response, kind):
        raise TypeError(f"a host answered {type(response).__name__}, not {kind.__name__}")
    return response


class LocalTransport:
    """A host in this process."""

    def __init__(self, host: WalletHost) -> None:
        self.host = host

    async def send(self, request: Request) -> Response:
        """Serve a request."""
        try:
            return await serve(self.host, request)
        except QueueFullError as error:
            raise SatboxError("overloaded", retry_after=1) from error

    async def broadcast_outage(self, since_ms: int, until_ms: int | None) -> None:
        """Tell the one host."""
        await self.host.payments_unavailable(since_ms, until_ms)

    async def statistics(self) -> dict[str, dict[str, int]]:
        """Counts of the one host."""
        await asyncio.sleep(0)
        return {"local": self.host.statistics()}

    async def overview(self) -> dict[str, HostOverview]:
        """The one host's wallets."""
        return {"local": await self.host.overview()}
