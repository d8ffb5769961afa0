"""Sandboxes of other images than `base`: built ones, and ones that start something by themselves."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sandboxes.process_client import ProcessClient
from sandboxes.protocol import Beat, StartFailed, StartFileEnded, StartRequest, StopRequest
from sandboxes.texts import bytes_of
from tests.images.built import store_with
from tests.sandboxes.conftest import Box
from tests.sandboxes.running_node import HAS_REAL_NODE, RunningNode

pytestmark = [pytest.mark.sandbox, pytest.mark.skipif(not HAS_REAL_NODE, reason="needs root and bubblewrap")]


async def running(settings: dict[str, object]) -> RunningNode:
    node = RunningNode(settings)
    ready = await node.start()
    assert ready["ready"], ready
    return node


async def start(node: RunningNode, runtime_ids: Iterator[str], image: str, **options: object) -> Box:
    request = StartRequest(next(runtime_ids), "SP1", size_class="small", image=image, **options)  # type: ignore[arg-type]
    return Box(node.client, (await node.client.start(request)).runtime_id)


async def stopped(node: RunningNode, box: Box) -> None:
    await node.client.stop(StopRequest(box.runtime_id, snapshot=False))
    await node.close()


@pytest.fixture
async def python_box(runtime_ids: Iterator[str]) -> AsyncIterator[Box]:
    node = await running({"image_store": str(await asyncio.to_thread(store_with, "python"))})
    box = await start(node, runtime_ids, "python")
    yield box
    await stopped(node, box)


async def test_the_python_image_has_what_its_name_says(python_box: Box) -> None:
    result = await python_box.run(
        "git --version && python3 -m pip --version && python3 -c 'import ipykernel, ssl; print(ipykernel.__name__)' "
        "&& printenv PYTHONUNBUFFERED HOME && id -un && pwd && ls -A ~",
        env={"PYTHONDONTWRITEBYTECODE": "1"},
    )

    assert result["exit_code"] == 0, result
    lines = str(result["stdout"]).splitlines()
    assert lines[0].startswith("git version")
    assert lines[2:] == ["ipykernel", "1", "/workspace", "tenant", "/workspace"]


async def test_a_built_image_is_not_the_host_s_and_can_not_be_changed(python_box: Box) -> None:
    for path in (
        "/x",
        "/etc/passwd",
        "/usr/bin/x",
        "/var/x",
        "/opt/satbox/x",
        "/home/x",
        "/srv/x",
        "/dev/x",
        "/sys/x",
    ):
        assert (await python_box.run(f"echo x > {path}"))["exit_code"] != 0, path
    result = await python_box.run(
        "test ! -e /usr/bin/bwrap && test ! -e /etc/shadow && touch /tmp/x /var/tmp/y /run/z /dev/shm/w kept "
        "&& cat /etc/resolv.conf && find / -xdev \\( -perm /6000 -o -type b \\) 2>/dev/null; "
        "stat -c %u /usr/bin/git; awk '$4 !~ /nosuid/' /proc/self/mounts; awk '$2 == \"/\" {print $4}' /proc/self/mounts"
    )
    assert result["exit_code"] == 0, result
    lines = str(result["stdout"]).splitlines()
    assert lines[0].startswith("# No resolver")
    assert lines[1] == "65534"
    assert {"ro", "nosuid", "nodev"} <= set(lines[2].split(","))
    assert len(lines) == 3


async def test_the_pool_holds_any_image_that_is_built(runtime_ids: Iterator[str]) -> None:
    store = str(await asyncio.to_thread(store_with, "python"))
    node = await running({"image_store": store, "pool": {"small:python": 1, "small": 1, "small:nothing": 1}})
    async with asyncio.timeout(120):
        while (await node.client.doctor())["warm"] != {"small:python": 1, "small": 1}:
            await asyncio.sleep(0.02)

    box = await start(node, runtime_ids, "python")
    left = (await node.client.doctor())["warm"]
    result = await box.run(["python3", "-c", "import ipykernel"])
    await stopped(node, box)

    assert left == {"small:python": 0, "small": 1}
    assert result["exit_code"] == 0
    assert "pool.image_missing" in node.log_text


async def test_an_image_that_is_not_built_says_how(tmp_path: Path, runtime_ids: Iterator[str]) -> None:
    node = await running({"image_store": str(tmp_path)})

    with pytest.raises(StartFailed, match="satbox images build python") as unbuilt:
        await start(node, runtime_ids, "python")
    with pytest.raises(StartFailed, match="no image") as unknown:
        await start(node, runtime_ids, "nothing")
    await node.close()

    assert (unbuilt.value.code, unbuilt.value.retryable) == ("unknown_image", False)
    assert unknown.value.code == "unknown_image"


HEAD = 'name = "own"\nextends = "base"\nkind = "host-usr"\npinned = false\npython = "/usr/bin/python3"\n'
COUNT = (
    "n=$(cat /workspace/n 2>/dev/null || echo 0); echo $((n + 1)) > /workspace/n.new; mv /workspace/n.new /workspace/n"
)


def define(folder: Path, text: str) -> dict[str, object]:
    (folder / "definitions").mkdir()
    (folder / "definitions/own.toml").write_text(HEAD + text)
    return {"image_store": str(folder)}


async def starts(box: Box, at_least: int) -> int:
    async with asyncio.timeout(120):
        while True:
            text = str((await box.run("cat n 2>/dev/null || echo 0"))["stdout"])
            if int(text) >= at_least:
                return int(text)
            await asyncio.sleep(0.02)


async def test_a_start_waits_until_the_image_is_ready(tmp_path: Path, runtime_ids: Iterator[str]) -> None:
    settings = define(
        tmp_path,
        f"[entrypoint]\nargv = ['/bin/sh', '-c', '{COUNT}; sleep 0.3; echo $WHO > /workspace/ready; exec sleep 1000']\n"
        "[readiness]\nargv = ['/usr/bin/test', '-s', '/workspace/ready']\ninterval_seconds = 0.02\n",
    )
    node = await running(settings)

    box = await start(node, runtime_ids, "own", environment={"WHO": "its owner"})
    result = await box.run("cat ready")
    listed = await ProcessClient(node.client).all(box.runtime_id)
    await stopped(node, box)

    assert result["stdout"] == "its owner\n"
    assert [process["argv"][0] for process in listed] == ["/bin/sh"]


async def test_an_image_that_does_not_get_ready_does_not_start(tmp_path: Path, runtime_ids: Iterator[str]) -> None:
    settings = define(tmp_path, "[readiness]\nargv = ['/bin/sh', '-c', 'exit 3']\ntimeout_seconds = 0.5\n")
    node = await running(settings)

    with pytest.raises(StartFailed, match=r"within 0\.5 s: its probe ended with exit code 3") as failure:
        await start(node, runtime_ids, "own")
    used = (await node.client.capacity()).classes["small"].used
    known = await node.client.runtimes()
    await node.close()

    assert (failure.value.code, failure.value.retryable) == ("image_not_ready", True)
    assert (used, known) == (0, [])


async def test_an_entrypoint_that_ends_is_started_again_by_its_policy(
    tmp_path: Path, runtime_ids: Iterator[str]
) -> None:
    settings = define(
        tmp_path,
        f"[entrypoint]\nargv = ['/bin/sh', '-c', '{COUNT}; exit 1']\nrestart = 'on-failure'\nbackoff_seconds = 0.01\n"
        "restarts_max = 3\n",
    )
    node = await running(settings)

    box = await start(node, runtime_ids, "own")
    reached = await starts(box, 4)
    async with asyncio.timeout(120):
        while "entrypoint.ended" not in node.log_text:
            await asyncio.sleep(0.02)
    final = await starts(box, 4)
    await stopped(node, box)

    assert (reached, final) == (4, 4)


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        ("chmod 644 .satbox/start", 126, "chmod +x .satbox/start"),
        (r"printf '#!/bin/sh\r\ntrue\r\n' > .satbox/start", 127, "carriage return"),
    ],
)
async def test_a_start_file_that_cannot_run_is_reported(
    make: str, code: int, words: str, runtime_ids: Iterator[str]
) -> None:
    node = await running({})
    box = await start(node, runtime_ids, "base")
    await box.run(f"mkdir .satbox; echo true > .satbox/start; chmod +x .satbox/start; {make}")
    kept = await node.client.stop(StopRequest(box.runtime_id, snapshot=True))

    box = await start(node, runtime_ids, "base", snapshot_digest=kept.snapshot_digest)
    async with asyncio.timeout(120):
        async for event in node.client.watch():
            if isinstance(event, StartFileEnded):
                break
    later = [await anext(node.client.watch()) for _ in range(2)]
    page = await ProcessClient(node.client).logs(box.runtime_id, event.process_id)
    await node.client.stop(StopRequest(box.runtime_id, snapshot=False))
    gone = await anext(node.client.watch())
    await node.close()

    assert (event.runtime_id, event.exit_code, event.signal) == (box.runtime_id, code, None)
    assert later == [event, event]
    assert words.encode() in b"".join(bytes_of(item, "data") for item in page["items"])
    assert isinstance(gone, Beat)


async def test_one_that_must_not_start_again_does_not(tmp_path: Path, runtime_ids: Iterator[str]) -> None:
    settings = define(tmp_path, f"[entrypoint]\nargv = ['/bin/sh', '-c', '{COUNT}; exit 1']\nrestart = 'never'\n")
    node = await running(settings)

    box = await start(node, runtime_ids, "own")
    async with asyncio.timeout(120):
        while "entrypoint.ended" not in node.log_text:
            await asyncio.sleep(0.02)
    count = await starts(box, 1)
    await stopped(node, box)

    assert count == 1
