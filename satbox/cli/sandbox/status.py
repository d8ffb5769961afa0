"""`satbox status`, also live, and `satbox reap`."""

import asyncio
import json
import sys
import time
from typing import Any

from operations.plain_text import harmless
from satbox.cli.context import Context
from satbox.cli.errors import UsageError
from satbox.cli.generic import call, values_of
from satbox.cli.output import document_of, duration_text, sats_text, show
from satbox.cli.people import for_people
from satbox.cli.terminal_text import unguarded

ASK_SECONDS = 5.0
TICK_SECONDS = 1.0


async def status(context: Context) -> int:
    """Once, or by the second until Ctrl-C (NDJSON when not for people)."""
    if not context.arguments.watch:
        return await call(context)
    async with context.client() as client:
        follow = _stream if context.as_json else _watch if sys.stdout.isatty() else _lines
        await follow(context, client)
    return 0


async def _lines(context: Context, client: Any) -> None:
    """For people, where a line cannot be overwritten: into a pipe or a file."""
    while True:
        print(harmless(_line(await client.status(**values_of(context)), 0)), flush=True)
        await asyncio.sleep(TICK_SECONDS)


async def _stream(context: Context, client: Any) -> None:
    while True:
        found = await client.status(**values_of(context))
        print(json.dumps(found.model_dump(mode="json")), flush=True)
        await asyncio.sleep(TICK_SECONDS)


def balance_now(balance_usat: int, rate_usat_per_second: int, elapsed_ms: int) -> int:
    """What is left after a while at a rate, in micro-sats; the gate's own answer replaces it every few seconds."""
    return max(0, balance_usat - rate_usat_per_second * elapsed_ms // 1000)


async def _watch(context: Context, client: Any) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(file=unguarded(sys.stdout)), auto_refresh=False) as live:
        found, asked = await client.status(**values_of(context)), time.monotonic()
        while True:
            elapsed_ms = int((time.monotonic() - asked) * 1000)
            if elapsed_ms >= ASK_SECONDS * 1000:
                found, asked, elapsed_ms = await client.status(**values_of(context)), time.monotonic(), 0
            live.update(Text(harmless(_line(found, elapsed_ms)), no_wrap=True), refresh=True)
            await asyncio.sleep(TICK_SECONDS)


def _line(found: Any, elapsed_ms: int) -> str:
    name = f"{found.address[:6]}…{found.address[-4:]}"
    if found.state not in ("alive", "grace"):
        return f"{name}  {found.state}  {sats_text(found.balance_usat)} sats"
    balance = balance_now(found.balance_usat, found.rate_usat_per_second, elapsed_ms)
    left = found.grace.seconds_left if found.grace is not None else found.seconds_left
    left = None if left is None else left - elapsed_ms / 1000
    rate = sats_text(found.rate_usat_per_second)
    return f"{name}  {found.state}  {sats_text(balance)} sats  -{rate}/s  {duration_text(left)} left"


async def reap(context: Context) -> int:
    """Stop the sandbox; deleting its workspace wants a second word."""
    if context.arguments.destroy and not context.arguments.yes:
        raise UsageError("--destroy deletes the workspace for good", "Say --yes as well.")
    async with context.client() as client:
        found = document_of(await client.reap(**values_of(context)))
        show(context, found if context.as_json else for_people("sandbox.reap", found))
    return 0
