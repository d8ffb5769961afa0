"""What every command is, and how one may fare."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Command:
    """Base of all commands. `wants_proof`: a fresh heartbeat is fetched first, because the answer depends on it."""

    wants_proof = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """A command the rules do not allow, by its error code."""

    code: str
    details: dict[str, Any] = field(default_factory=dict)
    retry_after: int | None = None
    """Seconds, when a refusal is for a time."""
