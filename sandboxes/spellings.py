"""Ways in which a text may be written within another: percent-encoded, quoted-printable, escaped as in JSON or HTML, in hex,
base32 or base64. Pure.
"""

import base64
import functools
import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote

DEPTH_MAX = 4
TEXTS_MAX = 64
CHARS_MAX = 262_144
"""Of all spellings of the texts that come together: each character costs up to a microsecond, and its sender pays nothing."""
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2}))")
"""In JSON and its kin; some writers of it escape `+`, `&`, `<` and `'` wherever they stand."""
_PERCENT_U = re.compile(r"%u00([0-9a-fA-F]{2})", re.IGNORECASE)
_QUOTED = re.compile(r"=([0-9a-fA-F]{2})")
"""Quoted-printable (RFC 2045, 6.7), and the words of mail's headers (RFC 2047, 4.2)."""
_NOT_HEX = re.compile(r"[^0-9a-fA-F]")
_DIGITS_32 = str.maketrans(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567abcdefghijklmnopqrstuvwxyz",
    "0123456789abcdefghijklmnopqrstuv0123456789abcdefghijklmnop",
)
"""RFC 4648, 6, as digits that Python reads."""
_URL_SAFE = str.maketrans("-_", "+/")
_PRINTABLE = bytes(range(0x20, 0x7F))


@dataclass(slots=True)
class CharacterBudget:
    """Characters of spellings that may still be looked through. All texts of one head share one, however many they are."""

    left: int = CHARS_MAX


def holds(
    text: str, is_plain_in: Callable[[str], bool], base64_chars_min: int, room: CharacterBudget | None = None
) -> bool:
    """Whether `is_plain_in` is true of a text or of what it decodes to, once or several times over. A text that decodes to
    too much to be looked through counts as one that does. Shorter words than `base64_chars_min` are not taken for base64, nor
    words of other encodings for as many bytes.
    """
    words = _words(base64_chars_min)
    room = room or CharacterBudget()
    waiting, seen = [(text, 0)], {text}
    while waiting:
        each, depth = waiting.pop()
        if is_plain_in(each):
            return True
        for spelling, goes_on in _unwrapped(each, words):
            if not goes_on:
                if is_plain_in(spelling):
                    return True
            elif spelling not in seen:
                room.left -= len(spelling)
                if depth >= DEPTH_MAX or len(seen) >= TEXTS_MAX or room.left < 0:
                    return True
                seen.add(spelling)
                waiting.append((spelling, depth + 1))
    return False


Words = tuple[tuple[int, re.Pattern[str], Callable[[str], Iterator[str]]], ...]
"""Of each encoding the shortest word, how words look, and what they decode to."""
QUOTED_MIN = 6
"""Fewer escapes may be chance: `a=12` is not quoted-printable."""


@functools.cache
def _words(base64_chars_min: int) -> Words:
    least = base64_chars_min * 3 // 4
    return (
        (base64_chars_min, re.compile(rf"[A-Za-z0-9+/_-]{{{base64_chars_min},}}"), _of_base64),
        (2 * least, re.compile(rf"(?:[0-9a-fA-F]{{2}}[ :,_-]?){{{least},}}+[0-9a-fA-F]?"), _of_hex),
        (least * 8 // 5, re.compile(rf"[A-Za-z2-7]{{{least * 8 // 5},}}"), _of_base32),
    )


def _unwrapped(text: str, words: Words) -> Iterator[tuple[str, bool]]:
    """Other spellings of a text, and whether there may be more within."""
    if "%" in text:
        yield unquote(text, "latin-1"), True
        if _PERCENT_U.search(text):
            yield _PERCENT_U.sub(lambda escape: chr(int(escape[1], 16)), text), True
    if "\\" in text:
        yield text.replace("\\", ""), True
        yield _ESCAPE.sub(lambda escape: chr(int(escape[1] or escape[2], 16)), text), True
    if "&" in text:
        yield html.unescape(text), True
    if "=" in text:
        unquoted, count = _QUOTED.subn(lambda escape: chr(int(escape[1], 16)), text)
        if count:
            yield unquoted, count >= QUOTED_MIN
    for least, pattern, decoded_of in words:
        for word in pattern.findall(text) if len(text) >= least else ():
            for decoded in decoded_of(word):
                yield decoded, len(decoded) >= 6 and _is_mostly_text(decoded)


def _of_base64(word: str) -> Iterator[str]:
    for start in range(4):  # wherever in the word it begins
        body = word[start:].translate(_URL_SAFE)
        body = body[:-1] if len(body) % 4 == 1 else body
        yield base64.b64decode(body + "=" * (-len(body) % 4)).decode("latin-1")


def _of_hex(word: str) -> Iterator[str]:
    digits = _NOT_HEX.sub("", word)
    for start in range(2):
        body = digits[start:]
        yield bytes.fromhex(body[: len(body) // 2 * 2]).decode("latin-1")


def _of_base32(word: str) -> Iterator[str]:
    digits = word.translate(_DIGITS_32)
    for start in range(8):
        body = digits[start:]
        size = len(body) * 5 // 8
        yield (int(body or "0", 32) >> (len(body) * 5 - size * 8)).to_bytes(size, "big").decode("latin-1")


def _is_mostly_text(decoded: str) -> bool:
    """Whether a word was base64 of text, and no word that happens to decode to something."""
    others = len(decoded.encode("latin-1").translate(None, _PRINTABLE))
    return (len(decoded) - others) * 10 >= len(decoded) * 9
