"""`satbox events`: a page, or all that is to come."""

import json

from satbox.cli.context import Context
from satbox.cli.generic import values_of


async def events(context: Context) -> int:
    """NDJSON, one event a line; lines for people on a terminal."""
    values = values_of(context)
    follow = values.pop("follow", False)
    async with context.client() as client:
        if follow:
            values.pop("limit", None)
            async for event in client.events(**values):
                _print(context, event.model_dump(mode="json"))
            return 0
        page = await client.sandbox_events(**values)
        for event in page.items:
            _print(context, event.model_dump(mode="json"))
    return 0


def _print(context: Context, event: dict[str, object]) -> None:
    if context.as_json:
        print(json.dumps(event), flush=True)
    else:
        print(f"{event['seq']:>6}  {event['at']}  {event['type']:<12} {json.dumps(event['data'])}", flush=True)
