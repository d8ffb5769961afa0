"""What a node counts for wallets: the arithmetic of its counters, and a real sandbox's work on a real wallet's bill."""

import asyncio
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from actors.clock import SystemClock
from actors.hosting.host import WalletHost
from actors.hosting.host_settings import HostSettings
from actors.stores.wallet_folder import WalletFolder
from actors.wallet import commands as c
from actors.wallet.state import Phase, Plan, WalletPolicy
from sandboxes.node.metering import RuntimeMeters, StorageMeters
from sandboxes.protocol import StopRequest
from tests.sandboxes.running_node import RunningNode

MIB = 1 << 20


def test_cpu_before_a_slot_was_given_away_is_not_its_own() -> None:
    meters = RuntimeMeters(MIB, 0, {"cpu_us": 700})
    assert meters.counts({"cpu_us": 1_000, "egress_in_bytes": 3, "egress_out_bytes": 4}) == {
        "cpu": 300, "memory_above_class": 0, "egress": 7,
    }  # fmt: skip
    assert meters.counts({"cpu_us": None})["cpu"] == 0


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 4 * MIB)), max_size=20))
def test_memory_is_counted_above_the_class_and_never_above_the_truth(looks: list[tuple[int, int]]) -> None:
    meters, now_ms, most = RuntimeMeters(MIB, 0, {}), 0, 0
    for elapsed_ms, memory in looks:
        now_ms += elapsed_ms
        meters.saw(now_ms, {"memory_bytes": memory})
        most += max((max(0, m - MIB) for _, m in looks), default=0) * elapsed_ms
    assert 0 <= meters.counts({})["memory_above_class"] <= most


def test_storage_is_what_was_kept_from_one_look_to_the_next() -> None:
    storage = StorageMeters(7)
    storage.saw(0, {"SP1": 100})
    storage.saw(10_000, {"SP1": 300, "SP2": 50})
    storage.saw(20_000, {"SP2": 50})
    storage.saw(30_000, {"SP1": 10, "SP2": 50})
    assert (storage.count("SP1"), storage.count("SP2"), storage.count("SP3")) == (1_000, 1_000, 0)


@pytest.mark.sandbox
async def test_cpu_seconds_of_a_real_sandbox_are_on_its_wallet_s_bill(node: RunningNode, tmp_path: Path) -> None:
    async def no_loss(payment_id: str, payer: str, usat: int) -> None:
        await asyncio.sleep(0)

    policy = WalletPolicy(meter_rates=(("cpu", 1_000_000),), wake_minimum_seconds=1)
    host = WalletHost(
        HostSettings(tmp_path, policy=policy),
        WalletFolder(tmp_path),
        node.client,
        SystemClock(),
        lambda: "rt-billed",
        no_loss,
    )
    await host.start()

    async def until(phase: Phase) -> None:
        async with asyncio.timeout(120):
            while (view := await host.ask("SPbilled", c.Look())).state.phase is not phase:
                await host.wait("SPbilled", view.state.version, 5)

    await host.ask("SPbilled", c.Prepare("create", Plan("nano"), 1))
    await host.ask("SPbilled", c.Deposit("pay_1", "SPbilled", 10**9, "tx", "sBTC"))
    await until(Phase.ALIVE)
    await node.client.exec("rt-billed", ["python3", "-c", "for _ in range(3_000_000): pass"])
    (told,) = await node.client.meters(["rt-billed"])
    await host.meter_reader.read()
    await host.ask("SPbilled", c.Reap())
    await until(Phase.REAPED)

    entries = await host.read("SPbilled", lambda store: store.entries(0, 100))
    billed = sum(dict(e.amounts)["burnt"] for e in entries if e.kind == "meter")
    final = (await node.client.stop(StopRequest("rt-billed", snapshot=True))).counts["cpu"]
    if not told.counts["cpu"]:
        pytest.skip("this machine does not count CPU")
    assert told.counts["cpu"] <= billed <= final  # a micro-sat for a microsecond
    assert billed == final
    await host.close()
