"""Where log lines go: a file descriptor that may be full or closed, which is nobody's failure but its own."""

import os
import threading
from contextlib import suppress


class LogStream:
    """Writes whole lines to a descriptor, unbuffered. A line that cannot be written (a full disk, a reader that has gone) is
    dropped and counted; the count is written before the next line that succeeds. Logging never raises, so an error handler
    that logs still handles its error.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._dropped = 0
        self._is_torn = False

    def write(self, text: str) -> int:
        """Write text, if it can be."""
        with self._lock:
            if self._dropped and self._put(f"{self._dropped} log lines could not be written\n"):
                self._dropped = 0
            if self._dropped or not self._put(text):
                self._dropped += 1
            return len(text)

    def _put(self, text: str) -> bool:
        data = memoryview((("\n" if self._is_torn else "") + text).encode(errors="replace"))
        sent = 0
        try:
            while sent < len(data):
                sent += os.write(self._descriptor, data[sent:])
        except OSError:
            self._is_torn = self._is_torn or sent > 0
            return False
        self._is_torn = False
        return True

    def flush(self) -> None:
        """Nothing waits here."""

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        with suppress(OSError):
            return os.isatty(self._descriptor)
        return False
