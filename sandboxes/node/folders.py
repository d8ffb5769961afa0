"""Whole folders over the node: as archives in and out, and watched."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from operations.left_out import left_out_headers
from sandboxes.names import name_text
from sandboxes.node.connection import ProtocolBroken, fields, refusal
from sandboxes.node.files import CHUNK_BYTES, SERVICE, WAIT_SECONDS, file_request, path_of
from sandboxes.protocol import BadRequest, NodeUnavailable
from sandboxes.supervisor import frames

CONTENT_TYPES = {"tar": "application/x-tar", "tar.gz": "application/gzip", "zip": "application/zip"}
WORDS = frozenset(("created", "deleted", "written", "changed", "moved_from", "moved_to", "overflow"))
WATCH_SECONDS_MAX = 3600.0


def bind(app: web.Application) -> None:
    """Give the application its routes; `files.bind` gives it the service."""
    folder = "/v1/runtimes/{runtime_id}/files"
    app.add_routes(
        [
            web.get(folder + "/archive", pack),
            web.put(folder + "/archive", unpack),
            web.get(folder + "/watch", watch),
        ]
    )


def _format(request: web.Request) -> str:
    name = request.query.get("format", "tar")
    if name not in CONTENT_TYPES:
        raise BadRequest("a format is tar, tar.gz or zip")
    return name


def _left_out(told: Mapping[str, bytes]) -> tuple[int, list[str]]:
    """(how many things an archive lacks, the first of them by name)."""
    try:
        names = told.get("skipped_names", b"")
        return int(told.get("skipped", b"0")), [name_text(name) for name in names.split(b"\0")] if names else []
    except ValueError as error:
        raise ProtocolBroken from error


async def pack(request: web.Request) -> web.StreamResponse:
    """GET files/archive: a folder as an archive, made while it is sent. One that breaks off ends the response early."""
    kind = _format(request)
    async with file_request(request, "pack", path=path_of(request), format=kind) as connection:
        count, names = _left_out(await connection.expect(frames.STARTED))
        headers = {"Content-Type": CONTENT_TYPES[kind], **left_out_headers(count, names)}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        while True:
            header = await connection.header()
            if header[4] == frames.END:
                break
            try:
                size = frames.payload_bytes(header)
            except frames.FrameError as error:
                raise ProtocolBroken from error
            if header[4] != frames.DATA:
                raise NodeUnavailable("the archive broke off", code="stream_broken")
            async for chunk in connection.body(size):
                await response.write(chunk)
                connection.be_patient(WAIT_SECONDS)
        await response.write_eof()
        return response


async def unpack(request: web.Request) -> web.Response:
    """PUT files/archive: unpack the body below a folder, all of it or nothing."""
    limit = request.app[SERVICE].settings.file_bytes_max
    options = {"path": path_of(request), "format": _format(request), "limit_bytes": limit}
    async with file_request(request, "unpack", **options) as connection:
        answering = asyncio.ensure_future(connection.expect(frames.RESULT))
        try:
            async for chunk in request.content.iter_chunked(CHUNK_BYTES):
                if answering.done():
                    break
                connection.send(frames.DATA, chunk)
                await connection.writer.drain()
                connection.be_patient(WAIT_SECONDS)
            else:
                connection.send(frames.END)
            told = await answering
            counts: dict[str, Any] = {name: int(told[name]) for name in ("files", "bytes")}
            counts["skipped"], counts["skipped_names"] = _left_out(told)
        except (KeyError, ValueError) as error:
            raise ProtocolBroken from error
        finally:
            answering.cancel()
        return web.json_response(counts)


async def watch(request: web.Request) -> web.StreamResponse:
    """GET files/watch: changes below a folder as lines of JSON, for an hour at most. The first line is `watching`."""
    recursive = request.query.get("recursive") == "1"
    async with file_request(request, "watch", path=path_of(request), recursive=recursive) as connection:
        started = await connection.expect(frames.STARTED)
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"})
        await response.prepare(request)
        first = {"event": "watching", "partial": started.get("partial") == b"1"}
        await response.write(json.dumps(first).encode() + b"\n")
        connection.be_patient(WATCH_SECONDS_MAX)
        while True:
            kind, payload = await connection.frame()
            if kind == frames.ERROR:
                raise refusal(payload)
            content = fields(payload)
            word = content.get("event", b"").decode("ascii", "replace")
            if kind != frames.DATA or word not in WORDS:
                raise ProtocolBroken()
            path = name_text(content.get("path", b""))
            is_folder = content.get("type") == b"directory"
            event = {"event": word, "path": path, "type": "directory" if is_folder else "file"}
            await response.write(json.dumps(event).encode() + b"\n")
