"""Request bodies that a client has compressed (RFC 9110, 8.4): inflated here, a piece at a time, for the gate's own routes.

The server does not do it (`gate/front/server.py`): what is passed on to a sandbox goes as it came.
"""

import zlib
from collections.abc import Iterator

from operations.errors import SatboxError

PIECE_BYTES_MAX = 65_536
_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


class Inflater:
    """Takes a body's pieces and gives what they hold; never more at once than a piece. Raises invalid_request."""

    def __init__(self, encoding: str) -> None:
        word = encoding.strip().lower()
        self._inflate = None
        if word and word != "identity":
            if word not in _WINDOW_BITS:
                raise SatboxError(
                    "invalid_request", f"The content encoding {word[:40]} is not supported.",
                    hint="Send gzip, deflate, or the body as it is.",
                )  # fmt: skip
            self._inflate = zlib.decompressobj(_WINDOW_BITS[word])

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What a piece holds."""
        if self._inflate is None:
            yield data
            return
        if self._inflate.eof and data:
            raise _undecodable()
        while data:
            try:
                piece = self._inflate.decompress(data, PIECE_BYTES_MAX)
            except zlib.error as error:
                raise _undecodable() from error
            data = self._inflate.unconsumed_tail
            if piece:
                yield piece
            elif not data:
                break
        if self._inflate.unused_data:
            raise _undecodable()

    def end(self) -> None:
        """The body is over. Raises invalid_request when it is cut short."""
        if self._inflate is not None and not self._inflate.eof:
            raise _undecodable()


def _undecodable() -> SatboxError:
    return SatboxError("invalid_request", "The request body cannot be decoded.")
