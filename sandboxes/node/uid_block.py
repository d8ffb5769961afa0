"""The machine-wide claim on a block of host uids: two nodes that shared ids would share files and signals.

Each node locks the range of its uids as a byte range of one file, so that blocks that overlap in part collide as well.
The kernel drops the lock when the node ends, however it ends. Nodes that do not see the same file (another /run) are not
protected from each other.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
from pathlib import Path

_F_OFD_SETLK = 37  # Linux: of the open file, so that nothing else this process opens can lose it
_PAUSE_SECONDS = 0.05


class UidBlock:
    """A claim on `count` uids from `first` on; `problem` says why there is none."""

    def __init__(self, path: Path, first: int, count: int, seconds_max: float) -> None:
        """Waits up to `seconds_max` for a node that is just leaving."""
        self.problem: str | None = None
        self._fd = -1
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            self.problem = f"{path} can't be opened: {error.strerror}"
            return
        claim = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, first, count, 0)
        deadline = time.monotonic() + seconds_max
        while True:
            try:
                fcntl.fcntl(self._fd, _F_OFD_SETLK, claim)
            except OSError:
                if time.monotonic() > deadline:
                    self.problem = (
                        f"another node on this machine uses uids in {first} to {first + count - 1};"
                        " set node.slot_uid_base to a range that is free, or remove it and one is found"
                    )
                    return
                time.sleep(_PAUSE_SECONDS)
            else:
                return

    def release(self) -> None:
        """Give the block up; whatever ran under its ids has to be gone."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
