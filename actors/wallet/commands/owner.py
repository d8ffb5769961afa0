"""What owners want of their sandbox, and whom else they let in."""

from dataclasses import dataclass

from actors.wallet.commands.base import Command
from actors.wallet.meters import Budget


@dataclass(frozen=True, slots=True)
class Wake(Command):
    """Start again on the credit that is left."""

    size_class: str | None = None
    rate_usat_per_second: int | None = None
    traffic_per_hour: int | None = None
    """Set when callers wake it: how often an hour they may."""


@dataclass(frozen=True, slots=True)
class Reap(Command):
    """Stop now; `destroy` also gives up the workspace."""

    destroy: bool = False
    reason: str = "requested"
    wants_proof = True


@dataclass(frozen=True, slots=True)
class Restore(Command):
    """Go on from an earlier workspace: at once when it runs, else at the next start."""

    snapshot_digest: str
    wants_proof = True


@dataclass(frozen=True, slots=True)
class Pause(Command):
    """Freeze the sandbox (or thaw it): it keeps its memory and pays the paused rate."""

    pause: bool
    wants_proof = True


@dataclass(frozen=True, slots=True)
class SetBudget(Command):
    """What the owner allows from here on."""

    budget: Budget
    wants_proof = True


@dataclass(frozen=True, slots=True)
class SetVisibility(Command):
    """Whether everybody may see the wallet's page."""

    is_public: bool


@dataclass(frozen=True, slots=True)
class Expose(Command):
    """Let whoever holds a token reach a port."""

    port: int
    token_hash: str
    expires_wall_ms: int


@dataclass(frozen=True, slots=True)
class Unexpose(Command):
    """Void every token of a port."""

    port: int


@dataclass(frozen=True, slots=True)
class BurnNonce(Command):
    """Use up a challenge's nonce; refused the second time."""

    nonce: str
    expires_ms: int


@dataclass(frozen=True, slots=True)
class RevokePasses(Command):
    """Void all gate passes issued so far."""
