"""Lengths of time as people write them: `90`, `90s`, `15m`, `1h`, `30d`."""

import argparse
import re

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_TEXT = re.compile(r"([0-9]{1,9})([smhdw]?)", re.ASCII)


def seconds_of(text: str) -> int:
    """Whole seconds, at least one. Raises ArgumentTypeError."""
    found = _TEXT.fullmatch(text)
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if seconds < 1:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is no length of time, such as 90s, 15m, 1h or 30d")
    return seconds
