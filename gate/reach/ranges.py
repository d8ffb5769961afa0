"""A part of a file, as `Range` asks for it (RFC 9110, 14.2). Pure."""

import re

from operations.errors import SatboxError

_ONE = re.compile(r"\s*bytes=\s*(\d{0,18})-(\d{0,18})\s*", re.ASCII)


def window_of(header: str | None, size: int) -> tuple[int, int] | None:
    """(offset, length) of a single range; None for all of it, also where a `Range` is not understood, as a server may. Raises
    range_invalid.
    """
    found = _ONE.fullmatch(header or "")
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), size if not last else min(size, int(last) + 1)
        if last and int(last) < int(first):
            return None
    if start >= stop:
        raise SatboxError("range_invalid", details={"size_bytes": size})
    return start, stop - start
