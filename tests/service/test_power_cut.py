"""Everything dies at once, and later everything is asked to end: no sat is lost, nothing is left, and it carries on."""

import asyncio
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from operations.errors import SatboxError
from operations.ledger import Span
from operations.sandbox import SandboxStatus
from sandboxes.clock import boottime_ms
from tests.sandboxes.running_node import HAS_REAL_NODE
from tests.service.running_service import SATS, Owner, RunningService, eventually

pytestmark = [pytest.mark.ray, pytest.mark.sandbox]


@pytest_asyncio.fixture
async def mortal() -> AsyncIterator[RunningService]:
    """A service for one test to kill."""
    if not HAS_REAL_NODE:
        pytest.skip("needs root and bubblewrap")
    made = RunningService()
    await made.start()
    try:
        yield made
    finally:
        await made.remove()


async def spans_of(owner: Owner, runtime_id: str | None) -> list[Span]:
    meter = await owner.client.sandbox_meter()
    assert meter.matches
    return [span for span in meter.spans if span.runtime_id == runtime_id]


async def alive(service: RunningService, sats: int) -> Owner:
    owner = await service.agent()
    await owner.client.sandbox_create(sats=sats)
    await owner.until(lambda now: now.state == "alive")
    await owner.client.files_write(data=f"work of {owner.address}".encode(), path="note")
    return owner


async def carries_on(owner: Owner, before: SandboxStatus) -> SandboxStatus:
    """Alive again, in a new process, with the workspace as it was."""
    after = await owner.until(lambda now: now.state == "alive" and now.runtime_id != before.runtime_id)
    assert await owner.client.files_read(path="note") == f"work of {owner.address}".encode()
    return after


async def test_sigkill_of_everything_then_sigterm(mortal: RunningService) -> None:
    resting, pending, asking = await alive(mortal, 300), await alive(mortal, 300), await alive(mortal, 300)
    await mortal.devnet("faults", {"kind": "hold_confirmations"})
    in_mempool = await pending.client.sandbox_extend(sats=40)
    # The last one's relay has the payment but has not answered yet when the lights go out.
    await mortal.devnet("faults", {"kind": "delay", "routes": "relay", "path": "settle", "seconds": 20})
    paying = asyncio.create_task(asking.client.sandbox_extend(sats=50))

    async def is_broadcasting() -> bool:
        (kept,) = asking.client.open_payments() or (None,)
        if kept is None:
            return False
        try:
            return bool((await asking.client.payment_status(kept.payment_id)).status == "broadcasting")
        except SatboxError:
            return False

    await eventually(is_broadcasting)
    (kept,) = asking.client.open_payments()
    before = {owner.address: await owner.status() for owner in (resting, pending, asking)}
    killed_at_ms = boottime_ms()
    await mortal.kill_everything()
    paying.cancel()
    await asyncio.gather(paying, return_exceptions=True)

    await mortal.start()
    for owner in (resting, pending, asking):
        seen = before[owner.address]
        await carries_on(owner, seen)
        last = (await spans_of(owner, seen.runtime_id))[-1]
        assert last.to_ms <= killed_at_ms + 1_500, "nothing is charged after the last heartbeat"
        assert last.to_ms >= killed_at_ms - 4_000, "what was proven is charged"
    await pending.confirmed(in_mempool.paymentId)
    await asking.confirmed(kept.payment_id)
    (resumed,) = await asking.client.resume()
    assert resumed.paymentId == kept.payment_id, "the same bytes are the same payment"
    for owner, deposited in ((resting, 300), (pending, 340), (asking, 350)):
        await owner.until(lambda now, deposited=deposited: now.deposited_usat == deposited * SATS)
        books = await owner.books()
        assert books["credited"] == deposited * SATS
    owned = {(await owner.status()).runtime_id for owner in (resting, pending, asking)}
    assert {info.runtime_id for info in await mortal.node.runtimes()} == owned

    # And now politely.
    before = {owner.address: await owner.status() for owner in (resting, pending, asking)}
    asked_at_ms = boottime_ms()
    assert await mortal.end(signal.SIGTERM) == 0
    assert mortal.leftovers() == []

    await mortal.start()
    for owner in (resting, pending, asking):
        seen = before[owner.address]
        await carries_on(owner, seen)
        last = (await spans_of(owner, seen.runtime_id))[-1]
        assert last.to_ms >= asked_at_ms - 2_000, "a clean stop posts what is due"
        await owner.books()
        await owner.client.close()


@pytest.mark.nightly
async def test_ctrl_c_is_a_clean_stop(mortal: RunningService) -> None:
    owner = await alive(mortal, 100)
    before = await owner.status()
    assert await mortal.end(signal.SIGINT) == 0
    assert mortal.leftovers() == []
    assert "Traceback" not in mortal.log()
    await mortal.start()
    after = await carries_on(owner, before)
    assert after.deposited_usat == before.deposited_usat
    await owner.client.close()


@pytest.mark.nightly
async def test_sigkill_of_satbox_up_alone_takes_the_rest_with_it(mortal: RunningService) -> None:
    owner = await alive(mortal, 100)
    before = await owner.status()
    await mortal.end(signal.SIGKILL)

    async def is_quiet() -> bool:
        await asyncio.sleep(0)
        return not mortal.running()

    await eventually(is_quiet, 40)
    await mortal.start()
    await carries_on(owner, before)
    await owner.client.close()
