"""Keeps a header's secret out of what goes back to the guest that must not see it. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from sandboxes.spellings import CharacterBudget, holds

REDACTED = "[redacted]"
BARE_CHARS_MIN = 4
"""A shorter text is not taken for a secret by itself."""
PIECE_CHARS_MIN = 8
"""As long must a part be that is looked for by itself: the key of `Token id=..., key="..."`."""
ENOUGH_CHARS = 16
"""So many characters of a secret in a row are nobody's chance, however long it is."""
SOUGHT_ONE_BY_ONE_MAX = 512
"""Python looks for so many runs one after the other in less time than it looks at each place for all of them."""
_BETWEEN = re.compile(r"[\s=,;:\"']+")
_SMALL = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
"""Letter by letter, so that places stay what they are."""


class Redactor:
    """Takes one secret out of texts: the whole header's value, what stands behind its scheme, their parts, and any run of half of
    one of those, in any case, as they are or encoded.
    """

    def __init__(self, value: str) -> None:
        parts = _parts(value)
        known = sorted((re.escape(text) for text in {value, *parts}), key=len, reverse=True)
        if len(value) < BARE_CHARS_MIN:  # it stands in every answer by chance
            known = [rf"\A{re.escape(value)}\Z"]
        self._pattern = re.compile("|".join(known), re.IGNORECASE)
        self._runs_of: dict[int, set[str]] = {}
        """Every run that is looked for, by its length."""
        for part in (part.translate(_SMALL) for part in parts if len(part) >= PIECE_CHARS_MIN):
            size = run_chars_min(len(part))
            self._runs_of.setdefault(size, set()).update(part[at : at + size] for at in range(len(part) - size + 1))

    def __call__(self, text: str, room: CharacterBudget | None = None) -> str:
        """The text without it. One that holds it in another spelling goes as a whole."""
        plain = self._without_runs(self._pattern.sub(REDACTED, text))
        return REDACTED if holds(plain, self._is_in, PIECE_CHARS_MIN, room) else plain

    def _without_runs(self, text: str) -> str:
        end, kept = 0, []
        for begin, until in sorted(self._runs(text)):
            if begin >= end:
                kept += [text[end:begin], REDACTED]
            end = max(end, until)
        return "".join([*kept, text[end:]])

    def _runs(self, text: str) -> Iterator[tuple[int, int]]:
        """Begin and end of each run of the text that matches so much of a part that it cannot be chance."""
        small = text.translate(_SMALL)
        for size, runs in self._runs_of.items():
            if len(runs) <= SOUGHT_ONE_BY_ONE_MAX and not any(run in small for run in runs):
                continue
            for at in range(len(small) - size + 1):
                if small[at : at + size] in runs:
                    yield at, at + size

    def fields(self, fields: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Header fields without it; one that has it in its name is left out."""
        room = CharacterBudget()
        return [(name, self(value, room)) for name, value in fields if self(name, room) == name]

    def _is_in(self, text: str) -> bool:
        return self._pattern.search(text) is not None or next(self._runs(text), None) is not None


def run_chars_min(length: int) -> int:
    """How many characters in a row of a part of this length are taken out: half of it, but at least 8 (or all but one) and
    at most 16.
    """
    return min(ENOUGH_CHARS, max(min(length - 1, PIECE_CHARS_MIN), (length + 1) // 2))


def _parts(value: str) -> set[str]:
    """What of a header's value is secret by itself: all but its first word when there are more, and its longer pieces."""
    scheme, _, bare = value.partition(" ")
    bare = bare.strip() or value
    parts = {bare} if len(bare) >= BARE_CHARS_MIN else set()
    parts |= {piece for piece in _BETWEEN.split(bare) if len(piece) >= PIECE_CHARS_MIN}
    if scheme.lower() == "basic":
        parts |= _of_basic(bare)
    return parts


def _of_basic(encoded: str) -> set[str]:
    """Name and password, and the password (RFC 7617)."""
    try:
        pair = base64.b64decode(encoded + "=" * (-len(encoded) % 4)).decode("latin-1")
    except (binascii.Error, ValueError):
        return set()
    name, _, password = pair.partition(":")
    return {text for text in (pair, password or name) if len(text) >= BARE_CHARS_MIN}
