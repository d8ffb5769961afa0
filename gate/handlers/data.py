"""Commands and files: bytes go straight between the gate and the sandbox node, never through Ray."""

import base64
import binascii
import secrets
from typing import Any

from aiohttp import web

from actors.view import iso
from gate.identity.callers import Caller
from gate.identity.handler import Handler
from gate.parts.services import Services
from gate.reach.exec_answer import answered
from gate.reach.exec_receipts import Ran, exec_receipt
from gate.reach.output_hashes import SALT_BYTES
from gate.reach.reaching import Reach, told
from gate.reach.streams import Body, bytes_out, event_stream
from operations import models as m
from operations.errors import SatboxError

OUTPUT_BYTES_DEFAULT = 1 << 20
"""Kept of each output for an answer in one piece; a stream has all of it."""


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
    limit = data.output_limit_bytes
    options: dict[str, Any] = {
        "cwd": data.cwd, "output_limit_bytes": OUTPUT_BYTES_DEFAULT if limit is None and not data.stream else limit,
    }  # fmt: skip
    if data.receipt and data.stream:
        raise SatboxError("invalid_request", details={"receipt": "not with stream"})
    stdin, reach = _stdin(data.stdin), Reach(services, address)
    async with reach as runtime_id:
        options["env"] = reach.variables(data.env)
        if data.stream:
            events = services.node.exec_stream(
                runtime_id, command, stdin=stdin, timeout_seconds=data.timeout_seconds, **options
            )
            return await event_stream(request, events)
        result, output = await services.node.exec_bytes(
            runtime_id, command, stdin=stdin, timeout_seconds=data.timeout_seconds, **options
        )
    answer = m.ExecResult.model_validate({**result, "runtime_id": runtime_id})
    if data.receipt:
        with told():
            answer.receipt_salt = secrets.token_hex(SALT_BYTES)
            ran = Ran(data, stdin, caller.name, runtime_id)
            view = await services.views.get(address, fresh=True)
            answer.receipt = await exec_receipt(services, view, ran, answer, output)
    return await answered(request, answer, output)


async def read_file(services: Services, request: web.Request, caller: Caller, data: m.PathInput) -> web.StreamResponse:
    """Stream a file out, whole or one range of it; a copy cut short closes the connection before its end."""
    async with Reach(services, caller.owned(data.address)) as runtime_id:
        info = await services.node.stat_file(runtime_id, data.path)
        size = int(info["size_bytes"])
        window = _window(request, size) if info.get("type") == "file" else None
        chunks = services.node.stream_file(runtime_id, data.path, *(window or ()))
        first = await anext(chunks, b"")
        headers = {"Content-Disposition": "attachment"}
        if info.get("type") == "file":
            headers["Accept-Ranges"] = "bytes"
        if window is not None:
            headers["Content-Range"] = f"bytes {window[0]}-{window[0] + window[1] - 1}/{size}"
        length = None if info.get("type") != "file" else size if window is None else window[1]
        return await bytes_out(request, first, chunks, length, 200 if window is None else 206, headers)


def _window(request: web.Request, size: int) -> tuple[int, int] | None:
    """(offset, length) of a single range (RFC 9110, 14.2); None for all of it. Raises range_invalid."""
    try:
        asked = request.http_range
    except ValueError:
        return None  # a server may ignore a Range it does not understand
    if asked.start is None and asked.stop is None:
        return None
    start, stop, _step = asked.indices(size)
    if start >= stop:
        raise SatboxError("range_invalid", details={"size_bytes": size})
    return start, stop - start


async def write_file(services: Services, request: web.Request, caller: Caller, data: m.WriteInput) -> m.Done:
    """Stream a file in; it replaces what was there as a whole, or not at all."""
    address = caller.owned(data.address)
    mode = None if data.mode is None else int(data.mode, 8)
    async with Body(request, services.settings) as body, Reach(services, address) as runtime_id:
        size = await services.node.write_file(runtime_id, data.path, body.chunks(), mode=mode)
    return m.Done(path=data.path, size_bytes=size)


async def delete_file(services: Services, request: web.Request, caller: Caller, data: m.PathInput) -> m.Done:
    """Delete a file, or a directory with all in it."""
    async with Reach(services, caller.owned(data.address)) as runtime_id:
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
        target=entry.get("target"),
    )


async def list_files(services: Services, request: web.Request, caller: Caller, data: m.PathInput) -> m.FileList:
    """What is in a directory."""
    async with Reach(services, caller.owned(data.address)) as runtime_id:
        listing = await services.node.list_files(runtime_id, data.path)
    base = data.path.rstrip("/")
    entries = [_info(f"{base}/{entry['name']}", entry) for entry in listing["entries"]]
    return m.FileList(path=data.path, entries=entries, truncated=bool(listing.get("truncated")))


async def stat_file(services: Services, request: web.Request, caller: Caller, data: m.PathInput) -> m.FileInfo:
    """What a path is."""
    async with Reach(services, caller.owned(data.address)) as runtime_id:
        return _info(data.path, await services.node.stat_file(runtime_id, data.path))


async def make_folder(services: Services, request: web.Request, caller: Caller, data: m.PathInput) -> m.Done:
    """Make a directory and its parents."""
    async with Reach(services, caller.owned(data.address)) as runtime_id:
        await services.node.make_folder(runtime_id, data.path)
    return m.Done(path=data.path)


async def move_file(services: Services, request: web.Request, caller: Caller, data: m.MoveInput) -> m.Done:
    """Move or rename; what is already there is overwritten only when that is asked for."""
    async with Reach(services, caller.owned(data.address)) as runtime_id:
        await services.node.move_file(runtime_id, data.path, data.to, overwrite=data.overwrite)
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
