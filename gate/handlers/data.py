"""Commands and files: bytes go straight between the gate and the sandbox node, never through Ray."""

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from actors.view import View, iso
from actors.wallet.state import Phase
from gate.callers import Caller
from gate.ports import Services
from gate.routing import REQUEST_ID, Handler
from operations import models as m
from operations.errors import SatboxError
from sandboxes.protocol import NodeUnavailable, RuntimeGone, SandboxError

NODE_CODES = {
    "bad_request": "invalid_request",
    "bad_path": "path_invalid",
    "is_directory": "path_invalid",
    "not_directory": "path_invalid",
    "not_regular": "path_invalid",
    "not_found": "path_not_found",
    "already_exists": "path_exists",
    "not_empty": "path_exists",
    "permission_denied": "path_forbidden",
    "no_space": "disk_full",
    "too_large": "body_too_large",
    "supervisor_busy": "overloaded",
    "runtime_paused": "sandbox_paused",
}
"""The node's words in ours; one without an entry is a request we should not have passed on."""


def runtime_of(view: View) -> str:
    """The runtime a command may reach now; otherwise why not, and what to do."""
    state = view.state
    if not state.exists:
        raise SatboxError("wallet_not_found")
    match state.phase:
        case Phase.ALIVE | Phase.GRACE if state.runtime is not None and state.runtime.is_paused:
            raise SatboxError("sandbox_paused")
        case Phase.ALIVE | Phase.GRACE if state.runtime is not None:
            return state.runtime.runtime_id
        case Phase.NONE | Phase.STARTING:
            raise SatboxError("sandbox_starting", retry_after=1)
        case _:
            raise SatboxError("sandbox_reaped", details={"reason": state.reason, "owed_usat": state.accounts.debt_usat})


class _Reach:
    """A context in which the node's errors become ours, told by what the wallet now says."""

    def __init__(self, services: Services, address: str) -> None:
        self._services = services
        self._address = address

    async def __aenter__(self) -> str:
        return runtime_of(await self._services.views.get(self._address))

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RuntimeGone):
            # Our snapshot may be a second old: look again, so that the answer says what is true now.
            runtime_of(await self._services.views.get(self._address, fresh=True))
            raise SatboxError("runtime_gone") from error
        if isinstance(error, NodeUnavailable):
            raise SatboxError("node_unavailable", error.message, retry_after=1) from error
        if isinstance(error, SandboxError):
            raise SatboxError(NODE_CODES.get(error.code, "invalid_request"), error.message) from error


def _stdin(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SatboxError("invalid_request", details={"stdin": "not base64"}) from error


async def run(
    services: Services, request: web.Request, caller: Caller, data: m.ExecInput
) -> m.ExecResult | web.StreamResponse:
    """Run a command and say how it ended; `stream` sends its output as it appears."""
    address = caller.owned(data.address)
    if (data.argv is None) == (data.shell is None):
        raise SatboxError("invalid_request", details={"argv": "exactly one of argv and shell"})
    command = data.argv if data.argv is not None else data.shell
    assert command is not None
    options: dict[str, Any] = {"cwd": data.cwd, "env": data.env, "output_limit_bytes": data.output_limit_bytes}
    stdin = _stdin(data.stdin)
    async with _Reach(services, address) as runtime_id:
        if data.stream:
            events = services.node.exec_stream(
                runtime_id, command, stdin=stdin, timeout_seconds=data.timeout_seconds, **options
            )
            return await _stream(request, events)
        result = await services.node.exec(
            runtime_id, command, stdin=stdin, timeout_seconds=data.timeout_seconds, **options
        )
    return m.ExecResult.model_validate({**result, "runtime_id": runtime_id})


async def _stream(request: web.Request, events: AsyncIterator[dict[str, Any]]) -> web.StreamResponse:
    """Server-sent events; only a final `exit` means that the command ended, anything else is a broken stream."""
    first = await anext(events)  # a refusal is still an ordinary error
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            "Access-Control-Allow-Origin": "*",
            "x-request-id": request[REQUEST_ID],
        }
    )
    await response.prepare(request)
    try:
        await response.write(_sse(first))
        async for event in events:
            await response.write(_sse(event))
    except NodeUnavailable as error:
        await response.write(_sse({"event": "error", "code": "node_unavailable", "message": error.message}))
    return response


def _sse(event: dict[str, Any]) -> bytes:
    return f"event: {event['event']}\ndata: {json.dumps(event)}\n\n".encode()


