"""A sandbox is lost, as when its node is killed: until it runs again callers get a retryable error, not `sandbox_reaped`."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actors.wallet.calls import Route
from actors.wallet.commands import SetRoutes
from actors.wallet.state import Phase
from gate.reach.reaching import Reach
from operations.errors import SatboxError
from sandboxes.protocol import RuntimeGone
from tests.gate.gatehouse import House, Who, gatehouse

OWNERS = (
    ("POST", "/sandbox/exec", {"argv": ["true"]}),
    ("POST", "/sandbox/exec", {"argv": ["true"], "stream": True}),
    ("GET", "/sandbox/files?path=x", None),
    ("GET", "/sandbox/files/list?path=.", None),
    ("GET", "/sandbox/files/watch?path=.", None),
    ("POST", "/sandbox/files/mkdir", {"path": "x"}),
    ("GET", "/sandbox/processes", None),
    ("GET", "/sandbox/ports", None),
    ("GET", "/sandbox/contexts", None),
    ("GET", "/sandbox/usage", None),
    ("POST", "/sandbox/processes", {"argv": ["true"]}),
    ("POST", "/sandbox/contexts", {}),
    ("GET", "/sandbox/proxy/{address}/8000/x", None),
)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A gate that lets callers of a sleeping sandbox wait for a moment only."""
    async with gatehouse(tmp_path, wake_wait_seconds=0.1) as made:
        yield made


@pytest.fixture
async def owner(house: House) -> Who:
    who = await house.agent()
    await house.created(who, 500)
    await house.until(lambda: house.state(who).phase is Phase.ALIVE)
    routes = SetRoutes((Route(8000, "/*", sats=0),))
    house.services.views.put(await house.services.system.ask(who.address, routes))
    return who


class Stuck:
    """Calls of the node that do not come back until they may."""

    def __init__(self, house: House, name: str) -> None:
        self._may, self._real = asyncio.Event(), getattr(house.node, name)
        setattr(house.node, name, self._call)

    async def _call(self, *values: Any) -> Any:
        await self._may.wait()
        return await self._real(*values)

    def go(self) -> None:
        self._may.set()


@pytest.fixture
async def lost(house: House, owner: Who) -> AsyncIterator[tuple[Stuck, Stuck]]:
    """The owner's sandbox is lost, and neither ended for good nor started again yet."""
    stop, start = Stuck(house, "stop"), Stuck(house, "start")
    house.node.restart()
    await house.until(lambda: house.state(owner).phase is Phase.STOPPING)
    yield stop, start
    stop.go()
    start.go()


async def asked(house: House, owner: Who) -> dict[str, tuple[int, str, bool, bool]]:
    """What each kind of request is answered: status, code, whether it may be tried again, and whether it says when."""
    await house.services.views.get(owner.address, fresh=True)
    told = {}
    for method, path, body in OWNERS:
        for who in (owner, None) if "proxy" in path else (owner,):
            answer = await house.ask(method, path.format(address=owner.address), who=who, json=body)
            error = answer.body["error"]
            name = f"{method} {path.partition('?')[0]}{'' if who else ' of a stranger'}"
            told[name] = answer.status, answer.code, error["retryable"], "Retry-After" in answer.headers
    return told


async def test_nothing_says_that_a_lost_sandbox_was_reaped(house: House, owner: Who, lost: tuple[Stuck, Stuck]) -> None:
    stop, start = lost
    assert set((await asked(house, owner)).values()) == {(503, "node_unavailable", True, True)}
    stop.go()
    await house.until(lambda: house.state(owner).phase is Phase.STARTING)
    assert set((await asked(house, owner)).values()) == {(503, "node_unavailable", True, True)}
    start.go()
    await house.until(lambda: house.state(owner).phase is Phase.ALIVE)


async def test_a_pause_is_told_to_wait_for_a_sandbox_that_comes_back(
    house: House, owner: Who, lost: tuple[Stuck, Stuck]
) -> None:
    answer = await house.ask("POST", "/sandbox/pause", who=owner, json={})
    assert (answer.status, answer.code, answer.body["error"]["retryable"]) == (409, "sandbox_starting", True)


async def test_a_runtime_that_is_gone_before_its_wallet_knows_is_no_end(house: House, owner: Who) -> None:
    with pytest.raises(SatboxError, match="node_unavailable") as told:
        async with Reach(house.services, owner.address):
            raise RuntimeGone("this runtime is not running here (any more)")
    assert (told.value.retry_after, told.value.kind.retryable) == (1, True)


async def test_what_its_owner_reaped_is_reaped(house: House, owner: Who) -> None:
    stop = Stuck(house, "stop")
    reaping = asyncio.create_task(house.ask("POST", "/sandbox/reap", who=owner, json={}))
    await house.until(lambda: house.state(owner).phase is Phase.STOPPING)
    await house.services.views.get(owner.address, fresh=True)
    answer = await house.ask("POST", "/sandbox/exec", who=owner, json={"argv": ["true"]})
    assert (answer.status, answer.code) == (410, "sandbox_reaped")
    stop.go()
    await reaping
