"""Reclaims over HTTP: a quote, both signatures over it, and the money back where it came from; and what hostile owners try."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operations.identity import Challenge
from operations.reclaim_terms import Terms, read_terms, terms_text
from satbox.agent.keystore import Agent, new_agent
from satbox.agent.signing import Expected, sign_challenge
from satbox.audit.home import HomeAudit
from stacks import PrivateKey, sbtc
from tests.gate.gatehouse import DEPLOYMENT, NETWORK, OPERATOR_TOKEN, PAYOUT_KEY, SATS, Answer, House, gatehouse

OPERATOR = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}
SBTC = sbtc(NETWORK).asset_id


@dataclass(frozen=True)
class Owner:
    """An agent with both keys."""

    agent: Agent

    @property
    def key(self) -> PrivateKey:
        return self.agent.stacks_key

    @property
    def address(self) -> str:
        return self.agent.addresses(NETWORK).stx


async def owner_of(house: House) -> Owner:
    owner = Owner(new_agent("owner"))
    pair = owner.agent.mainnet
    await house.devnet_post("agents", {"btcAddress": pair.btc, "stxAddress": pair.stx, "level": 2})
    await house.devnet_post("faucet", {"address": owner.address, "stx": 50_000_000, "sbtc": 100_000})
    await house.devnet_post("faucet", {"address": str(PAYOUT_KEY.address(NETWORK)), "stx": 10**8, "sbtc": 10**6})
    return owner


async def ask(house: House, owner: Owner, method: str = "POST", path: str = "/sandbox/reclaim", **body: Any) -> Answer:
    token, _ = house.services.passes.issue(owner.address, owner.agent.addresses(NETWORK).btc, 2, "owner", 0)
    more = {"json": body} if method == "POST" else {}
    return await house.ask(method, path, headers={"Authorization": f"Bearer {token}"}, **more)


def signed(house: House, owner: Owner, quote: dict[str, Any]) -> dict[str, str]:
    parts = [
        Terms(i["payment_id"], i["atomic"], i["asset"], i["origin"], i["fee_atomic"], i["usat"]) for i in quote["items"]
    ]
    expected = Expected(NETWORK, terms_text(parts), DEPLOYMENT, house.clock.now())
    proof = sign_challenge(owner.agent, Challenge.model_validate(quote["challenge"]), expected)
    return {
        "challenge": quote["challenge"]["challenge"],
        "btc_signature": proof.btc_signature,
        "stx_signature": proof.stx_signature,
    }


async def pass_blocks(house: House, count: int = 10) -> None:
    """Blocks, and the time that everybody takes to look at them."""
    for _ in range(count):
        house.world.mine()
        house.clock.ahead_ms += 6_000
        house.node.tick()
        await house.client.get("/health")


async def asleep(house: House, sats: int = 500, *, final: bool = True) -> Owner:
    owner = await owner_of(house)
    await house.created(owner, sats)  # type: ignore[arg-type]
    await house.ask("POST", "/sandbox/reap", who=owner)  # type: ignore[arg-type]
    await house.until(lambda: house.state(owner.address).runtime is None)
    if final:
        (lot,) = house.state(owner.address).lots
        for _ in range(40):
            report = await house.settlements.report(lot.payment_id)
            if report is not None and report.is_final:
                break
            await pass_blocks(house, 1)
    return owner


async def arrived(house: House, owner: Owner) -> None:
    for _ in range(60):
        if not house.state(owner.address).payouts:
            return
        await pass_blocks(house, 1)
    raise AssertionError((await ask(house, owner, "GET", "/sandbox/reclaims")).body)


async def test_what_is_left_goes_back_with_a_fresh_proof_of_it(tmp_path: Path) -> None:
    async with gatehouse(tmp_path) as house:
        owner = await asleep(house)
        held = house.world.chain.ledger.balance(owner.address, SBTC)
        quote = (await ask(house, owner)).body
        assert quote["status"] == "quote"
        (item,) = quote["items"]
        assert (item["origin"], item["fee_atomic"]) == (owner.address, 5)
        assert quote["challenge"]["message"]["scope"].startswith(
            f"reclaim {item['payment_id']} {item['atomic']} sBTC to"
        )
        assert house.state(owner.address).accounts.held == 0
        proof = signed(house, owner, quote)
        done = await ask(house, owner, **proof)
        assert done.status == 200, done.raw
        (payout,) = done.body["payouts"]
        assert (payout["recipient"], payout["atomic"]) == (owner.address, item["atomic"])
        replayed = await ask(house, owner, **proof)
        assert replayed.body["reclaim_id"] == done.body["reclaim_id"]
        await arrived(house, owner)
        assert (await ask(house, owner, **proof)).body["payouts"][0]["state"] == "confirmed"
        assert house.world.chain.ledger.balance(owner.address, SBTC) == held + item["atomic"]
        accounts = house.state(owner.address).accounts
        assert (accounts.held, accounts.payout_fees) == (0, 5 * SATS)
        assert accounts.paid_out == item["atomic"] * SATS
        report = HomeAudit(tmp_path).run()
        assert report["findings"] == [], report


async def test_what_hostile_owners_try(tmp_path: Path) -> None:
    async with gatehouse(tmp_path) as house:
        owner, other = await asleep(house), await owner_of(house)
        quote = (await ask(house, owner)).body
        proof = signed(house, owner, quote)
        assert (await ask(house, other, **proof)).code == "challenge_invalid"
        assert (await ask(house, owner, deposits="pay_" + "0" * 32)).code == "reclaim_deposit"
        assert (await ask(house, owner, challenge=proof["challenge"])).code == "invalid_request"
        thief = Agent("x", other.key, other.agent.bitcoin_key, owner.agent.mainnet, owner.agent.testnet)
        scope = quote["challenge"]["message"]["scope"]
        named = Expected(NETWORK, scope, DEPLOYMENT, house.clock.now())
        forged = sign_challenge(thief, Challenge.model_validate(quote["challenge"]), named)
        assert (
            await ask(house, owner, **{**proof, "btc_signature": forged.btc_signature})
        ).code == "btc_signature_invalid"
        assert (
            await ask(house, owner, **{**proof, "stx_signature": forged.stx_signature})
        ).code == "stx_signature_invalid"
        traded = await house.ask("POST", "/gate/prove", json=proof)
        assert traded.code == "challenge_invalid"  # the proof of a reclaim is no pass
        body = {"btc_address": owner.agent.testnet.btc, "stx_address": owner.address, "scope": "owner"}
        challenge = (await house.ask("POST", "/gate/challenge", json=body)).body
        expected = Expected(NETWORK, "owner", DEPLOYMENT, house.clock.now())
        mere = sign_challenge(owner.agent, Challenge.model_validate(challenge), expected)
        given = {
            "challenge": challenge["challenge"],
            "btc_signature": mere.btc_signature,
            "stx_signature": mere.stx_signature,
        }
        assert (await ask(house, owner, **given)).code == "challenge_invalid"  # and the proof for a pass is no reclaim
        house.clock.ahead_ms += 400_000
        assert (await ask(house, owner, **proof)).code == "challenge_expired"
        assert house.state(owner.address).accounts.held == 0


async def test_two_quotes_of_one_deposit_pay_once(tmp_path: Path) -> None:
    async with gatehouse(tmp_path) as house:
        owner = await asleep(house)
        first, second = (await ask(house, owner)).body, (await ask(house, owner)).body
        assert (await ask(house, owner, **signed(house, owner, first))).status == 200
        assert (await ask(house, owner, **signed(house, owner, second))).code == "reclaim_deposit"
        assert (await ask(house, owner)).code == "reclaim_nothing"
        assert len(house.state(owner.address).payouts) == 1


async def test_nothing_is_quoted_that_burns_or_could_still_leave_the_chain(tmp_path: Path) -> None:
    async with gatehouse(tmp_path) as house:
        owner = await asleep(house, final=False)
        refused = await ask(house, owner)
        assert refused.code == "reclaim_nothing"
        assert refused.body["error"]["details"]["left_out"][0]["reason"] == "not_final"
        await house.ask("POST", "/sandbox/wake", who=owner)  # type: ignore[arg-type]
        assert (await ask(house, owner)).code == "reclaim_running"


async def test_the_operator_denies_a_payout_and_the_bucket_has_it_again(tmp_path: Path) -> None:
    async with gatehouse(tmp_path) as house:
        owner = await asleep(house, 6_000)
        before = house.state(owner.address).accounts.bucket
        done = (await ask(house, owner, **signed(house, owner, (await ask(house, owner)).body))).body
        payout_id = done["reclaim_id"] + "_0"
        await house.until(lambda: all(payout.is_told for payout in house.state(owner.address).payouts))
        (waiting,) = (await house.ask("GET", "/operator/payouts", headers=OPERATOR)).body["items"]
        assert (waiting["payout_id"], waiting["waits_for"]) == (payout_id, "approval")
        denied = await house.ask("POST", f"/operator/payouts/{payout_id}/deny", headers=OPERATOR, json={})
        assert denied.body["state"] == "failed"
        await arrived(house, owner)
        assert house.state(owner.address).accounts.bucket == before
        assert (await ask(house, owner, "GET", "/operator/payouts")).code == "operator_only"


def test_terms_are_read_to_the_letter() -> None:
    parts = (Terms("pay_" + "a" * 32, 480, "sBTC", "ST2CY5V39NHDPWSXMW9QDT3HC3GD6Q6XX4CFRK9AG", 5, 485 * SATS),)
    text = terms_text(parts)
    assert read_terms(text) == parts
    for wrong in (
        text + " ",
        text.replace("480", "0480"),
        text + "; ",
        text.replace("reclaim", "Reclaim"),
        "owner",
        "reclaim ",
    ):
        assert read_terms(wrong) is None
    assert read_terms(terms_text(parts * 9)) is None
