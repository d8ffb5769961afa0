"""What every SandboxNode promises, held against the simulated node and the real one."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sandboxes.node.cgroups import open_cgroups
from sandboxes.protocol import (
    BadRequest,
    Beat,
    NoCapacity,
    Reservation,
    RuntimeGone,
    RuntimeLost,
    SandboxError,
    SandboxNode,
    StartFailed,
    StartRequest,
    StopRequest,
)
from sandboxes.simulated import SimulatedNode
from tests.sandboxes.running_node import HAS_GVISOR, HAS_REAL_NODE, SETTINGS, KeptNodes, RunningNode


class Subject:
    """A node under test and the way to make one of its runtimes end unasked."""

    def __init__(self, node: SandboxNode, running: RunningNode | None) -> None:
        self.node = node
        self.running = running

    async def lose(self, runtime_id: str) -> None:
        if isinstance(self.node, SimulatedNode):
            self.node.lose(runtime_id)
            return
        assert self.running is not None
        self.running.is_spoilt = True
        slot = next(item.slot for item in await self.node.runtimes() if item.runtime_id == runtime_id)
        open_cgroups(Path("/sys/fs/cgroup"), self.running.state).kill(f"slot-{slot}")


class Clock:
    def __init__(self) -> None:
        self.now_ms = 1_000_000

    def __call__(self) -> int:
        self.now_ms += 1
        return self.now_ms


OTHER_SETTINGS: dict[str, dict[str, object]] = {
    "warm": {"pool": {"nano": 2, "medium": 1}},
    "gvisor": {"driver": "gvisor"},
}


@pytest.fixture(
    scope="module",
    params=[
        "simulated",
        pytest.param("real", marks=pytest.mark.sandbox),
        pytest.param("warm", marks=pytest.mark.sandbox),
        pytest.param("gvisor", marks=pytest.mark.sandbox),
    ],
)
def kind(request: pytest.FixtureRequest) -> str:
    """Of the module, so that all tests of one kind come together and share a node."""
    return str(request.param)


@pytest.fixture
async def subject(kind: str, kept_nodes: KeptNodes) -> AsyncIterator[Subject]:
    if kind == "simulated":
        yield Subject(SimulatedNode(Clock(), slots=SETTINGS["slots"]), None)
        return
    if not HAS_REAL_NODE:
        pytest.skip("needs root and bubblewrap")
    if kind == "gvisor" and not HAS_GVISOR:
        pytest.skip("needs runsc: tests/sandboxes/install")
    running = await kept_nodes.take(OTHER_SETTINGS.get(kind))
    yield Subject(running.client, running)
    await kept_nodes.give_back(running)


async def test_start_is_answered_the_same_when_repeated(subject: Subject, runtime_ids: Iterator[str]) -> None:
    request = StartRequest(next(runtime_ids), "SP1", size_class="nano")

    first, second = await subject.node.start(request), await subject.node.start(request)

    assert first == second
    assert (await subject.node.capacity()).classes["nano"].used == 1


async def test_concurrent_starts_of_one_id_make_one_runtime(subject: Subject, runtime_ids: Iterator[str]) -> None:
    request = StartRequest(next(runtime_ids), "SP1", size_class="nano")

    runtimes = await asyncio.gather(*(subject.node.start(request) for _ in range(4)))

    assert set(runtimes) == {runtimes[0]}
    assert len(await subject.node.runtimes()) == 1


async def test_stop_is_answered_the_same_when_repeated(subject: Subject, runtime_ids: Iterator[str]) -> None:
    runtime = await subject.node.start(StartRequest(next(runtime_ids), "SP1", size_class="nano"))

    first = await subject.node.stop(StopRequest(runtime.runtime_id, snapshot=True))
    second = await subject.node.stop(StopRequest(runtime.runtime_id, snapshot=True))

    assert first == second
    assert first.known
    assert first.snapshot_digest is not None
    assert first.stopped_at_ms is not None
    assert first.stopped_at_ms >= runtime.healthy_at_ms
    assert (await subject.node.capacity()).classes["nano"].used == 0


async def test_stop_of_an_unknown_id_closes_the_door_behind_it(subject: Subject, runtime_ids: Iterator[str]) -> None:
    runtime_id = next(runtime_ids)

    stopped = await subject.node.stop(StopRequest(runtime_id, snapshot=True))
    with pytest.raises(StartFailed) as failure:
        await subject.node.start(StartRequest(runtime_id, "SP1"))

    assert not stopped.known
    assert stopped.stopped_at_ms is None
    assert failure.value.code == "runtime_stopped"
    assert not failure.value.retryable


async def test_pausing_is_answered_the_same_when_repeated(subject: Subject, runtime_ids: Iterator[str]) -> None:
    runtime = await subject.node.start(StartRequest(next(runtime_ids), "SP1", size_class="nano"))

    paused = await subject.node.pause(runtime.runtime_id, True)
    again = await subject.node.pause(runtime.runtime_id, True)
    resumed = await subject.node.pause(runtime.runtime_id, False)

    assert paused == again
    assert (paused.is_paused, paused.boot_id) == (True, runtime.boot_id)
    assert not resumed.is_paused
    assert runtime.healthy_at_ms <= paused.at_ms <= resumed.at_ms


async def test_a_runtime_that_is_not_there_is_not_paused(subject: Subject, runtime_ids: Iterator[str]) -> None:
    runtime = await subject.node.start(StartRequest(next(runtime_ids), "SP1", size_class="nano"))
    await subject.node.pause(runtime.runtime_id, True)
    stopped = await subject.node.stop(StopRequest(runtime.runtime_id, snapshot=True, pre_stop_seconds=1.0))

    assert stopped.known
    with pytest.raises(RuntimeGone):
        await subject.node.pause(runtime.runtime_id, False)
    with pytest.raises(RuntimeGone):
        await subject.node.pause("rt-never", True)


async def test_named_snapshots_are_kept_until_they_are_dropped(subject: Subject, runtime_ids: Iterator[str]) -> None:
    runtime = await subject.node.start(StartRequest(next(runtime_ids), "SP1", size_class="nano"))
    made = await subject.node.snapshot(runtime.runtime_id, "before the change")
    stopped = await subject.node.stop(StopRequest(runtime.runtime_id, snapshot=True))
    listed = await subject.node.snapshots("SP1")
    again = await subject.node.start(
        StartRequest(next(runtime_ids), "SP1", size_class="nano", snapshot_digest=made.digest)
    )
    await subject.node.drop_snapshot("SP1", made.digest)

    assert made.name == "before the change"
    assert {made.digest, stopped.snapshot_digest} == {item.digest for item in listed}
    assert again.runtime_id != runtime.runtime_id
    assert made.digest not in [item.digest for item in await subject.node.snapshots("SP1") if item.name]
    with pytest.raises(SandboxError) as refused:
        await subject.node.drop_snapshot("SP1", "0" * 64)
    assert refused.value.code == "snapshot_not_found"
    with pytest.raises(RuntimeGone):
        await subject.node.snapshot(runtime.runtime_id, "too late")


async def test_no_room_is_said_and_room_comes_back(subject: Subject, runtime_ids: Iterator[str]) -> None:
    runtime = await subject.node.start(StartRequest(next(runtime_ids), "SP1", size_class="medium"))
    with pytest.raises(NoCapacity):
        await subject.node.start(StartRequest(next(runtime_ids), "SP2", size_class="medium"))

    await subject.node.stop(StopRequest(runtime.runtime_id, snapshot=False))

    assert await subject.node.start(StartRequest(next(runtime_ids), "SP2", size_class="medium"))


async def test_a_reservation_keeps_room_for_its_address_only(subject: Subject, runtime_ids: Iterator[str]) -> None:
    await subject.node.reserve(Reservation("SP1", "medium", 60))

    with pytest.raises(NoCapacity) as full:
        await subject.node.reserve(Reservation("SP2", "medium", 60))
    await subject.node.reserve(Reservation("SP1", "medium", 60))
    await subject.node.start(StartRequest(next(runtime_ids), "SP1", size_class="medium"))

    counts = (await subject.node.capacity()).classes["medium"]
    assert full.value.retry_after_seconds > 0
    assert (counts.used, counts.reserved) == (1, 0)


async def test_a_released_reservation_is_free_again(subject: Subject) -> None:
    await subject.node.reserve(Reservation("SP1", "medium", 60))
    await subject.node.release("SP1")
    await subject.node.release("SP1")

    await subject.node.reserve(Reservation("SP2", "medium", 60))

    assert (await subject.node.capacity()).classes["medium"].reserved == 1


async def test_room_that_two_payments_hold_is_kept_until_both_give_it_back(subject: Subject) -> None:
    for holder in ("pay_1", "pay_2", "pay_2"):
        await subject.node.reserve(Reservation("SP1", "medium", 60, holder))
    await subject.node.release("SP1", "pay_2")
    await subject.node.release("SP1", "pay_3")
    assert (await subject.node.capacity()).classes["medium"].reserved == 1
    await subject.node.release("SP1", "pay_1")
    assert (await subject.node.capacity()).classes["medium"].reserved == 0


async def test_an_unknown_size_class_is_a_bad_request(subject: Subject, runtime_ids: Iterator[str]) -> None:
    with pytest.raises(BadRequest):
        await subject.node.start(StartRequest(next(runtime_ids), "SP1", size_class="huge"))


async def test_an_unknown_image_and_an_unknown_snapshot_fail_for_good(
    subject: Subject, runtime_ids: Iterator[str]
) -> None:
    for wrong in ({"image": "nothing"}, {"snapshot_digest": "0" * 64}):
        with pytest.raises(StartFailed) as failure:
            await subject.node.start(StartRequest(next(runtime_ids), "SP1", size_class="nano", **wrong))
        assert not failure.value.retryable
    assert (await subject.node.capacity()).classes["nano"].used == 0


async def test_beats_count_up_and_never_go_back(subject: Subject) -> None:
    first, second = await subject.node.beat(), await subject.node.beat()

    assert second.sequence > first.sequence
    assert second.at_ms >= first.at_ms
    assert first.boot_id == second.boot_id


async def test_a_loss_is_told_at_once_and_again_until_stopped(subject: Subject, runtime_ids: Iterator[str]) -> None:
    runtime = await subject.node.start(StartRequest(next(runtime_ids), "SP1", size_class="nano"))
    early = subject.node.watch()
    assert isinstance(await anext(early), Beat)

    await subject.lose(runtime.runtime_id)

    async with asyncio.timeout(120):
        lost = await next_loss(early)
    late = subject.node.watch()
    assert await anext(late) == lost
    assert lost.runtime_id == runtime.runtime_id
    assert lost.lost_at_ms >= runtime.healthy_at_ms

    stopped = await subject.node.stop(StopRequest(runtime.runtime_id, snapshot=True))
    after = subject.node.watch()
    assert stopped.known
    assert stopped.stopped_at_ms == lost.lost_at_ms
    assert stopped.reason == lost.reason
    assert isinstance(await anext(after), Beat)
    for stream in (early, late, after):
        await stream.aclose()  # type: ignore[attr-defined]


async def next_loss(stream: AsyncIterator[Beat | RuntimeLost]) -> RuntimeLost:
    async for event in stream:
        if isinstance(event, RuntimeLost):
            return event
    raise AssertionError("the stream ended")


async def test_a_lost_id_can_not_start_again(subject: Subject, runtime_ids: Iterator[str]) -> None:
    runtime = await subject.node.start(StartRequest(next(runtime_ids), "SP1", size_class="nano"))
    stream = subject.node.watch()
    await anext(stream)
    await subject.lose(runtime.runtime_id)
    async with asyncio.timeout(120):
        await next_loss(stream)
    await stream.aclose()  # type: ignore[attr-defined]

    with pytest.raises(StartFailed) as failure:
        await subject.node.start(StartRequest(runtime.runtime_id, "SP1", size_class="nano"))

    assert failure.value.code == "runtime_lost"


async def is_kept(subject: Subject, runtime_ids: Iterator[str], digest: str) -> bool:
    """Whether a sandbox can start from a snapshot; it is ended so that it changes nothing about who keeps what."""
    runtime_id = next(runtime_ids)
    try:
        await subject.node.start(StartRequest(runtime_id, "SP-other", size_class="nano", snapshot_digest=digest))
    except StartFailed as error:
        if error.code != "snapshot_unknown":
            raise
        return False
    await subject.node.stop(StopRequest(runtime_id, snapshot=False))
    return True


async def live_and_sleep(subject: Subject, runtime_id: str, address: str = "SP1") -> str:
    """One runtime, ended with a snapshot that no other has the content of (the real node's, by a file)."""
    await subject.node.start(StartRequest(runtime_id, address, size_class="nano"))
    if subject.running is not None:
        await subject.running.client.write_file(runtime_id, "unique", runtime_id.encode())
    digest = (await subject.node.stop(StopRequest(runtime_id, snapshot=True))).snapshot_digest
    assert digest is not None
    return digest


async def test_only_the_newest_snapshots_of_an_address_are_kept(subject: Subject, runtime_ids: Iterator[str]) -> None:
    digests = [await live_and_sleep(subject, next(runtime_ids)) for _ in range(5)]

    assert [await is_kept(subject, runtime_ids, digest) for digest in digests] == [False, False, True, True, True]


async def test_a_destroyed_lifetime_takes_its_snapshots_along(subject: Subject, runtime_ids: Iterator[str]) -> None:
    mine, other = (
        await live_and_sleep(subject, next(runtime_ids)),
        await live_and_sleep(subject, next(runtime_ids), "SP2"),
    )
    last = next(runtime_ids)
    await subject.node.start(StartRequest(last, "SP1", size_class="nano", snapshot_digest=mine))

    await subject.node.stop(StopRequest(last, snapshot=False))

    assert not await is_kept(subject, runtime_ids, mine)
    assert await is_kept(subject, runtime_ids, other)


async def test_the_end_of_an_older_runtime_destroys_no_snapshot(subject: Subject, runtime_ids: Iterator[str]) -> None:
    older, newer = next(runtime_ids), next(runtime_ids)
    await subject.node.start(StartRequest(older, "SP1", size_class="nano"))
    digest = await live_and_sleep(subject, newer)

    await subject.node.stop(StopRequest(older, snapshot=False))
    await subject.node.stop(StopRequest(next(runtime_ids), snapshot=False))

    assert await is_kept(subject, runtime_ids, digest)


async def test_an_address_destroyed_asleep_is_forgotten(subject: Subject, runtime_ids: Iterator[str]) -> None:
    digest = await live_and_sleep(subject, next(runtime_ids))

    await subject.node.forget("SP1")
    await subject.node.forget("SP1")

    assert not await is_kept(subject, runtime_ids, digest)


async def test_a_stopped_runtime_stopped_for_good_gives_its_snapshot_up(
    subject: Subject, runtime_ids: Iterator[str]
) -> None:
    runtime_id = next(runtime_ids)
    digest = await live_and_sleep(subject, runtime_id)

    given_up = await subject.node.stop(StopRequest(runtime_id, snapshot=False))

    assert (given_up.known, given_up.snapshot_digest) == (True, None)
    assert not await is_kept(subject, runtime_ids, digest)


async def test_meters_are_read_of_what_runs_and_are_in_the_last_word(subject: Subject) -> None:
    await subject.node.start(StartRequest("rt-metered", "SP-metered", size_class="nano"))
    if isinstance(subject.node, SimulatedNode):
        subject.node.use("rt-metered", "cpu", 5)
    (first,) = await subject.node.meters(["rt-metered", "rt-never"])
    (second,) = await subject.node.meters(["rt-metered"])
    stopped = await subject.node.stop(StopRequest("rt-metered", snapshot=False))

    assert all(second.counts[name] >= count for name, count in first.counts.items())
    assert all(stopped.counts[name] >= second.counts[name] for name in stopped.counts)
    assert "cpu" in stopped.counts
    assert await subject.node.meters(["rt-metered"]) == []
    assert (await subject.node.stop(StopRequest("rt-metered", snapshot=False))).counts == stopped.counts
