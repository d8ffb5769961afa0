"""Text by others that a terminal cannot take for commands."""

import re

# C0 without newline and tab, DEL, C1, and marks that reorder or hide text (Unicode TR 36, "bidirectional text spoofing").
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


def harmless(text: str) -> str:
    """Text with every control character shown as its escape, so that JSON stays JSON; newlines and tabs stay."""
    return _CONTROL.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 0x20 else f"\\u{number:04x}"
