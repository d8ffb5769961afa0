"""What a person touches: command line, Python client, settings, composition root."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from satbox.client import Client, SyncClient

__all__ = ["Client", "SyncClient"]


def __getattr__(name: str) -> Any:
    """The clients, imported when first asked for: the command line starts faster without them."""
    if name in __all__:
        from satbox import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
