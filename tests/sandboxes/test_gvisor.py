"""What the second driver does in its own way, and what it refuses by name."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from sandboxes.protocol import SandboxError, StartFailed, StartRequest, StopRequest
from satbox.cli.service.doctor import _node as node_checks
from tests.images.built import store_with
from tests.sandboxes.conftest import Box
from tests.sandboxes.running_node import HAS_GVISOR, UID_BASE, RunningNode

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(not HAS_GVISOR, reason="needs root, bubblewrap and runsc: tests/sandboxes/install"),
    pytest.mark.asyncio(loop_scope="module"),
]
OWN = 'name = "own"\nextends = "base"\nkind = "host-usr"\npinned = false\npython = "/usr/bin/python3"\nneeds = ["egress"]\n'


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningNode]:
    store = tmp_path_factory.mktemp("images")
    (store / "definitions").mkdir()
    (store / "definitions/own.toml").write_text(OWN)
    running = RunningNode({"driver": "gvisor", "image_store": str(store)})
    assert (await running.start())["ready"]
    yield running
    await running.close()


@pytest_asyncio.fixture(loop_scope="module")
async def box(node: RunningNode, runtime_ids: Iterator[str]) -> AsyncIterator[Box]:
    runtime = await node.client.start(StartRequest(next(runtime_ids), "SP-box", size_class="small"))
    yield Box(node.client, runtime.runtime_id)
    await node.client.stop(StopRequest(runtime.runtime_id, snapshot=False))


async def test_it_is_another_kernel_behind_the_same_filter(box: Box) -> None:
    assert "gVisor" in str((await box.run(["dmesg"]))["stdout"]) or "4.4.0" in str(
        (await box.run(["uname", "-r"]))["stdout"]
    )
    assert "Seccomp:\t2" in str((await box.run("cat /proc/self/status"))["stdout"])


async def test_commands_files_and_their_ends_are_as_elsewhere(box: Box) -> None:
    await box.client.write_file(box.runtime_id, "given", b"kept\n", mode=0o600)
    result = await box.run("cat given; echo more >> given; echo oops >&2; exit 7", stdin=b"")
    timed_out = await box.run(["sleep", "60"], timeout_seconds=0.3)
    signalled = await box.python("import os; os.kill(os.getpid(), 9)")

    assert (result["stdout"], result["stderr"], result["exit_code"]) == ("kept\n", "oops\n", 7)
    assert (timed_out["timed_out"], timed_out["exit_code"]) == (True, None)
    assert signalled["signal"] == 9
    assert await box.client.read_file(box.runtime_id, "given") == b"kept\nmore\n"


async def test_what_is_not_offered_is_named_at_the_start_and_by_the_doctor(node: RunningNode) -> None:
    names = {item["feature"] for item in (await node.client.doctor())["unsupported"]}
    checks = await asyncio.to_thread(lambda: list(node_checks(node.socket)))
    told = {check.name.removeprefix("node ") for check in checks if "gvisor" in check.reason and check.status == "note"}

    assert {"egress", "process_limit"} <= names == told
    assert [name for name in names if f'"feature": "{name}"' not in node.log_text] == []


OPEN = """
import errno, json, os
found = {}
for name in os.listdir("/proc/1/fd"):
    path = "/proc/1/fd/" + name
    link = os.readlink(path)
    for mode in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR):
        try:
            os.close(os.open(path, mode | os.O_NONBLOCK))
        except OSError as error:
            continue
        found[name] = link
seen = []
for name in ("mem", "cwd", "root", "exe", "task/1/mem"):
    try:
        os.close(os.open("/proc/1/" + name, os.O_RDONLY))
    except OSError:
        continue
    seen.append(name)
print(json.dumps([len(os.listdir("/proc/1/fd")), found, seen]))
"""


async def test_of_the_supervisor_s_descriptors_only_dev_null_can_be_opened(box: Box) -> None:
    """gVisor shows their numbers to everybody. Behind the others are the node's pipes and its channel."""
    count, opened, seen = json.loads(str((await box.python(OPEN))["stdout"]))

    assert count > 4
    assert set(opened.values()) == {"/dev/null"}, opened
    assert seen == []


