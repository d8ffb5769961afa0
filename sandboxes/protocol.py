"""What every implementation of a sandbox node promises.

The real client (`sandboxes.client.NodeClient`), the service behind it and the simulated node (`sandboxes.simulated`)
all implement `SandboxNode` and pass the same contract suite.

Times are milliseconds of CLOCK_BOOTTIME under the kernel's boot id: a number means nothing without its boot id.

Errors
    SandboxError
      StartFailed      the runtime is not up and nothing of it is left; `retryable` says whether the same request may work
      NoCapacity       no room now; ask again after `retry_after_seconds`
      RuntimeGone      the runtime id is not (or no longer) the one running: nothing reaches its successor
      BadRequest       the request can never work
      NodeUnavailable  the node did not answer; what it did is unknown
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

CANNOT_RUN = (126, 127)
"""A shell's exit codes for a file that is not executable, or whose program is missing: a restart changes nothing."""

LossReason = Literal["exited", "oom_killed", "node_restart", "reboot", "protocol_broken"]


class SandboxError(Exception):
    """Base of everything a sandbox node refuses or fails at. `code` is stable; `status` is its HTTP status."""

    code = "sandbox_error"
    status = 500
    retryable = False

    def __init__(self, message: str, *, code: str | None = None, retryable: bool | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        if retryable is not None:
            self.retryable = retryable


class StartFailed(SandboxError):  # noqa: N818 - reads as what happened
    """The sandbox did not come up. Nothing of it runs and nothing is to be charged."""

    code = "start_failed"
    status = 502

    def __init__(self, code: str, message: str, retryable: bool) -> None:
        super().__init__(message, code=code, retryable=retryable)


class NoCapacity(SandboxError):  # noqa: N818 - reads as what happened
    """No slot of the asked size class is free."""

    code = "no_capacity"
    status = 503
    retryable = True

    def __init__(self, message: str = "no slot is free", *, retry_after_seconds: float = 5.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class StorageFull(SandboxError):  # noqa: N818 - reads as what happened
    """The node's own disk has no room for what was asked. Nothing was changed."""

    code = "storage_full"
    status = 507
    retryable = True
    is_over_bound = False
    """It is larger than the room that it was given, which there was."""


class RuntimeGone(SandboxError):  # noqa: N818 - reads as what happened
    """The runtime id names nothing that runs here. What it asked for was not done."""

    code = "runtime_gone"
    status = 410


class BadRequest(SandboxError):  # noqa: N818 - reads as what happened
    """The request is malformed or over a limit; the same bytes will never work."""

    code = "bad_request"
    status = 400


class NodeUnavailable(SandboxError):  # noqa: N818 - reads as what happened
    """The node did not answer in full. Whether it acted is unknown."""

    code = "node_unavailable"
    status = 503
    retryable = True


@dataclass(frozen=True, slots=True)
class StartRequest:
    """Ask for one runtime. `runtime_id` is chosen by the caller and used once for ever."""

    runtime_id: str
    address: str
    size_class: str = "small"
    image: str = "base"
    snapshot_digest: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Runtime:
    """A healthy runtime: what it runs on and since when."""

    runtime_id: str
    node_id: str
    boot_id: str
    slot: int
    healthy_at_ms: int


@dataclass(frozen=True, slots=True)
class StopRequest:
    """End a runtime. `snapshot=False` destroys its workspace and, when it is its address's last runtime, every snapshot
    of the address: the lifetime is over. `pre_stop_seconds` bounds the polite part.
    """

    runtime_id: str
    snapshot: bool
    pre_stop_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Stopped:
    """How a runtime ended. `stopped_at_ms` is the end of what may be billed: for a lost runtime the last moment it is
    proven to have lived, None for one that never ran here. `known` is False for an id this node never started.
    `skipped` counts what the snapshot could not take along (sockets, devices, what is over a limit); the first few are
    named, each with a reason.
    """

    runtime_id: str
    known: bool
    boot_id: str
    stopped_at_ms: int | None
    snapshot_digest: str | None
    snapshot_bytes: int
    reason: str
    skipped: int = 0
    skipped_examples: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    """Its meters at the end, as in `MeterCounts`; empty when nobody could read them."""


@dataclass(frozen=True, slots=True)
class MeterCounts:
    """What a runtime has used since it began, by meter: `cpu` in microseconds, `memory_above_class` in byte-milliseconds,
    `egress` in bytes both ways. `snapshot_storage` is its address's, in byte-seconds since `period` began, which is
    another one whenever the node has begun again.
    """

    runtime_id: str
    at_ms: int
    counts: Mapping[str, int]
    period: int = 0


@dataclass(frozen=True, slots=True)
class PauseState:
    """Whether a runtime is frozen, and the moment of the last change: since then nothing of it has run, or all of it."""

    runtime_id: str
    boot_id: str
    is_paused: bool
    at_ms: int


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """A workspace at rest. Without a name it was left by a stop, and the oldest of those go. `skipped` counts what it lacks, as
    in `Stopped`.
    """

    digest: str
    size_bytes: int
    name: str
    created_wall_ms: int
    skipped: int = 0
    skipped_examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RuntimeLost:
    """A runtime that ended without being asked to. `lost_at_ms` is the last moment it is proven to have lived."""

    runtime_id: str
    boot_id: str
    lost_at_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class StartFileEnded:
    """The start file of a runtime's workspace (`.satbox/start`) has failed and is not started again; the runtime runs on.
    `process_id`: whose log has the reason. Exit codes 126 and 127 mean that it could not be run.
    """

    runtime_id: str
    exit_code: int | None
    signal: int | None
    process_id: str


@dataclass(frozen=True, slots=True)
class Beat:
    """Proof that the node, and so every runtime but `losses` and those stopped since, was up at `at_ms`. Losses come along
    because a beat can be asked for before the stream that tells them is back.
    """

    node_id: str
    boot_id: str
    at_ms: int
    sequence: int
    runtimes: int
    losses: tuple[RuntimeLost, ...] = ()


WatchEvent: TypeAlias = Beat | RuntimeLost | StartFileEnded


@dataclass(frozen=True, slots=True)
class Reservation:
    """Room kept for one address, while at least one `holder` (an unconfirmed payment) needs it. Releasing it gives up one
    holder's claim only. A later reservation of the same holder replaces the earlier one; it expires by itself.
    """

    address: str
    size_class: str = "small"
    expires_seconds: float = 60.0
    holder: str = ""


@dataclass(frozen=True, slots=True)
class RuntimeInfo:
    """One runtime the node still answers for: running, or lost and not yet stopped."""

    runtime_id: str
    address: str
    size_class: str
    image: str
    slot: int
    state: str
    boot_id: str
    healthy_at_ms: int | None


@dataclass(frozen=True, slots=True)
class ClassCapacity:
    """Slots of one size class."""

    total: int
    used: int
    reserved: int


@dataclass(frozen=True, slots=True)
class Capacity:
    """Slots per size class, by name."""

    classes: Mapping[str, ClassCapacity]


class SandboxNode(Protocol):
    """One machine's sandboxes."""

    async def start(self, request: StartRequest) -> Runtime:
        """Start a runtime, or answer the one already running under this id. Raises StartFailed, NoCapacity."""
        ...

    async def stop(self, request: StopRequest) -> Stopped:
        """End a runtime for good; repeated, it answers the same. Works for lost and for unknown ids."""
        ...

    async def pause(self, runtime_id: str, paused: bool) -> PauseState:
        """Freeze a runtime, or thaw it; repeated, it answers the same moment. Raises RuntimeGone, and SandboxError
        (`pause_unavailable`) where nothing can be frozen.
        """
        ...

    async def snapshot(self, runtime_id: str, name: str) -> SnapshotInfo:
        """Keep the workspace of a running runtime as it is now, under a name; nothing of it runs meanwhile.
        Raises RuntimeGone, SandboxError (`snapshot_failed`, `snapshots_full`, `pause_unavailable`).
        """
        ...

    async def snapshots(self, address: str) -> list[SnapshotInfo]:
        """An address's snapshots, the newest first."""
        ...

    async def drop_snapshot(self, address: str, digest: str) -> None:
        """Give one up. Raises SandboxError (`snapshot_not_found`)."""
        ...

    async def forget(self, address: str) -> None:
        """Drop every snapshot of an address whose lifetime was destroyed while it slept. Repeatable."""
        ...

    async def meters(self, runtime_ids: Sequence[str]) -> list[MeterCounts]:
        """The counters of those of these that run, as the host reads them now."""
        ...

    async def beat(self) -> Beat:
        """A fresh proof, taken now."""
        ...

    def watch(self) -> AsyncIterator[WatchEvent]:
        """A Beat every second; RuntimeLost and StartFileEnded as they happen and, at subscription, for each runtime that is
        not yet stopped.
        """
        ...

    async def reserve(self, reservation: Reservation) -> None:
        """Keep room for one address. Raises NoCapacity."""
        ...

    async def release(self, address: str, holder: str = "") -> None:
        """Give back what this holder keeps of the room for an address. Nothing happens if there is none."""
        ...

    async def runtimes(self) -> list[RuntimeInfo]:
        """Every runtime that is running, or lost and not yet stopped."""
        ...

    async def capacity(self) -> Capacity:
        """Slots in total, used and reserved, per size class."""
        ...
