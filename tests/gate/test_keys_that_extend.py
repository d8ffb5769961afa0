"""A key with the scope `extend`, and a sandbox's own key, pay on chain for their own wallet, and for nobody else's."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay_client.settlements import PaymentReport, Presentation
from tests.gate.gatehouse import House, gatehouse
from tests.gate.test_spending_keys import SELF_KEY, bearer, key_of, of_sandbox


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with gatehouse(tmp_path) as made:
        yield made


async def test_a_key_extends_its_own_wallet(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    who = await house.agent()
    await house.created(who, sats=500)
    before = house.state(who).accounts.deposits
    key = await key_of(house, who, scopes=["extend"])
    offered = await house.ask("POST", "/sandbox/extend", headers=bearer(key["key"]), json={"sats": 300})
    assert offered.status == 402
    shown: list[Presentation] = []
    real = house.settlements.present

    async def seen(presentation: Presentation) -> PaymentReport:
        shown.append(presentation)
        return await real(presentation)

    monkeypatch.setattr(house.settlements, "present", seen)
    paid = await house.pay("/sandbox/extend", who, house.sbtc(who, 300), {"sats": 300}, headers=bearer(key["key"]))
    assert [one.holder for one in shown] == [f"{who.address}.api-keys"], "its owner's name stays without losses"
    assert paid.status in (201, 202)
    assert (await house.settled(paid.body["paymentId"])).state == "confirmed"
    await house.until(lambda: house.state(who).accounts.deposits != before)


async def test_a_key_extends_nobody_elses(house: House) -> None:
    who, other = await house.agent(), await house.agent()
    await house.created(who, sats=500)
    await house.created(other, sats=500)
    key = await key_of(house, who, scopes=["extend"])
    asked = {"sats": 300, "address": other.address}
    assert (await house.ask("POST", "/sandbox/extend", headers=bearer(key["key"]), json=asked)).code == "not_owner"


async def test_a_key_for_something_else_extends_nothing(house: House) -> None:
    who = await house.agent()
    await house.created(who, sats=500)
    for scopes in ([], ["call"], ["files"]):
        key = await key_of(house, who, scopes=scopes)
        answer = await house.ask("POST", "/sandbox/extend", headers=bearer(key["key"]), json={"sats": 300})
        assert (answer.status, answer.code) == (403, "spending_key_scope")


async def test_a_sandbox_extends_itself(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, self_key=SELF_KEY) as house:
        who, other = await house.agent(), await house.agent()
        await house.created(who, sats=500)
        await house.created(other, sats=500)
        own = bearer(of_sandbox(house, who))
        before = house.state(who).accounts.deposits
        paid = await house.pay("/sandbox/extend", who, house.sbtc(who, 300), {"sats": 300}, headers=own)
        assert (await house.settled(paid.body["paymentId"])).state == "confirmed"
        await house.until(lambda: house.state(who).accounts.deposits != before)
        asked = {"sats": 300, "address": other.address}
        refused = await house.pay("/sandbox/extend", who, house.sbtc(who, 301), asked, headers=own)
        assert (refused.code, refused.body["error"]["funds_moved"]) == ("not_owner", False)
