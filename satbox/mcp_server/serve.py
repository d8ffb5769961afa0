"""The server: stdio, or streamable HTTP on loopback. stdout belongs to the protocol; logs go to stderr."""

import json
import sys
from importlib.metadata import version
from typing import Any

import mcp_types as types
from mcp.server import Server
from mcp.server.stdio import stdio_server

from operations import logs
from operations.errors import SatboxError
from satbox.client import Client
from satbox.mcp_server.budget import SessionBudget
from satbox.mcp_server.call import call_tool
from satbox.mcp_server.hints import next_step
from satbox.mcp_server.tool_spec import ToolSpec
from satbox.mcp_server.tools import tools

HOST = "127.0.0.1"
PURPOSE = (
    "satbox: tools for an agent over the Model Context Protocol, on standard input and output until the input ends. An MCP"
    " client starts this by itself; its configuration names the command `satbox mcp`. See satbox mcp --help."
)
INSTRUCTIONS = """satbox: pay sats, get a Linux sandbox that burns sats by the second while it is up.
satbox_status shows what is left; satbox_create and satbox_extend pay by themselves within max_sats and this session's
budget; satbox_exec runs commands. satbox_routes sells calls to a server in your sandbox, satbox_call buys them from others and
pays from your bucket (satbox_bucket). Errors have a code, a hint and the next step: after `ambiguous` never pay anew, repeat
the same call."""


def _definition(tool: ToolSpec) -> types.Tool:
    return types.Tool(
        name=tool.name,
        description=tool.description,
        input_schema=tool.schema,
        annotations=types.ToolAnnotations(
            read_only_hint=tool.is_read_only,
            destructive_hint=tool.is_destructive,
            idempotent_hint=tool.is_idempotent,
            open_world_hint=tool.is_open_world,
        ),
    )


def _result(document: dict[str, Any], *, is_error: bool = False) -> types.CallToolResult:
    text = json.dumps(document, ensure_ascii=False)
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)], structured_content=document, is_error=is_error
    )


def _error(error: SatboxError, tool: ToolSpec | None) -> types.CallToolResult:
    body = error.body(str(error.details.get("request_id", "")))["error"]
    step = next_step(error, None if tool is None else tool.name)
    return _result({"error": {**body, "hint": step, "next_step": step}}, is_error=True)


def make_server(client: Client, *, session_sats: int) -> Server[Any]:
    """A server whose every tool is one call of this client, within one budget."""
    known = tools()
    budget = SessionBudget(session_sats)

    async def list_tools(context: Any, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_definition(tool) for tool in known.values()])

    async def call(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        tool = known.get(params.name)
        try:
            if tool is None:
                raise SatboxError("not_found", f"There is no tool {params.name[:60]}.", hint="List the tools.")
            return _result(await call_tool(client, budget, tool, params.arguments or {}))
        except SatboxError as error:
            return _error(error, tool)
        except (TypeError, ValueError) as error:
            return _error(SatboxError("invalid_request", f"The arguments do not fit: {error}"[:300]), tool)

    return Server(
        "satbox",
        version=version("satbox"),
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call,
    )


async def serve_stdio(client: Client, *, session_sats: int) -> None:
    """Serve until standard input ends."""
    logs.configure()
    print(PURPOSE, file=sys.stderr, flush=True)
    server = make_server(client, session_sats=session_sats)
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


async def serve_http(client: Client, *, port: int, session_sats: int) -> None:
    """Serve streamable HTTP at http://127.0.0.1:PORT/mcp until a signal. Never beyond this machine: it holds keys."""
    import uvicorn

    app = make_server(client, session_sats=session_sats).streamable_http_app(host=HOST)
    config = uvicorn.Config(app, host=HOST, port=port, log_level="warning", ws="none")
    print(f"satbox: tools at http://{HOST}:{port}/mcp", file=sys.stderr)
    await uvicorn.Server(config).serve()
