"""What comes over time: events of a wallet, output of a command, files."""

import asyncio
import base64
import contextlib
import errno
import json
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from operations import folders as f
from operations import processes as p
from operations.commands import ExecResult
from operations.errors import SatboxError
from operations.left_out import left_out_of
from operations.sandbox import Event
from satbox.agent.local_paths import local_path
from satbox.client.caller import RequestSender
from satbox.client.requests import request_for
from satbox.client.settings import Timeouts
from satbox.client.sse import SseReader
from satbox.client.transport import Lost, lines

RECONNECTS_MAX = 6
RECONNECT_SECONDS_MAX = 10.0


@dataclass(frozen=True, slots=True)
class ExecEvent:
    """One step of a command: `data` for output, `result` for the end."""

    kind: Literal["started", "stdout", "stderr", "exit"]
    data: bytes = b""
    result: ExecResult | None = None


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One step of a process's log: `data` for output, up to `cursor`, before which `lost_bytes` are no longer kept; `process` for
    the end.
    """

    kind: Literal["stdout", "stderr", "exit"]
    data: bytes = b""
    cursor: int = 0
    lost_bytes: int = 0
    process: p.ProcessView | None = None


class Streams:
    """Streaming calls of one client."""

    def __init__(self, caller: RequestSender, timeouts: Timeouts, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._caller = caller
        self._timeouts = timeouts
        self._sleep = sleep

    async def events(self, *, address: str | None, after: int) -> AsyncIterator[Event]:
        """Events as they happen, each once, over as many connections as it takes. Raises unreachable when it cannot connect."""
        failures = 0
        while True:
            request = request_for("sandbox.events", {"address": address, "after": after, "follow": True})
            headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
            try:
                async with self._caller.stream(request, headers=headers) as response:
                    reader = SseReader()
                    async for line in lines(response):
                        failures = 0
                        found = reader.feed(line)
                        if found is None:
                            continue
                        event = _event(found.data)
                        if event.seq > after:
                            after = event.seq
                            yield event
                lost = SatboxError("unreachable", "The gate keeps ending the stream of events.")
            except Lost as error:
                lost = error
            failures += 1
            if failures > RECONNECTS_MAX:
                raise lost
            await self._sleep(min(0.25 * 2**failures, RECONNECT_SECONDS_MAX))

    async def exec(self, values: dict[str, Any]) -> AsyncIterator[ExecEvent]:
        """A command's output as it appears, then its end. Raises timeout when the stream has no end."""
        request = request_for("sandbox.exec", {**values, "stream": True})
        total = float(request.values["timeout_seconds"]) + self._timeouts.answer_seconds
        async with self._caller.stream(request, total_seconds=total) as response:
            reader = SseReader()
            async for line in lines(response):
                found = reader.feed(line)
                if found is None:
                    continue
                event = _exec_event(found.data)
                yield event
                if event.kind == "exit":
                    return
        raise SatboxError("timeout", "The stream ended before the command did.", hint="The command may still run.")

    async def lines_of(self, name: str, values: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Server-sent events as plain data; one that says `error` is raised."""
        async with self._caller.stream(request_for(name, values), total_seconds=None) as response:
            reader = SseReader()
            async for line in lines(response):
                found = reader.feed(line)
                if found is not None:
                    yield _plain_event(found.data)

    async def changes(self, values: dict[str, Any]) -> AsyncIterator[f.Change]:
        """What changes in a folder; ends when the gate ends it, after an hour at most."""
        async for event in self.lines_of("files.watch", values):
            yield f.Change.model_validate(event)

    async def logs(self, values: dict[str, Any]) -> AsyncIterator[LogEvent]:
        """What a process writes, then its end. Raises timeout when the stream has no end."""
        async for event in self.lines_of("processes.logs", {**values, "follow": True}):
            if event["event"] == "exit":
                yield LogEvent("exit", process=p.ProcessView.model_validate(event))
                return
            yield LogEvent(event["event"], _raw(event), int(event["cursor"]), int(event["lost_bytes"]))
        raise SatboxError("timeout", "The stream ended before the process did.", hint="Go on from the last cursor.")

    async def read(self, path: str, address: str | None) -> AsyncIterator[bytes]:
        """A file in pieces. Raises unreachable when it is cut short."""
        async for piece in self.pieces("files.read", {"path": path, "address": address}):
            yield piece

    async def pieces(
        self, name: str, values: dict[str, Any], on_headers: Callable[[Mapping[str, str]], None] | None = None
    ) -> AsyncIterator[bytes]:
        """Raw bytes in pieces. Raises unreachable when they are cut short."""
        async with self._caller.stream(
            request_for(name, values), total_seconds=self._timeouts.transfer_seconds
        ) as response:
            if on_headers is not None:
                on_headers(response.headers)
            async for piece in response.content.iter_chunked(1 << 18):
                yield piece

    def pack(
        self, values: dict[str, Any], on_left_out: Callable[[int, list[str]], None] | None
    ) -> AsyncIterator[bytes]:
        """A folder as an archive, in pieces."""
        if on_left_out is None:
            return self.pieces("files.pack", values)
        return self.pieces("files.pack", values, lambda headers: on_left_out(*left_out_of(headers)))

    async def download(self, path: str, to: Path, address: str | None) -> int:
        """A file to a local file, which appears whole or not at all; its size in bytes. Raises path_not_found and the like
        also for the local path.
        """
        with local_path(to):
            if not to.name:
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            temporary = to.with_name(f".{to.name[:200]}.{secrets.token_hex(6)}")
            size = 0
            try:
                with await asyncio.to_thread(temporary.open, "wb") as file:
                    async for piece in self.read(path, address):
                        size += await asyncio.to_thread(file.write, piece)
                await asyncio.to_thread(os.replace, temporary, to)
            finally:
                with contextlib.suppress(OSError):
                    temporary.unlink()
            return size


def _event(data: str) -> Event:
    try:
        return Event.model_validate_json(data)
    except ValidationError as error:
        raise SatboxError("internal", "The stream holds an event that cannot be read.") from error


def _raw(fields: dict[str, Any]) -> bytes:
    encoded = fields.get("data_base64")
    return base64.b64decode(encoded) if encoded is not None else str(fields["data"]).encode()


def _plain_event(data: str) -> dict[str, Any]:
    try:
        fields = dict(json.loads(data))
        if fields["event"] == "error":
            raise SatboxError("node_unavailable", str(fields.get("message", ""))[:300])
    except (ValueError, KeyError, TypeError) as error:
        raise SatboxError("internal", "The stream holds an event that cannot be read.") from error
    return fields


def _exec_event(data: str) -> ExecEvent:
    try:
        fields = json.loads(data)
        kind = fields["event"]
        if kind == "error":
            raise SatboxError(
                "node_unavailable", str(fields.get("message", ""))[:300], hint="The command may still run."
            )
        if kind == "exit":
            return ExecEvent("exit", result=ExecResult.model_validate(fields))
        if kind == "started":
            return ExecEvent("started")
        if kind in ("stdout", "stderr"):
            return ExecEvent(kind, _raw(fields))
    except (ValueError, KeyError, TypeError) as error:
        raise SatboxError("internal", "The stream holds an event that cannot be read.") from error
    raise SatboxError("internal", f"The stream holds an event of an unknown kind: {str(kind)[:40]}.")
