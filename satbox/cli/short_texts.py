"""Ids, times and amounts of coins, short enough for a cell of a table."""

import json
import re
from typing import Any

from satbox.cli.output import sats_text

ID_CHARS_MAX = 14
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)")


def short(text: str, characters_max: int) -> str:
    """A text that fits into a cell; one that is cut says so."""
    return text if len(text) <= characters_max else text[: characters_max - 1] + "…"


def short_id(text: str | None) -> str | None:
    """An id or an address that fits into a table, recognisable at both ends; a contract keeps its name."""
    if text is None:
        return None
    owner, dot, name = text.partition(".")
    return (owner if len(owner) <= ID_CHARS_MAX else f"{owner[:8]}…{owner[-3:]}") + dot + name


def reference_text(reference: str | None) -> str | None:
    """What an entry of the journal refers to, short: an id, also where it is said among other things, as of a dispute."""
    try:
        words = json.loads(reference or "")
    except ValueError:
        words = None
    return short_id(words.get("dispute_id", reference) if isinstance(words, dict) else reference)


def date_of(text: str) -> str:
    """The day of an ISO 8601 time; nothing when it is none."""
    found = _TIME.match(text)
    return found[1] if found else ""


def time_text(text: str | None, *, with_date: bool = True) -> str | None:
    """An ISO 8601 time in UTC to the second."""
    found = _TIME.match(text) if text is not None else None
    if found is None:
        return text
    return f"{found[1]} {found[2]}Z" if with_date else found[2]


def coin_text(asset: str | None, amount: Any) -> str:
    """An amount of a coin: sBTC in sats, the others in whole coins of six decimals."""
    if not str(amount).isascii() or not str(amount).isdigit() or asset not in ("sBTC", "STX", "USDCx"):
        return str(amount)
    return f"{int(amount):,} sats" if asset == "sBTC" else f"{sats_text(int(amount))} {asset}"
