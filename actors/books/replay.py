"""Go through a wallet's books again, entry by entry and span by span, and say where they do not hold.

Pure: what is read comes in, what is off goes out as (place, rule, what) by a callback. Nothing is assumed of the rows but
their types.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from actors.wallet.bucket import Accounts, BrokenInvariantError, Posting, check, posted
from actors.wallet.commands import SpanRecord
from actors.wallet.journal import GENESIS, Entry, entry_hash
from actors.wallet.metering import MS_PER_SECOND, charge
from actors.wallet.shapes import shape_fault

Tell = Callable[[str, str, str], None]
"""Takes the place (`journal 17`, `span 3`), the rule that is broken, and what was seen."""

CHARGE = "charge"


@dataclass
class JournalReplay:
    """Entries in order, from an opening on. `accounts` are replayed only from the very beginning: `is_whole`."""

    address: str
    tell: Tell
    seq: int = 0
    head: str = GENESIS
    balance_usat: int = 0
    accounts: Accounts = field(default_factory=Accounts)
    charges: list[tuple[int, int, str | None]] = field(default_factory=list)
    """(seq, burnt usat, runtime id) of every charge."""

    def __post_init__(self) -> None:
        self.is_whole = self.seq == 0

    def take(self, entry: Entry) -> None:
        """The next entry."""
        place = f"journal {entry.seq}"
        if entry.seq != self.seq + 1:
            self.tell(place, "sequence", f"follows {self.seq}")
        if entry.previous != self.head:
            self.tell(place, "chain", "does not name the entry before it")
        if self._hash_of(entry) != entry.hash:
            self.tell(place, "hash", "is not what its hash says")
        if sum(usat for _, usat in entry.amounts):
            self.tell(place, "sum", f"postings sum to {sum(usat for _, usat in entry.amounts)}")
        fault = shape_fault(entry.kind, entry.amounts)
        if fault is not None:
            self.tell(place, "shape", f"{fault}: {entry.amounts}")
        self.balance_usat += sum(usat for name, usat in entry.amounts if name == "bucket")
        if self.balance_usat != entry.balance_after_usat:
            self.tell(
                place, "balance", f"says {entry.balance_after_usat} usat, its postings lead to {self.balance_usat}"
            )
            self.balance_usat = entry.balance_after_usat
        if self.is_whole:
            self._post(place, entry)
        if entry.kind == CHARGE:
            burnt = sum(usat for name, usat in entry.amounts if name == "burnt")
            self.charges.append((entry.seq, burnt, entry.reference))
        self.seq, self.head = entry.seq, entry.hash

    def _hash_of(self, entry: Entry) -> str | None:
        try:
            return entry_hash(
                self.address, entry.seq, entry.at_ms, entry.kind, entry.reference, entry.amounts, entry.previous
            )
        except (TypeError, ValueError):
            return None

    def _post(self, place: str, entry: Entry) -> None:
        try:
            self.accounts = posted(self.accounts, Posting(entry.kind, entry.amounts, entry.reference))
        except (BrokenInvariantError, AttributeError, TypeError) as error:
            self.tell(place, "accounts", str(error))

    def settle(self, accounts: Accounts, seq: int, head: str) -> None:
        """What a wallet says of itself must be where its journal leads."""
        if (seq, head) != (self.seq, self.head):
            self.tell("state", "head", f"is at {seq} {head[:16]}, the journal at {self.seq} {self.head[:16]}")
        if self.is_whole and accounts != self.accounts:
            self.tell("state", "accounts", f"says {accounts}, the journal leads to {self.accounts}")
        try:
            check(accounts)
        except BrokenInvariantError as error:
            self.tell("state", "accounts", str(error))


@dataclass
class SpanReplay:
    """Spans in order: each charge is what its time and rate cost, remainders carry, and no time is charged twice."""

    tell: Tell
    seq: int = 0
    remainder: int = 0
    charges: list[tuple[int, int, str | None]] = field(default_factory=list)
    """(seq, usat, runtime id) of every span that cost something."""
    boots: dict[str, str] = field(default_factory=dict)
    through: dict[str, int] = field(default_factory=dict)

    def take(self, span: SpanRecord) -> None:
        """The next span."""
        place = f"span {span.seq}"
        if span.seq != self.seq + 1:
            self.tell(place, "sequence", f"follows {self.seq}")
        if span.remainder_before != self.remainder:
            self.tell(place, "remainder", f"takes over {span.remainder_before}, the one before left {self.remainder}")
        due = _due(span)
        if due != (span.charge_usat, span.remainder_after):
            self.tell(
                place, "arithmetic", f"charges {span.charge_usat} usat and leaves {span.remainder_after}, due is {due}"
            )
        if self.boots.setdefault(span.runtime_id, span.boot_id) != span.boot_id:
            self.tell(place, "boot", f"runtime {span.runtime_id} is measured under another boot before")
        if span.from_ms < self.through.get(span.boot_id, span.from_ms):
            self.tell(place, "overlap", f"begins at {span.from_ms}, charged up to {self.through[span.boot_id]} before")
        self.through[span.boot_id] = max(span.to_ms, self.through.get(span.boot_id, 0))
        if span.charge_usat:
            self.charges.append((span.seq, span.charge_usat, span.runtime_id))
        self.seq, self.remainder = span.seq, span.remainder_after


def _due(span: SpanRecord) -> tuple[int, int] | None:
    elapsed = span.to_ms - span.from_ms
    if elapsed <= 0 or span.rate_usat_per_second < 0 or not 0 <= span.remainder_before < MS_PER_SECOND:
        return None
    return charge(span.rate_usat_per_second, elapsed, span.remainder_before)


def match_charges(
    journal: Iterable[tuple[int, int, str | None]], spans: Iterable[tuple[int, int, str | None]], tell: Tell
) -> None:
    """Every charge in the journal is for one span, in order, and the reverse. Told once, where they part."""
    ours, theirs = iter(journal), iter(spans)
    while True:
        entry, span = next(ours, None), next(theirs, None)
        if entry is None and span is None:
            return
        if entry is None:
            assert span is not None
            tell(f"span {span[0]}", "charge", f"{span[1]} usat are in no journal entry")
            return
        if span is None:
            tell(f"journal {entry[0]}", "span", f"{entry[1]} usat are charged for no span")
            return
        if entry[1:] != span[1:]:
            tell(f"journal {entry[0]}", "span", f"charges {entry[1]} usat for {entry[2]}, span {span[0]} is {span[1:]}")
            return
