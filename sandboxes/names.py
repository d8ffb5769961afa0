"""Names of files as text that JSON, URLs and people can carry, and back to the same bytes.

A file's name is bytes, mostly UTF-8. A byte that is not stands as U+EF80 + (byte - 0x80), a character for private use (the
scheme of MirBSD's OPTU-8); a name that has such a character of its own has that one's bytes escaped. So two names never look
the same to a program, and each can be used as it was listed to read, move or delete its file.
"""

from __future__ import annotations

import re

_ESCAPES_FROM = 0xEF00
_TO_ESCAPE = re.compile("[\udc80-\udcff\uef80-\uefff]")
_ESCAPED = re.compile("[\uef80-\uefff]")


def name_text(data: bytes) -> str:
    """Bytes of a name or a path as text."""
    return _TO_ESCAPE.sub(_escaped, data.decode("utf-8", "surrogateescape"))


def _escaped(found: re.Match[str]) -> str:
    return "".join(chr(_ESCAPES_FROM + byte) for byte in found[0].encode("utf-8", "surrogateescape"))


def name_bytes(text: str) -> bytes:
    """What `name_text` was given. Raises ValueError for text that no bytes stand for."""
    return _ESCAPED.sub(lambda found: chr(ord(found[0]) - _ESCAPES_FROM + 0xDC00), text).encode(
        "utf-8", "surrogateescape"
    )
