"""Files over the node: bytes are passed on as they come, the work is done inside as the tenant."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from sandboxes.node.connection import Connection, ProtocolBroken, fields, refusal
from sandboxes.node.service import SandboxService
from sandboxes.protocol import BadRequest, NodeUnavailable
from sandboxes.supervisor import frames
from sandboxes.wire import load

CHUNK_BYTES = 1 << 18
PATH_CHARACTERS_MAX = 4096
WAIT_SECONDS = 60.0
SERVICE = web.AppKey("files_service", SandboxService)


class PathRequest(BaseModel):
    """Body of mkdir."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=1, max_length=PATH_CHARACTERS_MAX)
    parents: bool = True


class MoveRequest(BaseModel):
    """Body of move."""

    model_config = ConfigDict(extra="forbid")

    source: str = Field(min_length=1, max_length=PATH_CHARACTERS_MAX)
    target: str = Field(min_length=1, max_length=PATH_CHARACTERS_MAX)
    overwrite: bool = False


def bind(app: web.Application, service: SandboxService) -> None:
    """Give the handlers here their service."""
    app[SERVICE] = service


@contextlib.asynccontextmanager
async def file_request(request: web.Request, operation: str, **content: object) -> AsyncIterator[Connection]:
    """One request to a file worker inside, given up when nothing moves for a minute."""
    live = request.app[SERVICE].live(request.match_info["runtime_id"])
    pairs: frames.Fields = [("op", operation.encode())]
    for name, value in content.items():
        text = ("1" if value else "0") if isinstance(value, bool) else str(value)
        pairs.append((name, text.encode("utf-8", "surrogateescape")))
    connection = await live.supervisor.request(pairs)
    try:
        with request.app[SERVICE].distrusting(live):
            async with asyncio.timeout(WAIT_SECONDS) as patience:
                connection.patience = patience
                yield connection
    except TimeoutError as error:
        raise NodeUnavailable("the sandbox did not answer in time", code="stream_broken") from error
    finally:
        connection.close()


def path_of(request: web.Request) -> str:
    """The path in the query. Raises BadRequest."""
    path = request.query.get("path", "")
    if not 0 < len(path) <= PATH_CHARACTERS_MAX or "\0" in path:
        raise BadRequest("a path of 1 to 4096 characters is needed", code="bad_path")
    return path


def number(request: web.Request, name: str, default: int) -> int:
    """A count from the query. Raises BadRequest."""
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise BadRequest(f"{name} is a number")
    return int(text)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _entry(content: dict[str, bytes]) -> dict[str, Any]:
    """A description from the guest, with only the fields and types expected of it."""
    try:
        entry: dict[str, Any] = {
            "name": _text(content["name"]),
            "type": _text(content["type"]),
            "size_bytes": int(content["size"]),
            "mode": int(content["mode"]),
            "mtime_ms": int(content["mtime_ms"]),
        }
    except (KeyError, ValueError) as error:
        raise ProtocolBroken() from error
    if "target" in content:
        entry["target"] = _text(content["target"])
    return entry


async def download(request: web.Request) -> web.StreamResponse:
    """GET files: the bytes. A file that ends early ends the response early, against its Content-Length."""
    offset, length = number(request, "offset", 0), number(request, "length", -1)
    async with file_request(request, "read", path=path_of(request), offset=offset, length=length) as connection:
        entry = _entry(await connection.expect(frames.STARTED))
        left = max(0, entry["size_bytes"] - offset)
        left = left if length < 0 else min(left, length)
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(left)}
        headers["X-File-Size"] = str(entry["size_bytes"])
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
            left -= size
            if header[4] != frames.DATA or left < 0:
                raise ProtocolBroken()
            async for chunk in connection.body(size):
                await response.write(chunk)
                connection.be_patient(WAIT_SECONDS)
        if left:
            raise NodeUnavailable("the file ended early", code="stream_broken")
        await response.write_eof()
        return response


async def upload(request: web.Request) -> web.Response:
    """PUT files: the body replaces the file as a whole, or not at all."""
    limit = request.app[SERVICE].settings.file_bytes_max
    if (request.content_length or 0) > limit:
        raise web.HTTPRequestEntityTooLarge(limit, request.content_length or 0)
    try:
        mode = int(request.query.get("mode", "644"), 8)
    except ValueError as error:
        raise BadRequest("mode is octal") from error
    async with file_request(request, "write", path=path_of(request), limit_bytes=limit, mode=mode) as connection:
        answering = asyncio.ensure_future(connection.expect(frames.RESULT))
        try:
            async for chunk in request.content.iter_chunked(CHUNK_BYTES):
                if answering.done():
                    break  # a refusal: the rest of the body need not travel
                connection.send(frames.DATA, chunk)
                await connection.writer.drain()
                connection.be_patient(WAIT_SECONDS)
            else:
                connection.send(frames.END)
            size_bytes = int((await answering)["size"])
        except (KeyError, ValueError) as error:
            raise ProtocolBroken from error
        finally:
            answering.cancel()
        return web.json_response({"size_bytes": size_bytes})


async def listing(request: web.Request) -> web.Response:
    """GET files/list."""
    entries: list[dict[str, Any]] = []
    async with file_request(request, "list", path=path_of(request)) as connection:
        while True:
            kind, payload = await connection.frame()
            if kind == frames.ERROR:
                raise refusal(payload)
            if kind == frames.END:
                truncated = fields(payload).get("truncated") == b"1"
                return web.json_response({"entries": entries, "truncated": truncated})
            if kind != frames.DATA or len(entries) > frames.FRAME_BYTES_MAX:
                raise ProtocolBroken()
            entries.append(_entry(fields(payload)))


async def stat(request: web.Request) -> web.Response:
    """GET files/stat: what the path itself is; a link is not followed."""
    async with file_request(request, "stat", path=path_of(request)) as connection:
        return web.json_response(_entry(await connection.expect(frames.RESULT)))


async def mkdir(request: web.Request) -> web.Response:
    """POST files/mkdir."""
    body = load(PathRequest, await request.read())
    async with file_request(request, "mkdir", path=body.path, parents=body.parents) as connection:
        await connection.expect(frames.RESULT)
    return web.json_response({})


async def move(request: web.Request) -> web.Response:
    """POST files/move."""
    body = load(MoveRequest, await request.read())
    content = {"path": body.source, "target": body.target, "overwrite": body.overwrite}
    async with file_request(request, "move", **content) as connection:
        await connection.expect(frames.RESULT)
    return web.json_response({})


async def delete(request: web.Request) -> web.Response:
    """DELETE files."""
    recursive = request.query.get("recursive") == "1"
    async with file_request(request, "delete", path=path_of(request), recursive=recursive) as connection:
        await connection.expect(frames.RESULT)
    return web.json_response({})
