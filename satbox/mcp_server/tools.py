"""Tools from the registry: a name, a schema, one client method each."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from operations.catalogue import REGISTRY
from operations.registry import Body, Operation

READ_BYTES_DEFAULT = 20_000
WAKE_LINK = "wake_links.create"
_OWN_PAIR = "default: this server's own agent"

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
_LINKS = {
    "action": {
        "enum": ["create", "list", "revoke"], "default": "create",
        "description": "list and revoke look after links made before; revoke takes a link_id",
    },
    "link_id": {"type": "string", "description": "the link to revoke, wl_..."},
}  # fmt: skip
"""An agent that can make a link must be able to take it back: three operations that one tool holds together."""
_HIDDEN = {"sandbox.exec": ("stream",), "sandbox.events": ("follow",)}
"""Fields that make a stream of an answer: a tool gives one result."""
_OPTIONAL = {
    "gate.prove": ("challenge", "btc_signature", "stx_signature"),
    "gate.challenge": ("btc_address", "stx_address"),
}
_READ_ONLY = ("GET",)


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """One tool, as plain data."""

    name: str
    operation: Operation
    description: str
    schema: dict[str, Any]

    @property
    def is_read_only(self) -> bool:
        """Whether nothing changes by calling it."""
        return self.operation.method in _READ_ONLY

    @property
    def is_destructive(self) -> bool:
        """Whether something can be lost by calling it."""
        return self.operation.name in ("files.delete", "files.write", "sandbox.reap", "gate.revoke", "sandbox.exec")


def _schema(operation: Operation) -> dict[str, Any]:
    schema = deepcopy(operation.input.model_json_schema())
    schema.setdefault("properties", {})
    schema.pop("title", None)
    schema.pop("description", None)
    for hidden in _HIDDEN.get(operation.name, ()):
        schema["properties"].pop(hidden, None)
    for name in _OPTIONAL.get(operation.name, ()):
        schema["properties"][name]["description"] = _OWN_PAIR
        schema["required"] = [field for field in schema.get("required", []) if field != name]
    extra: dict[str, Any] = _PAYING if operation.paid else {}
    if operation.body is Body.UPLOAD:
        extra = _WRITING
    elif operation.body is Body.DOWNLOAD:
        extra = _READING
    elif operation.name == WAKE_LINK:
        extra = _LINKS
    schema["properties"] |= deepcopy(extra)
    if operation.name == "sandbox.exec":
        schema["properties"]["stdin"]["description"] = "text for the command's standard input"
        schema["properties"]["stdin"].pop("anyOf", None)
        schema["properties"]["stdin"]["type"] = "string"
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
    if operation.name == "gate.prove":
        text = "Prove this server's own keys at the gate (other tools do it by themselves when needed)."
    return text


def tools() -> dict[str, ToolSpec]:
    """Every tool by its name."""
    return {
        operation.tool: ToolSpec(operation.tool, operation, _description(operation), _schema(operation))
        for operation in REGISTRY.values()
        if operation.tool is not None
    }
