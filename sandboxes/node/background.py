"""Background processes and ports over the node's HTTP face."""

from __future__ import annotations

import asyncio
import json
import signal as signals
from collections.abc import Iterable
from typing import Any, Literal

from aiohttp import WSMsgType, web
from pydantic import BaseModel, ConfigDict, Field

from sandboxes.node import commands
from sandboxes.node.files import number
from sandboxes.node.live import Live
from sandboxes.node.processes import Process
from sandboxes.node.service import SandboxService
from sandboxes.protocol import BadRequest, SandboxError
from sandboxes.texts import Characters, text_or_base64
from sandboxes.wire import load

FOLLOW_BYTES = 1 << 16
INPUT_BYTES_MAX = 8 << 20
WAIT_SECONDS_MAX = 3600.0
MESSAGE_BYTES_MAX = 1 << 20
PROCESS_OUTPUT_BYTES_MAX = 1 << 50  # the window over it is what is bounded
_PORT_LOOK_SECONDS = 0.05
_SERVICE = web.AppKey("background_service", SandboxService)
SIGNALS = {name.removeprefix("SIG"): number for name, number in signals.Signals.__members__.items()}


class Terminal(BaseModel):
    """Size of a terminal."""

    model_config = ConfigDict(extra="forbid")

    rows: int = Field(default=24, ge=1, le=1000)
    columns: int = Field(default=80, ge=1, le=1000)


class ProcessRequest(BaseModel):
    """Body of a process start; `timeout_seconds` 0 lets it run as long as its sandbox."""

    model_config = ConfigDict(extra="forbid")

    argv: list[str] | None = Field(default=None, min_length=1, max_length=1024)
    shell: str | None = None
    cwd: str = Field(default="/workspace", max_length=4096)
    env: dict[str, str] = Field(default_factory=dict)
    timeout_seconds: float = Field(default=0.0, ge=0, le=366 * 86_400.0)
    unattended_seconds: float = Field(default=0.0, ge=0, le=86_400.0)
    terminal: Terminal | None = None


class SignalRequest(BaseModel):
    """Body of a signal: its name, with or without SIG."""

    model_config = ConfigDict(extra="forbid")

    signal: str = Field(default="TERM", max_length=16)


class WaitRequest(BaseModel):
    """What to wait for. `text` is looked for from the cursor `after` on, byte by byte, not as a pattern."""

    model_config = ConfigDict(extra="forbid")

    until: Literal["exit", "text", "port"]
    text: str | None = Field(default=None, min_length=1, max_length=1024)
    port: int | None = Field(default=None, ge=1, le=65_535)
    after: int = Field(default=0, ge=0)
    timeout_seconds: float = Field(default=60.0, gt=0, le=WAIT_SECONDS_MAX)


def bind(app: web.Application, service: SandboxService) -> None:
    """Give the handlers here their service, and the application their routes."""
    app[_SERVICE] = service
    one = "/v1/runtimes/{runtime_id}/processes"
    each = one + "/{process_id}"
    app.add_routes(
        [
            web.post(one, start),
            web.get(one, listing),
            web.get(each, describe),
            web.delete(each, forget),
            web.post(each + "/signal", signal),
            web.post(each + "/stdin", stdin),
            web.post(each + "/resize", resize),
            web.post(each + "/wait", wait),
            web.get(each + "/logs", logs),
            web.get(each + "/attach", attach),
            web.get("/v1/runtimes/{runtime_id}/ports", ports),
        ]
    )


def _live(request: web.Request) -> Live:
    return request.app[_SERVICE].live(request.match_info["runtime_id"])


def _process(request: web.Request) -> Process:
    return _live(request).processes.get(request.match_info["process_id"])


def view(process: Process) -> dict[str, Any]:
    """A process for reading."""
    ended = process.ended
    result: dict[str, Any] = {
        "process_id": process.process_id,
        "argv": list(process.spec.arguments),
        "cwd": process.spec.cwd,
        "terminal": process.spec.terminal is not None,
        "pid": process.pid,
        "state": "running" if ended is None else "exited" if ended.exit is not None else "lost",
        "started_at_ms": process.started_at_ms,
        "log_start": process.log.start,
        "log_end": process.log.end,
    }
    if ended is not None and ended.exit is not None:
        result |= commands.outcome(ended.exit, ended.oom_killed)
    return result


