"""`satbox events`: a page, or all that is to come."""

import json
import shutil
from collections import deque
from typing import TYPE_CHECKING, Any

from satbox.cli.context import Context
from satbox.cli.errors import UsageError
from satbox.cli.generic import values_of
from satbox.cli.people import event_words
from satbox.cli.short_texts import date_of, time_text

if TYPE_CHECKING:
    from satbox.client import Client

LIMIT_DEFAULT, LIMIT_MAX = 200, 1_000
TYPE_CHARS = 17
"""As long as the longest type of an event."""


async def events(context: Context) -> int:
    """NDJSON, one event a line; for people lines too, and unless they name a place to start the newest ones."""
    values = values_of(context)
    follow = values.pop("follow", False)
    limit = values.get("limit", LIMIT_DEFAULT)
    if not 1 <= limit <= LIMIT_MAX:
        raise UsageError(f"--limit is from 1 to {LIMIT_MAX}", "See satbox events --help.")
    shown = _Lines(context)
    async with context.client() as client:
        if follow:
            values.pop("limit", None)
            async for event in client.events(**values):
                shown.show(event.model_dump(mode="json"))
        elif context.as_json or "after" in values:
            page = await client.sandbox_events(**values)
            for event in page.items:
                shown.show(event.model_dump(mode="json"))
        else:
            for found in await newest(client, values.get("address"), limit):
                shown.show(found)
    return 0


async def newest(client: "Client", address: str | None, limit: int) -> list[dict[str, Any]]:
    """The newest events, oldest first. The gate's pages go forward only, so all of them are read."""
    kept: deque[dict[str, Any]] = deque(maxlen=limit)
    after, has_more = 0, True
    while has_more:
        page = await client.sandbox_events(address=address, after=after, limit=LIMIT_MAX)
        kept.extend(event.model_dump(mode="json") for event in page.items)
        has_more = page.has_more and page.next_cursor > after
        after = page.next_cursor
    return list(kept)


class _Lines:
    """One line an event; for people cut to the terminal, below a line for each day."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._day = ""

    def show(self, event: dict[str, Any]) -> None:
        if self._context.as_json:
            print(json.dumps(event), flush=True)
            return
        day = date_of(event["at"])
        if day != self._day:
            self._day = day
            print(f"{day} (UTC)")
        when, kind = time_text(event["at"], with_date=False), event["type"].ljust(TYPE_CHARS)
        line = f"{event['seq']:>5}  {when}  {kind}  {event_words(event['data'])}"
        width = shutil.get_terminal_size().columns
        print(line if len(line) <= width else f"{line[: width - 1]}…", flush=True)
