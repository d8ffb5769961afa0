"""What a background process wrote: the last of it, in order, under a cursor that never moves back."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of one stream; `start` is how many bytes of both streams came before."""

    start: int
    stream: str
    data: bytes

    @property
    def end(self) -> int:
        """The cursor after this piece."""
        return self.start + len(self.data)


class ProcessLog:
    """A window of at most `bytes_max` over everything written. Pure; a cursor is a count of bytes since the start."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._pieces: deque[Piece] = deque()
        self._size = 0
        self.end = 0

    @property
    def start(self) -> int:
        """The oldest byte still kept; those before are gone."""
        return self._pieces[0].start if self._pieces else self.end

    def append(self, stream: str, data: bytes) -> None:
        """Keep new output, let the oldest go."""
        last = self._pieces[-1] if self._pieces else None
        if last is not None and last.stream == stream and len(last.data) + len(data) <= _PIECE_BYTES:
            # Programs that write byte by byte would cost more in bookkeeping than in bytes.
            self._pieces[-1] = Piece(last.start, stream, last.data + data)
        elif data:
            self._pieces.append(Piece(self.end, stream, data))
        self.end += len(data)
        self._size += len(data)
        self.trim(self._bytes_max)

    @property
    def size(self) -> int:
        """How many bytes are kept."""
        return self._size

    def trim(self, bytes_max: int) -> None:
        """Let the oldest go until no more than so many bytes are kept."""
        while self._size > bytes_max or len(self._pieces) > PIECES_MAX:
            oldest = self._pieces.popleft()
            excess = self._size - bytes_max
            if 0 < excess < len(oldest.data):
                self._pieces.appendleft(Piece(oldest.start + excess, oldest.stream, oldest.data[excess:]))
                self._size -= excess
            else:
                self._size -= len(oldest.data)

    def read(self, after: int, bytes_max: int) -> tuple[list[Piece], int, int]:
        """(pieces, next cursor, bytes that were already gone) from a cursor on, at most `bytes_max` bytes."""
        lost = max(0, self.start - after)
        at = max(after, self.start)
        found: list[Piece] = []
        left = bytes_max
        for piece in self._pieces:
            if piece.end <= at or left <= 0:
                continue
            data = piece.data[max(0, at - piece.start) :][:left]
            found.append(Piece(max(piece.start, at), piece.stream, data))
            left -= len(data)
        return found, found[-1].end if found else at, lost

    def find(self, text: bytes, after: int) -> int | None:
        """The cursor just after the first `text` written at or after a cursor, over both streams as they came."""
        recent: list[Piece] = []
        for piece in reversed(self._pieces):
            if piece.end <= after:
                break
            recent.append(piece)
        if not recent:
            return None
        start = recent[-1].start
        found = b"".join(piece.data for piece in reversed(recent)).find(text, max(0, after - start))
        return None if found < 0 else start + found + len(text)


_PIECE_BYTES = 4096
PIECES_MAX = 4096
"""A program that writes byte by byte to both streams in turn must not cost more in bookkeeping than in bytes."""
