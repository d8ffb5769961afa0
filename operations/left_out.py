"""What an archive lacks, in the headers of the answer that carries it: counted, the first of it by name."""

import json
from collections.abc import Mapping, Sequence

COUNT = "X-Satbox-Skipped"
NAMES = "X-Satbox-Skipped-Names"
"""A JSON list in ASCII; readers of HTTP take a header of 8 KiB."""
NAMES_BYTES_MAX = 6_000


def left_out_headers(count: int, names: Sequence[str]) -> dict[str, str]:
    """None when nothing is missing; else the count, and as many names as fit."""
    if not count:
        return {}
    shown: list[str] = []
    size = 2
    for name in names:
        size += len(json.dumps(name)) + 2
        if size > NAMES_BYTES_MAX:
            break
        shown.append(name)
    return {COUNT: str(count), NAMES: json.dumps(shown)}


def left_out_of(headers: Mapping[str, str]) -> tuple[int, list[str]]:
    """What `left_out_headers` made; headers that it did not make count as none."""
    try:
        names = json.loads(headers.get(NAMES, "[]"))
        return int(headers.get(COUNT, "0")), [str(name) for name in names] if isinstance(names, list) else []
    except ValueError:
        return 0, []
