"""Where wallets are kept, as hosts, checkpoints and gates see it. `tests/storage/contracts/test_wallets.py` holds each of them.

Calls block, for a transaction at most; hosts make them in threads. Only `exists` is asked on the loop.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from actors.books.heads import Head
from actors.books.ranges import Bounds, Range
from actors.wallet.calls import BundledOrder
from actors.wallet.commands import Happening, SpanRecord
from actors.wallet.journal import Entry
from actors.wallet.state import WalletState

Owns = Callable[[str], bool]
"""Whether an address is this host's."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that must happen at most once for this wallet: a credited payment, a burnt nonce."""

    kind: str
    id: str
    expires_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What a run of turns decided, to be written in one transaction."""

    state: WalletState
    at_ms: int
    entries: Sequence[Entry] = ()
    spans: Sequence[SpanRecord] = ()
    events: Sequence[tuple[int, Happening]] = ()
    marks: Sequence[Mark] = ()
    orders: Sequence[BundledOrder] = ()


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event at its place."""

    seq: int
    at_ms: int
    type: str
    data: dict[str, object]


@dataclass(frozen=True, slots=True)
class JournalPage:
    """Entries of a range from its beginning on, the bounds of the range, and the state they lead to, all of one moment."""

    state: WalletState
    bounds: Bounds
    entries: list[Entry]


class WalletStore(Protocol):
    """One wallet, activated: state, journal, orders of bundles, spans, events, marks.

    A commit writes everything a turn decided, or nothing. It checks the `epoch` first: activation raises it, so a second live
    copy of a wallet can never write. When `commit` returns, the turn survives power loss. Which thread calls does not matter;
    calls take turns.
    """

    epoch: int
    state: WalletState
    """As committed last by this copy."""

    @property
    def is_open(self) -> bool:
        """Whether it holds something that the process has only so many of."""
        ...

    def commit(self, batch: Batch) -> None:
        """Write a batch. Raises FencedError when this copy is no longer the newest, StorageError."""
        ...

    def is_newest(self) -> bool:
        """Whether no other copy of this wallet was activated since."""
        ...

    def has_seen(self, kind: str, mark_id: str) -> bool:
        """Whether a mark was committed before."""
        ...

    def seen_among(self, kind: str, mark_ids: Sequence[str]) -> frozenset[str]:
        """Which of these marks were committed before."""
        ...

    def journal(self, wanted: Range, limit: int) -> JournalPage:
        """The first entries of a range."""
        ...

    def entries(self, after: int, limit: int) -> list[Entry]:
        """Journal entries after a sequence number."""
        ...

    def of_kinds(self, kinds: Sequence[str]) -> list[Entry]:
        """Every entry of these kinds, oldest first."""
        ...

    def spans(self, after: int, limit: int) -> list[SpanRecord]:
        """Spans after a sequence number."""
        ...

    def newest_spans(self, limit: int) -> list[SpanRecord]:
        """The newest spans, oldest first."""
        ...

    def charged_usat(self) -> tuple[int, int]:
        """The sum of all spans' charges, and the sum of all charges in the journal: they must be equal."""
        ...

    def events(self, after: int, limit: int) -> list[StoredEvent]:
        """Events after a sequence number."""
        ...

    def rest(self) -> None:
        """Let go of what it holds until it is needed again; not while somebody is using it. It keeps its epoch."""
        ...

    def close(self) -> None:
        """Let go of it, once its readers have finished."""
        ...


class WalletRepository(Protocol):
    """All wallets of a service. A wallet is there from its first activation on, for ever."""

    async def exists(self, address: str) -> bool:
        """Whether this wallet was ever activated. Asking makes nothing."""
        ...

    def open(self, address: str) -> WalletStore:
        """Activate a wallet, which begins it when it is not there. Raises CorruptWalletError, StorageError."""
        ...

    def addresses(self) -> Iterator[str]:
        """Of every wallet there is, in an order that stays."""
        ...

    def stamp(self, address: str) -> str:
        """What tells two states of a wallet apart: the same only if nothing was committed in between."""
        ...

    def at_rest(self, address: str) -> WalletState | None:
        """A wallet's state without activating it; None when there is none. Raises StorageError, ValueError."""
        ...

    def unfinished(self, owns: Owns | None = None) -> list[str]:
        """Wallets that somebody must look after (`is_unfinished`). A damaged one is logged and passed over: it must not keep the
        others waiting.
        """
        ...

    def head_after(self, address: str, known: Head) -> Head:
        """Where a wallet's chains stand, given where they stood. Raises RewrittenError when that has changed, StorageError."""
        ...
