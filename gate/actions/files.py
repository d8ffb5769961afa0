"""Files. Their bytes go straight between the gate and the sandbox node, never through Ray."""

from typing import Any

from actors.view import iso
from gate.context import RequestContext, action
from gate.reach.ranges import window_of
from gate.reach.reaching import Reach
from gate.reach.streams import bytes_out
from gate.wire.outcomes import Stream
from operations.files import FileInfo, FileList, MoveInput, PathInput, WriteInput
from operations.models import Done


@action("files.read")
async def read_file(context: RequestContext, data: PathInput) -> Stream:
    """Stream a file out, whole or one range of it; a copy cut short closes the connection before its end."""
    services, caller = context.services, context.caller
    async with Reach(services, caller.owned(data.address)) as (node, runtime_id):
        info = await node.stat_file(runtime_id, data.path)
        size = int(info["size_bytes"])
        window = window_of(context.headers.get("Range"), size) if info.get("type") == "file" else None
        chunks = node.stream_file(runtime_id, data.path, *(window or ()))
        first = await anext(chunks, b"")
        headers = {"Content-Disposition": "attachment"}
        if info.get("type") == "file":
            headers["Accept-Ranges"] = "bytes"
        if window is not None:
            headers["Content-Range"] = f"bytes {window[0]}-{window[0] + window[1] - 1}/{size}"
        length = None if info.get("type") != "file" else size if window is None else window[1]
        return bytes_out(first, chunks, length, 200 if window is None else 206, headers)


@action("files.write")
async def write_file(context: RequestContext, data: WriteInput) -> Done:
    """Stream a file in; it replaces what was there as a whole, or not at all."""
    services, caller = context.services, context.caller
    address = caller.owned(data.address)
    mode = None if data.mode is None else int(data.mode, 8)
    async with context.upload() as body, Reach(services, address) as (node, runtime_id):
        size = await node.write_file(runtime_id, data.path, body.chunks(), mode=mode)
    return Done(path=data.path, size_bytes=size)


@action("files.delete")
async def delete_file(context: RequestContext, data: PathInput) -> Done:
    """Delete a file, or a directory with all in it."""
    services, caller = context.services, context.caller
    async with Reach(services, caller.owned(data.address)) as (node, runtime_id):
        await node.delete_file(runtime_id, data.path, recursive=True)
    return Done(path=data.path)


def _info(path: str, entry: dict[str, Any]) -> FileInfo:
    modified = entry.get("mtime_ms")
    name = str(entry.get("name") or path.rstrip("/").rpartition("/")[2] or path)
    return FileInfo(
        path=path,
        name=name,
        kind=str(entry["type"]),
        size_bytes=int(entry["size_bytes"]),
        mode=entry.get("mode"),
        modified_at=None if modified is None else iso(min(int(modified), 253_402_300_799_000)),
        target=entry.get("target"),
    )


@action("files.list")
async def list_files(context: RequestContext, data: PathInput) -> FileList:
    """What is in a directory."""
    services, caller = context.services, context.caller
    async with Reach(services, caller.owned(data.address)) as (node, runtime_id):
        listing = await node.list_files(runtime_id, data.path)
    base = data.path.rstrip("/")
    entries = [_info(f"{base}/{entry['name']}", entry) for entry in listing["entries"]]
    return FileList(path=data.path, entries=entries, truncated=bool(listing.get("truncated")))


@action("files.stat")
async def stat_file(context: RequestContext, data: PathInput) -> FileInfo:
    """What a path is."""
    services, caller = context.services, context.caller
    async with Reach(services, caller.owned(data.address)) as (node, runtime_id):
        return _info(data.path, await node.stat_file(runtime_id, data.path))


@action("files.mkdir")
async def make_folder(context: RequestContext, data: PathInput) -> Done:
    """Make a directory and its parents."""
    services, caller = context.services, context.caller
    async with Reach(services, caller.owned(data.address)) as (node, runtime_id):
        await node.make_folder(runtime_id, data.path)
    return Done(path=data.path)


@action("files.move")
async def move_file(context: RequestContext, data: MoveInput) -> Done:
    """Move or rename; what is already there is overwritten only when that is asked for."""
    services, caller = context.services, context.caller
    async with Reach(services, caller.owned(data.address)) as (node, runtime_id):
        await node.move_file(runtime_id, data.path, data.to, overwrite=data.overwrite)
    return Done(path=data.to)
