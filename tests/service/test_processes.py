"""Background processes, terminals, archives, ranges, watching and pausing through the gate to a real sandbox."""

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from operations.errors import SatboxError
from satbox.agent.keystore import Keystore
from tests.cli.running import Ended, satbox
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
    return error.value


async def test_a_process_goes_on_and_is_waited_for(tenant: Owner) -> None:
    process = await tenant.client.processes_start(shell="echo up; read answer; echo got $answer; exit 3")
    met = await tenant.client.processes_wait(process.process_id, until="text", text="up")
    await tenant.client.processes_write(process.process_id, data="eWVzCg==")
    ended = await tenant.client.processes_wait(process.process_id)
    logs = await tenant.client.processes_logs(process.process_id, after=met.cursor or 0)

    assert (process.state, met.met, ended.exit_code) == ("running", True, 3)
    assert "".join(piece.data for piece in logs.items) == "\ngot yes\n"
    assert process.process_id in [item.process_id for item in (await tenant.client.processes_list()).items]


async def test_logs_are_followed_to_the_end(tenant: Owner) -> None:
    process = await tenant.client.processes_start(shell="echo out; echo err >&2; exit 7")

    events = [event async for event in tenant.client.follow_logs(process.process_id)]

    assert {event.kind: event.data for event in events[:-1]} == {"stdout": b"out\n", "stderr": b"err\n"}
    assert events[-1].process is not None
    assert events[-1].process.exit_code == 7


async def test_a_terminal_over_a_websocket(tenant: Owner) -> None:
    process = await tenant.client.processes_start(argv=["sh", "-i"], terminal=True, rows=30, columns=90)
    attached = await tenant.client.processes_attach(process.process_id)
    await attached.write(b"stty size; exit 5\n")
    seen, code = b"", None
    async for event in attached.output():
        seen += event.data
        code = event.process.exit_code if event.process is not None else code
    await attached.close()

    assert b"30 90" in seen
    assert code == 5


async def test_a_websocket_is_refused_in_words(tenant: Owner) -> None:
    assert (await refused(tenant.client.processes_attach("p_000000000000"))).code == "process_not_found"


async def test_a_stranger_reaches_no_process(service: RunningService, tenant: Owner) -> None:
    process = await tenant.client.processes_start(shell="sleep 1000")
    stranger = await service.agent()
    address = tenant.address
    for call in (
        stranger.client.processes_list(address=address),
        stranger.client.processes_kill(process.process_id, address=address),
        stranger.client.processes_attach(process.process_id, address=address),
        stranger.client.files_pack("/workspace", address=address),
        stranger.client.sandbox_pause(address=address),
    ):
        assert (await refused(call)).code == "not_owner"
    await stranger.client.close()
    await tenant.client.processes_kill(process.process_id)


async def test_a_server_inside_is_waited_for(tenant: Owner) -> None:
    process = await tenant.client.processes_start(argv=["python3", "-m", "http.server", "8123", "--bind", "127.0.0.1"])
    met = await tenant.client.processes_wait(process.process_id, until="port", port=8123)

    assert met.met
    assert (await tenant.client.ports_list()).items == [8123]
    ended = await tenant.client.processes_kill(process.process_id)
    assert ended.signal == 9


async def test_a_folder_goes_out_and_in(tenant: Owner) -> None:
    await tenant.client.sandbox_exec(shell="mkdir -p a/b; echo one > a/b/one; ln -s b/one a/link")

    packed = await tenant.client.files_pack("a")
    counts = await tenant.client.files_unpack("copy", packed)
    same = await tenant.client.sandbox_exec(shell="diff -r a copy && readlink copy/link")

    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert sorted(archive.getnames()) == ["b", "b/one", "link"]
    assert (counts.files, counts.skipped, same.stdout) == (2, 0, "b/one\n")
    assert (await refused(tenant.client.files_unpack("x", b"no archive", format="zip"))).code == "archive_invalid"
    assert (await refused(tenant.client.files_pack("nowhere"))).code == "path_not_found"


async def test_a_part_of_a_file(service: RunningService, tenant: Owner) -> None:
    await tenant.client.files_write("digits", b"0123456789")
    token = (await tenant.client.prove()).token
    url = f"{service.gate_url}/sandbox/files?path=digits"
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
        seen = []
        for wanted in ("bytes=2-4", "bytes=-3", "bytes=7-", "bytes=20-30", "nonsense"):
            async with session.get(url, headers={"Range": wanted}) as answer:
                body = await answer.read()
                seen.append((answer.status, answer.headers.get("Content-Range"), body if answer.status < 400 else b""))

    assert seen == [
        (206, "bytes 2-4/10", b"234"),
        (206, "bytes 7-9/10", b"789"),
        (206, "bytes 7-9/10", b"789"),
        (416, "bytes */10", b""),
        (200, None, b"0123456789"),
    ]


