"""Answers as people read them: 80 columns, amounts in sats, short ids and times. Whoever wants all of it takes the JSON form."""

from collections.abc import Callable
from typing import Any

from satbox.cli import books_tables, key_tables, link_tables, price_tables, sandbox_tables
from satbox.cli.output import cell_text, label, sats_text
from satbox.cli.short_texts import short_id

_FORMS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    **sandbox_tables.FORMS,
    **price_tables.FORMS,
    **key_tables.FORMS,
    **link_tables.FORMS,
    **books_tables.FORMS,
}


def for_people(operation: str, document: dict[str, Any]) -> dict[str, Any]:
    """An operation's answer, ready for a table."""
    form = _FORMS.get(operation)
    return document if form is None else form(document)


_EVENT_FIRST = ("usat", "asset", "expected_usat", "status", "reason", "code", "message")


def event_words(data: dict[str, Any]) -> str:
    """What an event says: amounts first and in sats, ids short and last."""
    names = [*(name for name in _EVENT_FIRST if name in data), *(name for name in data if name not in _EVENT_FIRST)]
    said = []
    for name in names:
        value = data[name]
        if value in (None, "", [], {}):
            continue
        if name in ("usat", "asset", "status"):
            said.append(f"{sats_text(value)} sats" if name == "usat" and isinstance(value, int) else str(value))
        elif isinstance(value, str):
            known = name in ("payment_id", "runtime_id")  # such an id says by its first letters what it is of
            said.append(("" if known else f"{label(name)} ") + str(value if name in _EVENT_FIRST else short_id(value)))
        else:
            said.append(f"{label(name)} {cell_text(name, value)}")
    return ", ".join(said)
