"""Wallets' secrets, as the gate keeps them. A wallet's secrets belong to one lifetime: those of an earlier one are as if they
were gone, and are deleted when next seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

SECRETS_MAX = 64
VALUE_BYTES_MAX = 32_768
VARIABLES_BYTES_MAX = 32_768
"""All `env` secrets of a wallet together: they go along with every command."""


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """A secret without its value. `details` with kind `header`: alias, upstream, header, template."""

    name: str
    kind: str
    details: dict[str, str]
    set_at_ms: int


@dataclass(frozen=True, slots=True)
class OpenSecret:
    """A secret with its value, on its way to where it is used."""

    secret: StoredSecret
    value: str = field(repr=False)


class SecretStore(Protocol):
    """Several gates may use it at once; which thread calls does not matter. Calls block."""

    def set(self, address: str, lifetime: int, secret: StoredSecret, value: str) -> None:
        """Keep a secret, over one of the same name. Raises SatboxError (`secret_limit`), and then nothing has changed."""
        ...

    def delete(self, address: str, lifetime: int, name: str) -> bool:
        """Delete one; whether there was one."""
        ...

    def forget(self, address: str, before_lifetime: int) -> None:
        """Delete those of destroyed lifetimes."""
        ...

    def version(self, address: str) -> int:
        """Rises with every change of an address's secrets; 0 when there never was one."""
        ...

    def all(self, address: str, lifetime: int) -> list[StoredSecret]:
        """An address's secrets, by name, without values."""
        ...

    def open(self, address: str, lifetime: int, kind: str) -> list[OpenSecret]:
        """An address's secrets of one kind, with values. One that does not open (another key, a broken store) is left out."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...
