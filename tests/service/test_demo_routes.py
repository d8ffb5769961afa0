"""`satbox demo` passes all of its steps under every settle route."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from relay_client.settlements import SettleRoute
from tests.sandboxes.running_node import HAS_REAL_NODE

pytestmark = [pytest.mark.ray, pytest.mark.sandbox, pytest.mark.nightly]
SECONDS_MAX = 600


@pytest.mark.parametrize("route", list(SettleRoute))
async def test_the_story_is_true_by_every_route(route: SettleRoute, tmp_path: Path) -> None:
    if not HAS_REAL_NODE:
        pytest.skip("needs root and bubblewrap")
    environment = dict(os.environ) | {"SATBOX_SETTLE__ROUTE": route, "HOME": str(tmp_path)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from satbox.cli import main; main()", "demo", "--json",
        env=environment, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(SECONDS_MAX):
        out, _ = await process.communicate()
    report = json.loads(out)
    assert (process.returncode, report["ok"], len(report["steps"])) == (0, True, 12)
    created = next(step for step in report["steps"] if "second_payment" in step["detail"])
    assert created["detail"]["offers"]["is_sponsored"] == (route is not SettleRoute.DIRECT)
