"""Node through a proxy by `images/node-proxy.cjs`: `http`, `https` and `fetch`, plain and encrypted, and what stays direct."""

import asyncio
import contextlib
import json
import os
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import images

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node: ./dev node-packages")

PRELOAD = Path(images.__file__).parent / "node-proxy.cjs"
RUN = """
const http = require("http"), https = require("https");
const get = (module, url, options = {}) => new Promise((done, fail) => module.get(url, options, (answer) => {
  let text = ""; answer.on("data", (piece) => text += piece).on("end", () => done(`${answer.statusCode} ${text}`));
}).on("error", fail));
const fetched = async (url, options) => {
  const answer = await fetch(url, options); return `${answer.status} ${await answer.text()}`;
};
const wrapped = async (work) => { try { return await work; } catch (error) { return String(error.cause || error); } };
"""


@dataclass
class Proxy:
    """A proxy that leads every name to one plain or one encrypted server of this machine, and refuses `refused.test`."""

    asked: list[str] = field(default_factory=list)
    port: int = 0
    plain_port: int = 0
    secure_port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _version = head.split(b"\r\n", 1)[0].decode().split(" ")
            host = next(line[5:].strip() for line in head.decode().split("\r\n") if line.lower().startswith("host:"))
            self.asked.append(f"{method} {target} {host}")
            if "refused.test" in target:
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 13\r\n\r\negress_denied")
            elif method == "CONNECT":
                upstream = await asyncio.open_connection("127.0.0.1", self.secure_port)
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                await asyncio.gather(_carry(reader, upstream[1]), _carry(upstream[0], writer))
            else:
                body = await reader.readexactly(int(_header(head, b"content-length") or b"0"))
                writer.write(
                    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % (6 + len(body))
                    + b"plain:"
                    + body
                )
            await writer.drain()
        writer.close()


def _header(head: bytes, name: bytes) -> bytes | None:
    return next((line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(name + b":")), None)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()


async def _secure(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 6\r\n\r\nsecure")
        await writer.drain()
    writer.close()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "key", "-out", tmp_path / "cert",
         "-subj", "/CN=secure.test", "-addext", "subjectAltName=DNS:secure.test", "-days", "2"],
        check=True, capture_output=True,
    )  # fmt: skip
    return tmp_path


@pytest.fixture
async def proxy(certificate: Path) -> AsyncIterator[Proxy]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert", certificate / "key")
    found = Proxy()
    async with (
        await asyncio.start_server(_secure, "127.0.0.1", 0, ssl=context) as secure,
        await asyncio.start_server(found.serve, "127.0.0.1", 0) as listening,
    ):
        found.port, found.secure_port = (each.sockets[0].getsockname()[1] for each in (listening, secure))
        yield found


async def node(proxy: Proxy, folder: Path, source: str, **variables: str) -> object:
    """What the script's last expression gives."""
    url = f"http://127.0.0.1:{proxy.port}"
    environment = {
        "PATH": os.environ["PATH"], "HTTP_PROXY": url, "HTTPS_PROXY": url, "NO_PROXY": "localhost,127.0.0.1,::1",
        "NODE_OPTIONS": f"--require={PRELOAD}", "NODE_USE_ENV_PROXY": "1", "NODE_EXTRA_CA_CERTS": str(folder / "cert"),
        **variables,
    }  # fmt: skip
    script = RUN + f"(async () => {source})().then((found) => console.log(JSON.stringify(found)))"
    process = await asyncio.create_subprocess_exec(
        "node", "-e", script, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(120):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert err == b""
    return json.loads(out)


async def test_all_three_ways_go_through_the_proxy(proxy: Proxy, tmp_path: Path) -> None:
    found = await node(proxy, tmp_path, """[
        await get(http, "http://plain.test/a?b=1"),
        await get(http, "http://plain.test:8080/port", {agent: new http.Agent({keepAlive: true})}),
        await get(http, "http://plain.test/list", {headers: ["Host", "plain.test"]}),
        await get(https, "https://secure.test/"),
        await get(https, "https://secure.test/", {agent: new https.Agent()}),
        await fetched("http://plain.test:8080/f", {method: "POST", body: "sent"}),
        await fetched("https://secure.test/f"),
        await fetched("https://secure.test/again"),
    ]""")  # fmt: skip

    plain, secure = "200 plain:", "200 secure"
    assert found == [plain, plain, plain, secure, secure, plain + "sent", secure, secure]
    assert proxy.asked == [
        "GET http://plain.test/a?b=1 plain.test", "GET http://plain.test:8080/port plain.test:8080",
        "GET http://plain.test/list plain.test", *["CONNECT secure.test:443 secure.test:443"] * 2,
        "POST http://plain.test:8080/f plain.test:8080", *["CONNECT secure.test:443 secure.test:443"] * 2,
    ]  # fmt: skip


async def test_a_refusal_is_an_error_with_its_reason(proxy: Proxy, tmp_path: Path) -> None:
    found = await node(proxy, tmp_path, """[
        await wrapped(get(https, "https://refused.test/")),
        await wrapped(fetched("https://refused.test/")),
        await wrapped(fetched("http://refused.test/")),
        await wrapped(fetched("https://unknown-name.test/")),
    ]""")  # fmt: skip

    assert isinstance(found, list)
    assert all("refused.test:443: 403 egress_denied" in words for words in found[:2])
    assert found[2] == "403 egress_denied"
    assert "secure.test" in found[3]  # the certificate is another name's: it is still checked


async def test_this_machine_itself_and_a_program_s_own_choice_stay(proxy: Proxy, tmp_path: Path) -> None:
    own = 'Symbol.for("undici.globalDispatcher.1")'
    found = await node(proxy, tmp_path, """[await (async () => {
        const server = http.createServer((request, answer) => answer.end(request.url)).listen(0, "0.0.0.0");
        await new Promise((done) => server.once("listening", done));
        const { port } = server.address();
        const got = [await get(http, `http://127.0.0.1:${port}/x`), await fetched(`http://127.0.0.2:${port}/y`)];
        server.close(); server.closeAllConnections();
        return got;
    })()]""")  # fmt: skip
    chosen = await node(proxy, tmp_path, f"""{{
        let asked = "";
        globalThis[{own}] = {{ dispatch(options) {{ asked = options.origin; throw new Error("mine"); }} }};
        await wrapped(fetched("http://plain.test/"));
        return String(asked);
    }}""")  # fmt: skip
    without = await node(proxy, tmp_path, "http.globalAgent.createConnection.name", HTTP_PROXY="", HTTPS_PROXY="")

    assert found == [["200 /x", "200 /y"]]
    assert chosen == "http://plain.test"
    assert without == "connect"
    assert proxy.asked == []
