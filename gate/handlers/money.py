"""The journal and the meter, for people who check."""

from aiohttp import web

from actors.view import iso
from actors.wallet.commands import SpanRecord
from gate.callers import Caller
from gate.ports import Services
from gate.routing import Handler
from operations import models as m


async def ledger(services: Services, request: web.Request, caller: Caller, data: m.CursorInput) -> m.Ledger:
    """A page of the journal with the balances it leads to."""
    page = await services.system.ledger(caller.owned(data.address), data.after, data.limit)
    items = [
        m.LedgerEntry(
            seq=entry.seq,
            at=iso(entry.at_ms),
            kind=entry.kind,
            reference=entry.reference,
            postings=dict(entry.amounts),
            balance_after_usat=entry.balance_after_usat,
            previous=entry.previous,
            hash=entry.hash,
        )
        for entry in page.entries
    ]
    last = items[-1].seq if items else data.after
    accounts = page.accounts
    return m.Ledger(
        items=items,
        accounts={
            "bucket": accounts.bucket,
            "owed": accounts.owed,
            "burnt": accounts.burnt,
            "deposits": accounts.deposits,
            "write_offs": accounts.write_offs,
        },
        chain_head=page.head,
        next_cursor=last,
        has_more=last < page.seq,
    )


def _span(span: SpanRecord) -> m.Span:
    elapsed = span.to_ms - span.from_ms
    return m.Span(
        seq=span.seq,
        runtime_id=span.runtime_id,
        boot_id=span.boot_id,
        from_ms=span.from_ms,
        to_ms=span.to_ms,
        elapsed_ms=elapsed,
        rate_usat_per_second=span.rate_usat_per_second,
        remainder_before=span.remainder_before,
        remainder_after=span.remainder_after,
        charge_usat=span.charge_usat,
        arithmetic=(
            f"({span.rate_usat_per_second} * {elapsed} + {span.remainder_before}) // 1000 = {span.charge_usat}, "
            f"remainder {span.remainder_after}"
        ),
    )


async def meter(services: Services, request: web.Request, caller: Caller, data: m.Target) -> m.MeterExplanation:
    """Every span and its arithmetic, and whether the journal charged the same."""
    page = await services.system.meter(caller.owned(data.address))
    return m.MeterExplanation(
        spans=[_span(span) for span in page.spans],
        charged_usat=page.spans_usat,
        journal_charged_usat=page.journal_usat,
        matches=page.spans_usat == page.journal_usat,
    )


HANDLERS: dict[str, Handler] = {"sandbox.ledger": ledger, "sandbox.meter": meter}