async def test_changes_are_followed(tenant: Owner) -> None:
    changes = tenant.client.files_watch("/workspace")
    assert (await anext(changes)).event == "watching"
    await tenant.client.files_write("watched", b"x")
    async with asyncio.timeout(120):
        paths = {(change.event, change.path) async for change in _until_moved(changes, "/workspace/watched")}

    assert ("moved_to", "/workspace/watched") in paths


async def _until_moved(changes: Any, path: str) -> AsyncIterator[Any]:
    async for change in changes:
        yield change
        if change.path == path:
            await changes.aclose()
            return


async def test_a_pause_is_cheaper_and_holds_everything(tenant: Owner) -> None:
    process = await tenant.client.processes_start(shell="sleep 1000")
    before = await tenant.status()

    paused = await tenant.client.sandbox_pause()
    refusal = await refused(tenant.client.sandbox_exec(shell="true"))
    resumed = await tenant.client.sandbox_resume()

    assert (paused.state, paused.paused, resumed.paused) == ("alive", True, False)
    assert paused.rate_usat_per_second == -(-before.rate_usat_per_second // 4)
    assert resumed.rate_usat_per_second == before.rate_usat_per_second
    assert refusal.code == "sandbox_paused"
    assert (await tenant.client.processes_get(process.process_id)).state == "running"
    meter = await tenant.client.sandbox_meter()
    assert meter.matches
    assert {span.rate_usat_per_second for span in meter.spans} >= {
        before.rate_usat_per_second, paused.rate_usat_per_second,
    }  # fmt: skip


async def test_the_command_line_does_all_of_it(service: RunningService, tenant: Owner, tmp_path: Path) -> None:
    assert tenant.client.agent is not None
    Keystore(tmp_path).save(tenant.client.agent)

    async def run(*words: str, stdin: bytes = b"") -> Ended:
        environment = {"SATBOX_AGENT": "tester", "SATBOX_DEPLOYMENT": "satbox-test"}
        return await satbox(*words, home=tmp_path, gate=service.gate_url, stdin=stdin, environment=environment)

    started = await run("processes", "start", "--json", "--", "sh", "-c", "cat; exit 4")
    process_id = started.document["process_id"]
    written = await run("processes", "write", process_id, "--end", stdin=b"hello there\n")
    followed = await run("processes", "logs", process_id, "--follow")
    unpacked = await run("files", "unpack", "from-cli", "--format", "tar.gz", stdin=await tenant.client.files_pack("."))
    packed = await run("files", "pack", "from-cli", "--format", "zip")
    attached = await run("processes", "attach", process_id)

    assert (started.code, written.code, followed.code, attached.code) == (0, 0, 4, 4), (started, written, followed)
    assert followed.stdout == b"hello there\n" == attached.stdout
    assert unpacked.code == 0, unpacked
    assert packed.stdout[:2] == b"PK"


async def test_a_snapshot_is_gone_back_to(tenant: Owner) -> None:
    await tenant.client.files_write("state", b"good")
    made = await tenant.client.snapshots_create("good")
    await tenant.client.files_write("state", b"bad")
    runtime = (await tenant.status()).runtime_id

    restored = await tenant.client.snapshots_restore(made.digest)

    assert restored.state == "alive"
    assert restored.runtime_id != runtime
    assert await tenant.client.files_read("state") == b"good"
    listed = (await tenant.client.snapshots_list()).items
    assert [(item.name, item.current) for item in listed if item.digest == made.digest] == [("good", True)]
    assert (await refused(tenant.client.snapshots_restore("0" * 64))).code == "snapshot_not_found"
    await tenant.client.snapshots_delete(made.digest)
    assert made.digest not in [item.digest for item in (await tenant.client.snapshots_list()).items]


async def test_an_image_without_a_kernel_is_said(tenant: Owner) -> None:
    assert (await refused(tenant.client.contexts_create())).code == "context_unavailable"
    assert (await refused(tenant.client.contexts_run("c_000000000000", "1"))).code == "context_not_found"
    assert (await tenant.client.contexts_list()).items == []


async def test_usage_is_seen(tenant: Owner) -> None:
    await tenant.client.sandbox_exec(shell="python3 -c 'sum(range(10**6))'")

    seen = await tenant.client.sandbox_usage()

    assert (seen.cpu_seconds or 0) > 0.01
    assert (seen.memory_bytes or 0) > 0
