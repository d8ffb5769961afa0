"""Amounts, times and states as people read them. Pure. `assets/words.js` says the same in a browser."""

import re
from datetime import UTC, datetime

USAT_PER_SAT = 1_000_000
UNITS_PER_COIN = {"sBTC": 100_000_000, "STX": 1_000_000, "USDCx": 1_000_000}

STATES = {
    "none": "No sandbox",
    "starting": "Starting",
    "alive": "Alive",
    "grace": "Grace",
    "reaped": "Asleep",
}


FOR_PROGRAMS = re.compile(r"\b(GET|POST|PUT|DELETE|details)\b|(^|\s)/(?!workspace)[a-z]")
"""What a hint for programs names: a request, or a field of the answer."""


def hint_for_people(hint: str) -> str:
    """An error's hint where it helps a person."""
    return "" if FOR_PROGRAMS.search(hint) else hint


def sats(usat: int, decimals: int = 2) -> str:
    """Micro-sats as sats, rounded towards zero: `1,234.56`."""
    sign, whole = "-" if usat < 0 else "", abs(usat)
    cut = whole // 10 ** (6 - decimals)
    number = f"{cut // 10**decimals:,}"
    return sign + (f"{number}.{cut % 10**decimals:0{decimals}d}" if decimals else number)


def coins(asset: str, units: int) -> str:
    """An amount of a coin: sBTC in sats, the others in whole coins with as many decimals as they need."""
    if asset == "sBTC":
        return f"{units:,} {'sat' if units == 1 else 'sats'}"
    whole, rest = divmod(units, UNITS_PER_COIN[asset])
    shown = f"{rest:06d}".rstrip("0")
    return f"{whole:,}{'.' + shown if shown else ''} {asset}"


def duration(seconds: float) -> str:
    """The two largest units: `3 d 4 h`, `12 min 5 s`."""
    left = int(max(0, seconds))
    parts: list[str] = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count:,} {unit}")
        if len(parts) == 2:
            break
    return " ".join(parts)


def ago(at_ms: int, now_ms: int) -> str:
    """How long ago, in the largest unit."""
    seconds = max(0, now_ms - at_ms) // 1000
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count:,} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def time_ms(text: str | None) -> int | None:
    """An ISO 8601 time as wall milliseconds; None when it is none."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def short(address: str) -> str:
    """An address that is recognised at both ends."""
    return address if len(address) <= 16 else f"{address[:6]}…{address[-6:]}"
