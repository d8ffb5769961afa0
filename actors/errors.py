"""What can go wrong inside the actor runtime.

ActorError
├── FencedError        another copy of this wallet is newer: this one must never write again
├── CorruptWalletError a wallet's file contradicts itself
└── HostUnavailableError  the host did not answer in time; the command may or may not have run
"""

from storage import errors


class ActorError(Exception):
    """Base of all errors of the actor runtime."""


class FencedError(ActorError):
    """A newer activation of this wallet has raised the epoch; this copy is dead."""


class CorruptWalletError(ActorError):
    """A wallet's file contradicts itself; nothing is written to it until somebody has looked."""


class HostUnavailableError(ActorError):
    """The host did not answer in time. Unknown is not failure: the command may have run."""


def is_damage(error: Exception) -> bool:
    """Whether a wallet is no good, rather than the disk busy or full."""
    return isinstance(error, CorruptWalletError) or errors.is_damage(error)
