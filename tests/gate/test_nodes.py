"""What a wallet's state says of its node decides which node is asked; nobody else is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from actors.wallet.state import RuntimeRef, WalletState
from gate.parts.room import together
from operations.errors import SatboxError
from sandboxes.protocol import Capacity, ClassCapacity, NodeUnavailable
from tests.gate.gatehouse import gatehouse

FULL, ROOMY = ClassCapacity(2, 2, 0), ClassCapacity(4, 1, 1)


async def empty(runtime_id: str, path: str) -> dict[str, Any]:
    return {"entries": []}


class Elsewhere:
    """A node of another machine: it has room, and nothing here may reach it for a runtime of ours."""

    def __init__(self, capacity: ClassCapacity | None = ROOMY) -> None:
        self._capacity = capacity

    async def capacity(self) -> Capacity:
        if self._capacity is None:
            raise NodeUnavailable("silent")
        return Capacity(dict.fromkeys(("nano", "small", "medium"), self._capacity))


class ById:
    """Nodes by id. `here` is the id that the first of them has, or what it is taken for."""

    def __init__(self, known: Mapping[str, Any]) -> None:
        self._known = known
        self.asked: list[str] = []

    def for_runtime(self, runtime: RuntimeRef) -> Any:
        self.asked.append(runtime.node_id)
        if runtime.node_id not in self._known:
            raise NodeUnavailable(f"nobody knows {runtime.node_id}")
        return self._known[runtime.node_id]

    def for_wallet(self, state: WalletState) -> Any:
        return next(iter(self._known.values()))

    def all(self) -> Any:
        return tuple(self._known.values())


async def test_a_listing_comes_from_the_node_that_the_wallet_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[ById] = []

    def nodes_of(node: Any) -> ById:
        made.append(ById({"elsewhere": Elsewhere(), node.node_id: node}))
        return made[0]

    async with gatehouse(tmp_path, nodes_of=nodes_of) as house:
        who = await house.agent()
        await house.created(who, 500)
        monkeypatch.setattr(house.node, "list_files", empty, raising=False)
        answer = await house.ask("GET", "/sandbox/files/list?path=.", who=who)
        assert (answer.status, answer.body["entries"]) == (200, [])
        assert set(made[0].asked) == {house.node.node_id}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/sandbox/exec", {"argv": ["true"]}),
        ("GET", "/sandbox/files/list?path=.", None),
        ("GET", "/sandbox/processes", None),
        ("GET", "/sandbox/proxy/{address}/8000/x", None),
    ],
)
async def test_a_node_that_nobody_knows_is_a_retryable_error(
    tmp_path: Path, method: str, path: str, body: dict[str, Any] | None
) -> None:
    async with gatehouse(tmp_path, nodes_of=lambda node: ById({"elsewhere": Elsewhere()})) as house:
        who = await house.agent()
        await house.created(who, 500)
        answer = await house.ask(method, path.format(address=who.address), who=who, json=body)
        assert (answer.status, answer.code) == (503, "node_unavailable")


@pytest.mark.parametrize(
    ("capacities", "code"),
    [((FULL, ROOMY), None), ((None, ROOMY), None), ((FULL, FULL), "no_capacity"), ((None, None), "node_unavailable")],
)
async def test_there_is_room_when_any_node_has_some(
    tmp_path: Path, capacities: tuple[ClassCapacity | None, ...], code: str | None
) -> None:
    known = {f"n{number}": Elsewhere(capacity) for number, capacity in enumerate(capacities)}
    async with gatehouse(tmp_path, nodes_of=lambda node: ById(known)) as house:
        if code is None:
            await house.services.room.check("small")
            return
        with pytest.raises(SatboxError) as caught:
            await house.services.room.check("small")
        assert caught.value.code == code


def test_capacities_of_several_nodes_add_up() -> None:
    assert together([Capacity({"small": FULL}), Capacity({"small": ROOMY, "nano": ROOMY})]) == {
        "small": ClassCapacity(6, 3, 1), "nano": ROOMY,
    }  # fmt: skip
