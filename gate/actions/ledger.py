"""The journal in pages, and in files that can be checked without us; the meter, for people who check."""

from dataclasses import asdict
from datetime import UTC, datetime

from actors.books.ranges import Range
from actors.wallet.commands import SpanRecord
from gate.books.statement_files import Format, shown
from gate.books.statements import of_page, statement_file
from gate.context import RequestContext, action
from gate.parts.services import Services
from gate.reach.streams import file_out
from gate.wire.outcomes import Stream
from operations import ledger as b
from operations.errors import SatboxError
from operations.models import Nothing, Target

TYPES: dict[Format, str] = {
    "sqlite": "application/vnd.sqlite3",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
}


def _moment_ms(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise SatboxError("invalid_request", details={name: "not a moment in ISO 8601"}) from error


def _range(data: b.RangeInput) -> Range:
    return Range(data.after, None, _moment_ms("since", data.since), _moment_ms("until", data.until))


@action("sandbox.ledger")
async def ledger(context: RequestContext, data: b.LedgerInput) -> b.Ledger | Stream:
    """A page with its statement, and the balances all of the journal leads to. Who accepts CSV or SQLite gets the file."""
    services, caller = context.services, context.caller
    address = caller.owned(data.address)
    accepts = context.headers.get("Accept", "")
    for kind, content_type in TYPES.items():
        if kind != "json" and content_type.partition(";")[0] in accepts:
            return await _file(services, address, _range(data), kind)
    page = await services.system.ledger(address, _range(data), data.limit)
    last = page.entries[-1].seq if page.entries else page.bounds.after
    return b.Ledger(
        items=[shown(entry) for entry in page.entries],
        accounts=asdict(page.accounts),
        chain_head=page.head,
        next_cursor=last,
        has_more=last < page.bounds.last,
        statement=of_page(services, address, page),
    )


@action("sandbox.statement")
async def statement(context: RequestContext, data: b.StatementInput) -> Stream:
    """A range as one file."""
    services, caller = context.services, context.caller
    return await _file(services, caller.owned(data.address), _range(data), data.format)


async def _file(services: Services, address: str, wanted: Range, kind: Format) -> Stream:
    return await file_out(statement_file(services, address, wanted, kind), TYPES[kind], f"{address}.{kind}")


@action("service.key")
async def key(context: RequestContext, data: Nothing) -> b.Key:
    """The operator's public key."""
    services = context.services
    settings = services.settings
    return b.Key(
        deployment=settings.deployment, network=settings.network.caip2, public_key=services.receipts.public_key
    )


def _span(span: SpanRecord) -> b.Span:
    elapsed = span.to_ms - span.from_ms
    return b.Span(
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


@action("sandbox.meter")
async def meter(context: RequestContext, data: Target) -> b.MeterExplanation:
    """Every span and its arithmetic, and whether the journal charged the same."""
    services, caller = context.services, context.caller
    page = await services.system.meter(caller.owned(data.address))
    return b.MeterExplanation(
        spans=[_span(span) for span in page.spans],
        charged_usat=page.spans_usat,
        journal_charged_usat=page.journal_usat,
        matches=page.spans_usat == page.journal_usat,
    )
