"""What the parts of a node's client ask of the whole: one request, a stream of lines, a websocket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import aiohttp


class NodeCalls(Protocol):
    """Requests to one node; see `sandboxes.client.NodeClient`."""

    @property
    def ports_path(self) -> str:
        """Where the node hands out connections to servers inside its sandboxes."""

    async def call(self, method: str, path: str, *, seconds: float | None = None, **options: Any) -> bytes:
        """One request with its whole answer."""

    def lines(self, method: str, path: str, **options: Any) -> AsyncIterator[dict[str, Any]]:
        """An answer of JSON lines as they come."""

    async def websocket(self, path: str) -> aiohttp.ClientWebSocketResponse:
        """Open a websocket."""
