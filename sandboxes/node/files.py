"""Files over the node: bytes are passed on as they come, the work is done inside as the tenant."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import re
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from sandboxes.names import name_bytes, name_text
from sandboxes.node.connection import Connection, ProtocolBroken, fields, file_error, refusal
from sandboxes.node.passed_files import PassedFile
from sandboxes.node.refusals import naming
from sandboxes.node.service import SandboxService
from sandboxes.protocol import BadRequest, NodeUnavailable
from sandboxes.supervisor import frames
from sandboxes.wire import load

CHUNK_BYTES = 1 << 18
BATCH_BYTES = 1 << 21  # one turn of a thread
SO_SNDBUFFORCE = 32  # asm-generic/socket.h; Python has no name for it
SEND_BUFFER_BYTES = 1 << 20
PIECES_MAX = 512  # what one system call takes is 1024
PATH_CHARACTERS_MAX = 4096
LISTED_MAX = 1 << 20
LISTING_PIECE_BYTES = 1 << 16
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


def _pairs(operation: str, content: Mapping[str, object]) -> frames.Fields:
    pairs: frames.Fields = [("op", operation.encode())]
    for name, value in content.items():
        text = ("1" if value else "0") if isinstance(value, bool) else str(value)
        try:
            pairs.append((name, name_bytes(text)))
        except ValueError as error:
            raise BadRequest("a path is text, without halves of surrogate pairs", code="bad_path") from error
    return pairs


@contextlib.asynccontextmanager
async def file_request(request: web.Request, operation: str, **content: object) -> AsyncIterator[Connection]:
    """One request to a file worker inside, given up when nothing moves for a minute."""
    live = request.app[SERVICE].live(request.match_info["runtime_id"])
    connection = await live.supervisor.request(_pairs(operation, content))
    try:
        with request.app[SERVICE].distrusting(live), naming(content):
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
            "name": name_text(content["name"]),
            "type": _text(content["type"]),
            "size_bytes": int(content["size"]),
            "mode": int(content["mode"]),
            "mtime_ms": int(content["mtime_ms"]),
        }
    except (KeyError, ValueError) as error:
        raise ProtocolBroken() from error
    if "target" in content:
        entry["target"] = name_text(content["target"])
    return entry


@dataclass(slots=True)
class Begun:
    """A file worker that has begun: its conversation, the fields of its first frame, and the file itself if it was passed."""

    connection: Connection
    content: dict[str, bytes]
    file: PassedFile | None


@contextlib.asynccontextmanager
async def _begun(request: web.Request, operation: str, **content: object) -> AsyncIterator[Begun]:
    """As `file_request`, for a worker that may pass the file out."""
    live = request.app[SERVICE].live(request.match_info["runtime_id"])
    pairs = [*_pairs(operation, content), ("pass", b"1" if live.passes_files else b"0")]
    with request.app[SERVICE].distrusting(live), naming(content):
        connection, header, descriptor = await live.supervisor.request_file(pairs, WAIT_SECONDS)
        file: PassedFile | None = None
        try:
            if descriptor >= 0:
                file = live.files.take(descriptor, writing=operation == "write")
            async with asyncio.timeout(WAIT_SECONDS) as patience:
                connection.patience = patience
                payload = await connection.payload(header)
                if header[4] == frames.ERROR:
                    raise refusal(payload)
                if header[4] != frames.STARTED:
                    raise ProtocolBroken()
                yield Begun(connection, fields(payload), file)
        except TimeoutError as error:
            raise NodeUnavailable("the sandbox did not answer in time", code="stream_broken") from error
        finally:
            connection.close()
            if file is not None:
                await asyncio.shield(file.close())


async def download(request: web.Request) -> web.StreamResponse:
    """GET files: the bytes. A file that ends early ends the response early, against its Content-Length."""
    offset, length = number(request, "offset", 0), number(request, "length", -1)
    async with _begun(request, "read", path=path_of(request), offset=offset, length=length) as begun:
        size_bytes = _entry(begun.content)["size_bytes"] if begun.file is None else begun.file.size_bytes
        left = max(0, size_bytes - offset)
        left = left if length < 0 else min(left, length)
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(left)}
        headers["X-File-Size"] = str(size_bytes)
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        pieces = (
            begun.file.read(offset, left, _emptied(request))
            if begun.file is not None
            else _framed(begun.connection, left)
        )
        async for piece in pieces:
            await response.write(piece)
            begun.connection.be_patient(WAIT_SECONDS)
        await response.write_eof()
        return response


def _emptied(request: web.Request) -> Callable[[], bool]:
    """Whether what was written to the answer has all left this process. Makes room for whole pieces on the way."""
    transport = request.transport
    if not isinstance(transport, asyncio.WriteTransport):
        return lambda: False
    peer = transport.get_extra_info("socket")
    with contextlib.suppress(OSError, AttributeError):
        peer.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER_BYTES)
    return lambda: transport.get_write_buffer_size() == 0


async def _framed(connection: Connection, left: int) -> AsyncIterator[bytes]:
    """A body that comes in frames: `left` bytes of it, or NodeUnavailable."""
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
            yield chunk
    if left:
        raise NodeUnavailable("the file ended early", code="stream_broken")


async def upload(request: web.Request) -> web.Response:
    """PUT files: the body replaces the file as a whole, or not at all. Without `mode` a file keeps the one it has."""
    limit = request.app[SERVICE].settings.file_bytes_max
    if (request.content_length or 0) > limit:
        raise web.HTTPRequestEntityTooLarge(limit, request.content_length or 0)
    text = request.query.get("mode")
    if text is not None and not re.fullmatch("[0-7]{1,4}", text):
        raise BadRequest("mode is octal")
    mode = {} if text is None else {"mode": int(text, 8)}
    async with _begun(request, "write", path=path_of(request), limit_bytes=limit, **mode) as begun:
        connection = begun.connection
        answering = asyncio.ensure_future(connection.expect(frames.RESULT))
        try:
            if begun.file is None:
                await _send_framed(request, connection, answering)
                size_bytes = int((await answering)["size"])
            else:
                size_bytes = await _write(request, begun.file, connection, answering, limit)
                await answering
        except (KeyError, ValueError) as error:
            raise ProtocolBroken from error
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
        return web.json_response({"size_bytes": size_bytes})


async def _send_framed(request: web.Request, connection: Connection, answering: asyncio.Future[Any]) -> None:
    async for chunk in request.content.iter_chunked(CHUNK_BYTES):
        if answering.done():
            return  # a refusal: the rest of the body need not travel
        connection.send(frames.DATA, chunk)
        await connection.writer.drain()
        connection.be_patient(WAIT_SECONDS)
    connection.send(frames.END)


async def _write(
    request: web.Request, file: PassedFile, connection: Connection, answering: asyncio.Future[Any], limit: int
) -> int:
    """Write the body into the file, the next batch on its way in while one is written; then tell the worker. The size."""
    offset, held, pieces = 0, 0, list[bytes]()
    writing: asyncio.Future[int] | None = None
    try:
        while not answering.done():
            chunk = await request.content.readany()
            connection.be_patient(WAIT_SECONDS)
            if chunk:
                pieces.append(chunk)
                held += len(chunk)
                if offset + held > limit:
                    raise file_error("too_large", f"more than {limit} bytes")
            if held >= BATCH_BYTES or len(pieces) >= PIECES_MAX or not chunk:
                if writing is not None:
                    await writing
                writing = asyncio.ensure_future(file.write(pieces, offset))
                offset, held, pieces = offset + held, 0, []
                if not chunk:
                    await writing
                    connection.send(frames.END)
                    break
        return offset
    except OSError as error:
        code = "no_space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "io_error"
        raise file_error(code, error.strerror or "input/output error") from error
    finally:
        if writing is not None:
            await asyncio.gather(writing, return_exceptions=True)


async def listing(request: web.Request) -> web.StreamResponse:
    """GET files/list: written as it comes, so that none is held here; one that breaks off ends the response early."""
    async with file_request(request, "list", path=path_of(request)) as connection:
        kind, payload = await connection.frame()
        if kind == frames.ERROR:
            raise refusal(payload)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        pending = bytearray(b'{"entries":[')
        count = 0
        while kind == frames.DATA and count <= LISTED_MAX:
            pending += b"," * bool(count) + json.dumps(_entry(fields(payload))).encode()
            count += 1
            if len(pending) >= LISTING_PIECE_BYTES:
                await response.write(bytes(pending))
                pending.clear()
            kind, payload = await connection.frame()
        if kind != frames.END:
            raise ProtocolBroken()
        truncated = fields(payload).get("truncated") == b"1"
        pending += b'],"truncated":' + json.dumps(truncated).encode() + b"}"
        await response.write(bytes(pending))
        await response.write_eof()
        return response


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
