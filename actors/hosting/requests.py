"""What crosses a process boundary on the way to a host, and how a host serves it."""

from dataclasses import dataclass

from actors.books.ranges import Bounds, Range
from actors.clock import Clock
from actors.hosting.host import WalletHost, creates
from actors.hosting.marks import ORDER
from actors.stores.wallets import StoredEvent, WalletStore
from actors.view import View
from actors.wallet.bucket import Accounts
from actors.wallet.calls import Allowance
from actors.wallet.commands import (
    Command,
    Look,
    PayOrder,
    PostOrders,
    Prepare,
    PromiseOrder,
    Refusal,
    Reserve,
    SpanRecord,
    Unreserve,
)
from actors.wallet.decide_disputes import STEP
from actors.wallet.journal import GENESIS, Entry
from actors.wallet.state import WalletState
from operations.errors import SatboxError

SPANS_MAX = 1000


@dataclass(frozen=True, slots=True)
class Ask:
    """Run a command on a wallet. Answer: View."""

    address: str
    command: Command


Spending = Reserve | Unreserve | PostOrders | PayOrder | PromiseOrder
"""What gates ask of those who pay for calls."""


@dataclass(frozen=True, slots=True)
class Pay:
    """Set money aside for calls, or pay for them. Answer: Purse: a whole wallet would cost more on its way than that does."""

    address: str
    command: Spending


@dataclass(frozen=True, slots=True)
class Preparation:
    """May a payment be presented? Reserves room. Answer: View."""

    address: str
    command: Prepare


@dataclass(frozen=True, slots=True)
class Wait:
    """The wallet once past a version, or when the time is up. Answer: View."""

    address: str
    version: int
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class ReadLedger:
    """A page of a range of the journal. Answer: LedgerPage."""

    address: str
    wanted: Range
    limit: int


@dataclass(frozen=True, slots=True)
class ReadSpans:
    """A page of the spans. Answer: SpansPage."""

    address: str
    after: int
    limit: int


@dataclass(frozen=True, slots=True)
class ReadEvents:
    """Events after a cursor; waits for one up to `timeout_seconds` when there are none. Answer: EventsPage."""

    address: str
    after: int
    limit: int
    timeout_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ReadMeter:
    """Every span, for checking by hand. Answer: MeterPage."""

    address: str


@dataclass(frozen=True, slots=True)
class ReadDisputes:
    """Every step of every dispute. Answer: DisputesPage."""

    address: str


@dataclass(frozen=True, slots=True)
class ReadOrder:
    """Whether an order was paid, promised or posted. Answer: OrderSight."""

    address: str
    order_id: str


Request = Ask | Pay | Preparation | Wait | ReadLedger | ReadSpans | ReadDisputes | ReadEvents | ReadMeter | ReadOrder


@dataclass(frozen=True, slots=True)
class Purse:
    """What a till needs to know of a payer's wallet: what is left, and what it stands at."""

    version: int
    bucket_usat: int
    allowances: tuple[Allowance, ...]
    head: str
    seq: int
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """Entries of a range from its beginning on, the bounds of the range, and the balances and chain head all of the journal
    leads to.
    """

    entries: list[Entry]
    bounds: Bounds
    accounts: Accounts
    head: str
    seq: int
    span_seq: int


@dataclass(frozen=True, slots=True)
class SpansPage:
    """Spans, oldest first."""

    spans: list[SpanRecord]


@dataclass(frozen=True, slots=True)
class DisputesPage:
    """The journal's entries that are steps of disputes, oldest first."""

    entries: list[Entry]


@dataclass(frozen=True, slots=True)
class EventsPage:
    """Events and the last number given out."""

    events: list[StoredEvent]
    last_seq: int


@dataclass(frozen=True, slots=True)
class MeterPage:
    """Spans, their sum, and what the journal says was charged."""

    spans: list[SpanRecord]
    spans_usat: int
    journal_usat: int


@dataclass(frozen=True, slots=True)
class OrderSight:
    """What a wallet remembers of an order."""

    is_used: bool


Response = View | Purse | LedgerPage | SpansPage | DisputesPage | EventsPage | MeterPage | OrderSight


async def serve(host: WalletHost, request: Request) -> Response:
    """Serve one request on the host its address belongs to."""
    match request:
        case Ask(address, command):
            return await host.ask(address, command)
        case Pay(address, command):
            return purse_of(await host.ask(address, command))
        case Preparation(address, command):
            return await host.prepare(address, command)
        case Wait(address, version, timeout_seconds):
            return await host.wait(address, version, timeout_seconds)
        case ReadLedger(address, wanted, limit):
            return await host.read(address, lambda store: _ledger(store, wanted, limit))
        case ReadSpans(address, after, limit):
            return await host.read(address, lambda store: SpansPage(store.spans(after, limit)))
        case ReadDisputes(address):
            kinds = tuple(STEP.values())
            return await host.read(address, lambda store: DisputesPage(store.of_kinds(kinds)))
        case ReadEvents():
            return await _events(host, request)
        case ReadMeter(address):
            return await host.read(address, _meter)
        case ReadOrder(address, order_id):
            return await host.read(address, lambda store: OrderSight(store.has_seen(ORDER, order_id)))


def absent(request: Request, clock: Clock) -> Response | None:
    """What a wallet that was never written answers, without anybody hosting it; None for a request that would begin one."""
    match request:
        case Ask(address, command) | Preparation(address, command):
            if creates(command):
                return None
            refusal = None if isinstance(command, Look) else Refusal("wallet_not_found")
            return View(WalletState(address), clock.wall_ms(), None, refusal)
        case Pay(address, command):
            return None if creates(command) else Purse(0, 0, (), GENESIS, 0, Refusal("wallet_not_found"))
        case Wait(address):
            return View(WalletState(address), clock.wall_ms(), None)
        case ReadLedger() | ReadSpans() | ReadDisputes() | ReadEvents() | ReadMeter() | ReadOrder():
            raise SatboxError("wallet_not_found")


def purse_of(view: View) -> Purse:
    """The part of a view that a till needs."""
    state = view.state
    bucket = state.accounts.bucket
    return Purse(state.version, bucket, state.allowances, state.head, state.seq, view.refusal)


def _ledger(store: WalletStore, wanted: Range, limit: int) -> LedgerPage:
    page = store.journal(wanted, limit)
    state = page.state
    return LedgerPage(page.entries, page.bounds, state.accounts, state.head, state.seq, state.span_seq)


def _meter(store: WalletStore) -> MeterPage:
    spans_usat, journal_usat = store.charged_usat()
    return MeterPage(store.newest_spans(SPANS_MAX), spans_usat, journal_usat)


async def _events(host: WalletHost, request: ReadEvents) -> EventsPage:
    view = await host.wait(request.address, -1, 0)
    if view.state.event_seq <= request.after and request.timeout_seconds > 0:
        await host.wait(request.address, view.state.version, request.timeout_seconds)
    return await host.read(
        request.address,
        lambda store: EventsPage(store.events(request.after, request.limit), store.state.event_seq),
    )
