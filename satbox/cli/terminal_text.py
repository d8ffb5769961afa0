"""What reaches a person's terminal: letters, never commands to it.

File names, display names, texts of disputes and the output of commands are written by others, some of them hostile. An escape
sequence in them could rewrite the screen, set the clipboard, or type for the reader. So everything that is printed on a terminal
goes through one of these streams, which show control characters as escapes. Programs get every byte: only terminals are
guarded. Where a user asks for raw bytes (`--raw`, a shell), `raw_output` leads past the guard.
"""

from __future__ import annotations

import codecs
import re
import sys
from typing import Any, BinaryIO, TextIO

from operations.plain_text import harmless

_COLOUR = re.compile(r"\x1b\[[0-9;:]{0,40}m")
_UNFINISHED = re.compile(r"\x1b(\[[0-9;:]{0,40})?\Z")
_RESET = "\x1b[0m"


class ProcessOutput:
    """Output of a program, piece by piece: its colours and carriage returns stay, whatever else commands the terminal is shown.
    Bytes that are not UTF-8 are shown as escapes.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._rest = ""
        self._is_coloured = False

    def shown(self, data: bytes, *, is_last: bool = False) -> str:
        """What of the output so far can be shown now."""
        text = self._rest + self._decoder.decode(data, is_last)
        self._rest = ""
        unfinished = None if is_last else _UNFINISHED.search(text)
        if unfinished is not None:
            text, self._rest = text[: unfinished.start()], unfinished[0]
        parts, at = [], 0
        for colour in _COLOUR.finditer(text):
            parts += [self._plain(text[at : colour.start()]), colour[0]]
            self._is_coloured, at = True, colour.end()
        parts.append(self._plain(text[at:]))
        if is_last and self._is_coloured:
            parts.append(_RESET)
        return "".join(parts)

    @staticmethod
    def _plain(text: str) -> str:
        return "\r".join(harmless(part) for part in text.split("\r"))


class _GuardedBytes:
    """The `buffer` of a guarded stream."""

    def __init__(self, inner: TextIO) -> None:
        self._inner = inner
        self._output = ProcessOutput()

    def write(self, data: bytes) -> int:
        self._inner.write(self._output.shown(data))
        return len(data)

    def flush(self) -> None:
        self._inner.flush()

    def finish(self) -> None:
        """Show what was held back in the hope of its end."""
        self._inner.write(self._output.shown(b"", is_last=True))
        self._output = ProcessOutput()


class GuardedStream:
    """A terminal's stream that shows control characters instead of sending them."""

    def __init__(self, unguarded: TextIO) -> None:
        self.unguarded = unguarded
        self.buffer = _GuardedBytes(unguarded)

    def write(self, text: str) -> int:
        """Print text; it counts whole."""
        self.unguarded.write(harmless(text))
        return len(text)

    def finish(self) -> None:
        """Show the last of what came as bytes."""
        self.buffer.finish()
        self.unguarded.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unguarded, name)


def guard() -> None:
    """Guard standard output and standard error where they are terminals; to be called once, before anything is printed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and stream.isatty() and not isinstance(stream, GuardedStream):
            setattr(sys, name, GuardedStream(stream))


def finish() -> None:
    """Show what is still held back, at the end."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, GuardedStream):
            stream.finish()


def unguarded(stream: TextIO) -> TextIO:
    """The terminal itself, for a library that draws on it (rich): what is drawn must be harmless already."""
    return stream.unguarded if isinstance(stream, GuardedStream) else stream


def raw_output(stream: TextIO) -> BinaryIO:
    """The bytes of a stream, unguarded: for a user who asked for them."""
    return unguarded(stream).buffer
