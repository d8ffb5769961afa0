"""Numbers and times out of answers nobody vouches for: exact decimals, no floats, everything bounded."""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from oracle.pairs import PICO

NUMBER_CHARS_MAX = 40
_NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?")
_LOWEST, _HIGHEST = Decimal("1e-12"), Decimal("1e12")
_YEAR_2100_MS = 4_102_444_800_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SourceFailed(Exception):  # noqa: N818
    """A source gave no price that can be read; the text says what was wrong, in our words."""


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def exact_json(raw: bytes) -> Any:
    """JSON with every number as a Decimal; raises SourceFailed for anything else, nesting without end included."""
    try:
        return json.loads(raw, parse_float=Decimal, parse_int=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError, InvalidOperation) as error:
        raise SourceFailed("answer is no JSON") from error


def number(value: Any) -> Decimal:
    """A positive, plain number, given as such or as its text; raises SourceFailed."""
    text = str(value) if isinstance(value, str | Decimal) else ""
    if len(text) > NUMBER_CHARS_MAX or _NUMBER.fullmatch(text) is None:
        raise SourceFailed("no price in the answer")
    found = Decimal(text)
    if not _LOWEST <= found <= _HIGHEST:
        raise SourceFailed("no sensible price in the answer")
    return found


def pico(value: Any) -> int:
    """Pico-units of a number or its text, rounded down; raises SourceFailed."""
    return int(number(value) * PICO)


def whole(value: Any, lowest: int, highest: int) -> int:
    """An integer within bounds, given as a number or its text; raises SourceFailed."""
    text = str(value) if isinstance(value, str | Decimal) else ""
    if re.fullmatch(r"-?[0-9]{1,20}", text) is None or not lowest <= int(text) <= highest:
        raise SourceFailed("no sensible number in the answer")
    return int(text)


def time_of_ms(value: Any) -> int:
    """Unix milliseconds as the wall time they are; raises SourceFailed."""
    return whole(value, 1, _YEAR_2100_MS)


def time_of_seconds(value: Any) -> int:
    """Unix seconds, a fraction dropped, in milliseconds; raises SourceFailed."""
    text = str(value).partition(".")[0] if isinstance(value, str | Decimal) else None
    return whole(text, 1, _YEAR_2100_MS // 1000) * 1000


def time_of_text(value: Any) -> int:
    """An ISO 8601 time with a zone, in milliseconds; raises SourceFailed."""
    if not isinstance(value, str) or len(value) > NUMBER_CHARS_MAX:
        raise SourceFailed("no time in the answer")
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise SourceFailed("no time zone in the answer")
        return whole(str((moment - _EPOCH) // timedelta(milliseconds=1)), 1, _YEAR_2100_MS)
    except (ValueError, OverflowError) as error:
        raise SourceFailed("no time in the answer") from error


def record(value: Any, what: str = "a record") -> dict[str, Any]:
    """A JSON object; raises SourceFailed."""
    if not isinstance(value, dict):
        raise SourceFailed(f"the answer is not {what}")
    return value


def first(value: Any, what: str = "a list") -> Any:
    """The first of a JSON list; raises SourceFailed."""
    if not isinstance(value, list) or not value:
        raise SourceFailed(f"the answer is not {what}")
    return value[0]


def echo(told: Any, asked: str) -> None:
    """Refuse an answer about something else than was asked for; raises SourceFailed."""
    if told is not None and told != asked:
        raise SourceFailed("the answer is about something else")
