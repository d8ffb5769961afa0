"""Unmodified HTTP servers as tenants run them, on loopback, and what each of them took for a request."""

import asyncio
import contextlib
import http.server
import json
import shutil
import socket
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

NODE = """
const seen = [];
require("http").createServer((request, answer) => {
  const {method, url} = request;
  if (url === "/seen") return answer.end(JSON.stringify(seen));
  const values = (name) => request.rawHeaders.filter((_, n) => n % 2 && request.rawHeaders[n - 1].toLowerCase() === name);
  seen.push({method, path: url, payers: values("x-satbox-payer"), addresses: values("x-satbox-address")});
  answer.setHeader("Content-Type", "text/plain");
  answer.end(url);   // without a look at the body
}).listen(0, "127.0.0.1", function () { console.log(this.address().port); });
"""
NGINX_SETTINGS = """
daemon off; master_process off; worker_processes 1; pid %(folder)s/pid; error_log %(folder)s/errors;
events { worker_connections 256; }
http {
  client_body_temp_path %(folder)s/body; proxy_temp_path %(folder)s/proxy;
  fastcgi_temp_path %(folder)s/fastcgi; uwsgi_temp_path %(folder)s/uwsgi; scgi_temp_path %(folder)s/scgi;
  log_format requests escape=json
    '{"method":"$request_method","path":"$request_uri","payer":"$http_x_satbox_payer","address":"$http_x_satbox_address"}';
  access_log %(folder)s/seen requests;
  server { listen 127.0.0.1:%(port)d; location / { return 200 "$request_uri"; } }
}
"""
NGINX = shutil.which("nginx", path=f"/usr/sbin:/usr/bin:{Path(__file__).parent / '.nginx/usr/sbin'}")


@dataclass(frozen=True)
class Seen:
    """One request, as a server took it."""

    method: str
    path: str
    payers: tuple[str, ...]
    addresses: tuple[str, ...]


@dataclass
class StockServer:
    """One server, and the requests it has seen so far."""

    name: str
    port: int
    seen: Callable[[], Any]


@contextlib.asynccontextmanager
async def python_http_server() -> AsyncIterator[StockServer]:
    """The standard library's. It answers without reading a body, as most handlers written for it do."""
    seen: list[Seen] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            payers, addresses = (self.headers.get_all(f"X-Satbox-{name}", []) for name in ("Payer", "Address"))
            seen.append(Seen(self.command, self.path, tuple(payers), tuple(addresses)))
            told = self.path.encode("latin-1")
            self.send_response(200)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(told)

        do_GET = do_POST = do_PUT = do_HEAD = do_OPTIONS = do_PATCH = do_DELETE = do_TRACE = answer  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()

    async def read() -> list[Seen]:
        return list(seen)

    try:
        yield StockServer("http.server", server.server_address[1], read)
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()


@contextlib.asynccontextmanager
async def aiohttp_server() -> AsyncIterator[StockServer]:
    """aiohttp's, with a handler that leaves the body unread."""
    seen: list[Seen] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        payers, addresses = (request.headers.getall(f"X-Satbox-{name}", []) for name in ("Payer", "Address"))
        seen.append(Seen(request.method, request.path_qs, tuple(payers), tuple(addresses)))
        return web.Response(text=request.path_qs)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()

    async def read() -> list[Seen]:
        return list(seen)

    try:
        yield StockServer("aiohttp", runner.addresses[0][1], read)
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def node_server() -> AsyncIterator[StockServer]:
    """Node's."""
    process = await asyncio.create_subprocess_exec("node", "-e", NODE, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    port = int(await asyncio.wait_for(process.stdout.readline(), 20))

    async def read() -> list[Seen]:
        answer = await exchange(port, b"GET /seen HTTP/1.0\r\n\r\n")
        document = json.loads(answer.partition(b"\r\n\r\n")[2])
        return [
            Seen(each["method"], each["path"], tuple(each["payers"]), tuple(each["addresses"])) for each in document
        ]

    try:
        yield StockServer("node", port, read)
    finally:
        process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def nginx_server(folder: Path) -> AsyncIterator[StockServer]:
    """Debian's nginx; `folder` is there and empty."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = folder / "nginx.conf"
    settings.write_text(NGINX_SETTINGS % {"folder": folder, "port": port})
    assert NGINX is not None
    process = await asyncio.create_subprocess_exec(
        NGINX, "-e", str(folder / "errors"), "-c", str(settings), stderr=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(120):
        while True:
            try:
                (await asyncio.open_connection("127.0.0.1", port))[1].close()
                break
            except OSError:
                await asyncio.sleep(0.02)

    async def read() -> list[Seen]:
        lines = [json.loads(line) for line in (folder / "seen").read_text().splitlines() if line]
        return [
            Seen(
                line["method"], line["path"],
                tuple(filter(None, line["payer"].split(", "))), tuple(filter(None, line["address"].split(", "))),
            )
            for line in lines
            if line["path"]
        ]  # fmt: skip

    try:
        yield StockServer("nginx", port, read)
    finally:
        process.terminate()
        await process.wait()


async def exchange(port: int, data: bytes, seconds: float = 5.0, silence: float = 5.0) -> bytes:
    """Everything a server answers to some bytes, until it hangs up, has said nothing for `seconds`, or falls silent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    got = b""
    try:
        writer.write(data)
        while piece := await asyncio.wait_for(reader.read(65_536), silence if got else seconds):
            got += piece
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
    return got
