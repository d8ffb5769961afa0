"""Check a statement with nothing but the operator's public key: its chain, its sums, its spans, its checkpoint, and receipts
that were given out on the way.

Two parties whom the same wallet's history was shown to can compare heads: signed heads of one wallet lie on one chain.
"""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from actors.books.heads import Head
from actors.books.merkle import root_from
from actors.books.replay import JournalReplay, SpanReplay, match_charges
from actors.books.span_chain import linked
from actors.wallet.journal import GENESIS
from operations.checkpoints import InclusionProof
from satbox.audit.findings import Findings
from satbox.audit.receipts import check_receipt, receipt_in
from satbox.audit.statement_file import StatementFile


class StatementCheck:
    """One file, and what may be compared with it."""

    def __init__(self, file: StatementFile, public_key: str) -> None:
        self.found = Findings()
        self._file = file
        self._key = public_key
        self._heads: dict[int, str] = {}
        self._span_heads: dict[int, str] = {0: GENESIS}
        self._said: dict[str, Any] = {}

    @property
    def wallet(self) -> str:
        """Whose statement it is, by the statement."""
        return str(self._said.get("wallet", ""))

    @property
    def last_seq(self) -> int:
        """Its last entry."""
        return max(self._heads, default=0)

    def run(self) -> Findings:
        """Everything the file can be asked."""
        receipt = receipt_in(self._file.statement)
        self.found.take(check_receipt(self._file.statement, self._key, "statement"))
        if receipt is None:
            return self.found
        self._said = receipt.statement
        try:
            self._check()
        except (KeyError, TypeError, ValueError) as error:
            self.found.add("statement", "format", f"{type(error).__name__}: {error}")
        return self.found

    def _tell(self, place: str, rule: str, what: str) -> None:
        self.found.add(place, rule, what)

    def _is(self, name: str, seen: object) -> None:
        if self._said[name] != seen:
            self._tell("statement", name, f"signed was {self._said[name]}, the file leads to {seen}")

    def _check(self) -> None:
        said = self._said
        if said["kind"] != "statement":
            self._tell("statement", "kind", f"is a {said['kind']}")
            return
        after = int(said["after_seq"])
        journal = JournalReplay(self.wallet, self._tell, after, str(said["opening_head"]), int(said["opening_usat"]))
        if after == 0 and (journal.head, journal.balance_usat) != (GENESIS, 0):
            self._tell("statement", "opening", "a journal begins with nothing")
        self._heads[after] = journal.head
        totals: dict[str, dict[str, Any]] = {}
        for entry in self._file.entries:
            journal.take(entry)
            self._heads[entry.seq] = entry.hash
            kind = totals.setdefault(entry.kind, {"count": 0, "postings_usat": {}})
            kind["count"] += 1
            for account, usat in entry.amounts:
                kind["postings_usat"][account] = kind["postings_usat"].get(account, 0) + usat
        for kind in totals.values():
            kind["postings_usat"] = {account: str(usat) for account, usat in kind["postings_usat"].items()}
        self.found.looked_at("journal entries", len(self._file.entries))
        for name, seen in (
            ("last_seq", journal.seq), ("closing_head", journal.head), ("closing_usat", str(journal.balance_usat)),
            ("totals", totals),
        ):  # fmt: skip
            self._is(name, seen)
        if said["journal_seq"] < journal.seq:
            self._tell("statement", "journal_seq", "ends before its own last entry")
        elif said["journal_seq"] == journal.seq:
            self._is("journal_head", journal.head)
        self._beside(journal)
        self._spans(journal)
        if self._file.checkpoint is not None:
            self.against_checkpoint(self._file.checkpoint)

    def _beside(self, journal: JournalReplay) -> None:
        """What a page of the ledger shows of the wallet: its head is signed, its accounts only as far as they are replayed."""
        beside, said = self._file.beside, self._said
        if "chain_head" in beside and beside["chain_head"] != said["journal_head"]:
            self._tell("page", "chain_head", f"shows {beside['chain_head']!r}, signed was {said['journal_head']}")
        if "next_cursor" in beside and beside["next_cursor"] != journal.seq:
            self._tell("page", "next_cursor", f"shows {beside['next_cursor']!r}, its last entry is {journal.seq}")
        if beside.get("has_more") is False and said["journal_seq"] > journal.seq:
            self.found.not_proven.append(
                f"that nothing comes after entry {journal.seq}, of {said['journal_seq']} in all"
            )
        if "accounts" not in beside:
            return
        if journal.is_whole and said["journal_seq"] == journal.seq:
            if beside["accounts"] != asdict(journal.accounts):
                self._tell("page", "accounts", f"shows {beside['accounts']}, its entries lead to {journal.accounts}")
        else:
            self.found.not_proven.append("the accounts: the page does not hold all entries that lead to them")

    def _spans(self, journal: JournalReplay) -> None:
        if self._file.spans is None:
            return
        spans, head = SpanReplay(self._tell), GENESIS
        for span in self._file.spans:
            spans.take(span)
            head = linked(head, span)
            self._span_heads[span.seq] = head
        self.found.looked_at("spans", len(self._file.spans))
        self._is("spans_seq", spans.seq)
        self._is("spans_head", head)
        if journal.is_whole and self._said["journal_seq"] == journal.seq:
            match_charges(journal.charges, spans.charges, self._tell)

    def against_checkpoint(self, document: Any, where: str = "checkpoint") -> None:
        """A proof that a checkpoint holds the wallet's head: whether it does, and whether the head lies on this chain."""
        try:
            proof = InclusionProof.model_validate(document)
            hashes = [bytes.fromhex(part) for part in proof.path]
        except (ValidationError, ValueError) as error:
            self._tell(where, "format", f"cannot be read: {error}")
            return
        self.found.take(check_receipt(proof.checkpoint.model_dump(), self._key, where))
        said, leaf = proof.checkpoint.statement, proof.leaf
        head = Head(leaf.address, leaf.seq, leaf.head, leaf.spans_seq, leaf.spans_head)
        size = said.get("heads")
        led = root_from(head.leaf, proof.position, size, hashes) if isinstance(size, int) else None
        if said.get("kind") != "checkpoint" or led is None or led.hex() != said.get("root"):
            self._tell(where, "inclusion", "the leaf does not lead to the signed root")
        if head.address != self.wallet:
            self._tell(where, "wallet", f"is of {head.address}")
        self._on_chain(where, head.seq, head.head)
        if self._file.spans is not None and self._span_heads.get(head.spans_seq, head.spans_head) != head.spans_head:
            self._tell(f"{where} span {head.spans_seq}", "chain", "the checkpoint holds other spans")
        self.found.looked_at("checkpoints")

    def against_receipts(self, documents: Iterable[tuple[str, Any]]) -> None:
        """Receipts of this wallet, each by its name: signed, and their heads on this chain."""
        for name, document in documents:
            self.found.take(check_receipt(document, self._key, name))
            receipt = receipt_in(document)
            if receipt is None:
                continue
            said = receipt.statement
            if said.get("wallet") != self.wallet:
                self._tell(name, "wallet", f"is of {said.get('wallet')}")
            elif isinstance(said.get("journal_seq"), int):
                self._on_chain(name, said["journal_seq"], str(said.get("journal_head")))

    def _on_chain(self, where: str, seq: int, head: str) -> None:
        ours = self._heads.get(seq)
        if ours is None and seq:
            self.found.looked_at("heads outside of this statement")
        elif ours is not None and ours != head:
            self._tell(f"{where} journal {seq}", "chain", "another history was signed there")

    def against_entry(self, seq: int, head: str) -> None:
        """What the service shows now as the head after an entry."""
        self._on_chain("service", seq, head)
        self.found.looked_at("heads of the live service")