async def start(request: web.Request) -> web.Response:
    """POST .../processes."""
    live, service = _live(request), request.app[_SERVICE]
    body = load(ProcessRequest, await request.read())
    size = None if body.terminal is None else (body.terminal.rows, body.terminal.columns)
    environment = {**({"TERM": "xterm-256color"} if size else {}), **body.env}
    spec = commands.command_spec(
        commands.ExecRequest(argv=body.argv, shell=body.shell, cwd=body.cwd, env=environment), live, service
    )
    spec = commands.in_background(spec, body.timeout_seconds, PROCESS_OUTPUT_BYTES_MAX, size)
    return web.json_response(view(await live.processes.start(spec, body.unattended_seconds)), status=201)


async def listing(request: web.Request) -> web.Response:
    """GET .../processes."""
    return web.json_response({"processes": [view(process) for process in _live(request).processes]})


async def describe(request: web.Request) -> web.Response:
    """GET .../processes/{id}."""
    return web.json_response(view(_process(request)))


async def forget(request: web.Request) -> web.Response:
    """DELETE .../processes/{id}: kill all of it, wait for its end, drop its log."""
    process = _process(request)
    process.kill()
    ended = await process.wait_ended()
    _live(request).processes.forget(process.process_id)
    return web.json_response({**view(process), "known": ended.exit is not None})


async def signal(request: web.Request) -> web.Response:
    """POST .../signal."""
    name = load(SignalRequest, await request.read()).signal.upper().removeprefix("SIG")
    if name not in SIGNALS:
        raise BadRequest(f"no signal {name!r}; one of {', '.join(sorted(SIGNALS))}")
    _process(request).signal(SIGNALS[name])
    return web.json_response({})


async def stdin(request: web.Request) -> web.Response:
    """POST .../stdin: the body goes to its input; `?end=1` ends the input."""
    process = _process(request)
    sent = 0
    async for chunk in request.content.iter_chunked(FOLLOW_BYTES):
        sent += len(chunk)
        if sent > INPUT_BYTES_MAX:
            raise BadRequest(f"input over {INPUT_BYTES_MAX} bytes in one request")
        await process.write(chunk)
    if request.query.get("end") == "1":
        process.end_input()
    return web.json_response({"size_bytes": sent})


async def resize(request: web.Request) -> web.Response:
    """POST .../resize."""
    size = load(Terminal, await request.read())
    _process(request).resize(size.rows, size.columns)
    return web.json_response({})


async def wait(request: web.Request) -> web.Response:
    """POST .../wait: `{met, cursor?, ...process}`. Not met in time, or not possible any more, is an answer, not an error."""
    live, process = _live(request), _process(request)
    body = load(WaitRequest, await request.read())
    if (body.text is None) != (body.until != "text") or (body.port is None) != (body.until != "port"):
        raise BadRequest("`text` goes with until=text, `port` with until=port")
    met, cursor = False, None
    try:
        async with asyncio.timeout(body.timeout_seconds):
            if body.until == "exit":
                met = (await process.wait_ended()).exit is not None
            elif body.until == "text":
                cursor = await process.wait_text((body.text or "").encode(), body.after)
                met = cursor is not None
            else:
                met = await _wait_port(live, process, body.port or 0)
    except TimeoutError:
        met = False
    return web.json_response({**view(process), "met": met, "cursor": cursor})


async def _wait_port(live: Live, process: Process, port: int) -> bool:
    while True:
        if port in await live.listening_ports():
            return True
        if process.ended is not None:
            return False
        try:
            async with asyncio.timeout(_PORT_LOOK_SECONDS):  # no event announces a port; a process's end has one
                await process.wait_ended()
        except TimeoutError:
            continue


