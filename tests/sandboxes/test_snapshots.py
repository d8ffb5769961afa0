"""Snapshots take everything along that can travel, and say what could not."""

import contextlib
import signal
import sqlite3
from collections.abc import Iterator

import pytest

from sandboxes.protocol import NoCapacity, StartRequest, Stopped, StopRequest
from tests.sandboxes.running_node import RunningNode

pytestmark = pytest.mark.sandbox


async def start(node: RunningNode, runtime_ids: Iterator[str], digest: str | None = None, address: str = "SP1") -> str:
    request = StartRequest(next(runtime_ids), address, size_class="nano", snapshot_digest=digest)
    return (await node.client.start(request)).runtime_id


async def stop(node: RunningNode, runtime_id: str, *, snapshot: bool = True) -> Stopped:
    return await node.client.stop(StopRequest(runtime_id, snapshot=snapshot))


async def run(node: RunningNode, runtime_id: str, command: str | list[str]) -> str:
    result = await node.client.exec(runtime_id, command)
    assert result["exit_code"] == 0, result
    return str(result["stdout"])


async def test_what_the_tenant_made_unreadable_comes_back(node: RunningNode, runtime_ids: Iterator[str]) -> None:
    first = await start(node, runtime_ids)
    await run(
        node,
        first,
        "mkdir -p closed/inner; echo deep > closed/inner/file; echo x > file; ln -s closed link;"
        " chmod 0 file closed/inner/file closed/inner closed",
    )

    stopped = await stop(node, first)
    second = await start(node, runtime_ids, stopped.snapshot_digest)
    modes = await run(node, second, "stat -c '%a %N' *")
    content = await run(node, second, "chmod 700 closed; chmod 700 closed/inner; chmod 600 closed/inner/file file;"
                        " cat closed/inner/file file")  # fmt: skip
    await stop(node, second, snapshot=False)

    assert (stopped.skipped, stopped.skipped_examples) == (0, ())
    assert modes == "0 'closed'\n0 'file'\n777 'link' -> 'closed'\n"
    assert content == "deep\nx\n"


async def test_what_can_not_travel_is_counted_named_and_remembered(
    node: RunningNode, runtime_ids: Iterator[str]
) -> None:
    first = await start(node, runtime_ids)
    await run(
        node,
        first,
        "mkfifo fifo; truncate -s 3G huge; echo kept > kept; for i in $(seq 30); do mkfifo many$i; done;"
        r" mkfifo $(printf 'odd\377')",
    )

    kept = await node.client.snapshot(first, "kept")
    listed = await node.client.snapshots("SP1")
    stopped = await stop(node, first)
    again = await stop(node, first)
    second = await start(node, runtime_ids, stopped.snapshot_digest)
    names = await run(node, second, "ls; stat -c %s:%b huge")
    await stop(node, second, snapshot=False)

    assert again == stopped
    assert listed == [kept], "a list says what each lacks, too"
    assert (kept.skipped, kept.skipped_examples) == (stopped.skipped, stopped.skipped_examples)
    assert stopped.skipped == 32
    assert len(stopped.skipped_examples) == 10
    assert stopped.skipped_examples[:2] == (
        "fifo: neither file, folder nor link",
        "many1: neither file, folder nor link",
    )
    assert names == "huge\nkept\n3221225472:0\n", "what is stored counts, and holes are nothing"


async def test_a_tenant_can_not_make_its_own_snapshot_fail(node: RunningNode, runtime_ids: Iterator[str]) -> None:
    """Hard links past the limit of entries and a tree too deep for a path: left behind, counted, and the stop ends."""
    first = await start(node, runtime_ids)
    await run(node, first, "echo work > a-work")
    await run(node, first, ["python3", "-c", """
import os
os.mkdir("deep"); os.chdir("deep")
for _ in range(2000):
    os.mkdir("d" * 9); os.chdir("d" * 9)
os.chdir("/workspace"); os.mkdir("links")
open("links/0", "w").close()
for number in range(1, 20_000):
    os.link("links/0", f"links/{number}")
"""])  # fmt: skip

    stopped = await stop(node, first)
    second = await start(node, runtime_ids, stopped.snapshot_digest)
    kept = await run(node, second, "cat a-work")
    await stop(node, second, snapshot=False)

    assert kept == "work\n"
    assert stopped.skipped > 2000
    assert any("File name too long" in example for example in stopped.skipped_examples)


