"""Real software inside a sandbox, called from outside: http.server, aiohttp, Node, and an MCP server by the official client."""

import asyncio
import importlib.metadata
import io
import re
import shutil
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import httpx2
import pytest
import pytest_asyncio
from mcp import Client as McpClient
from mcp.client.streamable_http import streamable_http_client

from operations.routes import RouteInput
from satbox.client import Client
from tests.service.running_service import Owner, RunningService

pytestmark = [pytest.mark.nightly, pytest.mark.ray, pytest.mark.sandbox, pytest.mark.asyncio(loop_scope="session")]

PIECE_BYTES = 1_000_000
SERVERS = {
    "site.py": """
import http.server
http.server.ThreadingHTTPServer(("127.0.0.1", 8101), http.server.SimpleHTTPRequestHandler).serve_forever()
""",
    "echo.py": """
from aiohttp import web, WSMsgType
async def echo(request):
    socket = web.WebSocketResponse(protocols=("satbox-test",))
    await socket.prepare(request)
    async for message in socket:
        if message.data == "bye":
            await socket.close(code=4002, message=b"as asked")
        elif message.type is WSMsgType.TEXT:
            await socket.send_str(message.data.upper())
        else:
            await socket.send_bytes(message.data[::-1])
    return socket
app = web.Application()
app.router.add_get("/ws", echo)
web.run_app(app, host="127.0.0.1", port=8102)
""",
    "node.js": """
require("http").createServer((request, response) => {
  let size = 0;
  request.on("data", (chunk) => { size += chunk.length; });
  request.on("end", () => response.end(JSON.stringify({ method: request.method, url: request.url, size })));
}).listen(8103, "127.0.0.1");
""",
    "tools.py": """
from mcp.server.mcpserver import MCPServer
server = MCPServer("adder")
@server.tool()
def add(a: int, b: int) -> int:
    return a + b
server.run("streamable-http", host="127.0.0.1", port=8104)
""",
}


def packages(*names: str) -> bytes:
    """Installed distributions and what they need, as a tar."""
    left, taken = list(names), set()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        while left:
            name = left.pop().lower().replace("_", "-")
            if name in taken:
                continue
            taken.add(name)
            try:
                distribution = importlib.metadata.distribution(name)
            except importlib.metadata.PackageNotFoundError:
                continue  # for another platform
            left += [re.split(r"[ ;<>=!~\\[(]", one)[0] for one in distribution.requires or () if "extra ==" not in one]
            for file in distribution.files or ():
                path = Path(str(distribution.locate_file(file)))
                if ".." not in file.parts and path.is_file() and path.suffix in (".py", ".so", ".json", "", ".typed"):
                    archive.add(path, str(file))
    return packed.getvalue()


class Servers:
    """What runs inside, and the way to it."""

    def __init__(self, service: RunningService, owner: Owner, session: aiohttp.ClientSession) -> None:
        self.service = service
        self.owner = owner
        self.session = session

    def url(self, port: int, path: str) -> str:
        return f"{self.service.gate_url}/sandbox/proxy/{self.owner.address}/{port}{path}"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def servers(service: RunningService) -> AsyncIterator[Servers]:
    owner = await service.agent()
    client: Client = owner.client
    await client.sandbox_create(sats=1_000)
    await owner.until(lambda now: now.state == "alive")
    data = await asyncio.to_thread(packages, "aiohttp", "mcp")
    for number, start in enumerate(range(0, len(data), PIECE_BYTES)):
        await client.files_write(f"piece{number:03}", data[start : start + PIECE_BYTES])
    unpacked = await client.sandbox_exec(
        shell="mkdir lib && cat piece* | tar xz -C lib && rm piece*", timeout_seconds=60
    )
    assert unpacked.exit_code == 0, unpacked.stderr
    for name, source in SERVERS.items():
        await client.files_write(name, source.encode())
    environment = {"PYTHONPATH": "/workspace/lib"}
    started = [("python3", "site.py", 8101), ("python3", "echo.py", 8102), ("python3", "tools.py", 8104)]
    if shutil.which("node", path="/usr/bin"):
        started.append(("node", "node.js", 8103))
    for program, name, port in started:
        process = await client.processes_start(argv=[program, name], env=environment)
        answer = await client.processes_wait(process.process_id, until="port", port=port, timeout_seconds=60)
        assert answer.met, await client.processes_logs(process.process_id)
    await client.routes_set(routes=[RouteInput(port=port, path="/*") for port in (8101, 8102, 8103, 8104)])
    async with aiohttp.ClientSession() as session:
        yield Servers(service, owner, session)
    await client.sandbox_reap(destroy=True)
    await client.close()


async def test_pythons_http_server_lists_and_serves(servers: Servers) -> None:
    async with servers.session.get(servers.url(8101, "/")) as answer:
        assert (answer.status, "echo.py" in await answer.text()) == (200, True)
    async with servers.session.get(servers.url(8101, "/echo.py")) as answer:
        assert await answer.text() == SERVERS["echo.py"]
    async with servers.session.get(servers.url(8101, "/nothing")) as answer:
        assert answer.status == 404


async def test_a_websocket_of_aiohttp_echoes_text_bytes_and_its_closing_code(servers: Servers) -> None:
    async with servers.session.ws_connect(servers.url(8102, "/ws"), protocols=("satbox-test",)) as socket:
        assert socket.protocol == "satbox-test"
        await socket.send_str("hello")
        await socket.send_bytes(b"\x00\x01\x02" * 10_000)
        assert await socket.receive_str(timeout=10) == "HELLO"
        assert await socket.receive_bytes(timeout=10) == (b"\x00\x01\x02" * 10_000)[::-1]
        await socket.send_str("bye")
        closing = await socket.receive(timeout=10)
        assert (closing.type, socket.close_code) == (aiohttp.WSMsgType.CLOSE, 4002)


async def test_node_takes_a_chunked_body(servers: Servers) -> None:
    if not shutil.which("node", path="/usr/bin"):
        pytest.skip("no node in /usr")

    async def body() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * 100_000

    async with servers.session.put(servers.url(8103, "/in?a=%20b"), data=body()) as answer:
        told = await answer.json(content_type=None)
    assert told == {"method": "PUT", "url": "/in?a=%20b", "size": 1_000_000}


async def test_the_official_mcp_client_uses_a_tool_inside(servers: Servers) -> None:
    async with (
        httpx2.AsyncClient(timeout=30) as http,
        McpClient(streamable_http_client(servers.url(8104, "/mcp"), http_client=http)) as client,
    ):
        names = [tool.name for tool in (await client.list_tools()).tools]
        result = await client.call_tool("add", {"a": 40, "b": 2})
    assert names == ["add"]
    assert result.content[0].type == "text"
    assert result.content[0].text == "42"
