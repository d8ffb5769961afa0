"""What a runtime uses, and the secrets its egress proxy adds, over the node's HTTP face."""

from __future__ import annotations

from dataclasses import asdict

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from sandboxes.egress.guest import HeaderSecret
from sandboxes.egress.messages import SECRETS_MAX
from sandboxes.node.files import number
from sandboxes.node.service import SandboxService
from sandboxes.protocol import BadRequest
from sandboxes.wire import load

METERED_MAX = 4096
_SERVICE = web.AppKey("egress_service", SandboxService)


class SecretRequest(BaseModel):
    """One header secret; see `sandboxes.egress.guest.HeaderSecret`."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    alias: str = Field(max_length=128)
    upstream: str = Field(max_length=2048)
    header: str = Field(max_length=128)
    value: str = Field(max_length=32_768, repr=False)


class SecretsRequest(BaseModel):
    """All header secrets of a runtime. An older `version` than the one in force changes nothing."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    version: int = Field(ge=0)
    secrets: list[SecretRequest] = Field(max_length=SECRETS_MAX)


def bind(app: web.Application, service: SandboxService) -> None:
    """Give the handlers here their service, and the application their routes."""
    app[_SERVICE] = service
    app.add_routes(
        [
            web.get("/v1/runtimes/{runtime_id}/usage", usage),
            web.get("/v1/runtimes/{runtime_id}/metrics", metrics),
            web.post("/v1/meters", meters),
            web.put("/v1/runtimes/{runtime_id}/secrets", secrets),
        ]
    )


async def usage(request: web.Request) -> web.Response:
    """GET .../usage: of a running or a paused runtime."""
    return web.json_response(request.app[_SERVICE].up(request.match_info["runtime_id"]).usage())


class MetersRequest(BaseModel):
    """Which runtimes."""

    model_config = ConfigDict(extra="forbid")

    runtime_ids: list[str] = Field(max_length=METERED_MAX)


async def meters(request: web.Request) -> web.Response:
    """POST /v1/meters: the counters of many runtimes at once."""
    wanted = load(MetersRequest, await request.read())
    found = await request.app[_SERVICE].meters(wanted.runtime_ids)
    return web.json_response([asdict(each) for each in found])


async def metrics(request: web.Request) -> web.Response:
    """GET .../metrics?seconds=N: usage now, and samples of the last N seconds."""
    seconds = min(number(request, "seconds", 0), 86_400)
    return web.json_response(request.app[_SERVICE].metrics(request.match_info["runtime_id"], seconds))


async def secrets(request: web.Request) -> web.Response:
    """PUT .../secrets."""
    live = request.app[_SERVICE].up(request.match_info["runtime_id"])
    body = load(SecretsRequest, await request.read())
    try:
        found = [HeaderSecret(each.alias, each.upstream, each.header, each.value) for each in body.secrets]
    except ValueError as error:
        raise BadRequest(str(error)) from None  # without a chain that would carry the value into a log
    live.set_secrets(body.version, found)
    return web.json_response({})
