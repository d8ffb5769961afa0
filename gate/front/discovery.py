"""What machines read first: /openapi.json, /llms.txt and the error table, all made from the registry."""

import asyncio
import functools
import json
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from aiohttp import web

from gate.identity.port_tokens import TOKEN_HEADER, TOKEN_QUERY
from gate.parts.services import SERVICES
from gate.settings import GateSettings
from operations.catalogue import REGISTRY
from operations.errors import ERRORS
from operations.registry import Auth, Body, Operation
from operations.wake_links import LINK_HEADER
from relay_client.offers import assets, either


def openapi() -> dict[str, Any]:
    """The OpenAPI 3.1 description of every operation."""
    schemas: dict[str, Any] = {}
    paths: dict[str, Any] = {}
    for operation in REGISTRY.values():
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, schemas)
    paths |= _proxied()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "satbox",
            "version": version("satbox"),
            "description": "Pay sats, get a sandbox. Prove a pair of keys, pay over x402, run commands.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "pass": {"type": "http", "scheme": "bearer", "description": "a gate pass"},
                "wake-link": {
                    "type": "apiKey",
                    "in": "header",
                    "name": LINK_HEADER,
                    "description": "a wake link's token",
                },
            },
        },
    }


PROXY_PATH = "/sandbox/proxy/{address}/{port}/{path}"
_ANY_BYTES: dict[str, Any] = {"content": {"*/*": {}}}


def _proxied() -> dict[str, Any]:
    """Servers inside sandboxes: no operation, since what is asked and answered is theirs."""
    text = {"type": "string"}
    parameters = [
        {"name": "address", "in": "path", "required": True, "schema": text, "description": "the wallet's address"},
        {"name": "port", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1, "maximum": 65_535}},
        {
            "name": "path", "in": "path", "required": True, "schema": text, "allowReserved": True,
            "description": "passed on as it came, slashes and query included",
        },
        {
            "name": TOKEN_QUERY, "in": "query", "schema": text,
            "description": "what the owner's ports.expose gave out; taken off before the request is passed on. "
            "Browsers use the `url` that came with it: an origin of the port's own",
        },
        {"name": TOKEN_HEADER, "in": "header", "schema": text, "description": "the same token, as a header"},
    ]  # fmt: skip
    codes = (
        "not_found",
        "payment_required",
        "sandbox_reaped",
        "sandbox_paused",
        "port_closed",
        "bad_gateway",
        "gateway_timeout",
    )
    errors: dict[str, list[str]] = {}
    for code in codes:
        errors.setdefault(str(ERRORS[code].status), []).append(code)
    answers = {status: {"description": "the server's own answer", **_ANY_BYTES} for status in ("2XX", "default")}
    answers |= {status: {"description": ", ".join(of_status)} for status, of_status in sorted(errors.items())}
    described: dict[str, Any] = {}
    for method in ("get", "head", "post", "put", "patch", "delete"):
        described[method] = {
            "operationId": f"proxy_{method}",
            "summary": "Reach a server inside a sandbox: by its owner's pass, by a port's token, or at an owner's price.",
            "parameters": parameters,
            "responses": answers,
            "security": [{}, {"pass": []}],
        }
        if method in ("post", "put", "patch"):
            described[method]["requestBody"] = _ANY_BYTES
    return {PROXY_PATH: described}