async def test_links_out_of_the_workspace_are_packed_as_links(node: RunningNode, runtime_ids: Iterator[str]) -> None:
    first = await start(node, runtime_ids)
    await run(node, first, "ln -s /etc/shadow shadow; ln -s ../../../../../../etc up; ln -s . loop; ln -s loop/loop l2")

    stopped = await stop(node, first)
    second = await start(node, runtime_ids, stopped.snapshot_digest)
    links = await run(node, second, "readlink shadow up loop l2")
    await stop(node, second, snapshot=False)

    assert links.split() == ["/etc/shadow", "../../../../../../etc", ".", "loop/loop"]
    assert stopped.snapshot_bytes < 4096


def files(node: RunningNode) -> list[str]:
    return sorted(path.name for path in (node.state / "snapshots").iterdir())


async def test_a_snapshot_two_addresses_share_goes_with_the_last(node: RunningNode, runtime_ids: Iterator[str]) -> None:
    digests = []
    for address in ("SP1", "SP2"):
        runtime_id = await start(node, runtime_ids, address=address)
        digests.append((await stop(node, runtime_id)).snapshot_digest)  # both empty, so both the same

    await node.client.forget("SP1")
    after_one = files(node)
    await node.client.forget("SP2")

    assert digests[0] == digests[1]
    assert after_one == [f"{digests[0]}.tar.zst"]
    assert files(node) == []


async def test_what_a_crash_left_half_done_is_finished(node: RunningNode, runtime_ids: Iterator[str]) -> None:
    """Killed between commit and name: named at the next start. Killed before the commit, or before a file was deleted:
    deleted. A file the table never knew stays.
    """
    runtime_id = await start(node, runtime_ids)
    await node.client.write_file(runtime_id, "kept", b"work")
    kept = (await stop(node, runtime_id)).snapshot_digest
    await node.end(signal.SIGKILL)
    folder = node.state / "snapshots"
    (folder / f"{kept}.tar.zst").rename(folder / f"{kept}.tar.pending")
    uncommitted, dropped, foreign = "1" * 64, "2" * 64, "3" * 64
    (folder / f"{uncommitted}.tar.pending").write_bytes(b"x")
    (folder / "x.partial").write_bytes(b"x")
    for digest in (dropped, foreign):
        (folder / f"{digest}.tar.zst").write_bytes(b"x")
    with contextlib.closing(sqlite3.connect(node.state / "slots.sqlite")) as database, database:
        database.execute("INSERT INTO doomed VALUES (?)", (dropped,))

    await node.start()

    assert files(node) == sorted([f"{kept}.tar.zst", f"{foreign}.tar.zst"])
    again = await start(node, runtime_ids, kept)
    assert await node.client.read_file(again, "kept") == b"work"
    await stop(node, again, snapshot=False)


async def test_snapshots_of_a_table_without_references_are_adopted(
    node: RunningNode, runtime_ids: Iterator[str]
) -> None:
    kept = (await stop(node, await start(node, runtime_ids))).snapshot_digest
    await node.end(signal.SIGKILL)
    with contextlib.closing(sqlite3.connect(node.state / "slots.sqlite")) as database, database:
        database.execute("DROP TABLE snapshots")
        database.execute("ALTER TABLE runtimes DROP COLUMN skipped")

    await node.start()
    assert files(node) == [f"{kept}.tar.zst"]
    await node.client.forget("SP1")

    assert files(node) == []


async def test_nothing_starts_on_a_full_disk() -> None:
    node = RunningNode({"free_disk_bytes_min": 1 << 60})
    assert (await node.start())["ready"]

    with pytest.raises(NoCapacity) as full:
        await node.client.start(StartRequest("full", "SP1", size_class="nano"))
    used = (await node.client.capacity()).classes["nano"].used
    await node.close()

    assert "disk" in full.value.message
    assert used == 0
