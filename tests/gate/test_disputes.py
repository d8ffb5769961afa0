"""Disputes over HTTP: an owner objects, the operator answers and decides, the books show all of it and still hold."""

import json
from pathlib import Path
from typing import Any

import pytest

from satbox.audit.home import HomeAudit
from tests.gate.gatehouse import OPERATOR_TOKEN, Answer, House, Who, gatehouse, split_output

OPERATOR = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}


async def charged(house: House) -> tuple[Who, dict[str, Any]]:
    """A wallet and one of its charges."""
    who = await house.agent()
    await house.created(who)
    await house.advance(20)
    await house.ask("POST", "/sandbox/pause", who=who)
    await house.until(lambda: house.state(who).runtime.is_paused)
    items = (await house.ask("GET", "/sandbox/ledger", who=who)).body["items"]
    charge: dict[str, Any] = next(item for item in reversed(items) if item["kind"] == "charge")
    return who, charge


async def opened(house: House, who: Who, **body: Any) -> Answer:
    return await house.ask("POST", "/sandbox/disputes", who=who, json={"reason": "it was down", **body})


async def decide(house: House, dispute_id: str, what: str, **body: Any) -> Answer:
    return await house.ask(
        "POST", f"/operator/disputes/{dispute_id}/{what}", headers=OPERATOR, json={"text": "said", **body}
    )


async def test_a_dispute_from_its_opening_to_what_it_puts_right(tmp_path: Path) -> None:
    async with gatehouse(tmp_path) as house:
        who, charge = await charged(house)
        first = (await opened(house, who, seq=charge["seq"])).body
        assert (first["state"], first["usat_max"], first["overdue"]) == ("open", charge["postings"]["burnt"], False)
        assert first["about"] == {"seq": charge["seq"], "hash": charge["hash"], "kind": "charge"}
        assert (await opened(house, who, seq=charge["seq"], reason="again")).body == first
        (waiting,) = (await house.ask("GET", "/operator/disputes", headers=OPERATOR)).body["items"]
        assert waiting == first
        answered = (await decide(house, first["dispute_id"], "answer")).body
        assert (answered["state"], answered["steps"][1]["text"]) == ("answered", "said")
        before = house.state(who).accounts
        upheld = (await decide(house, first["dispute_id"], "uphold")).body
        assert (upheld["state"], upheld["credited_usat"]) == ("upheld", first["usat_max"])
        assert (await decide(house, first["dispute_id"], "uphold")).body == upheld
        assert (await decide(house, first["dispute_id"], "deny")).code == "dispute_state"
        after = house.state(who).accounts
        assert -after.credits == first["usat_max"]
        assert after.bucket + after.burnt == before.bucket + before.burnt + first["usat_max"]
        assert (await house.ask("GET", "/operator/disputes", headers=OPERATOR)).body["items"] == []
        assert (await house.ask("GET", "/sandbox/disputes", who=who)).body["items"] == [upheld]
        kinds = [item["kind"] for item in (await house.ask("GET", "/sandbox/ledger", who=who)).body["items"]]
        assert kinds.count("credit") == 1
        report = HomeAudit(tmp_path).run()
        assert report["findings"] == []
        assert report["sums"]["accounts_usat"]["credits"] == -first["usat_max"]


async def test_a_receipt_can_be_disputed_by_its_own_wallet_only(house: House) -> None:
    who, other = await house.agent(), await house.agent()
    paid = (await house.created(who)).body
    await house.created(other)
    receipt = json.dumps(paid["receipt"])
    assert (await opened(house, other, receipt=receipt)).code == "dispute_target"
    made = (await opened(house, who, receipt=receipt)).body
    assert (made["about"]["kind"], made["usat_max"]) == ("settlement", 500_000_000)
    forged = json.dumps({**paid["receipt"], "statement": {**paid["receipt"]["statement"], "expected_usat": "9"}})
    assert (await opened(house, who, receipt=forged)).code == "dispute_target"
    assert (await decide(house, made["dispute_id"], "uphold")).code == "invalid_request"
    denied = (await decide(house, made["dispute_id"], "deny")).body
    assert (denied["state"], denied["credited_usat"]) == ("denied", 0)
    assert house.state(who).accounts.credits == 0


@pytest.mark.parametrize("receipt", ["", "{}", "[]", '{"statement": {}, "signature": "", "public_key": ""}', "\u0000"])
async def test_what_is_no_receipt_is_refused(house: House, receipt: str) -> None:
    who, _ = await charged(house)
    assert (await opened(house, who, receipt=receipt)).code == "dispute_target"


async def test_what_cannot_be_disputed(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, dispute_window_seconds=10) as house:
        who, charge = await charged(house)
        assert (await opened(house, who, seq=10_000)).code == "dispute_target"
        assert (await opened(house, who)).code == "invalid_request"
        assert (await opened(house, who, seq=1, receipt="{}")).code == "invalid_request"
        assert (await opened(house, who, seq=1, reason="x" * 2001)).code == "invalid_request"
        await house.advance(11)
        assert (await opened(house, who, seq=charge["seq"])).code == "dispute_too_late"
        stranger = await house.agent()
        assert (await opened(house, stranger, seq=charge["seq"], address=who.address)).code == "not_owner"
        assert (await opened(house, stranger, seq=1)).code == "wallet_not_found"


