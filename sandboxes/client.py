"""A client of a sandbox node over its unix socket. Control calls implement `SandboxNode`; data calls stream."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
from aiohttp.http import HttpProcessingError

from operations.left_out import left_out_of
from sandboxes.context_client import ContextClient
from sandboxes.holding import HOLD
from sandboxes.node_answers import LINE_BYTES_MAX, error_of, lines_of, whole, with_output
from sandboxes.process_client import ProcessClient
from sandboxes.protocol import (
    BadRequest,
    Beat,
    Capacity,
    MeterCounts,
    NodeUnavailable,
    PauseState,
    Reservation,
    Runtime,
    RuntimeInfo,
    SnapshotInfo,
    StartRequest,
    Stopped,
    StopRequest,
    WatchEvent,
)
from sandboxes.texts import bytes_of, text_or_base64
from sandboxes.wire import dump, load, load_error, load_event

_T = TypeVar("_T")
CONNECTIONS_MAX = 512
CONTROL_SECONDS_MAX = 180.0
WATCH_SILENCE_SECONDS_MAX = 10.0
READ_BYTES = 1 << 16  # twice as much is held of a stream that nobody reads
FILE_READ_BYTES = 1 << 19
CHUNK_BYTES = 1 << 18
_EXEC_GRACE_SECONDS = 30
_PIECE_BYTES = 1 << 16  # a body up to this is sent with its head


class NodeClient:
    """One node. Use as an async context manager, or call `close`."""

    def __init__(self, socket_path: Path | str, *, control_seconds_max: float = CONTROL_SECONDS_MAX) -> None:
        self._socket_path = str(socket_path)
        self._control_seconds_max = control_seconds_max
        self._session: aiohttp.ClientSession | None = None
        self.processes = ProcessClient(self)
        self.contexts = ContextClient(self)

    @property
    def ports_path(self) -> str:
        """Where the node hands out connections to servers inside its sandboxes."""
        return f"{self._socket_path}.ports"

    async def __aenter__(self) -> NodeClient:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection. Commands still running on them are killed by the node."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.UnixConnector(self._socket_path, limit=CONNECTIONS_MAX)
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=aiohttp.ClientTimeout(total=None), read_bufsize=READ_BYTES
            )
        return self._session

    async def call(self, method: str, path: str, *, seconds: float | None = None, **options: Any) -> bytes:
        """One request with its whole answer. Raises the domain error of an error answer, NodeUnavailable otherwise."""
        limit = aiohttp.ClientTimeout(total=self._control_seconds_max if seconds is None else seconds)
        if isinstance(options.get("data"), bytes) and len(options["data"]) > _PIECE_BYTES:
            options["data"] = io.BytesIO(options["data"])  # sent in pieces: a large body does not hold up the loop
        try:
            async with self._open().request(method, f"http://node{path}", timeout=limit, **options) as response:
                body = await whole(response)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise NodeUnavailable(f"no whole answer from the node: {type(error).__name__}") from error
        if response.status >= 400:
            raise error_of(response.status, body)
        return body

    async def lines(self, method: str, path: str, **options: Any) -> AsyncIterator[dict[str, Any]]:
        """An answer of JSON lines as they come. Raises the domain error of an error answer, NodeUnavailable otherwise."""
        try:
            async with self._open().request(method, f"http://node{path}", **options) as response:
                if response.status >= 400:
                    raise error_of(response.status, await response.read())
                async for line in lines_of(response):
                    yield json.loads(line)
        except (aiohttp.ClientError, HttpProcessingError, OSError, TimeoutError, ValueError) as error:
            raise NodeUnavailable(f"the stream broke: {type(error).__name__}", code="stream_broken") from error

    async def websocket(self, path: str) -> aiohttp.ClientWebSocketResponse:
        """Open a websocket. Raises the domain error of a refusal that has one, NodeUnavailable otherwise."""
        try:
            return await self._open().ws_connect(f"http://node{path}", max_msg_size=LINE_BYTES_MAX, compress=0)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise NodeUnavailable(f"no websocket to the node: {type(error).__name__}") from error

    async def _record(self, kind: type[_T], method: str, path: str, body: object = None) -> _T:
        data = None if body is None else dump(body)
        try:
            return load(kind, await self.call(method, path, data=data))
        except BadRequest as error:
            if isinstance(error.__cause__, ValueError):
                raise NodeUnavailable("the node's answer can't be read") from error
            raise

    async def start(self, request: StartRequest) -> Runtime:
        """See `SandboxNode.start`."""
        return await self._record(Runtime, "POST", "/v1/start", request)

    async def stop(self, request: StopRequest) -> Stopped:
        """See `SandboxNode.stop`."""
        return await self._record(Stopped, "POST", "/v1/stop", request)

    async def pause(self, runtime_id: str, paused: bool) -> PauseState:
        """See `SandboxNode.pause`."""
        word = "pause" if paused else "resume"
        return await self._record(PauseState, "POST", f"/v1/runtimes/{quote(runtime_id, safe='')}/{word}")

    async def snapshot(self, runtime_id: str, name: str) -> SnapshotInfo:
        """See `SandboxNode.snapshot`."""
        path = f"/v1/runtimes/{quote(runtime_id, safe='')}/snapshots"
        return load(SnapshotInfo, await self.call("POST", path, data=json.dumps({"name": name}).encode()))

    async def snapshots(self, address: str) -> list[SnapshotInfo]:
        """See `SandboxNode.snapshots`."""
        return await self._record(list[SnapshotInfo], "GET", f"/v1/snapshots/{quote(address, safe='')}")

    async def drop_snapshot(self, address: str, digest: str) -> None:
        """See `SandboxNode.drop_snapshot`."""
        await self.call("DELETE", f"/v1/snapshots/{quote(address, safe='')}/{quote(digest, safe='')}")

    async def usage(self, runtime_id: str) -> dict[str, Any]:
        """What the host saw a runtime use: CPU, memory, disk, egress."""
        return dict(json.loads(await self.call("GET", f"/v1/runtimes/{quote(runtime_id, safe='')}/usage")))

    async def metrics(self, runtime_id: str, seconds: int) -> dict[str, Any]:
        """`{at_ms, now, samples}`: usage now, and samples of the last `seconds`."""
        path = f"/v1/runtimes/{quote(runtime_id, safe='')}/metrics?seconds={seconds}"
        return dict(json.loads(await self.call("GET", path)))

    async def set_secrets(self, runtime_id: str, version: int, secrets: Sequence[Mapping[str, str]]) -> None:
        """Replace what the egress proxy adds: `{alias, upstream, header, value}` each. An older version changes nothing."""
        body = json.dumps({"version": version, "secrets": list(secrets)}).encode()
        await self.call("PUT", f"/v1/runtimes/{quote(runtime_id, safe='')}/secrets", data=body)

    async def forget(self, address: str) -> None:
        """See `SandboxNode.forget`."""
        await self.call("DELETE", f"/v1/snapshots/{quote(address, safe='')}")

    async def beat(self) -> Beat:
        """See `SandboxNode.beat`."""
        return await self._record(Beat, "GET", "/v1/beat")

    async def watch(self) -> AsyncIterator[WatchEvent]:
        """See `SandboxNode.watch`. Raises NodeUnavailable when the node falls silent: then nothing more is proven."""
        timeout = aiohttp.ClientTimeout(total=None, sock_read=WATCH_SILENCE_SECONDS_MAX)
        try:
            async with self._open().get("http://node/v1/watch", timeout=timeout) as response:
                if response.status >= 400:
                    raise error_of(response.status, await response.read())
                async for line in response.content:
                    yield load_event(line)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise NodeUnavailable(f"the watch stream broke: {type(error).__name__}") from error
        raise NodeUnavailable("the watch stream ended")

    async def reserve(self, reservation: Reservation) -> None:
        """See `SandboxNode.reserve`."""
        await self.call("POST", "/v1/reservations", data=dump(reservation))

    async def release(self, address: str, holder: str = "") -> None:
        """See `SandboxNode.release`."""
        path = f"/v1/reservations/{quote(address, safe='')}?holder={quote(holder, safe='')}"
        await self.call("DELETE", path)

    async def meters(self, runtime_ids: Sequence[str]) -> list[MeterCounts]:
        """See `SandboxNode.meters`."""
        body = json.dumps({"runtime_ids": list(runtime_ids)}).encode()
        return load(list[MeterCounts], await self.call("POST", "/v1/meters", data=body))

    async def runtimes(self) -> list[RuntimeInfo]:
        """See `SandboxNode.runtimes`."""
        return await self._record(list[RuntimeInfo], "GET", "/v1/runtimes")

    async def capacity(self) -> Capacity:
        """See `SandboxNode.capacity`."""
        return await self._record(Capacity, "GET", "/v1/capacity")

    async def doctor(self) -> dict[str, Any]:
        """What is enforced on that machine."""
        return dict(json.loads(await self.call("GET", "/v1/doctor")))

    # Commands

    @staticmethod
    def _exec_body(
        command: Sequence[str] | str, stdin: bytes | None, timeout_seconds: float, options: Mapping[str, Any]
    ) -> dict[str, Any]:
        body: dict[str, Any] = {"timeout_seconds": timeout_seconds, **options}
        body["shell" if isinstance(command, str) else "argv"] = command if isinstance(command, str) else list(command)
        if stdin is not None:
            body["stdin"] = base64.b64encode(stdin).decode()
        return body

    async def exec(
        self,
        runtime_id: str,
        command: Sequence[str] | str,
        *,
        stdin: bytes | None = None,
        timeout_seconds: float = 120.0,
        **options: Any,
    ) -> dict[str, Any]:
        """Run a command (a string goes to a shell) and wait for its result. `options`: cwd, env, output_limit_bytes."""
        result, output = await self.exec_bytes(
            runtime_id, command, stdin=stdin, timeout_seconds=timeout_seconds, **options
        )
        for name, data in output.items():
            result |= text_or_base64(name, bytes(data))
        return result

    async def exec_bytes(
        self,
        runtime_id: str,
        command: Sequence[str] | str,
        *,
        stdin: bytes | None = None,
        timeout_seconds: float = 120.0,
        **options: Any,
    ) -> tuple[dict[str, Any], dict[str, bytearray]]:
        """As `exec`: (the result without its outputs, the outputs). What the budget (`holding`) has no room for is dropped,
        and counted in `truncated`.
        """
        body = json.dumps(self._exec_body(command, stdin, timeout_seconds, options)).encode()
        path = f"/v1/runtimes/{quote(runtime_id, safe='')}/exec"
        output = {"stdout": bytearray(), "stderr": bytearray()}
        dropped = dict.fromkeys(output, 0)
        try:
            async with asyncio.timeout(timeout_seconds + _EXEC_GRACE_SECONDS):
                async for event in self.lines("POST", path, data=io.BytesIO(body)):
                    kind = event.get("event", "exit")  # a short one comes whole
                    if kind == "error":
                        raise load_error(NodeUnavailable.status, event)
                    if kind in output:
                        data = bytes_of(event, "data")
                        if dropped[kind] or not await HOLD.get()(len(data)):
                            dropped[kind] += len(data)
                        else:
                            output[kind] += data
                    elif kind == "exit":
                        return with_output(event, output, dropped)
        except TimeoutError as error:
            raise NodeUnavailable("no whole answer from the node: TimeoutError") from error
        raise NodeUnavailable("the stream ended without an exit", code="stream_broken")

    async def exec_stream(
        self,
        runtime_id: str,
        command: Sequence[str] | str,
        *,
        stdin: bytes | None = None,
        timeout_seconds: float = 120.0,
        **options: Any,
    ) -> AsyncIterator[dict[str, Any]]:
        """Run a command and yield its events; returns normally only after `exit`. Raises NodeUnavailable otherwise."""
        body = self._exec_body(command, stdin, timeout_seconds, options)
        path = f"/v1/runtimes/{quote(runtime_id, safe='')}/exec?stream=1"
        async for event in self.lines("POST", path, data=io.BytesIO(json.dumps(body).encode())):
            if event["event"] == "error":
                raise load_error(NodeUnavailable.status, event)
            yield event
            if event["event"] == "exit":
                return
        raise NodeUnavailable("the stream ended without an exit", code="stream_broken")

    # Files

    @staticmethod
    def _files(runtime_id: str, path: str, part: str = "") -> str:
        return f"/v1/runtimes/{quote(runtime_id, safe='')}/files{part}?path={quote(path, safe='')}"

    async def read_file(self, runtime_id: str, path: str) -> bytes:
        """A whole file."""
        return await self.call("GET", self._files(runtime_id, path), seconds=3600)

    async def stream_file(
        self, runtime_id: str, path: str, offset: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        """A file, or part of it, in pieces; raises NodeUnavailable when it is cut short."""
        window = f"&offset={offset}" + ("" if length is None else f"&length={length}")
        async for chunk in self._bytes(self._files(runtime_id, path) + window):
            yield chunk

    async def _bytes(
        self, path: str, on_headers: Callable[[Mapping[str, str]], None] | None = None
    ) -> AsyncIterator[bytes]:
        try:
            async with self._open().get(f"http://node{path}", read_bufsize=FILE_READ_BYTES) as response:
                if response.status >= 400:
                    raise error_of(response.status, await response.read())
                if on_headers is not None:
                    on_headers(response.headers)
                async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                    yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise NodeUnavailable("the stream was cut short", code="stream_broken") from error

    async def write_file(
        self, runtime_id: str, path: str, content: bytes | AsyncIterator[bytes], *, mode: int | None = None
    ) -> int:
        """Replace a file as a whole; bytes written. Without `mode` it keeps the one it has, and a new file is 0644."""
        target = self._files(runtime_id, path) + ("" if mode is None else f"&mode={mode:o}")
        answer = json.loads(await self.call("PUT", target, data=content, seconds=3600))
        return int(answer["size_bytes"])

    async def pack_folder(
        self, runtime_id: str, path: str, kind: str = "tar", on_left_out: Callable[[int, list[str]], None] | None = None
    ) -> AsyncIterator[bytes]:
        """A folder as an archive (tar, tar.gz, zip), in pieces; raises NodeUnavailable when it is cut short. `on_left_out` is
        called before the first piece: how many things the archive lacks, and the first of them by name.
        """

        def headers(seen: Mapping[str, str]) -> None:
            if on_left_out is not None:
                on_left_out(*left_out_of(seen))

        async for chunk in self._bytes(f"{self._files(runtime_id, path, '/archive')}&format={kind}", headers):
            yield chunk

    async def unpack_folder(
        self, runtime_id: str, path: str, content: bytes | AsyncIterator[bytes], kind: str = "tar"
    ) -> dict[str, Any]:
        """Unpack an archive below a folder: `{files, bytes, skipped}`."""
        target = self._files(runtime_id, path, "/archive") + f"&format={kind}"
        return dict(json.loads(await self.call("PUT", target, data=content, seconds=3600)))

    def watch_files(self, runtime_id: str, path: str, *, recursive: bool = True) -> AsyncIterator[dict[str, Any]]:
        """Changes below a folder as they happen; the first event is `watching`."""
        return self.lines("GET", self._files(runtime_id, path, "/watch") + f"&recursive={int(recursive)}")

    async def delete_file(self, runtime_id: str, path: str, *, recursive: bool = False) -> None:
        """Delete a file or a folder."""
        await self.call("DELETE", self._files(runtime_id, path) + f"&recursive={int(recursive)}")

    async def list_files(self, runtime_id: str, path: str) -> dict[str, Any]:
        """`{entries: [{name, type, size_bytes, mode, mtime_ms, target?}], truncated}`."""
        return dict(json.loads(await self.call("GET", self._files(runtime_id, path, "/list"))))

    async def stat_file(self, runtime_id: str, path: str) -> dict[str, Any]:
        """What a path is; a link is not followed."""
        return dict(json.loads(await self.call("GET", self._files(runtime_id, path, "/stat"))))

    async def make_folder(self, runtime_id: str, path: str, *, parents: bool = True) -> None:
        """Make a folder."""
        target = f"/v1/runtimes/{quote(runtime_id, safe='')}/files/mkdir"
        await self.call("POST", target, data=json.dumps({"path": path, "parents": parents}).encode())

    async def move_file(self, runtime_id: str, source: str, target: str, *, overwrite: bool = False) -> None:
        """Move or rename inside the sandbox."""
        body = {"source": source, "target": target, "overwrite": overwrite}
        await self.call("POST", f"/v1/runtimes/{quote(runtime_id, safe='')}/files/move", data=json.dumps(body).encode())


async def wait_until_up(socket_path: Path | str, seconds_max: float) -> NodeClient:
    """A client of a node that is just starting. Raises NodeUnavailable when it does not answer in time."""
    client = NodeClient(socket_path)
    deadline = asyncio.get_running_loop().time() + seconds_max
    while True:
        try:
            await client.beat()
        except NodeUnavailable:
            if asyncio.get_running_loop().time() > deadline:
                await client.close()
                raise
            await asyncio.sleep(0.02)
        else:
            return client
