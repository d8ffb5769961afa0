"""One tool call: arguments in, one client method, a bounded document out."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from operations.catalogue import REGISTRY
from operations.errors import SatboxError
from operations.registry import Body, Operation
from operations.surfaces import Made
from satbox.client import Client
from satbox.mcp_server import trade
from satbox.mcp_server.budget import SessionBudget
from satbox.mcp_server.spending import pay
from satbox.mcp_server.tool_spec import ToolSpec
from satbox.mcp_server.tools import READ_BYTES_DEFAULT
from satbox.mcp_server.trade_tools import BUCKET, ROUTES

TEXT_CHARS_MAX = 20_000
HEAD_CHARS = 5_000
"""Of a text that is cut: the rest is its end, where programs say what went wrong."""
ITEMS_MAX = 100


async def call_tool(
    client: Client, budget: SessionBudget, tool: ToolSpec, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """The tool's result as JSON data. Raises SatboxError."""
    unknown = sorted(set(arguments) - set(tool.schema["properties"]))
    if unknown:
        raise SatboxError(
            "invalid_request", f"There is no argument {', '.join(unknown)[:100]}.", hint="See the tool's arguments."
        )
    values = {name: value for name, value in arguments.items() if value is not None}
    operation = tool.operation
    if operation is None:
        return await trade.buy(client, budget, values)
    if tool.name == ROUTES:
        return await trade.routes(client, values)
    if tool.name == BUCKET:
        return await trade.bucket(client, budget, values)
    if operation.name == "gate.prove":
        return _without_token((await client.prove()).model_dump(mode="json"))
    if tool.made is not None:
        return await _made(client, operation, tool.made, values)
    if operation.is_on_chain:
        return await pay(client, budget, _method(client, operation), values)
    if operation.body is Body.UPLOAD:
        return await _write(client, values)
    if operation.body is Body.DOWNLOAD:
        return await _read(client, values)
    if tool.actions is not None:
        operation = _chosen(tool.actions.operations, values)
    if operation.name == "sandbox.exec" and "stdin" in values:
        values["stdin"] = base64.b64encode(str(values["stdin"]).encode()).decode()
    result = await _method(client, operation)(**values)
    return _cut(result.model_dump(mode="json", exclude_none=True))


def _method(client: Client, operation: Operation) -> Any:
    return getattr(client, operation.function)


def _chosen(actions: Mapping[str, str], values: dict[str, Any]) -> Operation:
    """The operation that an action names; arguments that only the tool's other ones take are refused."""
    action = values.pop("action", next(iter(actions)))
    if action not in actions:
        raise SatboxError("invalid_request", f"action is one of {', '.join(actions)}.")
    operation = REGISTRY[actions[action]]
    foreign = sorted(set(values) - set(operation.input.model_fields))
    if foreign:
        raise SatboxError("invalid_request", f"action={action} takes no {', '.join(foreign)}.")
    return operation


def _without_token(document: dict[str, Any]) -> dict[str, Any]:
    """Keep the pass in this server: with it a reader of the answer could act as the wallet's owner."""
    return document | {"token": "kept by this server"}


async def _made(client: Client, operation: Operation, made: Made, values: dict[str, Any]) -> dict[str, Any]:
    """Make, list or revoke what one tool looks after."""
    action, name = values.pop("action", "create"), values.pop(made.id_field, None)
    if (action == "revoke") != (name is not None):
        raise SatboxError(
            "invalid_request", f"To revoke a {made.noun}, name its {made.id_field}; otherwise leave that out."
        )
    family, address = operation.function.removesuffix("_create"), values.get("address")
    result: BaseModel
    match action:
        case "create":
            result = await getattr(client, f"{family}_create")(**values)
        case "list":
            result = await getattr(client, f"{family}_list")(address=address)
        case "revoke":
            result = await getattr(client, f"{family}_revoke")(name, address=address)
        case _:
            raise SatboxError("invalid_request", "action is one of create, list, revoke.")
    return result.model_dump(mode="json", exclude_none=True)


async def _write(client: Client, values: dict[str, Any]) -> dict[str, Any]:
    text, encoded = values.pop("content", None), values.pop("content_base64", None)
    if (text is None) == (encoded is None):
        raise SatboxError("invalid_request", "Give exactly one of content and content_base64.")
    try:
        data = str(text).encode() if encoded is None else base64.b64decode(str(encoded), validate=True)
    except (binascii.Error, ValueError) as error:
        raise SatboxError("invalid_request", "content_base64 is not base64.") from error
    done: dict[str, Any] = (await client.files_write(**values, data=data)).model_dump(mode="json", exclude_none=True)
    return done


async def _read(client: Client, values: dict[str, Any]) -> dict[str, Any]:
    """A window of a file; reading stops as soon as the window is full."""
    offset, limit = int(values.pop("offset_bytes", 0)), int(values.pop("limit_bytes", READ_BYTES_DEFAULT))
    info = await client.files_stat(**values)
    window, seen = bytearray(), 0
    async for piece in client.read_stream(values["path"], address=values.get("address")):
        begin = max(0, offset - seen)
        window += piece[begin : begin + limit - len(window)]
        seen += len(piece)
        if len(window) >= limit:
            break
    document: dict[str, Any] = {"path": values["path"], "size_bytes": info.size_bytes, "offset_bytes": offset}
    try:
        document["content"] = window.decode()
    except UnicodeDecodeError:
        document["content_base64"] = base64.b64encode(window).decode()
    following = offset + len(window)
    if len(window) >= limit and following < info.size_bytes:
        document["note"] = f"There is more: call again with offset_bytes={following}."
    return document


def _head_and_tail(text: str) -> str:
    left_out = len(text) - TEXT_CHARS_MAX
    tail = text[-(TEXT_CHARS_MAX - HEAD_CHARS) :]
    return f"{text[:HEAD_CHARS]}\n... {left_out} characters left out ...\n{tail}"


def _cut(document: dict[str, Any]) -> dict[str, Any]:
    """Long texts and lists are cut, and the note says how to get the rest."""
    notes = []
    for name, value in document.items():
        if isinstance(value, str) and len(value) > TEXT_CHARS_MAX:
            document[name] = _head_and_tail(value)
            notes.append(
                f"{name} is cut: its first {HEAD_CHARS} and last {TEXT_CHARS_MAX - HEAD_CHARS} of {len(value)} characters are"
                " here; write the output to a file and read that with satbox_read_file and offset_bytes."
            )
        elif isinstance(value, list) and len(value) > ITEMS_MAX:
            document[name] = value[:ITEMS_MAX]
            last = value[ITEMS_MAX - 1]
            after = last.get("seq") if isinstance(last, dict) else None
            rest = "" if after is None else f"; go on with after={after}"
            notes.append(f"{name} shows {ITEMS_MAX} of {len(value)}{rest}.")
    return document | {"note": " ".join(notes)} if notes else document