async def logs(request: web.Request) -> web.StreamResponse:
    """GET .../logs?after=CURSOR&limit_bytes=N, or `follow=1` for lines of JSON until it ends."""
    process = _process(request)
    after = number(request, "after", 0)
    if request.query.get("follow") != "1":
        return web.json_response({**_page(process, after, number(request, "limit_bytes", 1 << 20)), **view(process)})
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"})
    await response.prepare(request)
    characters = Characters()
    cursor = after
    async for stream, data, end, lost in process.read(after, FOLLOW_BYTES):
        cursor = max(cursor, end - len(data) - characters.held_bytes)
        for name, part in characters.feed(stream, data):
            cursor += len(part)
            event = {"event": name, "cursor": cursor, "lost_bytes": lost, **text_or_base64("data", part)}
            await response.write(json.dumps(event).encode() + b"\n")
            lost = 0
    for name, part in characters.rest():
        event = {"event": name, "cursor": cursor + len(part), "lost_bytes": 0, **text_or_base64("data", part)}
        await response.write(json.dumps(event).encode() + b"\n")
    await response.write(json.dumps({"event": "exit", **view(process)}).encode() + b"\n")
    return response


def _page(process: Process, after: int, limit_bytes: int) -> dict[str, Any]:
    """Output from a cursor on. It ends before a character whose rest is still to come, or is beyond the limit."""
    pieces, cursor, lost = process.log.read(after, min(limit_bytes, 1 << 20))
    characters = Characters()
    items: list[dict[str, Any]] = []
    at = pieces[0].start if pieces else cursor

    def keep(found: Iterable[tuple[str, bytes]]) -> None:
        nonlocal at
        for stream, data in found:
            at += len(data)
            items.append({"stream": stream, "cursor": at, **text_or_base64("data", data)})

    for piece in pieces:
        keep(characters.feed(piece.stream, piece.data))
    has_more = process.ended is None or cursor < process.log.end
    if not has_more or not items:
        keep(characters.rest())
    return {"items": items, "cursor": cursor - characters.held_bytes, "lost_bytes": lost}


async def attach(request: web.Request) -> web.WebSocketResponse:
    """GET .../attach (websocket): output as binary messages, one byte of stream (1 stdout, 2 stderr) before the data, and at
    the end a text message `{"event": "exit", ...}`. Inward: binary is input; text is `{"resize": [rows, columns]}`,
    `{"signal": NAME}` or `{"end": true}`. Leaving leaves the process running, unless it was started with `unattended_seconds`.
    """
    process = _process(request)
    after = number(request, "after", 0)
    socket = web.WebSocketResponse(max_msg_size=MESSAGE_BYTES_MAX + 1, heartbeat=30, compress=False)
    await socket.prepare(request)
    with process.attended():
        outward = asyncio.ensure_future(_outward(socket, process, after))
        try:
            async for message in socket:
                if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
                    break
                try:
                    await _inward(process, message.data)
                except SandboxError as error:
                    if error.code == "process_ended":
                        continue  # its end is on the way
                    await socket.send_json({"event": "error", "code": error.code, "message": error.message})
        finally:
            outward.cancel()
            await asyncio.gather(outward, return_exceptions=True)
    return socket


async def _outward(socket: web.WebSocketResponse, process: Process, after: int) -> None:
    async for stream, data, _cursor, lost in process.read(after, FOLLOW_BYTES):
        if lost:
            await socket.send_json({"event": "lost", "lost_bytes": lost})
        await socket.send_bytes((b"\x01" if stream == "stdout" else b"\x02") + data)
    await socket.send_json({"event": "exit", **view(process)})
    await socket.close()


async def _inward(process: Process, data: bytes | str) -> None:
    if isinstance(data, bytes):
        await process.write(data)
        return
    try:
        content = json.loads(data)
        if "resize" in content:
            rows, columns = content["resize"]
            process.resize(min(max(1, int(rows)), 1000), min(max(1, int(columns)), 1000))
        elif "signal" in content:
            process.signal(SIGNALS[str(content["signal"]).upper().removeprefix("SIG")])
        elif content.get("end") is True:
            process.end_input()
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadRequest("not an attach message") from error


async def ports(request: web.Request) -> web.Response:
    """GET .../ports: what is listened on inside."""
    return web.json_response({"ports": await _live(request).listening_ports()})
