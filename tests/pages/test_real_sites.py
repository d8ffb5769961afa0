"""Unmodified servers inside a real sandbox, opened in a browser at their ports' own origins: Vite with hot reload, Flask with
redirects and a session, Jupyter with a kernel.
"""

import asyncio
import contextlib
import io
import shutil
import tarfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from satbox.client import Client
from tests.pages.browsing import Visit, visiting
from tests.service.running_service import Owner, RunningService

pytestmark = [
    pytest.mark.nightly, pytest.mark.ray, pytest.mark.sandbox, pytest.mark.asyncio(loop_scope="session"),
]  # fmt: skip

SITES = Path(__file__).parent / "sites"
PIECE_BYTES = 1_000_000
LEFT_OUT = ("__pycache__", "debugpy", "jedi")
"""What makes the upload half as large, and is not needed: completion and a debugger."""
PATIENCE_SECONDS = 120.0
VITE = {
    "site/index.html": '<!doctype html><title>v</title><main id="app"></main><script type="module" src="/main.js"></script>',
    "site/main.js": """
import "./style.css";
import { text } from "./text.js";
const show = (text) => { document.getElementById("app").textContent = text; };
show(text);
import.meta.hot.accept("./text.js", (changed) => show(changed.text));
""",
    "site/style.css": "main { color: rgb(1, 2, 3); }",
    "site/text.js": 'export const text = "first";',
}
FLASK = """
from flask import Flask, redirect, request, session, url_for
app = Flask(__name__)
app.secret_key = "of the test"
STYLE = '<!doctype html><title>f</title><link rel="icon" href="data:,"><link rel="stylesheet" href="/static/style.css">'
@app.get("/")
def index():
    if "name" not in session:
        return redirect(url_for("login"))
    return STYLE + f"<main>hello {session['name']}</main>"
@app.route("/login", methods=["GET", "POST"])
def login():
    if request.method == "POST":
        session["name"] = request.form["name"]
        return redirect(url_for("index", _external=True))
    return STYLE + '<main><form method="post" action="/login"><input name="name"><button>in</button></form></main>'
"""
RUN_CODE = """
async (code) => {
  const xsrf = /_xsrf=([^;]*)/.exec(document.cookie)[1];
  const made = await fetch("/api/kernels", {method: "POST", headers: {"X-XSRFToken": xsrf}, body: "{}"});
  if (made.status !== 201) return `kernel: ${made.status} ${await made.text()}`;
  const {id} = await made.json();
  const socket = new WebSocket(`ws://${location.host}/api/kernels/${id}/channels`);
  const header = {msg_id: "1", msg_type: "execute_request", username: "", session: "s", version: "5.3"};
  const content = {code, silent: false, store_history: false, user_expressions: {}, allow_stdin: false};
  socket.onopen = () => socket.send(JSON.stringify({header, parent_header: {}, metadata: {}, content, channel: "shell"}));
  return await new Promise((done) => {
    socket.onerror = () => done("socket refused");
    socket.onmessage = ({data}) => {
      const message = JSON.parse(data);
      if (message.msg_type === "stream") done(message.content.text);
      if (message.msg_type === "error") done(message.content.evalue);
    };
  });
}
"""


