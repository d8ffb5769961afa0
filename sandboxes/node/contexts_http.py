"""Code contexts over the node's HTTP face."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from sandboxes.node.contexts import Kernel, check_code
from sandboxes.node.files import SERVICE
from sandboxes.node.live import Live
from sandboxes.protocol import SandboxError
from sandboxes.wire import check_environment, error_body, load


class ContextRequest(BaseModel):
    """Body of a context's creation."""

    model_config = ConfigDict(extra="forbid")

    cwd: str = Field(default="/workspace", max_length=4096)
    env: dict[str, str] = Field(default_factory=dict)


class RunRequest(BaseModel):
    """Body of a run."""

    model_config = ConfigDict(extra="forbid")

    code: str
    timeout_seconds: float = Field(default=60.0, gt=0, le=3600)


def bind(app: web.Application) -> None:
    """Give the application its routes; `files.bind` gives it the service."""
    all_of = "/v1/runtimes/{runtime_id}/contexts"
    one = all_of + "/{context_id}"
    app.add_routes(
        [
            web.post(all_of, create),
            web.get(all_of, listing),
            web.delete(one, delete),
            web.post(one + "/run", run),
            web.post(one + "/interrupt", interrupt),
        ]
    )


def _live(request: web.Request) -> Live:
    return request.app[SERVICE].live(request.match_info["runtime_id"])


def _context(request: web.Request) -> Kernel:
    return _live(request).contexts.get(request.match_info["context_id"])


def _view(context: Kernel) -> dict[str, Any]:
    return {"context_id": context.context_id, "created_at_ms": context.created_at_ms}


async def create(request: web.Request) -> web.Response:
    """POST .../contexts."""
    live = _live(request)
    body = load(ContextRequest, await request.read())
    check_environment(body.env)
    context = await live.contexts.create(live.python, {**live.environment, **body.env}, body.cwd)
    return web.json_response(_view(context), status=201)


async def listing(request: web.Request) -> web.Response:
    """GET .../contexts."""
    return web.json_response({"contexts": [_view(context) for context in _live(request).contexts.all()]})


async def delete(request: web.Request) -> web.Response:
    """DELETE .../contexts/{id}."""
    _live(request).contexts.forget(request.match_info["context_id"])
    return web.json_response({})


async def interrupt(request: web.Request) -> web.Response:
    """POST .../contexts/{id}/interrupt."""
    await _context(request).interrupt()
    return web.json_response({})


async def run(request: web.Request) -> web.StreamResponse:
    """POST .../contexts/{id}/run: lines of JSON, `done` last. The code is interrupted when the reader leaves before that."""
    context = _context(request)
    body = load(RunRequest, await request.read())
    check_code(body.code)
    events = context.run(body.code, body.timeout_seconds)
    first = await anext(events)  # a refusal is still an ordinary error
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"})
    await response.prepare(request)
    try:
        await response.write(json.dumps(first).encode() + b"\n")
        async for event in events:
            await response.write(json.dumps(event).encode() + b"\n")
    except SandboxError as error:
        await response.write(json.dumps({"event": "failed", **error_body(error)}).encode() + b"\n")
    finally:
        await events.aclose()  # type: ignore[attr-defined]
    return response
