"""Whole folders: packed, unpacked, watched."""

from aiohttp import web

from gate.identity.callers import Caller
from gate.identity.handler import Handler
from gate.parts.services import Services
from gate.reach.reaching import Reach
from gate.reach.streams import Body, bytes_out, event_stream
from operations import folders as f
from operations.left_out import left_out_headers

CONTENT_TYPES = {"tar": "application/x-tar", "tar.gz": "application/gzip", "zip": "application/zip"}


async def pack(services: Services, request: web.Request, caller: Caller, data: f.ArchiveInput) -> web.StreamResponse:
    """Stream a folder out as an archive; what it lacks is in the headers."""
    headers = {"Content-Type": CONTENT_TYPES[data.format]}

    def lacks(count: int, names: list[str]) -> None:
        headers.update(left_out_headers(count, names))

    async with Reach(services, caller.owned(data.address)) as runtime_id:
        chunks = services.node.pack_folder(runtime_id, data.path, data.format, lacks)
        first = await anext(chunks, b"")
        return await bytes_out(request, first, chunks, None, headers=headers)


async def unpack(services: Services, request: web.Request, caller: Caller, data: f.ArchiveInput) -> f.Unpacked:
    """Stream an archive in; what it had written goes again when it fails."""
    address = caller.owned(data.address)
    async with Body(request, services.settings) as body, Reach(services, address) as runtime_id:
        counts = await services.node.unpack_folder(runtime_id, data.path, body.chunks(), data.format)
    return f.Unpacked.model_validate(counts)


async def watch(services: Services, request: web.Request, caller: Caller, data: f.WatchInput) -> web.StreamResponse:
    """Changes as they happen."""
    async with Reach(services, caller.owned(data.address)) as runtime_id:
        return await event_stream(request, services.node.watch_files(runtime_id, data.path, recursive=data.recursive))


HANDLERS: dict[str, Handler] = {
    "files.pack": pack,
    "files.unpack": unpack,
    "files.watch": watch,
}
