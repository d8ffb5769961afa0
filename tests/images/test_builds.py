"""Every image as it is defined, really built; and built twice, the same."""

import asyncio
from pathlib import Path

import pytest

import images
from sandboxes.protocol import StartRequest, StopRequest
from tests.images.built import store_with
from tests.sandboxes.running_node import HAS_REAL_NODE, RunningNode

pytestmark = [pytest.mark.nightly, pytest.mark.sandbox]

HOLDS = {
    "node": "node --version && npm --version && git --version && node -e 'require(\"crypto\")'",
    "agent": "for tool in python3 pip3 node npm git curl jq rg sqlite3 ssh unzip zip xz zstd patch less ps file tree; do "
    "command -v $tool || exit 1; done && python3 -c 'import ipykernel, sqlite3, venv' && jq -n 1",
}


@pytest.mark.parametrize("name", sorted(HOLDS))
@pytest.mark.skipif(not HAS_REAL_NODE, reason="needs root and bubblewrap")
async def test_an_image_holds_what_it_says(name: str) -> None:
    node = RunningNode({"image_store": str(await asyncio.to_thread(store_with, name))})
    try:
        assert (await node.start())["ready"]
        await node.client.start(StartRequest(f"holds-{name}", "SP1", size_class="medium", image=name))
        result = await node.client.exec(f"holds-{name}", HOLDS[name])
        await node.client.stop(StopRequest(f"holds-{name}", snapshot=False))
    finally:
        await node.close()

    assert result["exit_code"] == 0, result


@pytest.fixture
def second(tmp_path: Path) -> images.Manifest:
    """A build from nothing, beside the kept one."""
    store_with("python")
    store = images.ImageStore(tmp_path)
    return images.build(images.load("python"), store, images.host_sources(), print).manifest


def test_two_builds_of_the_same_packages_are_the_same_bytes(second: images.Manifest) -> None:
    first = images.ImageStore(store_with("python")).get("python").manifest

    if first.packages != second.packages:
        pytest.skip("the archive has newer packages than the kept build")
    assert (second.digest, second.content_sha256) == (first.digest, first.content_sha256)
