"""What machines read first: /openapi.json, /llms.txt and the error table, all made from the registry."""

import json
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from aiohttp import web

from operations.catalogue import REGISTRY
from operations.errors import ERRORS
from operations.registry import Auth, Body, Operation
from operations.wake_links import LINK_HEADER


def openapi() -> dict[str, Any]:
    """The OpenAPI 3.1 description of every operation."""
    schemas: dict[str, Any] = {}
    paths: dict[str, Any] = {}
    for operation in REGISTRY.values():
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, schemas)
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


def _described(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.function,
        "summary": operation.summary,
        "parameters": list(_parameters(operation)),
        "responses": dict(_responses(operation, schemas)),
    }
    security: list[dict[str, list[str]]] = [{"pass": []}] if operation.auth is not Auth.NONE else []
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
        for success in ("201", "202") if operation.paid else ("200",):
            yield success, {"description": "ok", "content": content}
    by_status: dict[int, list[str]] = {}
    for code in operation.errors:
        by_status.setdefault(ERRORS[code].status, []).append(code)
    for status, codes in sorted(by_status.items()):
        yield str(status), {"description": ", ".join(codes)}


def llms_txt() -> str:
    """A short way in for agents."""
    lines = [
        "# satbox: pay sats, get a sandbox",
        "",
        "One Stacks wallet owns one durable Linux sandbox that burns sats per second while it is up. Prove a registered",
        "pair of Bitcoin and Stacks keys (aibtc.com, level 2), pay over x402 v2 in sBTC, STX or USDCx, run commands.",
        "",
        "1. POST /gate/challenge {btc_address, stx_address}; sign `text` (BIP-322 or BIP-137) and `message` (SIP-018).",
        "2. POST /gate/prove {challenge, btc_signature, stx_signature}: a pass; send it as `Authorization: Bearer`.",
        "3. POST /sandbox/create: 402 with offers; pay one (header `payment-signature`) and repeat the request.",
        "4. POST /sandbox/exec {shell}; GET /sandbox/status shows seconds_left; POST /sandbox/extend pays for more.",
        "",
        "POST /sandbox/wake-links makes a link for your owner: whoever has it wakes you without keys (header",
        f"`{LINK_HEADER}` at POST /sandbox/wake), or pays for you (POST /sandbox/extend).",
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


def add_discovery_routes(app: web.Application) -> None:
    """Serve the documents, rendered once."""
    documents = {
        "/openapi.json": ("application/json", json.dumps(openapi())),
        "/llms.txt": ("text/plain", llms_txt()),
    }
    for path, (content_type, text) in documents.items():
        app.router.add_get(path, _document(content_type, text))


def _document(content_type: str, text: str) -> Any:
    async def serve(request: web.Request) -> web.Response:
        return web.Response(text=text, content_type=content_type)

    return serve
