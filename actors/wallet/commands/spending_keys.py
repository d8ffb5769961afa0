"""Keys by which others spend from a wallet's bucket (`design/charging.md`)."""

from dataclasses import dataclass

from actors.wallet.commands.base import Command
from actors.wallet.spending_keys import SpendingKey


@dataclass(frozen=True, slots=True)
class PutKey(Command):
    """A new key, or other caps for the sandbox's own; what that one has spent stays counted."""

    key: SpendingKey


@dataclass(frozen=True, slots=True)
class RevokeKey(Command):
    """The key pays for nothing any more. What it has paid for already is paid."""

    key_id: str
