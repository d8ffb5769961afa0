"""When a host was last up, so that time in which it was down does not count against anybody's grace."""

import contextlib
import json
import os
from pathlib import Path

from actors.wallet.state import UptimeProof


class Liveness:
    """A small file with the node time of the host's last moment. Losing it costs nobody money."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last_ms = 0

    def beat(self, proof: UptimeProof | None) -> None:
        """Note that the host is up; at most once a second."""
        if proof is None or 0 <= proof.now_ms - self._last_ms < 1000:
            return
        self._last_ms = proof.now_ms
        temporary = self._path.with_suffix(".new")
        with contextlib.suppress(OSError):
            temporary.write_text(json.dumps({"boot_id": proof.boot_id, "at_ms": proof.now_ms}))
            os.replace(temporary, self._path)

    def gap(self, proof: UptimeProof | None) -> tuple[int, int] | None:
        """The stretch of node time in which the host was down, if it was the same boot."""
        if proof is None:
            return None
        try:
            last = json.loads(self._path.read_text())
            at_ms = int(last["at_ms"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if last.get("boot_id") != proof.boot_id or at_ms >= proof.now_ms:
            return None
        return at_ms, proof.now_ms
