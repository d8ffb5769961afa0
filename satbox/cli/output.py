"""Results on stdout: exactly one JSON document, or tables for people. Amounts are exact text, never floats."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from operations.plain_text import harmless
from satbox.cli.context import Context
from satbox.cli.terminal_text import unguarded

USAT_PER_SAT = 1_000_000
CELL_CHARS_MAX = 60
LEFT_OUT = frozenset({"previous", "hash", "boot_id"})
"""Columns for machines: they are in the JSON form."""


def sats_text(usat: int) -> str:
    """Micro-sats as sats with all six decimals: 12_500_000 is `12.500000`."""
    sign = "-" if usat < 0 else ""
    whole, part = divmod(abs(usat), USAT_PER_SAT)
    return f"{sign}{whole:,}.{part:06d}"


def duration_text(seconds: float | None) -> str:
    """Seconds for people."""
    if seconds is None:
        return "-"
    whole = int(max(0, seconds))
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (left, "s")]
    shown = [f"{count} {unit}" for count, unit in parts if count][:2]
    return " ".join(shown) or "0 s"


def document_of(result: Any) -> Any:
    """A result as JSON data."""
    return result.model_dump(mode="json") if hasattr(result, "model_dump") else result


def show(context: Context, result: Any, title: str | None = None) -> None:
    """Print a result."""
    document = document_of(result)
    if context.as_json:
        print(json.dumps(document, ensure_ascii=False))
    else:
        tables(document, title)


def label(name: str) -> str:
    """A field's name for people."""
    return name.replace("_usat_per_second", "").removesuffix("_usat").replace("_", " ")


def cell_text(name: str, value: Any) -> str:
    """One value for people, by its name."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and name.endswith("_usat"):
        return f"{sats_text(value)} sats"
    if isinstance(value, int) and name.endswith("_usat_per_second"):
        return f"{sats_text(value)} sats/s"
    if isinstance(value, int) and name == "mode":
        return f"{value:04o}"
    if name == "seconds_left" and isinstance(value, int | float):
        return duration_text(value)
    if name == "postings" and isinstance(value, dict):
        return ", ".join(f"{account} {sats_text(usat)}" for account, usat in value.items() if usat)
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def tables(document: Any, title: str | None = None) -> None:
    """A document for people: its plain values, then its lists."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, file=unguarded(sys.stdout))
    if not isinstance(document, dict):
        console.print(harmless(cell_text("", document)), markup=False)
        return
    plain = Table(box=None, show_header=False, title=title and harmless(title), title_justify="left")
    plain.add_column(style="dim")
    plain.add_column(overflow="fold")
    lists = {name: value for name, value in document.items() if _is_rows(value)}
    wide = _wide(document, console.width)
    for name, value in document.items():
        if name in lists or name in wide or value in (None, [], {}):
            continue
        if isinstance(value, dict):
            for inner, part in value.items():
                if part is not None:
                    plain.add_row(
                        _cell(f"{label(name)} · {label(inner)}"), _cell(_short(cell_text(_unit(name, inner), part)))
                    )
        else:
            plain.add_row(_cell(label(name)), _cell(cell_text(name, value)))
    if plain.row_count:
        console.print(plain)
    for name, text in wide.items():
        print(f" {label(name)}:\n{text}")
    for name, rows in lists.items():
        shown = [key for key in rows[0] if key not in LEFT_OUT]
        columns = [key for key in shown if any(row.get(key) not in (None, [], {}) for row in rows)]
        table = Table(
            title=_cell(label(name)),
            title_justify="left",
            box=None,
            header_style="bold",
            padding=(0, 2, 0, 0),
            pad_edge=False,
        )
        for column in columns:
            table.add_column(_cell(label(column)), overflow="fold")
        for row in rows:
            table.add_row(*(_cell(_short(cell_text(column, row.get(column)))) for column in columns))
        console.print(table)


def one_line(text: str) -> str:
    """Line ends as escapes: a file's name with one in it would write a line of its own, as if it were ours."""
    return text.replace("\n", "\\n")


def _cell(text: str) -> Any:
    """Text for rich, which must not take it for markup, nor a terminal for a command."""
    from rich.text import Text

    return Text(one_line(harmless(text)))


def _wide(document: dict[str, Any], width: int) -> dict[str, str]:
    """Addresses and tokens that a column would cut into pieces: on lines of their own they can be copied whole."""
    room = width - max((len(label(name)) for name in document), default=0) - 4
    return {
        name: value
        for name, value in document.items()
        if isinstance(value, str) and len(value) > room and not any(letter.isspace() for letter in value)
    }


def _unit(outer: str, inner: str) -> str:
    """Journal accounts and postings are micro-sats without saying so."""
    return f"{inner}_usat" if outer in ("accounts", "postings") else inner


def _short(text: str) -> str:
    return text if len(text) <= CELL_CHARS_MAX else text[: CELL_CHARS_MAX - 1] + "…"


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


class ProgressLine:
    """What happens at the moment, on stderr: a spinner's words, and lines that stay. Without a terminal nothing is shown."""

    def __init__(self, status: Any = None) -> None:
        self._status = status

    def words(self, words: str) -> None:
        """What is being waited for now."""
        if self._status is not None:
            self._status.update(harmless(words))

    def line(self, text: str) -> None:
        """A line that stays."""
        if self._status is not None:
            self._status.console.print(harmless(text), markup=False, highlight=False, soft_wrap=True)


@contextmanager
def progress(context: Context, words: str) -> Iterator[ProgressLine]:
    """A spinner on stderr while something takes its time; nothing unless stderr is a terminal."""
    if not context.is_live:
        yield ProgressLine()
        return
    from rich.console import Console

    with Console(file=unguarded(sys.stderr)).status(harmless(words)) as status:
        yield ProgressLine(status)


def note(context: Context, words: str) -> None:
    """A line of progress on stderr, for people only."""
    if not context.as_json:
        print(one_line(words), file=sys.stderr)
