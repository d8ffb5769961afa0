"""Hands out connections to servers inside sandboxes, as descriptors, over a unix socket beside the node's own.

One request is one message of JSON (`{runtime_id, port, seconds}`), its answer one message: `{}` with a descriptor, or the
node's error form. The client then talks to the server inside directly, without the node.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Coroutine
from pathlib import Path

from sandboxes.node.service import SandboxService
from sandboxes.protocol import BadRequest, SandboxError
from sandboxes.wire import error_body

REQUEST_BYTES_MAX = 1024
SECONDS_MAX = 30.0
CONNECTIONS_MAX = 1024
BACKLOG = 128
_PAUSE_SECONDS = 0.1


def ports_path(socket_path: Path | str) -> str:
    """Where a node with its HTTP face at `socket_path` hands out connections."""
    return f"{socket_path}.ports"


class PortServer:
    """The listening side. `open` before use, `close` after."""

    def __init__(self, service: SandboxService, socket_path: Path) -> None:
        self._service = service
        self._path = Path(ports_path(socket_path))
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: socket.socket | None = None

    def open(self) -> None:
        """Listen; only this process's user may connect."""
        self._path.unlink(missing_ok=True)
        self._server = server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        umask = os.umask(0o177)
        try:
            server.bind(str(self._path))
        finally:
            os.umask(umask)
        server.listen(BACKLOG)
        self._spawn(self._accept(server))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Hang up; connections already handed out live on."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)

    async def _accept(self, server: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _address = await loop.sock_accept(server)
            except OSError:  # no descriptor left: the next one may find one again
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            if len(self._tasks) > CONNECTIONS_MAX:
                connection.close()
                continue
            connection.setblocking(False)
            self._spawn(self._serve(connection))

    async def _serve(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with connection, contextlib.suppress(OSError):
            while request := await loop.sock_recv(connection, REQUEST_BYTES_MAX):
                try:
                    peer = await self._connect(request)
                except SandboxError as error:
                    connection.send(json.dumps(error_body(error)).encode())
                    continue
                with peer:
                    socket.send_fds(connection, [b"{}"], [peer.fileno()])

    async def _connect(self, request: bytes) -> socket.socket:
        try:
            content = json.loads(request)
            runtime_id, port, seconds = str(content["runtime_id"]), int(content["port"]), float(content["seconds"])
        except (ValueError, KeyError, TypeError) as error:
            raise BadRequest("runtime_id, port and seconds are needed") from error
        if not 0 < port < 65_536 or not 0 < seconds <= SECONDS_MAX:
            raise BadRequest("a port is 1 to 65535, a wait up to 30 seconds")
        return await self._service.live(runtime_id).connect(port, seconds)
