"""Commands and files through the gate to a real sandbox, and what comes back when there is none."""

import asyncio
import base64
import io
import json
import os
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from operations.errors import SatboxError
from tests.service.running_service import Owner, RunningService

pytestmark = [pytest.mark.ray, pytest.mark.sandbox, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tenant(service: RunningService) -> AsyncIterator[Owner]:
    """Somebody with a running sandbox."""
    made = await service.agent()
    await made.client.sandbox_create(sats=1_000)
    await made.until(lambda now: now.state == "alive")
    yield made
    await made.client.sandbox_reap(destroy=True)
    await made.client.close()


async def refused(call: Any) -> SatboxError:
    with pytest.raises(SatboxError) as error:
        await call
    assert error.value.kind.status < 500, error.value
    return error.value


async def test_a_streamed_command(tenant: Owner) -> None:
    events = [event async for event in tenant.client.exec_stream(shell="echo one; sleep 0.1; echo two >&2; exit 4")]
    assert events[-1].result is not None
    assert events[-1].result.exit_code == 4
    assert b"".join(e.data for e in events if e.kind == "stdout") == b"one\n"
    assert b"".join(e.data for e in events if e.kind == "stderr") == b"two\n"


async def test_much_output_is_cut_and_counted(tenant: Owner) -> None:
    result = await tenant.client.sandbox_exec(
        shell="head -c 3000000 /dev/zero | tr '\\0' x", output_limit_bytes=100_000
    )
    assert len(result.stdout) == 100_000
    assert result.truncated["stdout_bytes_dropped"] == 2_900_000


async def test_output_that_is_no_text(tenant: Owner) -> None:
    result = await tenant.client.sandbox_exec(shell="printf '\\377\\376ok'")
    assert base64.b64decode(result.stdout_base64 or "") == b"\xff\xfeok"


async def test_a_megabyte_up_and_down(tenant: Owner) -> None:
    content = os.urandom(1 << 20)
    await tenant.client.files_mkdir(path="big/of")
    done = await tenant.client.files_write(data=content, path="big/of/mine.bin")
    assert done.size_bytes == 1 << 20
    assert await tenant.client.files_read(path="big/of/mine.bin") == content
    await tenant.client.files_move(path="big/of/mine.bin", to="big/moved.bin")
    listing = await tenant.client.files_list(path="big")
    assert {(entry.name, entry.kind) for entry in listing.entries} >= {("moved.bin", "file")}
    await tenant.client.files_delete(path="big")
    assert (await refused(tenant.client.files_stat(path="big"))).code == "path_not_found"


async def test_an_upload_over_the_limit_is_413_however_it_is_sent(service: RunningService, tenant: Owner) -> None:
    limit = service.settings.gate.upload_bytes_max
    await tenant.client.files_write(data=b"before", path="kept")

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(limit // 65_536 + 4):
            yield bytes(65_536)

    gate_pass = await tenant.client.prove()
    headers = {"Authorization": f"Bearer {gate_pass.token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for sent in (io.BytesIO(bytes(limit + 1)), endless()):
            async with session.put(f"{service.gate_url}/sandbox/files?path=kept", data=sent) as reply:
                assert (reply.status, (await reply.json())["error"]["code"]) == (413, "body_too_large")
    assert await tenant.client.files_read(path="kept") == b"before", "all of a file, or nothing"


@pytest.mark.parametrize(
    "path",
    ["../../etc/shadow", "/etc/passwd", "/proc/self/environ", "/proc/1/mem", "a\0b", "/workspace/../../srv/x", "link"],
)
async def test_paths_do_not_lead_out(service: RunningService, tenant: Owner, path: str) -> None:
    """What can be read is what the tenant can read inside; nothing of the host."""
    await tenant.client.sandbox_exec(shell=f"ln -sfn {service.settings.home}/keys/operator.pem link")
    try:
        content = await tenant.client.files_read(path=path)
    except SatboxError as error:
        found = error
    else:
        inside = await tenant.client.sandbox_exec(argv=["cat", path])
        assert content.decode("utf-8", "replace").startswith(inside.stdout[:20])
        assert b"PRIVATE KEY" not in content
        return
    assert found.kind.status < 500
    assert str(service.folder) not in json.dumps(found.details) + found.message


async def test_file_names_that_are_no_text(tenant: Owner) -> None:
    make = "import os; os.mkdir(b'odd'); [open(b'odd/' + n, 'w').close() for n in (b'\\xff\\xfe', b'a\\nb', b'\\x1b[2J', b'\"')]"
    assert (await tenant.client.sandbox_exec(argv=["python3", "-c", make])).exit_code == 0
    listing = await tenant.client.files_list(path="odd")
    assert len(listing.entries) == 4
    await tenant.client.files_delete(path="odd")


async def test_what_was_reaped_is_gone(service: RunningService, owner: Owner) -> None:
    await owner.client.sandbox_create(sats=100)
    await owner.until(lambda now: now.state == "alive")
    hanging = asyncio.create_task(owner.client.sandbox_exec(shell="sleep 30"))
    await owner.client.sandbox_exec(shell="true")
    await owner.client.sandbox_reap()
    ended = await asyncio.wait_for(asyncio.gather(hanging, return_exceptions=True), 15)
    assert isinstance(ended[0], SatboxError) or ended[0].signal or ended[0].exit_code
    for call in (owner.client.sandbox_exec(shell="true"), owner.client.files_read(path="x")):
        error = await refused(call)
        assert (error.code, error.kind.status) == ("sandbox_reaped", 410)


async def test_what_was_never_made_is_not_found(owner: Owner) -> None:
    assert (await refused(owner.client.sandbox_exec(shell="true"))).code == "wallet_not_found"


async def test_half_characters_and_odd_environments_are_refused(service: RunningService, tenant: Owner) -> None:
    gate_pass = await tenant.client.prove()
    headers = {"Authorization": f"Bearer {gate_pass.token}"}
    bodies = ['{"shell": "\\ud800"}', '{"shell": "true", "env": {"A=B": "x"}}', '{"shell": "true", "cwd": "\\u0000"}']
    async with aiohttp.ClientSession(headers=headers) as session:
        for body in bodies:
            async with session.post(f"{service.gate_url}/sandbox/exec", data=body) as reply:
                assert (reply.status, (await reply.json())["error"]["code"]) == (400, "invalid_request")


async def test_a_stalled_reader_and_writer_hold_up_nobody(service: RunningService, tenant: Owner, owner: Owner) -> None:
    await owner.client.sandbox_create(sats=100)
    gate_pass = await tenant.client.prove()
    head = f"PUT /sandbox/files?path=slow HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gate_pass.token}\r\n"
    stalled = []
    for _ in range(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", service.settings.gate.port)
        writer.write((head + "Content-Length: 100000\r\n\r\nx").encode())
        stalled.append((reader, writer))
    async with asyncio.timeout(120):
        assert (await owner.client.sandbox_exec(shell="echo fine")).stdout == "fine\n"
    for _, writer in stalled:
        writer.close()
