"""An empty volume that is ready before it is wanted belongs to nobody, and then to one sandbox."""

from collections.abc import Iterator

import pytest

from sandboxes.protocol import StartRequest, StopRequest
from tests.sandboxes.running_node import RunningNode, until

pytestmark = pytest.mark.sandbox


async def test_the_next_start_takes_the_spare_and_finds_it_empty(node: RunningNode, runtime_ids: Iterator[str]) -> None:
    volumes = node.state / "volumes"
    spare = volumes / "spare-nano.ext4"
    first, second = next(runtime_ids), next(runtime_ids)
    await node.client.start(StartRequest(first, "SP1", size_class="nano"))
    await node.client.exec(first, "echo mine > secret")
    await until(spare.exists)
    inode = spare.stat().st_ino

    await node.client.start(StartRequest(second, "SP2", size_class="nano"))
    inside = await node.client.exec(second, "ls -A; stat -c %u:%a .; touch works && echo yes")
    slots = {row.runtime_id: row.slot for row in await node.client.runtimes()}

    assert (volumes / f"slot-{slots[second]}.ext4").stat().st_ino == inode
    assert inside["stdout"] == "1000:711\nyes\n"
    await until(spare.exists)
    assert spare.stat().st_ino != inode
    for runtime_id in (first, second):
        await node.client.stop(StopRequest(runtime_id, snapshot=False))
    assert [path.name for path in volumes.glob("slot-*")] == []
