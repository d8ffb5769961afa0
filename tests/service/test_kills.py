"""SIGKILL of each process while a payment settles: credited once, books that balance, no orphan."""

import asyncio
import contextlib

import pytest

from operations.errors import SatboxError
from operations.sandbox import Paid
from sandboxes.protocol import NodeUnavailable
from tests.service.running_service import SATS, Owner, RunningService, eventually

pytestmark = [pytest.mark.ray, pytest.mark.sandbox, pytest.mark.asyncio(loop_scope="session")]

FAST = ["gate", "hosts", "settlements", "node"]
NIGHTLY = ["oracle", "devnet"]
PARTS = [*FAST, *(pytest.param(part, marks=pytest.mark.nightly) for part in NIGHTLY)]


async def no_orphans(service: RunningService) -> None:
    """What runs at the node is what wallets own."""

    async def matched() -> bool:
        try:
            infos = await service.node.runtimes()
        except NodeUnavailable:
            return False  # it is still coming back
        operator = service.client(None)
        try:
            for info in infos:
                status = await operator.sandbox_status(address=info.address, fresh=True)
                if status.runtime_id != info.runtime_id:
                    return False
        finally:
            await operator.close()
        return True

    await eventually(matched)


async def outcome(owner: Owner, paying: "asyncio.Task[Paid]") -> Paid | None:
    """What became of a paid call that was disturbed: its payment sent again, unchanged, until somebody says."""
    try:
        return await paying
    except SatboxError as disturbed:
        code = disturbed.code
    assert code in ("ambiguous", "unreachable", "timeout", "node_unavailable"), code
    async with asyncio.timeout(120):
        while owner.client.open_payments():
            with contextlib.suppress(SatboxError):
                return (await owner.client.resume())[0]
    return None  # it was never signed, or refused before anything moved


@pytest.mark.parametrize("part", PARTS)
async def test_a_kill_during_an_extend(service: RunningService, owner: Owner, part: str) -> None:
    await owner.client.sandbox_create(sats=500)
    await owner.until(lambda now: now.state == "alive")
    await owner.client.files_write(data=b"kept", path="note")
    before = await owner.status()
    await service.devnet("faults", {"kind": "hold_confirmations"})
    paying = asyncio.create_task(owner.client.sandbox_extend(sats=70))

    async def is_pending() -> bool:
        return bool((await owner.status()).pending_payments)

    await eventually(is_pending)
    await service.kill(part)
    await service.heal()
    paid = await outcome(owner, paying)
    confirmed = await owner.confirmed(paid.paymentId)
    assert confirmed.credited_usat == 70 * SATS
    is_interrupted = part == "node"  # a sandbox outlives everything but its node
    await owner.until(
        lambda now: (
            now.deposited_usat == 570 * SATS
            and now.state == "alive"
            and (now.runtime_id != before.runtime_id) == is_interrupted
        )
    )
    assert await owner.client.files_read(path="note") == b"kept"
    books = await owner.books()
    assert (books["credited"], books["payments"]) == (570 * SATS, 2)
    await no_orphans(service)


@pytest.mark.parametrize("part", ["gate", "hosts", "settlements", pytest.param("node", marks=pytest.mark.nightly)])
async def test_a_kill_at_the_very_moment_of_a_create(service: RunningService, owner: Owner, part: str) -> None:
    await owner.client.prove()
    paying = asyncio.create_task(owner.client.sandbox_create(sats=300))
    await asyncio.sleep(0.03)  # somewhere between offer and answer; wherever it hits, the outcome is the same
    await service.kill(part)
    paid = await outcome(owner, paying) or await owner.client.sandbox_create(sats=300)
    await owner.confirmed(paid.paymentId)
    await owner.until(lambda now: now.state == "alive" and now.deposited_usat == 300 * SATS)
    books = await owner.books()
    assert (books["credited"], books["payments"]) == (300 * SATS, 1)
    await no_orphans(service)
