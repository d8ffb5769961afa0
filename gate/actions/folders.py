"""Whole folders: packed, unpacked, watched."""

from gate.context import RequestContext, action
from gate.reach.reaching import Reach
from gate.reach.streams import bytes_out, event_stream
from gate.wire.outcomes import Stream
from operations import folders as f
from operations.left_out import left_out_headers

CONTENT_TYPES = {"tar": "application/x-tar", "tar.gz": "application/gzip", "zip": "application/zip"}


@action("files.pack")
async def pack(context: RequestContext, data: f.ArchiveInput) -> Stream:
    """Stream a folder out as an archive; what it lacks is in the headers."""
    services, caller = context.services, context.caller
    headers: dict[str, str] = {}

    def lacks(count: int, names: list[str]) -> None:
        headers.update(left_out_headers(count, names))

    async with Reach(services, caller.owned(data.address)) as (node, runtime_id):
        chunks = node.pack_folder(runtime_id, data.path, data.format, lacks)
        first = await anext(chunks, b"")
        return bytes_out(first, chunks, None, headers=headers, content_type=CONTENT_TYPES[data.format])


@action("files.unpack")
async def unpack(context: RequestContext, data: f.ArchiveInput) -> f.Unpacked:
    """Stream an archive in; what it had written goes again when it fails."""
    services, caller = context.services, context.caller
    address = caller.owned(data.address)
    async with context.upload() as body, Reach(services, address) as (node, runtime_id):
        counts = await node.unpack_folder(runtime_id, data.path, body.chunks(), data.format)
    return f.Unpacked.model_validate(counts)


@action("files.watch")
async def watch(context: RequestContext, data: f.WatchInput) -> Stream:
    """Changes as they happen."""
    services, caller = context.services, context.caller
    async with Reach(services, caller.owned(data.address)) as (node, runtime_id):
        return await event_stream(node.watch_files(runtime_id, data.path, recursive=data.recursive))