async def read_file(services: Services, request: web.Request, caller: Caller, data: m.PathInput) -> web.StreamResponse:
    """Stream a file out; a copy cut short closes the connection before its end."""
    async with _Reach(services, caller.owned(data.address)) as runtime_id:
        info = await services.node.stat_file(runtime_id, data.path)
        chunks = services.node.stream_file(runtime_id, data.path)
        first = await anext(chunks, b"")
        response = web.StreamResponse(
            headers={
                "Content-Type": "application/octet-stream",
                "X-Content-Type-Options": "nosniff",
                "Content-Disposition": "attachment",
                "Access-Control-Allow-Origin": "*",
                "x-request-id": request[REQUEST_ID],
            }
        )
        if info.get("type") == "file":
            response.content_length = int(info["size_bytes"])
        await response.prepare(request)
        try:
            await response.write(first)
            async for chunk in chunks:
                await response.write(chunk)
        except NodeUnavailable:
            if request.transport is not None:
                request.transport.close()
    return response


async def write_file(services: Services, request: web.Request, caller: Caller, data: m.PathInput) -> m.Done:
    """Stream a file in; it replaces what was there as a whole, or not at all."""
    limit = services.settings.upload_bytes_max

    refused: list[SatboxError] = []

    async def chunks() -> AsyncIterator[bytes]:
        received = 0
        try:
            while chunk := await _piece(request, services.settings.body_seconds_max):
                received += len(chunk)
                if received > limit:
                    raise SatboxError("body_too_large", details={"limit_bytes": limit})
                yield chunk
        except SatboxError as error:
            refused.append(error)  # the node's client only says that sending broke off
            raise

    if request.content_length is not None and request.content_length > limit:
        raise SatboxError("body_too_large", details={"limit_bytes": limit})
    try:
        async with _Reach(services, caller.owned(data.address)) as runtime_id:
            size = await services.node.write_file(runtime_id, data.path, chunks())
    except SatboxError as error:
        raise (refused[0] if refused else error) from error
    return m.Done(path=data.path, size_bytes=size)


async def _piece(request: web.Request, seconds_max: float) -> bytes:
    """The next bytes of an upload; a caller that stops sending holds a connection only so long."""
    try:
        async with asyncio.timeout(seconds_max):
            return await request.content.readany()
    except TimeoutError as error:
        raise SatboxError("invalid_request", "The upload stopped.") from error
    except web.RequestPayloadError as error:
        raise SatboxError("invalid_request", "The upload cannot be decoded.") from error


async def delete_file(services: Services, request: web.Request, caller: Caller, data: m.PathInput) -> m.Done:
    """Delete a file, or a directory with all in it."""
    async with _Reach(services, caller.owned(data.address)) as runtime_id:
        await services.node.delete_file(runtime_id, data.path, recursive=True)
    return m.Done(path=data.path)


def _info(path: str, entry: dict[str, Any]) -> m.FileInfo:
    modified = entry.get("mtime_ms")
    name = str(entry.get("name") or path.rstrip("/").rpartition("/")[2] or path)
    return m.FileInfo(
        path=path,
        name=name,
        kind=str(entry["type"]),
        size_bytes=int(entry["size_bytes"]),
        mode=entry.get("mode"),
        modified_at=None if modified is None else iso(min(int(modified), 253_402_300_799_000)),
    )


async def list_files(services: Services, request: web.Request, caller: Caller, data: m.PathInput) -> m.FileList:
    """What is in a directory."""
    async with _Reach(services, caller.owned(data.address)) as runtime_id:
        listing = await services.node.list_files(runtime_id, data.path)
    base = data.path.rstrip("/")
    entries = [_info(f"{base}/{entry['name']}", entry) for entry in listing["entries"]]
    return m.FileList(path=data.path, entries=entries, truncated=bool(listing.get("truncated")))


async def stat_file(services: Services, request: web.Request, caller: Caller, data: m.PathInput) -> m.FileInfo:
    """What a path is."""
    async with _Reach(services, caller.owned(data.address)) as runtime_id:
        return _info(data.path, await services.node.stat_file(runtime_id, data.path))


async def make_folder(services: Services, request: web.Request, caller: Caller, data: m.PathInput) -> m.Done:
    """Make a directory and its parents."""
    async with _Reach(services, caller.owned(data.address)) as runtime_id:
        await services.node.make_folder(runtime_id, data.path)
    return m.Done(path=data.path)


async def move_file(services: Services, request: web.Request, caller: Caller, data: m.MoveInput) -> m.Done:
    """Move or rename; what is already there is never overwritten."""
    async with _Reach(services, caller.owned(data.address)) as runtime_id:
        await services.node.move_file(runtime_id, data.path, data.to)
    return m.Done(path=data.to)


HANDLERS: dict[str, Handler] = {
    "sandbox.exec": run,
    "files.read": read_file,
    "files.write": write_file,
    "files.delete": delete_file,
    "files.list": list_files,
    "files.stat": stat_file,
    "files.mkdir": make_folder,
    "files.move": move_file,
}