async def test_a_daemon_ends_with_its_command(box: Box) -> None:
    await box.run("setsid sleep 1234 > /dev/null 2>&1 & sleep 60", timeout_seconds=1)

    left = await box.python(
        "import glob; print([p for p in glob.glob('/proc/[0-9]*/cmdline') if b'sleep\\x001234' in open(p, 'rb').read()])"
    )

    assert left["stdout"] == "[]\n"


ECHO = """
import socketserver
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536): self.request.sendall(data)
socketserver.ThreadingTCPServer.allow_reuse_address = True
with socketserver.ThreadingTCPServer(("127.0.0.1", 8000), Echo) as server:
    print("listening", flush=True)
    server.serve_forever()
"""


async def test_a_port_is_reached_through_the_supervisor(box: Box) -> None:
    started = await box.client.processes.start(box.runtime_id, ["python3", "-c", ECHO])
    await box.client.processes.wait(
        box.runtime_id, started["process_id"], until="text", text="listening", timeout_seconds=10
    )
    sent = bytes(range(256)) * 8192

    async def round_trip() -> bytes:
        connection = await box.client.processes.connect(box.runtime_id, 8000)
        reader, writer = await asyncio.open_connection(sock=connection)
        writer.write(sent)
        writer.write_eof()
        received = await reader.read(-1)
        writer.close()
        await writer.wait_closed()
        return received

    async with asyncio.timeout(120):
        received = await asyncio.gather(*(round_trip() for _ in range(3)))
    ports = await box.client.processes.ports(box.runtime_id)
    with pytest.raises(SandboxError) as closed:
        await box.client.processes.connect(box.runtime_id, 8001)

    assert received == [sent] * 3
    assert 8000 in ports
    assert closed.value.code == "port_closed"


async def test_what_it_does_not_offer_is_named(node: RunningNode, runtime_ids: Iterator[str]) -> None:
    report = await node.client.doctor()

    assert report["driver"] == "gvisor"
    assert {entry["feature"] for entry in report["unsupported"]} >= {"egress", "passed_sockets", "oom_survival"}
    with pytest.raises(StartFailed, match="image own needs egress") as refused:
        await node.client.start(StartRequest(next(runtime_ids), "SP1", size_class="nano", image="own"))
    assert (refused.value.code, refused.value.retryable) == ("driver_unsupported", False)


async def test_what_is_required_and_not_offered_keeps_the_node_down() -> None:
    running = RunningNode({"driver": "gvisor", "require": ["egress"], "slot_uid_base": UID_BASE + 0x0080_0000})

    ready = await running.start()
    await running.close()

    assert not ready["ready"]
    assert "egress: a listener" in str(ready["error"])


async def test_a_memory_bomb_costs_its_own_sandbox_and_is_told(node: RunningNode, runtime_ids: Iterator[str]) -> None:
    doomed, beside = [
        (await node.client.start(StartRequest(next(runtime_ids), "SP1", size_class="nano"))).runtime_id
        for _ in range(2)
    ]

    with pytest.raises(SandboxError):
        await node.client.exec(doomed, ["python3", "-c", "x = [b'x' * (1 << 20) for _ in range(1 << 20)]"])
    async with asyncio.timeout(120):
        while {info.runtime_id: info.state for info in await node.client.runtimes()}[doomed] != "lost":
            await asyncio.sleep(0.02)
    stopped = await node.client.stop(StopRequest(doomed, snapshot=False))
    alive = await node.client.exec(beside, ["echo", "alive"])
    await node.client.stop(StopRequest(beside, snapshot=False))

    assert stopped.reason == "oom_killed"
    assert alive["stdout"] == "alive\n"


@pytest.mark.nightly
async def test_a_built_image_starts_in_gvisor(runtime_ids: Iterator[str]) -> None:
    store = await asyncio.to_thread(store_with, "python")
    running = RunningNode({"driver": "gvisor", "image_store": str(store), "slot_uid_base": UID_BASE + 0x0040_0000})
    assert (await running.start())["ready"]
    try:
        request = StartRequest(next(runtime_ids), "SP1", size_class="medium", image="python")
        runtime = await running.client.start(request)
        command = ["python3", "-c", "import ipykernel, os; print(os.getuid())"]
        result = await running.client.exec(runtime.runtime_id, command)
        await running.client.stop(StopRequest(runtime.runtime_id, snapshot=False))
    finally:
        await running.close()

    assert result["stdout"] == "1000\n"
