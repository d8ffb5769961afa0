"""`satbox wake-link`: make a link to give out, as text and as a QR code; see and revoke those that were."""

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from satbox.cli.context import Context
from satbox.cli.errors import UsageError
from satbox.cli.generic import values_of
from satbox.cli.keys.link_tables import link_may
from satbox.cli.output import document_of, note, show
from satbox.cli.people import for_people
from satbox.cli.short_texts import time_text

if TYPE_CHECKING:
    from satbox.client.wake_links import HeldLink

SCOPES = ("wake", "topup")


async def create(context: Context) -> int:
    """Make a link. Anybody who sees it can use it, so it is written to stdout and the named file only."""
    given = context.arguments
    scopes = [word.strip() for word in given.scope.split(",") if word.strip()]
    if not scopes or set(scopes) - set(SCOPES):
        raise UsageError(
            f"--scope {given.scope[:40]!r} is not known", f"One of {', '.join(SCOPES)}, or both with a comma."
        )
    values = {**values_of(context), "scopes": list(dict.fromkeys(scopes))}
    if given.expires is not None:
        values["expires_seconds"] = given.expires
    async with context.client() as client:
        made = await client.wake_links_create(**values)
    if given.svg is not None:
        _write_svg(Path(given.svg), made.url)
    if context.as_json:
        show(context, made)
        return 0
    print(made.url)
    print(_qr_text(made.url))
    show(context, _made(made.model_dump(mode="json")))
    note(context, f"whoever has it can use it; satbox wake-link revoke {made.link_id} voids it")
    return 0


def _qr_text(url: str) -> str:
    import segno

    drawn = io.StringIO()
    segno.make(url, error="l", boost_error=False, micro=False).terminal(drawn, border=2, compact=True)
    return drawn.getvalue()


def _write_svg(path: Path, url: str) -> None:
    """Only for its owner's eyes: the picture is the link."""
    import segno

    from satbox.agent.local_paths import local_path
    from satbox.agent.private_file import write_private

    drawn = io.BytesIO()
    segno.make(url, error="m", micro=False).save(drawn, kind="svg", scale=4, xmldecl=False)
    with local_path(path):
        write_private(path, drawn.getvalue(), overwrite=True)


def _made(document: dict[str, Any]) -> dict[str, Any]:
    return {
        "link_id": document["link_id"],
        "label": document["label"] or None,
        "its_holder_may": link_may(document),
        "until": time_text(document["expires_at"]),
    }


async def info(context: Context) -> int:
    """What a link may do, by the link itself; no keys needed."""
    link = link_of(context, context.arguments.link)
    async with context.client(with_agent=False, link=link) as client:
        found = document_of(await client.wake_links_info())
        show(context, found if context.as_json else for_people("wake_links.info", found))
    return 0


def link_of(context: Context, text: str) -> "HeldLink":
    """The link a person gave; `-` reads it from standard input, where no process list shows it."""
    from satbox.client.wake_links import LINK_CHARS_MAX, read_link

    return read_link(sys.stdin.readline(LINK_CHARS_MAX + 1) if text == "-" else text)
