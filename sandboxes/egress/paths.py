"""Whether a path stays below the one that an alias leads to, whatever server reads it. Pure."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote_to_bytes

DECODED_MAX = 6
_OVERLONG = re.compile(rb"[\xc0\xc1]|\xe0[\x80-\x9f]|\xf0[\x80-\x8f]")
"""Another way to write `.` or `/` for who decodes UTF-8 loosely."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DOTS = re.compile(r"[. ]+")


def stays_below(path: str) -> bool:
    """False for what some server takes for a step up or for another root: dot segments with or without parameters
    (`/..;/`), doubled, escaped or backward slashes, in any number of encodings, in overlong or full-width characters.
    """
    raw = path.encode("latin-1")
    slashes = raw.count(b"/")
    for _ in range(DECODED_MAX):
        if not _is_plain(raw, slashes):
            return False
        decoded = unquote_to_bytes(raw)
        if decoded == raw:
            return True
        raw = decoded
    return False


def _is_plain(raw: bytes, slashes: int) -> bool:
    if _OVERLONG.search(raw) or b"%u" in raw.lower():
        return False
    text = unicodedata.normalize("NFKC", raw.decode("utf-8", "replace"))
    is_moved = "\\" in text or "//" in text or text.count("/") != slashes or _CONTROL.search(text) is not None
    return not is_moved and not any(_DOTS.fullmatch(segment.partition(";")[0]) for segment in text.split("/"))
