"""Snapshots of a workspace: operations, what they take and give."""

from pydantic import Field

from operations.codes import IDENTITY, RUNNING
from operations.models import Done, Output, Target
from operations.registry import Auth, Feature, Operation
from operations.sandbox import SandboxStatus
from operations.surfaces import NoTool, Tool, Verb

_ERRORS = (*IDENTITY, "not_owner", "wallet_not_found", "node_unavailable")


class SnapshotInput(Target):
    """A snapshot to make."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,63}$", description="what to call it")


class DigestInput(Target):
    """One snapshot."""

    digest: str = Field(pattern=r"^[0-9a-f]{64}$", description="the snapshot's digest")


class Snapshot(Output):
    """A workspace at rest. One without a name was left by a stop; of those only the newest few are kept. `create` answers
    with `skipped`: files that could not be taken along (pipes, sockets, what is over a limit), the first few named.
    """

    digest: str
    name: str
    size_bytes: int
    created_at: str | None = None
    current: bool = False
    skipped: int = 0
    skipped_examples: list[str] = Field(default_factory=list)


class SnapshotList(Output):
    """All snapshots of a wallet, the newest first. The next start goes on from the one that is `current`."""

    items: list[Snapshot]


FEATURE = Feature(
    90,
    (
        Operation(
            "snapshots.create", "POST", "/sandbox/snapshots",
            "Keep the workspace as it is now, under a name; everything stands still meanwhile.",
            SnapshotInput, Snapshot, Auth.OWNER, scope="owner",
            errors=(*RUNNING, "snapshot_failed", "storage_full", "snapshots_full", "pause_unavailable"),
            positional=("name",),
            verb=Verb(("snapshots", "create"), "keep the workspace as it is now, under a name"),
            tool=Tool("satbox_create_snapshot"),
        ),
        Operation(
            "snapshots.list", "GET", "/sandbox/snapshots",
            "List the snapshots of your workspace.",
            Target, SnapshotList, Auth.OWNER, scope="owner", errors=_ERRORS,
            verb=Verb(
                ("snapshots", "list"), "list the snapshots of your workspace", form="sandbox.sandbox_tables:snapshots",
                empty=": satbox snapshots create NAME keeps the workspace as it is",
            ),
            tool=Tool("satbox_list_snapshots"),
        ),
        Operation(
            "snapshots.restore", "POST", "/sandbox/snapshots/{digest}/restore",
            "Go on from a snapshot: at once when the sandbox runs, else at its next start. What is there now is kept as one too.",
            DigestInput, SandboxStatus, Auth.OWNER, scope="owner",
            errors=(*_ERRORS, "snapshot_not_found", "sandbox_starting", "start_failed"), positional=("digest",),
            verb=Verb(
                ("snapshots", "restore"), "go on from a snapshot",
                help={"digest": "its name, or its digest, whole or the first letters"}, run="sandbox.snapshots:by_name",
                form="sandbox.sandbox_tables:sandbox",
            ),
            tool=Tool("satbox_restore_snapshot", is_destructive=True),
        ),
        Operation(
            "snapshots.delete", "DELETE", "/sandbox/snapshots/{digest}",
            "Delete a snapshot, for good.",
            DigestInput, Done, Auth.OWNER, scope="owner", errors=(*_ERRORS, "snapshot_not_found", "snapshot_in_use"),
            positional=("digest",),
            verb=Verb(
                ("snapshots", "delete"), "delete a snapshot, for good",
                help={"digest": "its name, or its digest, whole or the first letters"}, run="sandbox.snapshots:by_name",
            ),
            tool=NoTool("what is deleted is gone; people do it"),
        ),
    ),
    verb_groups={"snapshots": "keep the workspace as it was"},
)  # fmt: skip
