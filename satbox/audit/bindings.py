"""What fees, meters and losses in a journal name: a question, a counter, a payment.

No other record says what a fee or a meter was charged for. Their sums are reported as not proven, not left out.
"""

import re
from dataclasses import dataclass, field

from actors.books.replay import Tell
from actors.wallet.journal import Entry
from actors.wallet.meters import METERS, STORAGE

_FEE = re.compile(r"fee_[0-9]{1,18}_[0-9a-f]{32}")
_PERIOD = re.compile(r"period_[0-9]{1,18}")


@dataclass
class Bindings:
    """Takes a journal's entries in order, from the first on."""

    tell: Tell
    unproven_usat: dict[str, int] = field(default_factory=dict)
    """What was taken by fees and meters, by kind."""
    write_offs: list[tuple[int, str]] = field(default_factory=list)
    """(seq, payment id) of every debt that was taken as a loss: a payment that has to exist."""

    def take(self, entry: Entry) -> None:
        """The next entry."""
        reference, moved = entry.reference or "", dict(entry.amounts)
        match entry.kind:
            case "fee" | "meter":
                self._taken(entry, reference, moved.get("burnt", 0))
            case "write_off":
                self.write_offs.append((entry.seq, reference))
            case _:
                pass

    def _taken(self, entry: Entry, reference: str, usat: int) -> None:
        self.unproven_usat[entry.kind] = self.unproven_usat.get(entry.kind, 0) + usat
        if entry.kind == "fee":
            if not _FEE.fullmatch(reference):
                self._off(entry, "fee", f"is for {reference[:80]!r}, which is no question")
            return
        word, _, rest = reference.partition(":")
        meter, _, since = rest.partition(":")
        is_counted = _PERIOD.fullmatch(since) if meter == STORAGE else since
        if word != "meter" or (meter not in METERS and meter != STORAGE) or not is_counted:
            self._off(entry, "meter", f"is for {reference[:80]!r}, which is no meter")

    def _off(self, entry: Entry, rule: str, what: str) -> None:
        self.tell(f"journal {entry.seq}", rule, what)
