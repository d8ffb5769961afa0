"""The node's last proof of life on disk, so that a bill can stop where the proof stops.

One fixed-size record rewritten in place once a second: no growth, no rename, no fsync. A process crash loses nothing; a
power cut may lose the last seconds, and then the bill stops earlier, never later.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

_RECORD_BYTES = 256


@dataclass(frozen=True, slots=True)
class LastBeat:
    """When the node last proved to be up: boottime milliseconds under a boot id."""

    boot_id: str
    at_ms: int


class HeartbeatFile:
    """Reads and rewrites the record."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def read(self) -> LastBeat | None:
        """The last beat written, None if there is none or it can't be read."""
        try:
            record = json.loads(os.pread(self._fd, _RECORD_BYTES, 0))
            return LastBeat(str(record["boot_id"]), int(record["at_ms"]))
        except (ValueError, KeyError, TypeError):
            return None

    def write(self, beat: LastBeat) -> None:
        """Replace the record in one write of one block."""
        text = json.dumps({"boot_id": beat.boot_id, "at_ms": beat.at_ms})
        os.pwrite(self._fd, text.ljust(_RECORD_BYTES - 1).encode() + b"\n", 0)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)
