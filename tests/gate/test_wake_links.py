"""Wake links at the gate: what their holders may do, and everything they may not."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from actors.wallet.state import Phase
from operations.catalogue import REGISTRY
from operations.wake_links import LINK_HEADER
from satbox.agent.keystore import agent_of
from tests.gate.gatehouse import OPERATOR_TOKEN, Answer, House, Who, gatehouse, header_of

MADE = "/sandbox/wake-links"
OPERATOR = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}


async def made(house: House, who: Who, **terms: Any) -> dict[str, Any]:
    answer = await house.ask("POST", MADE, who=who, json=terms)
    assert answer.status == 200, answer.raw
    return dict(answer.body)


def holding(link: dict[str, Any] | str) -> dict[str, str]:
    return {LINK_HEADER: link if isinstance(link, str) else link["token"]}


async def wake(house: House, link: dict[str, Any] | str, **body: Any) -> Answer:
    return await house.ask("POST", "/sandbox/wake", headers=holding(link), json=body)


async def info(house: House, link: dict[str, Any] | str) -> Answer:
    return await house.ask("GET", f"{MADE}/info", headers=holding(link))


async def reap(house: House, who: Who, **body: Any) -> None:
    assert (await house.ask("POST", "/sandbox/reap", who=who, json=body)).status == 200


@pytest.fixture
async def owner(house: House) -> Who:
    who = await house.agent()
    await house.created(who)
    return who


async def test_a_link_is_told_once_and_wakes(house: House, owner: Who) -> None:
    link = await made(house, owner, label="Anna")
    assert link["url"] == f"http://gate.test/wake/{owner.address}#{link['token']}"
    listed = (await house.ask("GET", MADE, who=owner)).raw.decode()
    assert link["token"] not in listed
    assert link["link_id"] in listed
    await reap(house, owner)
    before = (await info(house, link)).body
    answer = await wake(house, link)

    assert (answer.status, answer.body["state"]) == (200, "alive")
    assert (before["state"], before["wakes_now"], before["wakes_left_today"], before["label"]) == (
        "reaped", True, 10, "Anna",
    )  # fmt: skip
    after = (await info(house, link)).body
    assert (after["wakes_left_today"], after["state"], after["scopes"]) == (9, "alive", ["wake"])


async def test_its_token_is_in_no_file_and_no_log(house: House, owner: Who, caplog: Any, tmp_path: Path) -> None:
    with caplog.at_level(logging.DEBUG), capture_logs() as logs:
        link = await made(house, owner)
        await reap(house, owner)
        await wake(house, link)
        await wake(house, link["token"][:-1] + "!")
        await info(house, link)
    secret = link["token"].removeprefix(f"swl_{owner.address}_")
    assert secret not in caplog.text + repr(logs)
    events = (await house.ask("GET", "/sandbox/events", who=owner)).raw.decode()
    assert link["link_id"] in events
    assert secret not in events
    assert files_with(tmp_path, secret) == []


def files_with(folder: Path, text: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


FORGED = {
    "empty": "",
    "no token": "swl_",
    "another secret": "swl_{address}_" + "A" * 43,
    "a longer one": "{token}A",
    "another wallet's": "swl_{other}_{secret}",
    "nobody's": "swl_SP000000000000000000002Q6VF78_{secret}",
    "a path": "swl_../../etc/passwd_{secret}",
    "much": "swl_" + "A" * 7000,
    "letters of others": "swl_{address}_" + "é" * 43,
    "lower case": "swl_{lower}_{secret}",
}


@pytest.mark.parametrize("how", FORGED)
async def test_what_is_no_link_has_one_answer(house: House, owner: Who, how: str) -> None:
    link, other = await made(house, owner), await house.agent()
    await house.created(other)
    await reap(house, owner)
    secret = link["token"].removeprefix(f"swl_{owner.address}_")
    token = FORGED[how].format(
        address=owner.address, token=link["token"], other=other.address, secret=secret, lower=owner.address.lower()
    )
    for method, path in (("POST", "/sandbox/wake"), ("POST", "/sandbox/extend"), ("GET", f"{MADE}/info"),
                         ("GET", "/sandbox/status")):  # fmt: skip
        answer = await house.ask(method, path, headers={LINK_HEADER: token})
        assert (answer.status, answer.code) == (401, "wake_link_invalid")
    assert house.state(owner).phase is Phase.REAPED


@pytest.mark.parametrize("end", ["revoked", "expired", "destroyed"])
async def test_an_ended_link_looks_like_none(house: House, owner: Who, end: str) -> None:
    link = await made(house, owner, expires_seconds=60, scopes=["topup", "wake"])
    await reap(house, owner, destroy=end == "destroyed")
    if end == "revoked":
        answer = await house.ask("DELETE", f"{MADE}/{link['link_id']}", who=owner)
        assert answer.body["state"] == "revoked"
    if end == "expired":
        house.clock.ahead_ms += 60_000

    for answer in (await wake(house, link), await info(house, link)):
        assert (answer.status, answer.code) == (401, "wake_link_invalid")
    answer = await house.ask("POST", "/sandbox/extend", headers=holding(link), json={"sats": 5})
    assert (answer.status, answer.code) == (401, "wake_link_invalid")
    assert house.state(owner).phase is Phase.REAPED


async def test_a_link_opens_nothing_but_what_takes_links(house: House, owner: Who) -> None:
    link = await made(house, owner, scopes=["wake", "topup"])
    for operation in REGISTRY.values():
        if operation.link_scope is None and operation.auth.value != "none":
            path = operation.path.replace("{", "").replace("}", "")
            answer = await house.ask(operation.method, path, headers=holding(link))
            refused = (402, None) if operation.is_on_chain else (401, "pass_missing")
            assert (
                answer.status,
                answer.body.get("error", {}).get("code") if answer.status != 402 else None,
            ) == refused
            bearer = {"Authorization": f"Bearer {link['token']}"}
            answer = await house.ask(operation.method, path, headers=bearer)
            assert answer.status in (401, 403), operation.name


async def test_a_link_is_for_its_own_wallet(house: House, owner: Who) -> None:
    other = await house.agent()
    await house.created(other)
    await reap(house, other)
    link = await made(house, owner, scopes=["wake", "topup"])
    for path, method in (("/sandbox/wake", "POST"), ("/sandbox/extend", "POST")):
        answer = await house.ask(method, path, headers=holding(link), json={"address": other.address})
        assert (answer.status, answer.code) == (401, "wake_link_invalid")
    answer = await house.ask("GET", "/sandbox/status", headers=holding(link), params={"address": other.address})
    assert answer.code == "wake_link_invalid"
    mine = await house.ask("GET", "/sandbox/status", headers=holding(link))

    assert mine.body["address"] == owner.address
    assert house.state(other).phase is Phase.REAPED


async def test_a_link_starts_it_as_it_was(house: House, owner: Who) -> None:
    link = await made(house, owner)
    await reap(house, owner)
    answer = await wake(house, link, size_class="medium")

    assert (answer.status, answer.code) == (400, "invalid_request")
    assert house.state(owner).phase is Phase.REAPED


async def test_a_cap_holds_against_many_at_once(house: House, owner: Who) -> None:
    link = await made(house, owner, wakes_per_day=1)
    await reap(house, owner)
    answers = await asyncio.gather(*(wake(house, link) for _ in range(30)))
    assert {answer.status for answer in answers} == {200}
    assert {answer.body["runtime_id"] for answer in answers} == {answers[0].body["runtime_id"]}
    await reap(house, owner)
    refused = await wake(house, link)

    assert (refused.status, refused.code) == (429, "wake_link_cap_reached")
    assert 0 < int(refused.headers["Retry-After"]) <= 86_400
    house.clock.ahead_ms += int(refused.headers["Retry-After"]) * 1000
    assert (await wake(house, link)).status == 200


async def test_without_credit_the_answer_says_to_pay(house: House) -> None:
    who = await house.agent()
    await house.created(who, 1)
    link = await made(house, who)
    await house.advance(142)
    await reap(house, who)
    answer = await wake(house, link)
    told = (await info(house, link)).body

    assert (answer.status, answer.code) == (409, "credit_insufficient")
    assert "extend" in answer.body["error"]["hint"]
    assert answer.body["error"]["details"]["missing_sats"] == told["missing_sats"] > 0
    assert told["wakes_now"] is False


async def test_scopes_are_held(house: House, owner: Who) -> None:
    wakes, pays = await made(house, owner, scopes=["wake"]), await made(house, owner, scopes=["topup"])
    await reap(house, owner)
    answer = await wake(house, pays)
    assert (answer.status, answer.code) == (403, "wake_link_scope_missing")
    answer = await house.ask("POST", "/sandbox/extend", headers=holding(wakes), json={"sats": 5})

    assert (answer.status, answer.code) == (403, "wake_link_scope_missing")
    assert (await info(house, pays)).status == 200


async def paid(house: House, link: dict[str, Any], payer: Who, sats: int, tx: Any = None) -> Answer:
    sent = tx or house.sbtc(payer, sats)
    headers = {**holding(link), "payment-signature": header_of(sent)}
    return await house.ask("POST", "/sandbox/extend", headers=headers, json={"sats": sats})


async def test_anybody_pays_through_a_link_and_it_wakes(house: House, owner: Who) -> None:
    link, payer = await made(house, owner, scopes=["topup"]), await house.agent()
    await reap(house, owner)
    offer = await house.ask("POST", "/sandbox/extend", headers=holding(link), json={"sats": 300})
    assert offer.status == 402
    answer = await paid(house, link, payer, 300)

    assert (answer.status, answer.body["sandbox"]["state"]) == (201, "grace" if house.state(owner).grace else "alive")
    assert answer.body["payment"]["payer"] == payer.address
    assert (await house.settled(answer.body["paymentId"])).state == "confirmed"
    await house.until(lambda: house.state(owner).accounts.deposits == -800_000_000)
    assert house.state(owner).links[0].topped_usat == 300_000_000


async def test_a_gift_without_a_link_still_does_not_wake_what_its_owner_reaped(house: House, owner: Who) -> None:
    giver = await house.agent()
    await reap(house, owner)
    answer = await house.pay("/sandbox/extend", giver, house.sbtc(giver, 300), {"address": owner.address, "sats": 300})
    assert (await house.settled(answer.body["paymentId"])).state == "confirmed"
    await house.until(lambda: house.state(owner).accounts.deposits == -800_000_000)

    assert house.state(owner).phase is Phase.REAPED


async def test_a_cap_on_top_ups_holds_against_many_at_once(house: House, owner: Who) -> None:
    link = await made(house, owner, scopes=["topup"], sats_per_day=100)
    payers = [await house.agent() for _ in range(6)]
    answers = await asyncio.gather(*(paid(house, link, payer, 40) for payer in payers))
    taken = [answer for answer in answers if answer.status in (201, 202)]
    refused = [answer for answer in answers if answer not in taken]

    assert len(taken) == 2
    assert {(answer.status, answer.code, answer.funds_moved) for answer in refused} == {
        (429, "wake_link_cap_reached", False)
    }
    offer = await house.ask("POST", "/sandbox/extend", headers=holding(link), json={"sats": 40})
    assert (offer.status, offer.code) == (429, "wake_link_cap_reached")
    assert offer.body["error"]["details"]["left_sats"] == 20


async def test_a_payment_that_fails_or_is_repeated_counts_as_it_should(house: House, owner: Who) -> None:
    link, payer, poor = await made(house, owner, scopes=["topup"], sats_per_day=100), await house.agent(), None
    poor = await house.agent(sats=1)
    failed = await paid(house, link, poor, 100)
    assert failed.status == 422
    tx = house.sbtc(payer, 100)
    first = await paid(house, link, payer, 100, tx)
    assert first.status == 201
    again = await paid(house, link, payer, 100, tx)

    assert (again.status, again.body["paymentId"]) == (201, first.body["paymentId"])
    assert (await info(house, link)).body["sats_left_today"] == 0


async def test_a_free_ride_through_a_link_bars_the_next_through_any_link_and_not_the_owner(house: House) -> None:
    who = await house.agent()
    await house.created(who, 1)
    await house.advance(142.0)
    await reap(house, who)
    for number in range(2):
        link, payer = await made(house, who, scopes=["topup"]), await house.agent()
        await house.fault("abort", count=1, address=payer.address)
        answer = await paid(house, link, payer, 900)
        started = answer.body["sandbox"]["state"] in ("alive", "grace")
        assert started == (number == 0), "a fresh payer and a fresh link are no fresh start"
        await house.advance(5.0)
        assert (await house.settled(answer.body["paymentId"])).state == "failed"
        await house.until(lambda: house.state(who).phase is Phase.REAPED and not house.state(who).losses)
        await house.until(lambda: all(each.under_way == () for each in house.state(who).links))
    assert await house.settlements.open_loss(f"{who.address}.wake-links") > 0
    assert await house.settlements.open_loss(who.address) == 0
    own = await house.pay("/sandbox/extend", who, house.sbtc(who, 500), {"sats": 500})
    assert own.status == 201, "the owner starts on credit as before"


async def test_guessing_is_slow_and_good_links_are_not_counted(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, link_guesses_per_second=0.5, link_guesses_burst=3) as house:
        who = await house.agent()
        await house.created(who)
        link = await made(house, who)
        for _ in range(10):
            assert (await info(house, link)).status == 200
        guess = f"swl_{who.address}_" + "A" * 43
        codes = [(await info(house, guess)).code for _ in range(5)]
        assert codes == ["wake_link_invalid"] * 3 + ["rate_limited"] * 2
        assert (await info(house, link)).code == "rate_limited", "else guessing would go on behind a good one"
        assert (await house.ask("GET", "/sandbox/status", who=who)).status == 200
        house.clock.ahead_ms += 2_100
        assert (await info(house, link)).status == 200


async def test_many_at_once_guess_no_more_than_one_after_the_other(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, link_guesses_per_second=0.1, link_guesses_burst=5) as house:
        who = await house.agent()
        guesses = await asyncio.gather(*(info(house, f"swl_{who.address}_{n:043d}") for n in range(40)))
        assert [answer.code for answer in guesses].count("wake_link_invalid") == 5


async def test_a_link_holder_takes_none_of_its_owners_room(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, requests_per_wallet_max=2) as house:
        who = await house.agent()
        await house.created(who)
        link = await made(house, who)
        await reap(house, who)
        answers = await asyncio.gather(*(wake(house, link) for _ in range(12)), house.ask("GET", MADE, who=who))
        assert answers[-1].status == 200
        assert {answer.status for answer in answers[:-1]} <= {200, 429}


async def test_only_the_owner_makes_them(house: House, owner: Who) -> None:
    thief = await house.agent()
    answer = await house.ask("POST", MADE, who=thief, json={"address": owner.address})
    assert answer.code == "not_owner"
    for scope in ("exec", "files", "extend"):
        answer = await house.ask("POST", MADE, headers=house.bearer(owner, scope), json={})
        assert answer.code == "scope_missing"
    assert (await house.ask("POST", MADE, who=thief, json={})).code == "wallet_not_found"


ODD: list[dict[str, Any]] = [
    {"scopes": []}, {"scopes": ["owner"]}, {"scopes": ["wake"] * 3}, {"wakes_per_day": 0}, {"sats_per_day": 0},
    {"expires_seconds": 366 * 86_400}, {"expires_seconds": 1}, {"label": "x" * 61}, {"label": "a\nb"}, {"label": "\x1b[2J"},
]  # fmt: skip


@pytest.mark.parametrize("terms", ODD)
async def test_odd_terms_are_refused(house: House, owner: Who, terms: dict[str, Any]) -> None:
    answer = await house.ask("POST", MADE, who=owner, json=terms)
    assert (answer.status, answer.code) == (400, "invalid_request")


async def test_there_are_only_so_many(house: House, owner: Who) -> None:
    for _ in range(32):
        await made(house, owner)
    full = await house.ask("POST", MADE, who=owner, json={})
    assert (full.status, full.code) == (409, "wake_links_full")


async def registered(house: House, who: Who, name: str) -> None:
    pair = agent_of(who.name, who.key, who.key).mainnet
    await house.devnet_post("agents", {"btcAddress": pair.btc, "stxAddress": pair.stx, "level": 2, "displayName": name})


async def test_a_handle_in_the_body_means_the_same_wallet(house: House, owner: Who) -> None:
    other = await house.agent()
    await registered(house, owner, "Swift Raven")
    await registered(house, other, "Calm Otter")
    link = await made(house, owner)
    await reap(house, owner)
    wrong = await wake(house, link, handle="calm-otter")
    assert (wrong.status, wrong.code) == (401, "wake_link_invalid")
    both = await wake(house, link, handle="swift-raven", address=owner.address)
    assert (both.status, both.code) == (400, "invalid_request")
    nobody = await wake(house, link, handle="no-such-agent")
    assert (nobody.status, nobody.code) == (404, "handle_not_found")
    assert house.state(owner).phase is Phase.REAPED

    assert (await wake(house, link, handle="swift-raven")).status == 200
    mine = await house.ask("POST", "/sandbox/wake", who=owner, json={"handle": "Swift Raven"})
    assert (mine.status, mine.body["address"]) == (200, owner.address)
    theirs = await house.ask("POST", "/sandbox/wake", who=other, json={"handle": "Swift Raven"})
    assert (theirs.status, theirs.code) == (403, "not_owner")


async def test_a_shared_name_means_ones_own_and_nobody_elses_is_guessed(house: House, owner: Who) -> None:
    other, third = await house.agent(), await house.agent()
    for who in (owner, other):
        await registered(house, who, "Swift Raven")
    link = await made(house, owner)
    await reap(house, owner)

    assert (await wake(house, link, handle="swift-raven")).status == 200
    for headers in (house.bearer(third), OPERATOR):
        answer = await house.ask("POST", "/sandbox/wake", headers=headers, json={"handle": "swift-raven"})
        assert (answer.status, answer.code) == (409, "handle_ambiguous")
