"""Gate passes: got by proof, kept, renewed before they end. With a folder they outlive the process, so that each command need not
prove again.
"""

import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

from operations.identity import GatePass
from satbox.agent.private_file import read_private, remove_private, write_private

RENEW_SECONDS = 60.0
Prove = Callable[[], Awaitable[GatePass]]


class PassCache:
    """The newest pass for one gate and address. `path` None keeps it in memory only."""

    def __init__(self, path: Path | None, key: str, now_seconds: Callable[[], float]) -> None:
        self._path = path
        self._key = key
        self._now = now_seconds
        self._pass: GatePass | None = None

    def get(self) -> GatePass | None:
        """A pass that is still good for a while, or None."""
        if self._pass is None:
            self._pass = self._stored().get(self._key)
        if self._pass is not None and _ends_at(self._pass) <= self._now() + RENEW_SECONDS:
            self._pass = None
        return self._pass

    def put(self, gate_pass: GatePass) -> None:
        """Keep a pass."""
        self._pass = gate_pass
        self._write({**self._stored(), self._key: gate_pass})

    def drop(self) -> None:
        """Forget the pass: the gate does not take it any more."""
        self._pass = None
        kept = self._stored()
        if kept.pop(self._key, None) is not None:
            self._write(kept)

    def _stored(self) -> dict[str, GatePass]:
        if self._path is None:
            return {}
        try:
            passes = {
                key: GatePass.model_validate(value) for key, value in json.loads(read_private(self._path)).items()
            }
        except (OSError, ValueError, AttributeError):
            return {}  # a new pass can always be proven
        return {key: value for key, value in passes.items() if _ends_at(value) > self._now()}

    def _write(self, passes: dict[str, GatePass]) -> None:
        if self._path is None:
            return
        if passes:
            text = json.dumps({key: value.model_dump(mode="json") for key, value in passes.items()})
            write_private(self._path, text.encode(), overwrite=True)
        else:
            remove_private(self._path)


def _ends_at(gate_pass: GatePass) -> float:
    try:
        return datetime.fromisoformat(gate_pass.expires_at).timestamp()
    except ValueError:
        return 0.0