async def test_deadlines_are_seen_to_pass_and_only_the_operator_decides(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, dispute_answer_seconds=5, dispute_verdict_seconds=15) as house:
        who, charge = await charged(house)
        dispute_id = (await opened(house, who, seq=charge["seq"])).body["dispute_id"]
        await house.advance(6)
        assert (await house.ask("GET", "/sandbox/disputes", who=who)).body["items"][0]["overdue"]
        assert not (await decide(house, dispute_id, "answer")).body["overdue"]
        assert (await decide(house, dispute_id, "answer")).code == "dispute_state"
        await house.advance(10)
        assert (await house.ask("GET", "/sandbox/disputes", who=who)).body["items"][0]["overdue"]
        answer = await house.ask("POST", f"/operator/disputes/{dispute_id}/uphold", who=who, json={"text": "yes"})
        assert answer.code == "operator_only"
        assert (await decide(house, dispute_id, "uphold", usat=10**15)).code == "dispute_amount"
        assert (await decide(house, "dsp_" + "0" * 24, "uphold")).code == "dispute_not_found"


async def receipts(house: House, who: Who, number: int) -> list[str]:
    """Receipts for so many commands that took twenty seconds each, all at once."""

    async def execute(runtime_id: str, command: Any, **options: Any) -> tuple[dict[str, Any], dict[str, bytearray]]:
        return split_output({"exit_code": 0, "duration_ms": 20_000.0, "cpu_ms": 1})

    async def doctor() -> dict[str, Any]:
        return {
            "driver": "simulated",
            "cgroup_kind": "v2",
            "unsupported": [],
            "warm": {},
            "egress": "off",
            "checks": [],
        }

    house.node.exec_bytes, house.node.doctor = execute, doctor  # type: ignore[attr-defined]
    made = []
    for one in range(number):
        asked = {"shell": f"echo {one}", "receipt": True}
        made.append(json.dumps((await house.ask("POST", "/sandbox/exec", who=who, json=asked)).body["receipt"]))
    return made


async def test_a_commands_receipt_needs_an_amount_and_all_together_give_no_more_than_was_burnt(tmp_path: Path) -> None:
    async with gatehouse(tmp_path) as house:
        who = await house.agent()
        await house.created(who)
        await house.advance(20)
        ids = [(await opened(house, who, receipt=r)).body["dispute_id"] for r in await receipts(house, who, 5)]
        assert (await decide(house, ids[0], "uphold")).code == "invalid_request"
        await house.ask("POST", "/sandbox/pause", who=who)
        await house.until(lambda: house.state(who).runtime.is_paused)
        for dispute_id in ids:
            await decide(house, dispute_id, "uphold", usat=140_000)
        items = (await house.ask("GET", "/sandbox/ledger", who=who)).body["items"]
        for item in (item for item in items if item["kind"] == "charge"):
            charge = (await opened(house, who, seq=item["seq"])).body["dispute_id"]
            await decide(house, charge, "uphold")
        accounts = house.state(who).accounts
        assert 140_000 <= -accounts.credits <= accounts.burnt
        assert HomeAudit(tmp_path).run()["findings"] == []


async def test_refused_disputes_do_not_hide_others_from_the_operator(house: House) -> None:
    loud, victim = await house.agent(), await house.agent()
    await house.created(loud)
    await house.created(victim)
    answers = [await opened(house, loud, receipt=r) for r in await receipts(house, loud, 14)]
    assert "dispute_limit" in {answer.code for answer in answers if answer.status != 200}
    waiting = sum(answer.status == 200 for answer in answers)
    (receipt,) = await receipts(house, victim, 1)
    assert (await opened(house, victim, receipt=receipt)).status == 200
    assert house.services.disputes is not None
    assert len(house.services.disputes.waiting(100)) == waiting + 1
    params = {"limit": str(waiting + 1)}
    items = (await house.ask("GET", "/operator/disputes", headers=OPERATOR, params=params)).body["items"]
    assert victim.address in {item["address"] for item in items}


async def test_rows_whose_disputes_never_came_to_be_are_passed_over_and_taken_off(house: House) -> None:
    who, charge = await charged(house)
    index = house.services.disputes
    assert index is not None
    for number in range(300):
        index.add(f"dsp_{number:024}", who.address, 0)
    real = (await opened(house, who, seq=charge["seq"])).body
    items = (await house.ask("GET", "/operator/disputes", headers=OPERATOR, params={"limit": "1"})).body["items"]
    assert items == [real]
    assert [row.dispute_id for row in index.waiting(1000)] == [real["dispute_id"]]
