"""The journal in pages, and in files that can be checked without us."""

from dataclasses import asdict
from datetime import UTC, datetime

from aiohttp import web

from actors.books.pages import Range
from gate.books.statement_files import Format, shown
from gate.books.statements import of_page, statement_file
from gate.identity.callers import Caller
from gate.identity.handler import Handler
from gate.parts.services import Services
from gate.reach.streams import file_out
from operations import ledger as b
from operations.errors import SatboxError
from operations.models import Nothing

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


async def ledger(
    services: Services, request: web.Request, caller: Caller, data: b.LedgerInput
) -> b.Ledger | web.StreamResponse:
    """A page with its statement, and the balances all of the journal leads to. Who accepts CSV or SQLite gets the file."""
    address = caller.owned(data.address)
    accepts = request.headers.get("Accept", "")
    for kind, content_type in TYPES.items():
        if kind != "json" and content_type.partition(";")[0] in accepts:
            return await _file(services, request, address, _range(data), kind)
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


async def statement(
    services: Services, request: web.Request, caller: Caller, data: b.StatementInput
) -> web.StreamResponse:
    """A range as one file."""
    return await _file(services, request, caller.owned(data.address), _range(data), data.format)


async def _file(
    services: Services, request: web.Request, address: str, wanted: Range, kind: Format
) -> web.StreamResponse:
    async with statement_file(services, address, wanted, kind) as path:
        return await file_out(request, path, TYPES[kind], f"{address}.{kind}")


async def key(services: Services, request: web.Request, caller: Caller, data: Nothing) -> b.Key:
    """The operator's public key."""
    settings = services.settings
    return b.Key(
        deployment=settings.deployment, network=settings.network.caip2, public_key=services.receipts.public_key
    )


HANDLERS: dict[str, Handler] = {"sandbox.ledger": ledger, "sandbox.statement": statement, "service.key": key}
