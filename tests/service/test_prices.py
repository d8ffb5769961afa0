"""Prices on a running service: withdrawn when they jump, kept from coming back by a restart, and back when they are."""

import contextlib

import pytest

from operations import oracle as o
from operations.errors import SatboxError
from tests.service.running_service import RunningService, eventually

pytestmark = [pytest.mark.ray, pytest.mark.sandbox, pytest.mark.asyncio(loop_scope="session")]


async def test_a_jump_withdraws_stx_and_a_restart_does_not_bring_it_back(service: RunningService) -> None:
    client = service.client(None)

    async def stx() -> o.AssetPrice:
        return next(item for item in (await client.oracle_prices()).items if item.asset == "STX")

    async def is_offered() -> bool:
        with contextlib.suppress(SatboxError):
            return (await stx()).is_offered
        return False

    async def is_withheld() -> bool:
        return (await stx()).code == "price_jump"

    try:
        before = await eventually(stx)
        assert before.is_offered
        await service.devnet("prices", {"STX": "0.9"})
        await eventually(is_withheld, 40)
        quote = await client.sandbox_quote(sats=300)
        assert [offer.asset for offer in quote.offers] == ["sBTC"]
        assert quote.not_offered["STX"].code == "price_jump"

        await service.kill("oracle")
        heard = (await client.oracle_prices()).at

        async def is_heard_again() -> bool:
            return (await client.oracle_prices()).at not in (None, heard)

        await eventually(is_heard_again, 40)
        now = await stx()
        assert now.code == "price_jump", "the anchor was kept"
        assert now.anchor_sats_per_coin is not None
        assert float(now.anchor_sats_per_coin) < 600
    finally:
        await service.devnet("prices", {"STX": "0.5"})
    await eventually(is_offered, 40)
    quote = await client.sandbox_quote(sats=300)
    signed = quote.offers[1].quote
    assert signed is not None
    assert signed.amount == "606000"
    await client.close()
