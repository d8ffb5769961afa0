"""Answers as people read them: 80 columns, amounts in sats, short ids and times. The JSON form has everything."""

import importlib
from typing import Any

from satbox.cli._commands import COMMANDS
from satbox.cli.output import cell_text, label, sats_text
from satbox.cli.short_texts import short_id


def for_people(operation: str, document: dict[str, Any]) -> dict[str, Any]:
    """An operation's answer, ready for a table."""
    named = next((command.form for command in COMMANDS if command.operation == operation), "")
    if not named:
        return document
    module, _, function = named.partition(":")
    shown: dict[str, Any] = getattr(importlib.import_module(f"satbox.cli.{module}"), function)(document)
    return shown


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
