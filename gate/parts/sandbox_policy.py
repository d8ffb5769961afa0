"""What restrains a sandbox, as the node says: what a receipt for its work names."""

import hashlib
from typing import Any, Protocol

import rfc8785

from actors.clock import Clock

ASKED_AGAIN_MS = 60_000


class HasDoctor(Protocol):
    """Whoever can say what this node enforces."""

    async def doctor(self) -> dict[str, Any]:
        """The node's own report."""
        ...


class SandboxPolicy:
    """The node's word, asked for once a minute: it changes only when the node starts anew."""

    def __init__(self) -> None:
        self._asked_ms = 0
        self._report: dict[str, Any] | None = None

    async def of(self, node: HasDoctor, clock: Clock, size_class: str, limits: dict[str, Any]) -> dict[str, Any]:
        """The effective policy of a sandbox of this class."""
        now_ms = clock.monotonic_ms()
        if self._report is None or now_ms - self._asked_ms > ASKED_AGAIN_MS:
            self._report, self._asked_ms = await node.doctor(), now_ms
        report = self._report
        checks = report.get("checks", [])
        return {
            "driver": report.get("driver"),
            "cgroups": report.get("cgroup_kind"),
            "egress": report.get("egress"),
            "enforced": sorted(check["name"] for check in checks if check["status"] == "ok"),
            "missing": sorted(check["name"] for check in checks if check["status"] != "ok"),
            "unsupported": sorted(item["feature"] for item in report.get("unsupported", [])),
            "size_class": size_class,
            "limits": limits,
        }


def hash_of(document: Any) -> str:
    """SHA-256 over a document's RFC 8785 form."""
    return hashlib.sha256(rfc8785.dumps(document)).hexdigest()
