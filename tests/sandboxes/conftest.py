import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator

import pytest

from sandboxes.client import NodeClient
from sandboxes.protocol import StartRequest, StopRequest
from tests.sandboxes.running_node import HAS_REAL_NODE, KeptNodes, RunningNode

_numbers = itertools.count(1)


@pytest.fixture
def runtime_ids() -> Iterator[str]:
    return (f"rt-{number}" for number in _numbers)


@pytest.fixture(scope="module")
def kept_nodes() -> Iterator[KeptNodes]:
    """For the tests of one file."""
    kept = KeptNodes()
    yield kept
    asyncio.run(kept.close())


@pytest.fixture
async def node(request: pytest.FixtureRequest, kept_nodes: KeptNodes) -> AsyncIterator[RunningNode]:
    if not HAS_REAL_NODE:
        pytest.skip("needs root and bubblewrap")
    running = await kept_nodes.take()
    yield running
    if request.node.get_closest_marker("shared_node") is None:
        running.is_spoilt = True
    await kept_nodes.give_back(running)


class Box:
    """One started sandbox with short ways to use it."""

    def __init__(self, client: NodeClient, runtime_id: str) -> None:
        self.client = client
        self.runtime_id = runtime_id

    async def run(self, command: str | list[str], **options: object) -> dict[str, object]:
        return await self.client.exec(self.runtime_id, command, **options)  # type: ignore[arg-type]

    async def python(self, source: str, **options: object) -> dict[str, object]:
        return await self.run(["python3", "-c", source], **options)


@pytest.fixture
async def box(node: RunningNode, runtime_ids: Iterator[str]) -> AsyncIterator[Box]:
    runtime = await node.client.start(StartRequest(next(runtime_ids), "SP-box", size_class="nano"))
    yield Box(node.client, runtime.runtime_id)
    await node.client.stop(StopRequest(runtime.runtime_id, snapshot=False))
