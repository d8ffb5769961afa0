"""Tools from the registry: a name, a schema, one client method each."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

from operations.catalogue import REGISTRY
from operations.registry import Body, Operation
from operations.surfaces import Actions, Made, Tool
from satbox.mcp_server.schemas import plain
from satbox.mcp_server.tool_spec import ToolSpec
from satbox.mcp_server.trade_tools import BUCKET, ROUTES, bucket_tool_spec, call_tool_spec, routes_tool_spec

READ_BYTES_DEFAULT = 20_000

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


def _made_fields(made: Made) -> dict[str, Any]:
    return {
        "action": {
            "enum": ["create", "list", "revoke"], "default": "create",
            "description": f"list and revoke look after {made.noun}s made before; revoke takes a {made.id_field}",
        },
        made.id_field: {"type": "string", "description": f"the {made.noun} to revoke, {made.id_sample}"},
    }  # fmt: skip


def _action_fields(actions: Actions) -> dict[str, Any]:
    names = list(actions.operations)
    return {"action": {"enum": names, "default": names[0], "description": actions.text}}


def _schema(operation: Operation, tool: Tool) -> dict[str, Any]:
    schema = deepcopy(operation.input.model_json_schema())
    schema.setdefault("properties", {})
    schema.pop("title", None)
    schema.pop("description", None)
    for hidden in tool.hidden:
        schema["properties"].pop(hidden, None)
    required = [name for name in schema.pop("required", ()) if name in schema["properties"]]
    if required:
        schema["required"] = required
    extra: dict[str, Any] = _PAYING if operation.is_on_chain else {}
    if operation.body is Body.UPLOAD:
        extra = _WRITING
    elif operation.body is Body.DOWNLOAD:
        extra = _READING
    elif tool.made is not None:
        extra = _made_fields(tool.made)
    elif tool.actions is not None:
        extra = _action_fields(tool.actions)
    schema["properties"] |= deepcopy(extra) | deepcopy(dict(tool.properties))
    schema["additionalProperties"] = False
    return schema


def _description(operation: Operation, tool: Tool) -> str:
    text = tool.text or operation.summary
    if operation.is_on_chain:
        text += (
            " Pays by itself, at most `max_sats`, once: when the answer says `ambiguous`, call again with the same"
            " arguments and the same payment is repeated."
        )
    return f"{text} {tool.more}" if tool.more else text


def _made_from(operation: Operation, tool: Tool) -> ToolSpec:
    if tool.name == ROUTES:
        return routes_tool_spec()
    if tool.name == BUCKET:
        return bucket_tool_spec(_PAYING)
    is_read_only = operation.method == "GET"
    return ToolSpec(
        tool.name,
        operation,
        _description(operation, tool),
        _schema(operation, tool),
        is_read_only=is_read_only,
        is_destructive=tool.is_destructive,
        is_idempotent=is_read_only or tool.is_idempotent,
        is_open_world=operation.is_on_chain,
        made=tool.made,
        actions=tool.actions,
    )


def tools() -> dict[str, ToolSpec]:
    """Every tool by its name."""
    made = [_made_from(one, one.tool) for one in REGISTRY.values() if isinstance(one.tool, Tool)]
    return {tool.name: replace(tool, schema=plain(tool.schema)) for tool in [*made, call_tool_spec()]}
