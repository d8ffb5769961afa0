"""The meter, for people who check."""

from actors.wallet.commands import SpanRecord
from gate.context import RequestContext, action
from operations.ledger import MeterExplanation, Span
from operations.models import Target


def _span(span: SpanRecord) -> Span:
    elapsed = span.to_ms - span.from_ms
    return Span(
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
async def meter(context: RequestContext, data: Target) -> MeterExplanation:
    """Every span and its arithmetic, and whether the journal charged the same."""
    services, caller = context.services, context.caller
    page = await services.system.meter(caller.owned(data.address))
    return MeterExplanation(
        spans=[_span(span) for span in page.spans],
        charged_usat=page.spans_usat,
        journal_charged_usat=page.journal_usat,
        matches=page.spans_usat == page.journal_usat,
    )