def packed() -> bytes:
    """What the install script has put beside `sites`, as a tar: `lib` for Python, `site/node_modules` for Node."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz", compresslevel=3) as archive:
        for folder, name in ((".python", "lib"), ("node_modules", "site/node_modules")):
            archive.add(
                SITES / folder, name, filter=lambda each: None if each.name.rpartition("/")[2] in LEFT_OUT else each
            )
    return data.getvalue()


@dataclass
class Inside:
    """A sandbox with the servers' packages, and a browser."""

    service: RunningService
    owner: Owner
    browser: Browser

    @property
    def client(self) -> Client:
        return self.owner.client

    async def run(self, shell: str, port: int) -> None:
        """Start a server and wait until it listens."""
        environment = {"PYTHONPATH": "/workspace/lib", "HOME": "/workspace"}
        process = await self.client.processes_start(shell=shell, env=environment)
        waited = await self.client.processes_wait(
            process.process_id, until="port", port=port, timeout_seconds=PATIENCE_SECONDS
        )
        assert waited.met, await self.client.processes_logs(process.process_id)

    @contextlib.asynccontextmanager
    async def opened(self, port: int, path: str = "/") -> AsyncIterator[Visit]:
        """A fresh visitor who comes in by the URL of `ports expose`."""
        given = await self.client.ports_expose(port)
        origin, _, token = given.url.partition("/?")
        assert origin == f"http://{port}-{self.owner.address.lower()}.localhost:{self.service.settings.gate.port}"
        async with visiting(self.browser, origin) as visit:
            await visit.open(f"{path}{'&' if '?' in path else '?'}{token}")
            yield visit
            assert "satbox_token" not in visit.page.url


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def inside(service: RunningService, browser: Browser) -> AsyncIterator[Inside]:
    if not (SITES / ".python").exists() or not (SITES / "node_modules").exists() or shutil.which("node") is None:
        pytest.skip("needs Vite, Flask and Jupyter: just site-packages")
    owner = await service.agent()
    client = owner.client
    paid = await client.sandbox_create(sats=2_000, size_class="medium")
    await owner.confirmed(paid.paymentId)
    await owner.until(lambda now: now.state == "alive")
    data = await asyncio.to_thread(packed)
    for number, start in enumerate(range(0, len(data), PIECE_BYTES)):
        await client.files_write(f"piece{number:03}", data[start : start + PIECE_BYTES])
    unpacked = await client.sandbox_exec(shell="cat piece* | tar xz && rm piece*", timeout_seconds=300)
    assert unpacked.exit_code == 0, unpacked.stderr
    for name, source in {**VITE, "app.py": FLASK, "static/style.css": VITE["site/style.css"]}.items():
        await client.files_write(name, source.encode())
    yield Inside(service, owner, browser)
    await client.sandbox_reap(destroy=True)
    await client.close()


COLOUR = "getComputedStyle(document.querySelector('main')).color === 'rgb(1, 2, 3)'"


async def test_vite_reloads_a_module_in_place(inside: Inside) -> None:
    await inside.run("cd site && node_modules/.bin/vite --host 127.0.0.1 --port 5173 --strictPort", 5173)
    async with inside.opened(5173) as visit:
        await visit.until("document.getElementById('app').textContent === 'first'", PATIENCE_SECONDS)
        await visit.until(COLOUR)
        await visit.page.evaluate("window.isSamePage = true")
        await inside.client.files_write("site/text.js", b'export const text = "second";')
        await visit.until("document.getElementById('app').textContent === 'second'", PATIENCE_SECONDS)
        assert await visit.page.evaluate("window.isSamePage")


async def test_flask_redirects_and_keeps_a_session(inside: Inside) -> None:
    await inside.run("python3 -m flask --app app run --port 5000", 5000)
    async with inside.opened(5000) as visit:
        assert visit.page.url == f"{visit.origin}/login"
        await visit.page.fill("input", "raven")
        await visit.page.click("button")
        await visit.page.wait_for_url(f"{visit.origin}/")
        assert await visit.text("main") == "hello raven"
        await visit.until(COLOUR)


async def test_jupyter_runs_code_in_a_kernel(inside: Inside) -> None:
    await inside.run("python3 -m jupyter_server --IdentityProvider.token=of-the-test --port 8888 --no-browser", 8888)
    async with inside.opened(8888, "/login?token=of-the-test") as visit:
        async with asyncio.timeout(PATIENCE_SECONDS):
            said = await visit.page.evaluate(RUN_CODE, "print(6 * 7)")
        assert said == "42\n"
