"""Payments of calls that failed, and those that stand for them."""

import asyncio

from payment_builders import NETWORK, PAYER, sbtc_payment
from settlement_bench import Bench, presentation

from relay_client.settlements.spares import CLAIMS_MAX

OWNER = str(PAYER.public_key.address(NETWORK))
CALL = {"address": OWNER, "purpose": "extend", "holder": OWNER, "is_bound": True, "wakes": False}


async def failed(bench: Bench) -> str:
    """The payment of a call that failed."""
    first = await bench.present(sbtc_payment(250), body_hash="first", **CALL)
    await bench.settlements.keep_spare(OWNER, first.payment_id)
    return first.payment_id


async def test_what_another_gate_made_stand_for_an_earlier_payment_is_not_sent(bench: Bench) -> None:
    """One gate saw that nothing was left and is about to send; another one, shown the same bytes, was luckier."""
    spare_id, shown = await failed(bench), presentation(sbtc_payment(250, nonce=1), body_hash="next", **CALL)
    sent = len(bench.settle_bodies)
    lucky = await bench.settlements.claim_spare(shown, 250_000_000)
    late = await bench.settlements.present(shown)
    assert lucky is not None
    assert (lucky.payment_id, late.payment_id) == (spare_id, spare_id)
    assert len(bench.settle_bodies) == sent


async def test_what_was_sent_stands_for_nothing(bench: Bench) -> None:
    await failed(bench)
    shown = presentation(sbtc_payment(250, nonce=1), body_hash="next", **CALL)
    sent = await bench.settlements.present(shown)
    assert await bench.settlements.claim_spare(shown, 250_000_000) is None
    assert (await bench.settlements.present(shown)).payment_id == sent.payment_id


async def test_at_once_it_is_sent_or_stands_for_the_earlier_one(bench: Bench) -> None:
    spare_id, shown = await failed(bench), presentation(sbtc_payment(250, nonce=1), body_hash="next", **CALL)
    sent = len(bench.settle_bodies)
    claimed, presented = await asyncio.gather(
        bench.settlements.claim_spare(shown, 250_000_000), bench.settlements.present(shown)
    )
    stands_for = {spare_id} if claimed is not None else set()
    assert stands_for == ({presented.payment_id} & {spare_id})
    assert len(bench.settle_bodies) - sent == (claimed is None)


async def test_no_more_than_a_bound_stand_for_one(bench: Bench) -> None:
    """Who sells failures to itself signs for nothing, and each signature is remembered: in the end a payment is sent."""
    spare_id = await failed(bench)
    for nonce in range(1, CLAIMS_MAX + 1):
        shown = presentation(sbtc_payment(250, nonce=nonce), body_hash=f"call {nonce}", **CALL)
        claimed = await bench.settlements.claim_spare(shown, 250_000_000)
        assert claimed is not None
        assert claimed.payment_id == spare_id
        await bench.settlements.keep_spare(OWNER, spare_id)  # it failed again
    shown = presentation(sbtc_payment(250, nonce=CLAIMS_MAX + 1), body_hash="one more", **CALL)
    assert await bench.settlements.claim_spare(shown, 250_000_000) is None
