"""Bytes as text where they are text, as base64 where they are not: never both, and no character cut in two by us."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any


def text_or_base64(name: str, data: bytes) -> dict[str, str]:
    """Text under `name`; when it is not UTF-8 the bytes under `name_base64`, and no text."""
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        return {name: "", f"{name}_base64": base64.b64encode(data).decode()}


def bytes_of(fields: Mapping[str, Any], name: str) -> bytes:
    """What `text_or_base64` was given."""
    encoded = fields.get(f"{name}_base64")
    return str(fields[name]).encode() if encoded is None else base64.b64decode(encoded)


def shown(fields: Mapping[str, Any], name: str) -> str:
    """The same for a person to read: bytes that are not text are replaced."""
    return bytes_of(fields, name).decode("utf-8", "replace")


def unfinished(data: bytes) -> int:
    """How many bytes at the end begin a UTF-8 character that is not complete there."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        needed = 2 if byte & 0xE0 == 0xC0 else 3 if byte & 0xF0 == 0xE0 else 4 if byte & 0xF8 == 0xF0 else 1
        return back if needed > back else 0
    return 0


class Characters:
    """Output in pieces, each ending where a character does: what begins one is held until the rest of it comes."""

    def __init__(self) -> None:
        self._stream = ""
        self._held = b""

    def feed(self, stream: str, data: bytes) -> Iterator[tuple[str, bytes]]:
        """What can be passed on. What is held of the other stream goes first: order and cursors stay true."""
        if stream != self._stream:
            yield from self.rest()
            self._stream = stream
        data = self._held + data
        cut = len(data) - unfinished(data)
        self._held = data[cut:]
        if cut:
            yield stream, data[:cut]

    @property
    def held_bytes(self) -> int:
        """How much is held."""
        return len(self._held)

    def rest(self) -> Iterator[tuple[str, bytes]]:
        """What is held, at the end: no more of that character comes."""
        if self._held:
            yield self._stream, self._held
            self._held = b""
