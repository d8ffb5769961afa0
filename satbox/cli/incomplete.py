"""What an answer lacks, said where people and scripts look: a line on stderr, and exit code 123."""

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from satbox.cli.errors import INCOMPLETE, OK
from satbox.cli.output import one_line

NAMES_MAX = 10


def lacks(document: Any) -> list[str]:
    """What an operation's answer says that it lacks: a line each, none for a whole one. Knows every such field by its name."""
    if not isinstance(document, Mapping):
        return []
    lines: list[str] = []
    cut = document.get("truncated")
    if isinstance(cut, Mapping):
        lines += [
            f"{name.removesuffix('_bytes_dropped')} was cut by {dropped} bytes"
            for name, dropped in cut.items()
            if dropped
        ]
    elif cut:
        lines.append("the answer was cut at its limit: there is more")
    if document.get("lost_bytes"):
        lines.append(f"{document['lost_bytes']} older bytes of the log are no longer kept")
    skipped = document.get("skipped")
    if isinstance(skipped, int) and skipped > 0:
        lines.append(left_out(skipped, document.get("skipped_names") or document.get("skipped_examples") or []))
    elif isinstance(skipped, list) and skipped:
        lines.append(left_out(len(skipped), [str(each["path"]) for each in skipped]))
    return lines


def left_out(count: int, names: Iterable[str]) -> str:
    """So many things were left out, the first of them by name."""
    shown = list(names)[:NAMES_MAX]
    more = count - len(shown)
    return f"{count} left out: {', '.join([*shown, *([f'{more} more'] if more > 0 else [])])}"


def say(lines: Iterable[str]) -> int:
    """Print them; the exit code of what otherwise went well."""
    code = OK
    for line in lines:
        print(f"satbox: {one_line(line)}", file=sys.stderr)
        code = INCOMPLETE
    return code