def _schema(model: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(schema.pop("$defs", {}))
    schemas[model.__name__] = schema
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _parameters(operation: Operation) -> Iterator[dict[str, Any]]:
    in_query = operation.method in ("GET", "DELETE") or operation.body is Body.UPLOAD
    properties = operation.input.model_json_schema()["properties"] if operation.input.model_fields else {}
    for name, field in operation.input.model_fields.items():
        where = "path" if name in operation.path_fields else "query"
        if where == "path" or in_query:
            required = field.is_required() or where == "path"
            yield {"name": name, "in": where, "required": required, "schema": properties[name]}
    if operation.takes_ranges:
        words = "one range of bytes (RFC 9110, 14.2), such as bytes=0-1023; answered with 206"
        yield {"name": "Range", "in": "header", "required": False, "schema": {"type": "string"}, "description": words}


def _described(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.function,
        "summary": operation.summary,
        "parameters": list(_parameters(operation)),
        "responses": dict(_responses(operation, schemas)),
    }
    security: list[dict[str, list[str]]] = [{"pass": []}] if operation.auth is not Auth.NONE else []
    if operation.auth is Auth.OPTIONAL:
        security.append({})  # OpenAPI: an empty requirement makes the others optional
    if operation.link_scope is not None:
        security.append({"wake-link": []})
    if security:
        described["security"] = security
    if operation.body is Body.UPLOAD:
        described["requestBody"] = {"required": True, "content": {"application/octet-stream": {}}}
    elif operation.method in ("POST", "PUT") and operation.input.model_fields:
        schema = _schema(operation.input, schemas)
        described["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    return described


def _responses(operation: Operation, schemas: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    if operation.output is None:
        yield "200", {"description": "bytes" if operation.body is Body.DOWNLOAD else "text"}
    else:
        content = {"application/json": {"schema": _schema(operation.output, schemas)}}
        for success in ("201", "202") if operation.is_on_chain else ("200",):
            yield success, {"description": "ok", "content": content}
    if operation.takes_ranges:
        headers = {"Content-Range": {"schema": {"type": "string"}, "description": "which bytes, and of how many"}}
        yield "206", {"description": "the range that was asked for", "headers": headers}
    by_status: dict[int, list[str]] = {}
    for code in operation.errors:
        by_status.setdefault(ERRORS[code].status, []).append(code)
    for status, codes in sorted(by_status.items()):
        yield str(status), {"description": ", ".join(codes)}


def service_document(settings: GateSettings) -> dict[str, Any]:
    """`/` for machines: what this is, and where to read on."""
    url = settings.public_url
    return {
        "name": "satbox",
        "version": version("satbox"),
        "description": f"Pay sats, get a sandbox: x402 v2 in {_coins(settings)}.",
        "deployment": settings.deployment,
        "network": settings.network.caip2,
        "openapi": f"{url}/openapi.json",
        "llms": f"{url}/llms.txt",
        "x402": f"{url}/.well-known/x402",
        "health": f"{url}/health",
        "challenge": f"{url}/gate/challenge",
    }


async def serve_service_document(request: web.Request) -> web.Response:
    """`/` as machines ask for it."""
    return web.json_response(service_document(request.app[SERVICES].settings))


def x402_document(settings: GateSettings) -> dict[str, Any]:
    """`/.well-known/x402`: what can be bought (x402scan's discovery: `version` 1, `resources`, `instructions`)."""
    paid = [operation for operation in REGISTRY.values() if operation.is_on_chain]
    return {
        "version": 1,
        "x402Version": 2,
        "network": settings.network.caip2,
        "payTo": settings.pay_to,
        "resources": [f"{settings.public_url}{operation.path}" for operation in paid],
        "endpoints": [f"{operation.method} {operation.path}" for operation in paid],
        "instructions": f"An unpaid request answers 402 with offers. Read {settings.public_url}/llms.txt.",
    }


def _coins(settings: GateSettings) -> str:
    return either([asset.symbol for asset in assets(settings.network)])


def llms_txt(settings: GateSettings) -> str:
    """A short way in for agents."""
    lines = [
        "# satbox: pay sats, get a sandbox",
        "",
        "One Stacks wallet owns one durable Linux sandbox that burns sats per second while it is up. Prove a registered",
        f"pair of Bitcoin and Stacks keys (aibtc.com, level 2), pay over x402 v2 in {_coins(settings)}, run commands.",
        "",
        "1. POST /gate/challenge {btc_address, stx_address}; sign `text` (BIP-322 or BIP-137) and `message` (SIP-018).",
        "2. POST /gate/prove {challenge, btc_signature, stx_signature}: a pass; send it as `Authorization: Bearer`.",
        "   Where no header can be set, the query or body field `pass` does for it.",
        "3. POST /sandbox/create: 402 with offers; pay one (header `payment-signature`) and repeat the request.",
        "4. POST /sandbox/exec {shell}; GET /sandbox/status shows seconds_left; POST /sandbox/extend pays for more.",
        "",
        "POST /sandbox/wake-links makes a link for your owner: whoever has it wakes you without keys (header",
        f"`{LINK_HEADER}` at POST /sandbox/wake), or pays for you (POST /sandbox/extend).",
        "",
        "## Calls between agents",
        "Sell what listens inside: PUT /sandbox/routes {routes: [{port, path, sats}]}. Anybody calls it at",
        "/sandbox/proxy/{address or name}/{port}/{path}; unpaid, that answers 402. Pay either way and repeat the request:",
        "- `exact`: on chain, as above. A call that fails leaves the money in your bucket here.",
        "- `satbox-bucket`: no chain, milliseconds. Once: POST /bucket/deposit {address: yours, sats}; no sandbox and no",
        "  registration is needed. For each call sign a new order by SIP-018: the offer's `domain` and `message`, and in it",
        "  `from` (you), `nonce` (32 hex digits), `expires-at` (unix seconds, at most `order_seconds_max` ahead); max-sats and",
        "  expires-at are uint, all else string-ascii. Send it as the header payment-signature, base64 of {x402Version: 2,",
        "  accepted: {scheme, network, payTo, amount}, payload: {order: {deployment, from, to, maxSats, resource, nonce,",
        "  expiresAt}, signature}}, the signature 65 bytes in hex, r s v. Only an answer below 500 is paid.",
        "",
        "After a payment was sent, never pay again for the same request: repeat it unchanged, or poll checkStatusUrl.",
        "Errors are {error: {code, message, retryable, funds_moved, hint, details}, request_id}; branch on code.",
        "",
        "## Operations",
        *(f"- {o.method} {o.path}: {o.summary}" for o in REGISTRY.values()),
        "",
        "## Errors",
        *(f"- {kind.code} ({kind.status}): {kind.message} {kind.hint}" for kind in ERRORS.values()),
        "",
    ]
    return "\n".join(lines)


@functools.cache
def _openapi_text() -> str:
    """Takes a third of a second to make, so it is made when it is first asked for: the same for every gate."""
    return json.dumps(openapi())


def add_discovery_routes(app: web.Application) -> None:
    """Serve the documents, each rendered once."""
    settings = app[SERVICES].settings
    documents = {
        "/.well-known/x402": ("application/json", json.dumps(x402_document(settings))),
        "/llms.txt": ("text/plain", llms_txt(settings)),
    }
    app.router.add_get("/openapi.json", _serve_openapi())
    for path, (content_type, text) in documents.items():
        app.router.add_get(path, _document(content_type, text))


def _serve_openapi() -> Any:
    rendering = asyncio.Lock()

    async def serve(request: web.Request) -> web.Response:
        async with rendering:  # one thread makes it, others wait for that
            text = await asyncio.to_thread(_openapi_text)
        return web.Response(text=text, content_type="application/json")

    return serve


def _document(content_type: str, text: str) -> Any:
    async def serve(request: web.Request) -> web.Response:
        return web.Response(text=text, content_type=content_type)

    return serve
