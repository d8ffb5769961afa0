"""A node's code contexts, for its clients."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sandboxes.protocol import NodeUnavailable
from sandboxes.wire import load_error

if TYPE_CHECKING:
    from sandboxes.node_calls import NodeCalls

CREATE_SECONDS_MAX = 120.0
_STATUS = {"context_died": 410}


class ContextClient:
    """Contexts of runtimes on one node; part of a `NodeClient`."""

    def __init__(self, node: NodeCalls) -> None:
        self._node = node

    @staticmethod
    def _path(runtime_id: str, *parts: str) -> str:
        return "/".join(
            (f"/v1/runtimes/{quote(runtime_id, safe='')}/contexts", *(quote(part, safe="") for part in parts))
        )

    async def create(self, runtime_id: str, **options: Any) -> dict[str, Any]:
        """Start a kernel. `options`: cwd, env. Raises SandboxError (`context_unavailable`)."""
        body = json.dumps(options).encode()
        answer = await self._node.call("POST", self._path(runtime_id), data=body, seconds=CREATE_SECONDS_MAX)
        return dict(json.loads(answer))

    async def all(self, runtime_id: str) -> list[dict[str, Any]]:
        """Those that live."""
        return list(json.loads(await self._node.call("GET", self._path(runtime_id)))["contexts"])

    async def delete(self, runtime_id: str, context_id: str) -> None:
        """End one."""
        await self._node.call("DELETE", self._path(runtime_id, context_id))

    async def interrupt(self, runtime_id: str, context_id: str) -> None:
        """As ctrl-C would."""
        await self._node.call("POST", self._path(runtime_id, context_id, "interrupt"))

    async def run(
        self, runtime_id: str, context_id: str, code: str, *, timeout_seconds: float = 60.0
    ) -> AsyncIterator[dict[str, Any]]:
        """Run code and yield its events; returns normally only after `done`. Raises SandboxError (`context_busy`,
        `context_died`), NodeUnavailable.
        """
        body = json.dumps({"code": code, "timeout_seconds": timeout_seconds}).encode()
        async for event in self._node.lines("POST", self._path(runtime_id, context_id, "run"), data=body):
            if event["event"] == "failed":
                raise load_error(_STATUS.get(str(event["error"]["code"]), NodeUnavailable.status), event)
            yield event
            if event["event"] == "done":
                return
        raise NodeUnavailable("the stream ended before the code did", code="stream_broken")
