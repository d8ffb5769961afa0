"""Tools from the registry: a name, a schema, one client method each."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

from operations.catalogue import REGISTRY
from operations.registry import Body, Operation
from satbox.mcp_server.schemas import plain
from satbox.mcp_server.tool_spec import ToolSpec
from satbox.mcp_server.trade_tools import BUCKET, ROUTES, bucket_tool_spec, call_tool_spec, routes_tool_spec

READ_BYTES_DEFAULT = 20_000
WAKE_LINK = "wake_links.create"

_PAYING = {
    "max_sats": {
        "type": "integer", "minimum": 1,
        "description": "the most to pay; default: `sats`, else what is left of the session's budget",
    },
    "asset": {"enum": ["sBTC", "STX", "USDCx"], "description": "what to pay with; default: the first offer"},
    "sponsored": {"type": "boolean", "default": False, "description": "let the relay pay the network fee"},
}  # fmt: skip
_WRITING = {
    "content": {"type": "string", "description": "what to write, as text"},
    "content_base64": {"type": "string", "description": "what to write, as base64; instead of `content`"},
}
_READING = {
    "offset_bytes": {"type": "integer", "minimum": 0, "default": 0, "description": "where to begin"},
    "limit_bytes": {"type": "integer", "minimum": 1, "maximum": 200_000, "default": READ_BYTES_DEFAULT},
}
MADE = {"wake_links.create": ("link_id", "link", "wl_..."), "api_keys.create": ("key_id", "key", "key_...")}
"""What one tool makes, lists and revokes: an agent that can give something out must be able to take it back. By the operation
that makes it: the field of its id, its noun, and what its ids look like.
"""


def _made_fields(operation: Operation) -> dict[str, Any]:
    field, noun, sample = MADE[operation.name]
    return {
        "action": {
            "enum": ["create", "list", "revoke"], "default": "create",
            "description": f"list and revoke look after {noun}s made before; revoke takes a {field}",
        },
        field: {"type": "string", "description": f"the {noun} to revoke, {sample}"},
    }  # fmt: skip


ACTIONS = {
    "sandbox.pause": {"pause": "sandbox.pause", "resume": "sandbox.resume"},
    "ports.expose": {"expose": "ports.expose", "revoke": "ports.revoke"},
}
"""Operations that undo each other and take the same arguments: one tool, and an action, the first one by default."""
_WHAT_ACTIONS_DO = {
    "sandbox.pause": "resume lets a paused sandbox run on",
    "ports.expose": "revoke voids every token of the port",
}
_HIDDEN = {
    "sandbox.exec": ("stream",),
    "sandbox.events": ("follow",),
    "gate.prove": ("challenge", "btc_signature", "stx_signature"),
}
"""Fields that make a stream of an answer, where a tool gives one result; and what this server signs by itself."""
_DESTRUCTIVE = frozenset(
    {
        "files.delete", "files.write", "sandbox.reap", "gate.revoke", "sandbox.exec", "secrets.delete", "processes.kill",
        "ports.expose", "snapshots.restore", "contexts.run",
    }
)  # fmt: skip
_IDEMPOTENT = frozenset(
    {"files.write", "files.mkdir", "sandbox.pause", "sandbox.reap", "gate.revoke", "secrets.delete"}
)
"""Of those that change something: called again with the same arguments they change nothing more."""


def _schema(operation: Operation) -> dict[str, Any]:
    schema = deepcopy(operation.input.model_json_schema())
    schema.setdefault("properties", {})
    schema.pop("title", None)
    schema.pop("description", None)
    for hidden in _HIDDEN.get(operation.name, ()):
        schema["properties"].pop(hidden, None)
    required = [name for name in schema.pop("required", ()) if name in schema["properties"]]
    if required:
        schema["required"] = required
    extra: dict[str, Any] = _PAYING if operation.paid else {}
    if operation.body is Body.UPLOAD:
        extra = _WRITING
    elif operation.body is Body.DOWNLOAD:
        extra = _READING
    elif operation.name in MADE:
        extra = _made_fields(operation)
    elif operation.name in ACTIONS:
        actions = list(ACTIONS[operation.name])
        extra = {"action": {"enum": actions, "default": actions[0], "description": _WHAT_ACTIONS_DO[operation.name]}}
    schema["properties"] |= deepcopy(extra)
    if operation.name == "sandbox.exec":
        schema["properties"]["stdin"] = {"type": "string", "description": "text for the command's standard input"}
    schema["additionalProperties"] = False
    return schema


def _description(operation: Operation) -> str:
    text = operation.summary
    if operation.paid:
        text += (
            " Pays by itself, at most `max_sats`, once: when the answer says `ambiguous`, call again with the same"
            " arguments and the same payment is repeated."
        )
    if operation.name == WAKE_LINK:
        text += (
            " Give its url to your owner: one click wakes you when your sandbox was reaped. Whoever has it can use it; it can"
            " be revoked."
        )
    if operation.name == "api_keys.create":
        text += " Anybody who has `key` can spend. It is shown once, and can be revoked."
    if operation.name == "gate.prove":
        text = "Prove this server's own keys at the gate (other tools do it by themselves when needed)."
    return text


def _made_from(operation: Operation, name: str) -> ToolSpec:
    if name == ROUTES:
        return routes_tool_spec()
    if name == BUCKET:
        return bucket_tool_spec(_PAYING)
    is_read_only = operation.method == "GET"
    return ToolSpec(
        name,
        operation,
        _description(operation),
        _schema(operation),
        is_read_only=is_read_only,
        is_destructive=operation.name in _DESTRUCTIVE,
        is_idempotent=is_read_only or operation.name in _IDEMPOTENT,
        is_open_world=operation.paid,
    )


def tools() -> dict[str, ToolSpec]:
    """Every tool by its name."""
    made = [_made_from(operation, operation.tool) for operation in REGISTRY.values() if operation.tool is not None]
    return {tool.name: replace(tool, schema=plain(tool.schema)) for tool in [*made, call_tool_spec()]}
