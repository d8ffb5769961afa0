"""What the node reports of a wallet's sandbox."""

from dataclasses import dataclass

from actors.wallet.commands.base import Command
from actors.wallet.meters import Reading
from actors.wallet.state import RuntimeRef


@dataclass(frozen=True, slots=True)
class Started(Command):
    """The node reports the runtime healthy."""

    runtime: RuntimeRef


@dataclass(frozen=True, slots=True)
class StartFailed(Command):
    """The node could not start the runtime."""

    runtime_id: str
    code: str
    message: str
    retryable: bool


@dataclass(frozen=True, slots=True)
class Lost(Command):
    """The node reports a runtime dead that was not stopped."""

    runtime_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class StartFileFailed(Command):
    """The node reports that the workspace's start file has failed and is not started again."""

    runtime_id: str
    exit_code: int | None
    signal: int | None
    process_id: str


@dataclass(frozen=True, slots=True)
class Stopped(Command):
    """The node has ended a runtime for good; `stopped_at_ms` is the last moment it provably lived. `skipped`: how many files its
    snapshot could not take along, the first few named with a reason.
    """

    runtime_id: str
    known: bool
    boot_id: str
    stopped_at_ms: int | None
    snapshot_digest: str | None
    reason: str
    readings: tuple[Reading, ...] = ()
    skipped: int = 0
    skipped_examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Readings(Command):
    """The meters of a runtime, as somebody outside of it read them."""

    runtime_id: str
    readings: tuple[Reading, ...]
    wants_proof = True


@dataclass(frozen=True, slots=True)
class Paused(Command):
    """The node reports since when a runtime is frozen, or runs again."""

    runtime_id: str
    boot_id: str
    is_paused: bool
    at_ms: int


@dataclass(frozen=True, slots=True)
class PauseFailed(Command):
    """The node can't freeze this runtime; it goes on as it was."""

    runtime_id: str
    code: str


@dataclass(frozen=True, slots=True)
class Forgotten(Command):
    """The node has deleted what a destroyed lifetime left behind."""
