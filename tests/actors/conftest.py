import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from actors.placement import HostMap
from actors.wallet.state import Policy
from satbox.children import Child, python_module
from satbox.demo import own_uid_base
from tests.actors.hosting import Hosted, local, on_ray, remove, short_folder
from tests.conftest import RAY_TOKEN

POLICY = Policy(grace_ms=2_000, grace_cap_ms=10_000, wake_minimum_seconds=1)


@pytest.fixture(scope="package")
def ray_home() -> Iterator[Path]:
    """A Ray cluster for this package's tests."""
    from satbox.ray_cluster import start_cluster, stop_cluster

    home = short_folder()
    start_cluster(home, RAY_TOKEN)
    yield home
    stop_cluster()
    remove(home)


@pytest.fixture(
    params=["local", pytest.param("shared", marks=pytest.mark.ray), pytest.param("dedicated", marks=pytest.mark.ray)]
)
async def hosted(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Hosted]:
    """A wallet system of each kind."""
    if request.param == "local":
        async with local(tmp_path, POLICY) as system:
            yield system
        return
    request.getfixturevalue("ray_home")
    folder = short_folder()
    settings = json.dumps({"slots": {"nano": 2, "small": 4, "medium": 1}, "pool": {}, "slot_uid_base": own_uid_base()})
    arguments = ("--socket", str(folder / "n.sock"), "--state", str(folder / "node"), "--settings-json", settings)
    import os

    node = Child("node", python_module("sandboxes.node", *arguments), dict(os.environ))
    await node.start()
    try:
        async with on_ray(folder, folder / "n.sock", HostMap(request.param, 2), POLICY) as system:
            yield system
    finally:
        await node.stop()
        await asyncio.to_thread(remove, folder)
