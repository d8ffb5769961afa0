"""Package managers, compilers and HTTP clients of each image, used untouched in a real sandbox, through the egress proxy."""

import asyncio
import base64
import functools
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from sandboxes.protocol import StartRequest, StopRequest
from tests.images.built import store_with
from tests.sandboxes.conftest import Box
from tests.sandboxes.running_node import HAS_REAL_NODE, RunningNode

pytestmark = [pytest.mark.sandbox, pytest.mark.skipif(not HAS_REAL_NODE, reason="needs root and bubblewrap")]

ALIAS = "http://gate.satbox.internal"
WHEEL = "tinything-1.0-py3-none-any.whl"
IMAGES = ["python", *(pytest.param(name, marks=pytest.mark.nightly) for name in ("agent", "node"))]


@functools.cache
def _wheel() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("tinything.py", "word = 'from a wheel'\n")
        folder = "tinything-1.0.dist-info"
        archive.writestr(f"{folder}/METADATA", "Metadata-Version: 2.1\nName: tinything\nVersion: 1.0\n")
        archive.writestr(f"{folder}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{folder}/RECORD", "")
    return buffer.getvalue()


@functools.cache  # its hash is in the index
def _tarball() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in (
            ("package.json", json.dumps({"name": "tinything", "version": "1.0.0", "bin": {"tiny": "index.js"}})),
            ("index.js", "#!/usr/bin/env node\nconsole.log('from a package');\n"),
        ):
            info = tarfile.TarInfo(f"package/{name}")
            info.size, info.mode = len(text), 0o755
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


async def _serve(request: web.Request) -> web.StreamResponse:
    tarball = _tarball()
    match request.path:
        case "/simple/tinything/":
            return web.Response(text=f"<a href='/{WHEEL}'>{WHEEL}</a>", content_type="text/html")
        case "/tinything":
            integrity = "sha512-" + base64.b64encode(hashlib.sha512(tarball).digest()).decode()
            version = {"name": "tinything", "version": "1.0.0", "bin": {"tiny": "index.js"},
                       "dist": {"tarball": f"{ALIAS}/t.tgz", "integrity": integrity}}  # fmt: skip
            content = {"name": "tinything", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
            return web.json_response(content)
        case "/t.tgz":
            return web.Response(body=tarball)
        case path if path == f"/{WHEEL}":
            return web.Response(body=_wheel())
        case "/hello":
            return web.Response(text=f"{request.method} {await request.text()}")
    raise web.HTTPNotFound


@pytest.fixture
async def registry() -> AsyncIterator[str]:
    """A package index of both languages on this machine's loopback, which the sandbox reaches as an alias."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", _serve)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture(params=IMAGES)
async def box(request: pytest.FixtureRequest, registry: str) -> AsyncIterator[Box]:
    store = await asyncio.to_thread(store_with, request.param)
    node = RunningNode({"image_store": str(store), "egress": {"internal": {"gate.satbox.internal": registry}}})
    ready = await node.start()
    assert ready["ready"], ready
    wanted = StartRequest(f"tools-{request.param}", "SP1", size_class="small", image=request.param)
    runtime = await node.client.start(wanted)
    yield Box(node.client, runtime.runtime_id)
    await node.client.stop(StopRequest(runtime.runtime_id, snapshot=False))
    await node.close()


PIP = f"--index-url {ALIAS}/simple --trusted-host gate.satbox.internal"
NPM = f"--no-audit --no-fund --fetch-retries=0 --loglevel=error --registry {ALIAS}/"
USES = {
    "python": ("python", "python -c 'print(1 + 1)' && python3 -c 'print(2)'", "2\n2\n"),
    "venv": ("pip3", f"python3 -m venv v && v/bin/pip install -q {PIP} tinything && v/bin/python -c "
             "'import tinything; print(tinything.word)'", "from a wheel\n"),
    "venv, activated": ("pip3", f". v/bin/activate && pip install -q --force-reinstall {PIP} tinything && "
                        "python -c 'import tinything, sys; print(tinything.word, sys.prefix)'",
                        "from a wheel /workspace/v\n"),
    "pip": ("pip3", f"pip install -q {PIP} tinything 2>/dev/null && python3 -c 'import tinything; print(tinything.word, "
            "tinything.__file__.startswith(\"/workspace/.local/\"))'", "from a wheel True\n"),
    "npm": ("npm", f"mkdir -p n && cd n && npm install {NPM} tinything >/dev/null && "
            "npx --no-install tiny", "from a package\n"),
    "npm, global": ("npm", f"npm install -g {NPM} tinything >/dev/null && tiny", "from a package\n"),
    "fetch": ("node", f"node -e \"fetch('{ALIAS}/hello', {{method: 'POST', body: 'there'}}).then((answer) => answer.text())"
              ".then(console.log)\"", "POST there\n"),
    "http": ("node", f"node -e \"require('http').get('{ALIAS}/hello', (answer) => answer.on('data', (data) => "
             "console.log(String(data).trim())))\"", "GET\n"),
    "cc": ("cc", "printf '#include <stdio.h>\\nint main(void) { puts(\"compiled\"); }' > c.c && make -s c && ./c", "compiled\n"),
    "c++": ("cc", "printf '#include <iostream>\\nint main() { std::cout << 1 << std::endl; }' > d.cc && g++ d.cc && ./a.out",
            "1\n"),
}  # fmt: skip
HAS = {
    "python": {"python", "pip3"},
    "node": {"python", "node", "npm"},
    "agent": {"python", "pip3", "node", "npm", "cc"},
}


async def test_tools_work_untouched(box: Box, request: pytest.FixtureRequest) -> None:
    image = request.node.callspec.params["box"]
    ends = {}
    for use, (tool, command, _output) in USES.items():
        if tool in HAS[image]:
            ends[use] = await box.run(command, timeout_seconds=120)

    wrong = {use: end for use, end in ends.items() if (end["exit_code"], end["stdout"]) != (0, USES[use][2])}
    assert wrong == {}
    assert set(ends) == {use for use, (tool, *_rest) in USES.items() if tool in HAS[image]}
