"""Disputes in a wallet's journal: every step follows from the one before, and every verdict is put right exactly once."""

import json

from actors.books.replay import Tell
from actors.wallet.decide_disputes import ANSWERED, DENIED, OPEN, STEP, UPHELD, USE
from actors.wallet.journal import Entry

_BEFORE = {OPEN: (None,), ANSWERED: (OPEN,), UPHELD: (OPEN, ANSWERED), DENIED: (OPEN, ANSWERED)}
_STATES = {kind: state for state, kind in STEP.items()}


class Verdicts:
    """Takes a journal's entries in order."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._states: dict[str, str] = {}
        self._most: dict[str, int] = {}
        self._due: dict[str, int] = {}
        self._for_use: set[str] = set()
        self._burnt = self._put_right = 0

    def take(self, entry: Entry) -> None:
        """Take the next entry; entries that are not steps of a dispute are skipped."""
        place = f"journal {entry.seq}"
        state = _STATES.get(entry.kind)
        self._burnt += sum(moved for name, moved in entry.amounts if name == "burnt")
        if state is not None:
            self._step(place, state, entry)
        elif entry.kind == "credit":
            usat = sum(moved for name, moved in entry.amounts if name == "bucket")
            due = self._due.pop(entry.reference or "", None)
            if due != usat:
                self._tell(place, "dispute", f"puts {usat} usat right for {entry.reference}, whose verdict says {due}")
            if entry.reference in self._for_use:
                self._put_right += usat
                if self._put_right > self._burnt:
                    what = f"{self._put_right} usat are put right of {self._burnt} that use has cost"
                    self._tell(place, "dispute", what)

    def _step(self, place: str, state: str, entry: Entry) -> None:
        try:
            words = json.loads(entry.reference or "")
            dispute_id, usat = str(words["dispute_id"]), int(words.get("usat", 0))
            most = int(words["usat_max"]) if state == OPEN else self._most.get(dispute_id, 0)
        except (ValueError, KeyError, TypeError):
            self._tell(place, "dispute", "its words cannot be read")
            return
        before = self._states.get(dispute_id)
        if before not in _BEFORE[state]:
            self._tell(place, "dispute", f"{dispute_id} is {state} after {before}")
        if entry.amounts or usat > most or (usat and state != UPHELD):
            self._tell(place, "dispute", f"{dispute_id} is {state} with {usat} usat of {most}, posting {entry.amounts}")
        if state == OPEN and isinstance(words.get("about"), dict) and words["about"].get("kind") in USE:
            self._for_use.add(dispute_id)
        self._states[dispute_id], self._most[dispute_id] = state, most
        if usat:
            self._due[dispute_id] = usat

    def settle(self) -> None:
        """At the journal's end no verdict is left that was not put right."""
        for dispute_id, usat in self._due.items():
            self._tell("journal", "dispute", f"the verdict on {dispute_id} gives {usat} usat, which were never posted")
