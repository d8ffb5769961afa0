"""A bounds-checked cursor over bytes from outside; all codecs read through it."""

from stacks.errors import StacksError


class Reader:
    """Reads forward and never past the end; running short raises the codec's own error class."""

    __slots__ = ("_data", "_error", "_offset", "_values")

    def __init__(self, data: bytes, error: type[StacksError]) -> None:
        self._data = data
        self._offset = 0
        self._error = error
        self._values = 0

    @property
    def remaining(self) -> int:
        """Bytes not yet read."""
        return len(self._data) - self._offset

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        end = self._offset + count
        if end > len(self._data):
            raise self._error(f"{count} bytes wanted at offset {self._offset}, {self.remaining} left")
        chunk = self._data[self._offset : end]
        self._offset = end
        return chunk

    def uint(self, width: int) -> int:
        """The next big-endian unsigned integer of `width` bytes."""
        return int.from_bytes(self.take(width), "big")

    def count(self, width: int, limit: int) -> int:
        """A count that announces items of at least one byte each, so it can never exceed what is left."""
        value = self.uint(width)
        if value > limit or value > self.remaining:
            raise self._error(f"count {value} is beyond its limit or the data")
        return value

    def next_value(self, limit: int) -> None:
        """One more value begins, within others or beside them: a byte can be one, and each costs ten microseconds to show."""
        self._values += 1
        if self._values > limit:
            raise self._error(f"more than {limit} values")

    def finish(self) -> None:
        """Refuses trailing bytes: one value has one encoding."""
        if self.remaining:
            raise self._error(f"{self.remaining} trailing bytes")
