"""Spending keys at the gate: what they buy, what they may not, and caps under many calls at the same time."""

import asyncio
import base64
import json
import secrets
from pathlib import Path
from typing import Any

import pytest

from relay_client.orders import SCHEME, Order
from sandboxes.self_tokens import self_token
from tests.gate.gatehouse import DEPLOYMENT, NETWORK, PAY_TO, SATS, House, Who, gatehouse
from tests.gate.inside import serving
from tests.gate.test_failed_calls import serve, sold

PRICED = {"prices_sats": {"verification": 5}}
ROUTE = "/hashing/sha256"


async def key_of(house: House, who: Who, **caps: Any) -> Any:
    made = await house.ask("POST", "/sandbox/api-keys", who=who, json=caps)
    assert made.status == 200, made.raw
    return made.body


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def hashed(house: House, key: str, data: str) -> Any:
    return await house.ask("POST", ROUTE, headers=bearer(key), json={"data": data})


def order_header(payer: str, payee: str, resource: str, sats: int, signer: Who, house: House) -> dict[str, str]:
    expires = house.clock.wall_ms() // 1000 + 60
    order = Order(DEPLOYMENT, payer, payee, sats, resource, secrets.token_hex(16), expires)
    payload = {
        "x402Version": 2, "accepted": {"scheme": SCHEME},
        "payload": {"order": order.wire(), "signature": order.signed(signer.key, NETWORK)},
    }  # fmt: skip
    return {"payment-signature": base64.b64encode(json.dumps(payload).encode()).decode()}


async def test_a_key_pays_from_its_wallets_bucket_until_its_cap(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, **PRICED) as house:
        who = await house.agent()
        await house.created(who, sats=500)
        made = await key_of(house, who, name="ci", sats_per_day=12)
        assert made["key"].startswith(f"sb_{who.address}_")

        answers = [await hashed(house, made["key"], str(number)) for number in range(3)]

        assert [answer.status for answer in answers] == [200, 200, 403]
        assert answers[0].headers["X-Satbox-Charge"] == str(5 * SATS)
        refused = answers[2].body["error"]
        assert (refused["code"], refused["funds_moved"]) == ("spending_cap", False)
        assert (refused["details"]["cap"], refused["details"]["cap_usat"]) == ("sats_per_day", 12 * SATS)
        assert refused["details"]["resets_at"] > house.clock.wall_ms() // 1000
        again = await hashed(house, made["key"], "0")
        assert again.status == 200, "the same question within the hour is paid once"

        async def posted() -> bool:
            listed = await house.ask("GET", "/sandbox/api-keys", who=who)
            return [item["spent_usat"] for item in listed.body["items"]] == [10 * SATS, 0]

        async with asyncio.timeout(20):
            while not await posted():
                await asyncio.sleep(0.05)
        assert "key" not in (await house.ask("GET", "/sandbox/api-keys", who=who)).body["items"][0]


async def test_a_hundred_calls_at_once_stay_within_the_cap(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, **PRICED) as house:
        who = await house.agent()
        await house.created(who, sats=5_000)
        made = await key_of(house, who, sats_total=60)

        answers = await asyncio.gather(*(hashed(house, made["key"], f"n{number}") for number in range(100)))

        assert sum(answer.status == 200 for answer in answers) == 12
        assert {answer.code for answer in answers if answer.status != 200} <= {"spending_cap", "rate_limited"}
        await house.until(lambda: house.state(who).keys[0].spent_usat == 60 * SATS)


async def test_what_a_key_is_not_for_is_refused_and_nothing_is_held(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, **PRICED) as house:
        who = await house.agent()
        await house.created(who, sats=500)
        calls_only = await key_of(house, who, scopes=["call"])
        small = await key_of(house, who, sats_per_call=4)
        files = await key_of(house, who, scopes=["files"])

        assert (await hashed(house, calls_only["key"], "a")).code == "spending_key_scope"
        assert (await hashed(house, small["key"], "a")).code == "spending_cap"
        assert (await hashed(house, "sb_" + "x" * 20, "a")).code == "spending_key_invalid"
        assert (await hashed(house, made_up(who), "a")).code == "spending_key_invalid"
        for path, method in (("/sandbox/reap", "POST"), ("/sandbox/api-keys", "GET"), ("/sandbox/exec", "POST")):
            refused = await house.ask(method, path, headers=bearer(files["key"]), json={"command": "true"})
            assert (refused.status, refused.code) == (403, "spending_key_scope"), path
        assert house.state(who).accounts.reserved == 0


