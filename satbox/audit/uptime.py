"""What the sandbox node has proven: which runtime was up from when to when, under which boot.

The node's slot table keeps runtimes with the moments they were healthy and ended at; the heartbeat file says how far the
running ones are proven. Of runtimes it has forgotten by its own rule nothing can be said any more; they are counted.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

from actors.wallet.commands import SpanRecord
from satbox.audit.files import check_pages, readable, snapshot
from satbox.audit.findings import Findings

WHERE = "node/slots.sqlite"
BEAT_BYTES_MAX = 4096


@dataclass(frozen=True, slots=True)
class Life:
    """One runtime's life; milliseconds of its node's boottime under `boot_id`."""

    address: str
    boot_id: str
    healthy_at_ms: int | None
    ended_at_ms: int | None


@dataclass
class Uptime:
    """The lives a node remembers; one that `is_known` False knows nothing and finds no fault."""

    lives: dict[str, Life] = field(default_factory=dict)
    last_beat: tuple[str, int] | None = None
    is_known: bool = False
    has_forgotten: bool = False

    def fault(self, address: str, span: SpanRecord) -> str | None:
        """Why a span does not lie in the proven life of its wallet's runtime; None when it does, or nobody can tell."""
        life = self.lives.get(span.runtime_id)
        if not self.is_known or (life is None and self.has_forgotten):
            return None
        if life is None:
            return f"charged for runtime {span.runtime_id}, which the node never had"
        if (life.address, life.boot_id) != (address, span.boot_id):
            return f"runtime {span.runtime_id} was {life.address}'s, under boot {life.boot_id}"
        if life.healthy_at_ms is None or span.from_ms < life.healthy_at_ms:
            return f"charged from {span.from_ms}, healthy from {life.healthy_at_ms}"
        until = life.ended_at_ms
        if until is None and self.last_beat is not None and self.last_beat[0] == span.boot_id:
            until = self.last_beat[1]
        if until is not None and span.to_ms > until:
            return f"charged up to {span.to_ms}, proven up to {until}"
        return None


def read_uptime(node: Path, found: Findings) -> Uptime:
    """The lives in a node's folder."""
    path = node / "slots.sqlite"
    uptime = Uptime()
    if not path.exists():
        return uptime
    with readable(WHERE, found), snapshot(path) as db:
        check_pages(db, WHERE, found)
        rows = db.execute("SELECT runtime_id, address, boot_id, healthy_at_ms, ended_at_ms FROM runtimes")
        uptime.lives = {str(row[0]): Life(*row[1:]) for row in rows}
        (first,) = db.execute("SELECT min(rowid) FROM runtimes").fetchone()
        uptime.has_forgotten = first is not None and first > 1
        uptime.is_known = True
    uptime.last_beat = _last_beat(node / "heartbeat")
    return uptime


def _last_beat(path: Path) -> tuple[str, int] | None:
    try:
        with path.open("rb") as file:
            record = json.loads(file.read(BEAT_BYTES_MAX))
        return str(record["boot_id"]), int(record["at_ms"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
