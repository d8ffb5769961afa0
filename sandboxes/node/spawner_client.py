"""The node's side of the spawner: start it, ask it, hear of exits."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandboxes.protocol import NoCapacity
from sandboxes.spawner.tree import Root

_PACKAGE_ROOT = Path(__file__).resolve().parents[2]
_MESSAGE_BYTES_MAX = 1 << 17
_BOOT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from sandboxes.spawner.main import main; main()"


WAITING_MAX = 1024
"""Requests that wait because the socket is full; what ends sandboxes is never refused."""


class SpawnerGone(Exception):  # noqa: N818 - reads as what happened
    """The spawner ended, and with it every sandbox and mount."""


class SpawnerClient:
    """Requests to the spawner and the answers to them. Must be opened from the main thread: the spawner dies with it."""

    def __init__(self, private_root: str, binds: Mapping[str, str], roots: Mapping[str, Root], log_path: Path) -> None:
        self._settings = json.dumps({"root": private_root, "binds": dict(binds), "roots": dict(roots)})
        self._log_path = log_path
        self._exits: dict[str, asyncio.Future[int]] = {}
        self._waiting: deque[tuple[bytes, list[int]]] = deque()
        self._next_id = 0
        self._socket: socket.socket | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._ready: asyncio.Future[None] | None = None
        self.gone = asyncio.Event()

    async def open(self) -> None:
        """Start the spawner and wait until its mounts stand. Raises SpawnerGone with the reason."""
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self._socket = ours
        self._ready = loop.create_future()
        with self._log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", "-E", "-c", _BOOT, str(_PACKAGE_ROOT), str(os.getpid()), self._settings,
                str(theirs.fileno()),
                pass_fds=(theirs.fileno(),), stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, env={"LANG": "C.UTF-8"},
            )  # fmt: skip
        theirs.close()
        loop.add_reader(ours.fileno(), self._on_message)
        await self._ready

    @property
    def proc(self) -> str:
        """The spawner's folder in /proc: its mounts are seen there. Raises SpawnerGone."""
        if self._process is None or self.gone.is_set():
            raise SpawnerGone("the spawner ended")
        return f"/proc/{self._process.pid}"

    async def close(self) -> None:
        """Hang up: the spawner leaves, sandboxes and mounts with it."""
        if self._socket is not None and self._process is not None:
            self._hang_up()
            await self._process.wait()

    def _hang_up(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            asyncio.get_running_loop().remove_writer(self._socket.fileno())
            self._socket.close()
            self._socket = None
        while self._waiting:
            _close(self._waiting.popleft()[1])
        self.gone.set()
        gone = SpawnerGone("the spawner ended; see " + str(self._log_path))
        for future in [self._ready, *self._exits.values()]:
            if future is not None and not future.done():
                future.set_exception(gone)
                future.exception()  # seen: nobody may be waiting for it
        self._exits.clear()

    def _on_message(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(_MESSAGE_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hang_up()
            return
        message = json.loads(data)
        if message["event"] == "ready" and self._ready is not None and not self._ready.done():
            self._ready.set_result(None)
        elif message["event"] == "exited":
            future = self._exits.pop(message["id"], None)
            if future is not None and not future.done():
                future.set_result(message["status"])

    def request(
        self, operation: str, body: Mapping[str, object], descriptors: Sequence[int] = ()
    ) -> tuple[str, asyncio.Future[int]]:
        """Ask for something that runs in a child: its id and the future of its wait status. It waits its turn when there is much
        to do. Raises SpawnerGone; NoCapacity past the limit of what waits.
        """
        if len(self._waiting) >= WAITING_MAX:
            raise NoCapacity("too much is waiting for the spawner", retry_after_seconds=1.0)
        self._next_id += 1
        request_id = str(self._next_id)
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._exits[request_id] = future
        self._send({"op": operation, "id": request_id, **body}, descriptors)
        return request_id, future

    def kill(self, request_id: str) -> None:
        """SIGKILL a sandbox through its init. Nothing happens if it has ended."""
        self._send({"op": "kill", "id": request_id}, ())

    def _send(self, message: Mapping[str, object], descriptors: Sequence[int]) -> None:
        if self._socket is None:
            raise SpawnerGone("the spawner ended")
        data = json.dumps(message).encode()
        if self._waiting or not self._sent(self._socket, data, descriptors):
            if not self._waiting:
                asyncio.get_running_loop().add_writer(self._socket.fileno(), self._send_waiting)
            # The caller closes its own when this returns.
            self._waiting.append((data, [os.dup(fd) for fd in descriptors]))

    @staticmethod
    def _sent(to: socket.socket, data: bytes, descriptors: Sequence[int]) -> bool:
        """False when the socket is full: some forty starts are on their way in it."""
        try:
            socket.send_fds(to, [data], list(descriptors))
        except BlockingIOError:
            return False
        except (BrokenPipeError, ConnectionResetError) as error:
            raise SpawnerGone("the spawner ended") from error
        return True

    def _send_waiting(self) -> None:
        assert self._socket is not None
        try:
            while self._waiting and self._sent(self._socket, *self._waiting[0]):
                _close(self._waiting.popleft()[1])
        except SpawnerGone:
            self._hang_up()
            return
        if not self._waiting:
            asyncio.get_running_loop().remove_writer(self._socket.fileno())


def _close(descriptors: Sequence[int]) -> None:
    for fd in descriptors:
        os.close(fd)
