"""Statements: a range of a wallet's journal, its balances and sums, signed by the operator.

A file is written page by page from tables that only grow, up to the end it began with, so it is consistent however long it
takes. It holds the wallet's journal and spans, and nothing else of the wallet.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from actors.books.checkpoints import Inclusion
from actors.books.ranges import Bounds, Range
from actors.books.span_chain import chained
from actors.hosting.requests import LedgerPage
from actors.view import iso
from actors.wallet.journal import GENESIS, Entry
from gate.books.statement_files import WRITERS, Format, Writer
from gate.parts.services import Services
from operations import checkpoints as c
from operations.errors import SatboxError
from operations.models import Receipt

PAGE_ROWS = 1000
FILES_PER_WALLET_MAX = 2
FILES_MAX = 32
"""Files written or read at the same time, of one wallet and of all."""
SPANS_PER_ROW = 20
"""A range may have `statement_rows_max` entries. Spans are those of the whole life, so they have a limit of their own."""


@dataclass
class Totals:
    """Sums by kind, as entries pass."""

    kinds: dict[str, dict[str, int]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, entries: Iterable[Entry]) -> None:
        """Count these in."""
        for entry in entries:
            self.counts[entry.kind] = self.counts.get(entry.kind, 0) + 1
            sums = self.kinds.setdefault(entry.kind, {})
            for account, usat in entry.amounts:
                sums[account] = sums.get(account, 0) + usat

    def document(self) -> dict[str, Any]:
        """As signed: amounts are text, since JCS numbers end at 2^53."""
        return {
            kind: {"count": self.counts[kind], "postings_usat": {name: str(usat) for name, usat in sums.items()}}
            for kind, sums in self.kinds.items()
        }


def signed(
    services: Services,
    address: str,
    page: LedgerPage,
    bounds: Bounds,
    totals: Totals,
    spans: tuple[int, str] | None = None,
) -> Receipt:
    """The operator's word on the entries within `bounds`, and on where the whole chain stands."""
    statement: dict[str, Any] = {
        "kind": "statement",
        "deployment": services.settings.deployment,
        "network": services.settings.network.caip2,
        "wallet": address,
        "after_seq": bounds.after,
        "last_seq": bounds.last,
        "opening_usat": str(bounds.opening_usat),
        "opening_head": bounds.opening_head,
        "closing_usat": str(bounds.closing_usat),
        "closing_head": bounds.closing_head,
        "totals": totals.document(),
        "journal_seq": page.seq,
        "journal_head": page.head,
        "issued_at": iso(services.clock.wall_ms()),
    }
    if spans is not None:
        statement |= {"spans_seq": spans[0], "spans_head": spans[1]}
    return services.receipts.sign(statement)


def of_page(services: Services, address: str, page: LedgerPage) -> Receipt:
    """The statement of the entries on one page."""
    bounds, totals = page.bounds, Totals()
    totals.add(page.entries)
    if page.entries:
        last = page.entries[-1]
        bounds = Bounds(
            bounds.after, last.seq, bounds.opening_usat, bounds.opening_head, last.balance_after_usat, last.hash
        )
    return signed(services, address, page, bounds, totals)


def inclusion_proof(found: Inclusion) -> c.InclusionProof:
    """A proof as callers see it."""
    return c.InclusionProof(
        leaf=c.HeadView(**asdict(found.head)),
        position=found.position,
        path=found.path,
        checkpoint=Receipt(**found.checkpoint),
    )


@contextlib.asynccontextmanager
async def statement_file(services: Services, address: str, wanted: Range, kind: Format) -> AsyncIterator[Path]:
    """The file, for as long as the context lasts. Raises statement_too_large, wallet_not_found, overloaded.

    A slot is held only while the file is written: who reads slowly holds up nobody, and has few files at a time.
    """
    under_way = services.statements_under_way
    if under_way[address] >= FILES_PER_WALLET_MAX or under_way.total() >= FILES_MAX:
        raise SatboxError("overloaded", retry_after=10)
    under_way[address] += 1
    try:
        folder = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix="statement")
        try:
            path = Path(folder.name) / f"statement.{kind}"
            async with services.statement_slots:
                writer = await asyncio.to_thread(WRITERS[kind], path)
                try:
                    await _write(services, address, wanted, writer)
                finally:
                    await asyncio.to_thread(writer.abandon)
            yield path
        finally:
            await asyncio.to_thread(folder.cleanup)
    finally:
        under_way[address] -= 1
        if not under_way[address]:
            del under_way[address]


async def _write(services: Services, address: str, wanted: Range, writer: Writer) -> None:
    first = page = await services.system.ledger(address, wanted, PAGE_ROWS)
    bounds, rows_max = first.bounds, services.settings.statement_rows_max
    spans_max = rows_max * SPANS_PER_ROW
    if bounds.last - bounds.after > rows_max or first.span_seq > spans_max:
        entries = bounds.last - bounds.after
        details = {"entries": entries, "spans": first.span_seq, "rows_max": rows_max, "spans_max": spans_max}
        raise SatboxError("statement_too_large", details=details)
    totals = Totals()
    while page.entries:
        totals.add(page.entries)
        await asyncio.to_thread(writer.entries, page.entries)
        page = await services.system.ledger(address, Range(page.entries[-1].seq, bounds.last), PAGE_ROWS)
    spans_head = await _write_spans(services, address, first.span_seq, writer)
    statement = signed(services, address, first, bounds, totals, (first.span_seq, spans_head))
    documents = {"statement": statement.model_dump()}
    if services.checkpoints is not None:
        found = await asyncio.to_thread(services.checkpoints.inclusion, address)
        if found is not None:
            documents["checkpoint"] = inclusion_proof(found).model_dump()
    await asyncio.to_thread(writer.close, documents)


async def _write_spans(services: Services, address: str, last: int, writer: Writer) -> str:
    seq, head = 0, GENESIS
    while seq < last:
        page = await services.system.spans(address, seq, min(PAGE_ROWS, last - seq))
        if not page.spans:
            break
        seq, head = page.spans[-1].seq, chained(page.spans, head)
        await asyncio.to_thread(writer.spans, page.spans)
    return head