async def test_a_key_is_in_nobodys_way_where_anybody_may_ask(house: House) -> None:
    seller, who = await sold(house), await house.agent()
    await house.created(who, sats=500)
    made = await key_of(house, who)
    asked = await house.ask("GET", f"/sandbox/routes?address={seller.address}", headers=bearer(made["key"]))
    anybody = await house.ask("GET", f"/sandbox/routes?address={seller.address}")
    assert (asked.status, asked.body) == (200, anybody.body)


def made_up(who: Who) -> str:
    return f"sb_{who.address}_{'A' * 43}"


async def test_a_revoked_or_expired_key_is_nothing(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, **PRICED) as house:
        who, other = await house.agent(), await house.agent()
        await house.created(who, sats=500)
        one, two = await key_of(house, who), await key_of(house, who, expires_seconds=60)
        stranger = await house.ask("DELETE", f"/sandbox/api-keys/{one['key_id']}?address={who.address}", who=other)
        assert stranger.code == "not_owner"
        gone = await house.ask("DELETE", f"/sandbox/api-keys/{one['key_id']}", who=who)
        assert gone.status == 200
        assert (await hashed(house, one["key"], "a")).code == "spending_key_invalid"
        assert (await hashed(house, two["key"], "a")).status == 200
        house.clock.ahead_ms += 61_000
        assert (await hashed(house, two["key"], "b")).code == "spending_key_invalid"
        assert (
            await house.ask("DELETE", f"/sandbox/api-keys/{one['key_id']}", who=who)
        ).code == "spending_key_not_found"


@pytest.mark.parametrize(
    "body", [{"scopes": ["owner"]}, {"sats_per_day": 0}, {"sats_total": -1}, {"sats_per_call": 1.5}]
)
async def test_keys_that_make_no_sense_are_refused(house: House, body: dict[str, Any]) -> None:
    who = await house.agent()
    await house.created(who, sats=500)
    refused = await house.ask("POST", "/sandbox/api-keys", who=who, json=body)
    assert (refused.status, refused.code) == (400, "invalid_request")


async def test_a_signing_key_orders_for_its_wallet_within_caps_and_payees(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, **PRICED) as house:
        seller, payer, helper = await sold(house), await house.agent(), await house.agent()
        await house.created(payer, 500)
        made = await key_of(house, payer, signer=helper.address, sats_per_day=15, payees=[seller.address])
        assert (made["key"], made["kind"]) == (None, "signer")
        async with serving(house, serve):
            url = f"/sandbox/proxy/{seller.address}/8000/x"
            header = order_header(payer.address, seller.address, f"GET {url}", 10, helper, house)
            assert (await house.ask("GET", url, headers=header)).status == 200
            assert (await house.ask("GET", url, headers=header)).code == "order_used"
            header = order_header(payer.address, seller.address, f"GET {url}", 10, helper, house)
            assert (await house.ask("GET", url, headers=header)).code == "spending_cap"
            stranger = await house.agent()
            header = order_header(payer.address, seller.address, f"GET {url}", 10, stranger, house)
            assert (await house.ask("GET", url, headers=header)).code == "stx_signature_invalid"
        header = order_header(payer.address, str(PAY_TO), f"POST {ROUTE}", 5, helper, house)
        assert (await house.ask("POST", ROUTE, headers=header, json={"data": "a"})).status == 200
        await house.until(lambda: house.state(payer).keys[0].spent_usat == 15 * SATS)
        assert house.state(payer).accounts.burnt >= 5 * SATS


async def test_a_key_calls_other_agents_without_a_signature(house: House) -> None:
    seller, payer = await sold(house), await house.agent()
    await house.created(payer, 500)
    made = await key_of(house, payer, sats_total=25)
    elsewhere = await key_of(house, payer, scopes=["verification"])
    async with serving(house, serve) as inside:
        url = f"/sandbox/proxy/{seller.address}/8000/x"
        inside.is_listening = False  # type: ignore[attr-defined]
        failed = await house.ask("GET", url, headers=bearer(made["key"]))
        assert (failed.status, failed.code, failed.funds_moved) == (502, "port_closed", False)
        inside.is_listening = True  # type: ignore[attr-defined]
        named = {**bearer(made["key"]), "Idempotency-Key": "one"}
        paid = await house.ask("GET", url, headers=named)
        assert (paid.status, paid.raw, paid.headers["X-Satbox-Charge"]) == (200, b"served", str(10 * SATS))
        assert (await house.ask("GET", url, headers=named)).code == "order_used"
        assert (await house.ask("GET", url, headers=bearer(made["key"]))).status == 200
        assert (await house.ask("GET", url, headers=bearer(made["key"]))).code == "spending_cap"
        assert (await house.ask("GET", url, headers=bearer(elsewhere["key"]))).code == "spending_key_scope"
        assert (await house.ask("GET", url, headers=bearer(made_up(payer)))).code == "spending_key_invalid"
        own = f"/sandbox/proxy/{payer.address}/8000/x"
        assert (await house.ask("GET", own, headers=bearer(made["key"]))).code == "not_found"
    await house.until(lambda: house.state(payer).accounts.spent == 20 * SATS)


