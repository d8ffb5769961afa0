"""A node's background processes and ports, for its clients."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sandboxes.protocol import NodeUnavailable
from sandboxes.wire import load_error

if TYPE_CHECKING:
    import aiohttp

    from sandboxes.node_calls import NodeCalls

PORT_ANSWER_BYTES_MAX = 4096
PORT_SECONDS = 5.0
_GRACE_SECONDS = 5.0


class ProcessClient:
    """Processes and ports of runtimes on one node; part of a `NodeClient`."""

    def __init__(self, node: NodeCalls) -> None:
        self._node = node

    @staticmethod
    def _path(runtime_id: str, *parts: str) -> str:
        return "/".join(("/v1/runtimes", quote(runtime_id, safe=""), *(quote(part, safe="") for part in parts)))

    async def _json(self, method: str, path: str, body: object = None, **options: Any) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        return dict(json.loads(await self._node.call(method, path, data=data, **options)))

    async def start(self, runtime_id: str, command: Sequence[str] | str, **options: Any) -> dict[str, Any]:
        """Start a process (a string goes to a shell). `options`: cwd, env, timeout_seconds, terminal={rows, columns}."""
        given = {"shell": command} if isinstance(command, str) else {"argv": list(command)}
        return await self._json("POST", self._path(runtime_id, "processes"), {**given, **options})

    async def all(self, runtime_id: str) -> list[dict[str, Any]]:
        """All of them, running and ended."""
        return list((await self._json("GET", self._path(runtime_id, "processes")))["processes"])

    async def get(self, runtime_id: str, process_id: str) -> dict[str, Any]:
        """One of them."""
        return await self._json("GET", self._path(runtime_id, "processes", process_id))

    async def kill(self, runtime_id: str, process_id: str) -> dict[str, Any]:
        """End it and all it started, and forget it."""
        return await self._json("DELETE", self._path(runtime_id, "processes", process_id))

    async def signal(self, runtime_id: str, process_id: str, signal: str) -> None:
        """Signal its process group, by name."""
        await self._json("POST", self._path(runtime_id, "processes", process_id, "signal"), {"signal": signal})

    async def write(self, runtime_id: str, process_id: str, data: bytes, *, end: bool = False) -> None:
        """Send it input; `end` says that no more follows."""
        path = self._path(runtime_id, "processes", process_id, "stdin") + f"?end={int(end)}"
        await self._node.call("POST", path, data=data)

    async def resize(self, runtime_id: str, process_id: str, rows: int, columns: int) -> None:
        """Tell its terminal the size."""
        path = self._path(runtime_id, "processes", process_id, "resize")
        await self._json("POST", path, {"rows": rows, "columns": columns})

    async def wait(self, runtime_id: str, process_id: str, **condition: Any) -> dict[str, Any]:
        """Wait for `until` exit, text or port. `condition`: text, after, port, timeout_seconds. Answers with `met`."""
        path = self._path(runtime_id, "processes", process_id, "wait")
        seconds = float(condition.get("timeout_seconds", 60.0)) + _GRACE_SECONDS
        return await self._json("POST", path, condition, seconds=seconds)

    async def logs(
        self, runtime_id: str, process_id: str, *, after: int = 0, limit_bytes: int = 1 << 20
    ) -> dict[str, Any]:
        """What it wrote from a cursor on: `{items: [{stream, cursor, data}], cursor, lost_bytes, ...}`."""
        path = self._path(runtime_id, "processes", process_id, "logs")
        return await self._json("GET", f"{path}?after={after}&limit_bytes={limit_bytes}")

    async def follow(self, runtime_id: str, process_id: str, *, after: int = 0) -> AsyncIterator[dict[str, Any]]:
        """What it writes as it comes; returns normally only after `exit`. Raises NodeUnavailable otherwise."""
        path = self._path(runtime_id, "processes", process_id, "logs") + f"?follow=1&after={after}"
        async for event in self._node.lines("GET", path):
            yield event
            if event["event"] == "exit":
                return
        raise NodeUnavailable("the stream ended without an exit", code="stream_broken")

    async def attach(self, runtime_id: str, process_id: str, *, after: int = 0) -> aiohttp.ClientWebSocketResponse:
        """A websocket to it, as `sandboxes.node.background.attach` speaks."""
        return await self._node.websocket(self._path(runtime_id, "processes", process_id, "attach") + f"?after={after}")

    async def ports(self, runtime_id: str) -> list[int]:
        """TCP ports somebody listens on inside."""
        return list((await self._json("GET", self._path(runtime_id, "ports")))["ports"])

    async def connect(self, runtime_id: str, port: int, *, seconds: float = PORT_SECONDS) -> socket.socket:
        """A socket connected to a server inside; the caller closes it. Raises SandboxError (`port_closed`)."""
        loop = asyncio.get_running_loop()
        request: Mapping[str, object] = {"runtime_id": runtime_id, "port": port, "seconds": seconds}
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK) as connection:
            try:
                async with asyncio.timeout(seconds + _GRACE_SECONDS):
                    connection.connect(self._node.ports_path)
                    connection.send(json.dumps(request).encode())
                    ready = asyncio.Event()
                    loop.add_reader(connection.fileno(), ready.set)
                    try:
                        await ready.wait()
                    finally:
                        loop.remove_reader(connection.fileno())
                answer, descriptors, _flags, _address = socket.recv_fds(connection, PORT_ANSWER_BYTES_MAX, 1)
            except (OSError, TimeoutError) as error:
                raise NodeUnavailable(f"the node hands out no connections: {type(error).__name__}") from error
        if not descriptors:
            content = json.loads(answer) if answer else {}
            raise load_error(_STATUS.get(content.get("error", {}).get("code"), 409), content)
        peer = socket.socket(fileno=descriptors[0])
        peer.setblocking(False)
        return peer


_STATUS = {"runtime_gone": 410, "bad_request": 400, "stream_broken": 503, "supervisor_busy": 503}
