"""The node's HTTP face: aiohttp over one unix socket that only the service's own user can open."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from typing import Any

import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from sandboxes.node import background, commands, contexts_http, egress_http, files, folders
from sandboxes.node.doctor import Doctor
from sandboxes.node.driver import DriverError
from sandboxes.node.live import Live
from sandboxes.node.service import SandboxService
from sandboxes.node.spawner_client import SpawnerGone
from sandboxes.protocol import (
    BadRequest,
    NoCapacity,
    NodeUnavailable,
    Reservation,
    SandboxError,
    StartRequest,
    StopRequest,
    StorageFull,
)
from sandboxes.texts import bytes_of, text_or_base64
from sandboxes.wire import check_runtime_id, check_start, dump, dump_event, error_body, load
from storage.errors import StorageError
from storage.full_disk import is_full

BODY_BYTES_MAX = 12 << 20
PRE_STOP_SECONDS_MAX = 60.0
SHORT_OUTPUT_BYTES = 1 << 17
_EVENT_BYTES = 512  # of one that is held
_BEGUN = "answer_begun"
SERVICE = web.AppKey("service", SandboxService)
DOCTOR = web.AppKey("doctor", Doctor)


class SnapshotName(BaseModel):
    """Body of a snapshot."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]*$")


CLIENT_LEFT = 499
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def errors(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Domain errors become the one error form. Once an answer has begun there is no room for another: it is cut off, so
    that nobody takes the error for the rest of a file.
    """
    try:
        return await handler(request)
    except SandboxError as error:
        headers = {"Retry-After": str(int(error.retry_after_seconds) + 1)} if isinstance(error, NoCapacity) else {}
        answer = web.json_response(error_body(error), status=error.status, headers=headers)
    except ConnectionError:  # the caller has left: nothing went wrong here, and nobody reads the answer
        answer = web.Response(status=CLIENT_LEFT)
    except (DriverError, SpawnerGone, OSError, StorageError) as error:
        structlog.get_logger().exception("node.request_failed", path=request.path)
        broken = (StorageFull if is_full(error) else NodeUnavailable)(f"{type(error).__name__}: {error}"[:500])
        answer = web.json_response(error_body(broken), status=broken.status)
    except web.HTTPException as error:
        problem = SandboxError(error.reason or "refused", code="http_error")
        answer = web.json_response(error_body(problem), status=error.status)
    if _BEGUN in request and request.transport is not None:
        request.transport.abort()
    return answer


async def _note_begin(request: web.Request, _response: web.StreamResponse) -> None:
    request[_BEGUN] = True


def _json(value: object) -> web.Response:
    return web.Response(body=dump(value), content_type="application/json")


def _live(request: web.Request) -> Live:
    return request.app[SERVICE].live(request.match_info["runtime_id"])


async def start(request: web.Request) -> web.Response:
    """POST /v1/start."""
    body = load(StartRequest, await request.read())
    check_start(body)
    return _json(await request.app[SERVICE].start(body))


async def stop(request: web.Request) -> web.Response:
    """POST /v1/stop."""
    body = load(StopRequest, await request.read())
    check_runtime_id(body.runtime_id)
    if not 0 <= body.pre_stop_seconds <= PRE_STOP_SECONDS_MAX:
        raise BadRequest("pre_stop_seconds is 0 to 60")
    return _json(await request.app[SERVICE].stop(body))


async def beat(request: web.Request) -> web.Response:
    """GET /v1/beat."""
    return _json(await request.app[SERVICE].beat())


async def watch(request: web.Request) -> web.StreamResponse:
    """GET /v1/watch: newline-delimited events until one side leaves."""
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    async with contextlib.aclosing(request.app[SERVICE].watch()) as stream:
        with contextlib.suppress(ConnectionError):
            async for event in stream:
                await response.write(dump_event(event))
    return response


async def reserve(request: web.Request) -> web.Response:
    """POST /v1/reservations."""
    await request.app[SERVICE].reserve(load(Reservation, await request.read()))
    return web.json_response({})


async def release(request: web.Request) -> web.Response:
    """DELETE /v1/reservations/{address}?holder=..."""
    await request.app[SERVICE].release(request.match_info["address"], request.query.get("holder", ""))
    return web.json_response({})


async def pause(request: web.Request) -> web.Response:
    """POST /v1/runtimes/{rid}/pause and .../resume."""
    paused = request.path.endswith("/pause")
    return _json(await request.app[SERVICE].pause(request.match_info["runtime_id"], paused))


async def snapshot(request: web.Request) -> web.Response:
    """POST /v1/runtimes/{rid}/snapshots."""
    name = load(SnapshotName, await request.read()).name
    return _json(await request.app[SERVICE].snapshot(request.match_info["runtime_id"], name))


async def snapshots(request: web.Request) -> web.Response:
    """GET /v1/snapshots/{address}."""
    found = await request.app[SERVICE].snapshots(request.match_info["address"])
    return web.json_response([asdict(item) for item in found])


async def drop_snapshot(request: web.Request) -> web.Response:
    """DELETE /v1/snapshots/{address}/{digest}."""
    await request.app[SERVICE].drop_snapshot(request.match_info["address"], request.match_info["digest"])
    return web.json_response({})


async def forget(request: web.Request) -> web.Response:
    """DELETE /v1/snapshots/{address}."""
    await request.app[SERVICE].forget(request.match_info["address"])
    return web.json_response({})


async def runtimes(request: web.Request) -> web.Response:
    """GET /v1/runtimes."""
    return _json(await request.app[SERVICE].runtimes())


async def capacity(request: web.Request) -> web.Response:
    """GET /v1/capacity."""
    return _json(await request.app[SERVICE].capacity())


async def doctor(request: web.Request) -> web.Response:
    """GET /v1/doctor."""
    service = request.app[SERVICE]
    return web.json_response({**request.app[DOCTOR].report(), "warm": service.warm(), "egress": service.egress_state()})


async def execute(request: web.Request) -> web.StreamResponse:
    """POST /v1/runtimes/{rid}/exec: events with `?stream=1`; otherwise a short output as one JSON object, a long one as events
    too, so that none is collected here. A caller that leaves takes the command with it (the handler is cancelled).
    """
    service, live = request.app[SERVICE], _live(request)
    spec = commands.command_spec(load(commands.ExecRequest, await request.read()), live, service)
    if live.commands >= service.settings.commands_per_runtime_max:
        raise NoCapacity("too many commands at once in this sandbox", retry_after_seconds=1.0)
    live.commands += 1
    try:
        found = commands.events(service, live, spec)
        if request.query.get("stream") == "1":
            return await _stream(request, found)
        begun, result = await _collected(found)
        if result is not None:
            return web.json_response(result)
        return await _stream(request, _chained(begun, found))
    finally:
        live.commands -= 1


async def _collected(
    found: AsyncIterator[dict[str, Any]],
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """(events so far, the whole result if they stayed few and short)."""
    begun: list[dict[str, Any]] = []
    held = 0
    output = {"stdout": bytearray(), "stderr": bytearray()}
    async for event in found:
        begun.append(event)
        if event["event"] in output:
            data = bytes_of(event, "data")
            output[event["event"]] += data
            held += len(data) + _EVENT_BYTES
            if held > SHORT_OUTPUT_BYTES:
                return begun, None
        elif event["event"] == "exit":
            result = {name: value for name, value in event.items() if name != "event"}
            for name, whole in output.items():
                result |= text_or_base64(name, bytes(whole))
            return begun, result
    return begun, None


async def _chained(begun: list[dict[str, Any]], rest: AsyncIterator[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    for event in begun:
        yield event
    async for event in rest:
        yield event


async def _stream(request: web.Request, events: AsyncIterator[dict[str, object]]) -> web.StreamResponse:
    """Events as lines, or as SSE when asked for. A stream that breaks ends with an `error` event or with nothing."""
    sse = "text/event-stream" in request.headers.get("Accept", "")
    kind = "text/event-stream" if sse else "application/x-ndjson"
    response = web.StreamResponse(headers={"Content-Type": kind, "Cache-Control": "no-store"})
    await response.prepare(request)
    try:
        async for event in events:
            await response.write(_line(event, sse))
    except SandboxError as error:
        await response.write(_line({"event": "error", **error_body(error)}, sse))
    return response


def _line(event: dict[str, object], sse: bool) -> bytes:
    text = json.dumps(event, separators=(",", ":"))
    return f"event: {event['event']}\ndata: {text}\n\n".encode() if sse else text.encode() + b"\n"


def build_app(service: SandboxService, checks: Doctor) -> web.Application:
    """The application; the service is opened and closed by its owner."""
    app = web.Application(middlewares=[errors], client_max_size=BODY_BYTES_MAX)
    app.on_response_prepare.append(_note_begin)
    app[SERVICE] = service
    app[DOCTOR] = checks
    runtime = "/v1/runtimes/{runtime_id}"
    app.add_routes(
        [
            web.post("/v1/start", start),
            web.post("/v1/stop", stop),
            web.get("/v1/beat", beat),
            web.get("/v1/watch", watch),
            web.post("/v1/reservations", reserve),
            web.delete("/v1/reservations/{address}", release),
            web.post(runtime + "/snapshots", snapshot),
            web.get("/v1/snapshots/{address}", snapshots),
            web.delete("/v1/snapshots/{address}/{digest}", drop_snapshot),
            web.delete("/v1/snapshots/{address}", forget),
            web.get("/v1/runtimes", runtimes),
            web.get("/v1/capacity", capacity),
            web.get("/v1/doctor", doctor),
            web.post(runtime + "/pause", pause),
            web.post(runtime + "/resume", pause),
            web.post(runtime + "/exec", execute),
            web.get(runtime + "/files", files.download),
            web.put(runtime + "/files", files.upload),
            web.delete(runtime + "/files", files.delete),
            web.get(runtime + "/files/list", files.listing),
            web.get(runtime + "/files/stat", files.stat),
            web.post(runtime + "/files/mkdir", files.mkdir),
            web.post(runtime + "/files/move", files.move),
        ]
    )
    files.bind(app, service)
    folders.bind(app)
    egress_http.bind(app, service)
    background.bind(app, service)
    contexts_http.bind(app)
    return app