async def test_what_the_sandbox_may_spend_is_its_owners_to_set(house: House) -> None:
    who = await house.agent()
    await house.created(who, sats=500)
    shown = (await house.ask("GET", "/sandbox/api-keys", who=who)).body["items"]
    assert [(item["key_id"], item["sats_per_day"]) for item in shown] == [("self", 200)]
    put = await house.ask("PUT", "/sandbox/api-keys/self", who=who, json={"sats_per_day": 20, "sats_per_call": 2})
    assert (put.body["sats_per_day"], put.body["sats_per_call"]) == (20, 2)
    revoked = await house.ask("DELETE", "/sandbox/api-keys/self", who=who)
    assert (revoked.body["sats_per_day"], revoked.body["left_usat"]) == (0, 0)


def of_sandbox(house: House, who: Who) -> str:
    runtime = house.state(who).runtime
    assert runtime is not None
    return self_token(SELF_KEY, who.address, runtime.runtime_id)


SELF_KEY = bytes(range(32))


async def test_a_sandbox_pays_by_its_own_key_as_long_as_it_is_the_wallets(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, **PRICED, self_key=SELF_KEY) as house:
        who, seller = await house.agent(), await sold(house)
        await house.created(who, sats=500)
        token = of_sandbox(house, who)

        shown = await house.ask("GET", "/self", headers=bearer(token))
        assert (shown.status, shown.body["address"], shown.body["key"]["sats_per_day"]) == (200, who.address, 200)
        assert (await hashed(house, token, "a")).headers["X-Satbox-Charge"] == str(5 * SATS)
        async with serving(house, serve):
            url = f"/sandbox/proxy/{seller.address}/8000/x"
            assert (await house.ask("GET", url, headers=bearer(token))).headers["X-Satbox-Charge"] == str(10 * SATS)
        put = await house.ask("PUT", "/sandbox/api-keys/self", who=who, json={"sats_per_day": 16})
        assert put.status == 200
        await house.until(lambda: house.state(who).keys[0].spent_usat == 15 * SATS)
        house.services.views.put(await house.services.system.look(who.address))
        assert (await hashed(house, token, "b")).code == "spending_cap"

        for path, method in (("/sandbox/reap", "POST"), ("/sandbox/api-keys", "GET"), ("/sandbox/status", "GET")):
            assert (await house.ask(method, path, headers=bearer(token))).code == "spending_key_scope", path
        forged = self_token(b"another key", who.address, token.split("_", 2)[2].rpartition("_")[0])
        assert (await hashed(house, forged, "c")).code == "spending_key_invalid"
        await house.ask("POST", "/sandbox/reap", who=who)
        await house.until(lambda: house.state(who).runtime is None)
        assert (await hashed(house, token, "d")).code == "runtime_gone"


async def test_what_a_sandbox_says_for_itself_counts_before_its_own_key(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, self_key=SELF_KEY) as house:
        who = await house.agent()
        await house.created(who, sats=500)
        own = bearer(of_sandbox(house, who))
        unpaid = await house.ask("POST", "/sandbox/extend", headers=own, json={})
        assert (unpaid.status, "payment-required" in unpaid.headers) == (402, True)
        assert (await house.ask("GET", f"/bucket?address={who.address}", headers=own)).status == 200
        carried = house.bearer(who)["Authorization"].removeprefix("Bearer ")
        assert (await house.ask("GET", f"/sandbox/status?pass={carried}", headers=own)).status == 200


async def test_without_a_key_of_its_own_a_gate_believes_no_node(house: House) -> None:
    who = await house.agent()
    await house.created(who, sats=500)
    refused = await house.ask("GET", "/self", headers=bearer(of_sandbox(house, who)))
    assert (refused.status, refused.code) == (401, "spending_key_invalid")
