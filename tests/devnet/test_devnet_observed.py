"""The devnet's relay beside the real one: x402-sponsor-relay 1.31.0, run locally, case by case.

`vectors/relay_observed.json` holds what the real relay answered; `<txid>` and the like stand for what changes from run to run.
"""

import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from devnet_twin import ALICE, SERVICE, Payer, Twin

from stacks.network import Network
from stacks.signing import Sender, sip010_transfer
from stacks.tokens import sbtc
from stacks.transaction import Transaction

OBSERVED = json.loads((Path(__file__).parent.parent / "vectors" / "relay_observed.json").read_text())
TO = SERVICE.address
ID = "pay_0123456789abcdef"
Case = Callable[[Twin], Awaitable[dict]]
CASES: dict[str, Case] = {}


async def ask(twin: Twin, method: str, path: str, body: object = None) -> dict:
    """An answer with everything taken out of it that differs from run to run."""
    data = body if isinstance(body, (str, type(None))) else json.dumps(body)
    async with twin.client.request(method, path, data=data, headers={"content-type": "application/json"}) as reply:
        text = await reply.text()
        seen = {"status": reply.status, "body": json.loads(text)}
    text = json.dumps(seen)
    text = re.sub(r'"[0-9a-f]{8}-[0-9a-f-]{27}"', '"<uuid>"', text)
    text = re.sub(r'"[0-9a-f]{64}"', '"<txid>"', text)
    text = re.sub(r'"\d{4}-\d\d-\d\dT[0-9:.]+Z"', '"<time>"', text)
    text = re.sub(r'"ST[0-9A-Z]{30,}"', '"<addr>"', text)
    text = re.sub(r"http://127\.0\.0\.1:\d+(/relay)?/", "http://<relay>/", text)
    cleaned: dict = json.loads(text.replace(ID, "<id>"))
    return cleaned


def requirements(**changes: object) -> dict[str, object]:
    return {
        "scheme": "exact",
        "network": "stacks:2147483648",
        "payTo": str(TO),
        "amount": "250",
        "asset": "sBTC",
    } | changes


def settle_body(tx: Transaction | str, identifier: str | None = None, **changes: object) -> dict[str, object]:
    transaction = tx if isinstance(tx, str) else tx.serialize().hex()
    payload: dict[str, object] = {"x402Version": 2, "payload": {"transaction": transaction}}
    if identifier is not None:
        payload["extensions"] = {"payment-identifier": {"info": {"id": identifier}}}
    return {"x402Version": 2, "paymentPayload": payload, "paymentRequirements": requirements(**changes)}


async def settle(twin: Twin, tx: Transaction | str, identifier: str | None = None, **changes: object) -> dict:
    return await ask(twin, "POST", "/relay/settle", settle_body(tx, identifier, **changes))


def one(name: str, tx: Callable[[], Transaction | str], **changes: object) -> None:
    """A case of one call to `/settle`."""

    async def case(twin: Twin) -> dict:
        return await settle(twin, tx(), **changes)

    CASES[name] = case


def called(name: str) -> Callable[[Case], Case]:
    def note(case: Case) -> Case:
        CASES[name] = case
        return case

    return note


def pay(nonce: int = 0, amount: int = 250, **changes: object) -> Transaction:
    return ALICE.pay_sbtc(TO, amount, nonce, **changes)


one("self-paid ok", pay)
one("self-paid STX ok", lambda: ALICE.pay_stx(TO, 250, 0), asset="STX")
one("sponsored ok", lambda: pay(sponsored=True))
one("sponsored STX ok", lambda: ALICE.pay_stx(TO, 250, 0, sponsored=True), asset="STX")
one("sponsored gap", lambda: pay(3, sponsored=True))
one("wrong recipient", lambda: ALICE.pay_sbtc(ALICE.address, 250, 0))
one("wrong recipient sponsored", lambda: ALICE.pay_sbtc(ALICE.address, 250, 0, sponsored=True))
one("too little", lambda: pay(amount=249))
one("wrong token", lambda: ALICE.pay_stx(TO, 250, 0))
one("usdcx testnet", pay, asset=f"{TO}.usdcx")  # no deployment is known to it on testnet
one("no funds self", lambda: Payer("poor").pay_sbtc(TO, 250, 0))
one("no sbtc sponsored", lambda: Payer("poor").pay_sbtc(TO, 250, 0, sponsored=True))
one("self nonce gap", lambda: pay(2))
one("fee too low", lambda: pay(fee=10))
one("bad hex", lambda: "zz" * 100)
one("short hex", lambda: "00")
one("bad scheme", pay, scheme="upto")
one("bad network", pay, network="stacks:1")
one("bad asset", pay, asset="DOGE")
one("no amount", pay, amount=None)
one("amount number", pay, amount=250)
one("amount 0", pay, amount="0")
one("mainnet tx version", lambda: Payer("alice", Network.MAINNET).pay_sbtc(TO, 250, 0))
one(
    "bad signature",
    lambda: sip010_transfer(Sender(ALICE.key.public_key, Network.TESTNET, 0, 900), sbtc(Network.TESTNET), TO, 250),
)


@called("sponsored two in a row")
async def _two(twin: Twin) -> dict:
    return {"first": await settle(twin, pay(sponsored=True)), "second": await settle(twin, pay(1, sponsored=True))}


@called("sponsored stale")
async def _sponsored_stale(twin: Twin) -> dict:
    await settle(twin, pay())
    await twin.mine()
    return await settle(twin, pay(amount=260, sponsored=True), amount="260")


@called("self nonce stale")
async def _self_stale(twin: Twin) -> dict:
    await settle(twin, pay())
    await twin.mine()
    return await settle(twin, pay(amount=260), amount="260")


@called("self conflicting nonce in mempool")
async def _conflict(twin: Twin) -> dict:
    await settle(twin, pay())
    return await settle(twin, pay(amount=260), amount="260")


@called("self rbf higher fee")
async def _higher_fee(twin: Twin) -> dict:
    await settle(twin, pay())
    return await settle(twin, pay(fee=6000))


@called("self-paid same bytes again")
async def _again(twin: Twin) -> dict:
    await settle(twin, pay())
    return await settle(twin, pay())


@called("sponsored same bytes again")
async def _sponsored_again(twin: Twin) -> dict:
    return {"first": await settle(twin, pay(sponsored=True)), "second": await settle(twin, pay(sponsored=True))}


@called("identifier conflict")
async def _identifier_conflict(twin: Twin) -> dict:
    await settle(twin, pay(), ID)
    return await settle(twin, pay(1), ID)


@called("identifier same")
async def _identifier_same(twin: Twin) -> dict:
    await settle(twin, pay(), ID)
    return await settle(twin, pay(), ID)


@called("identifier after failure (held) same")
async def _identifier_of_a_failure(twin: Twin) -> dict:
    tx = pay(2, sponsored=True)
    return {"first": await settle(twin, tx, ID), "second": await settle(twin, tx, ID)}


@called("bad identifier")
async def _bad_identifier(twin: Twin) -> dict:
    return await settle(twin, pay(), "short")


CASES |= {
    "status unknown": lambda twin: ask(twin, "GET", "/relay/settle/status/" + "ab" * 32),
    "status bad": lambda twin: ask(twin, "GET", "/relay/settle/status/nothing"),
    "settle no body": lambda twin: ask(twin, "POST", "/relay/settle"),
    "settle not json": lambda twin: ask(twin, "POST", "/relay/settle", "{"),
    "verify ok": lambda twin: ask(twin, "POST", "/relay/verify", settle_body(pay())),
    "payment unknown": lambda twin: ask(twin, "GET", "/relay/payment/pay_" + "a" * 32),
    "health": lambda twin: ask(twin, "GET", "/relay/health"),
    "supported": lambda twin: ask(twin, "GET", "/relay/supported"),
    "fees": lambda twin: ask(twin, "GET", "/relay/fees"),
}


def test_every_case_that_was_observed_is_tried() -> None:
    assert sorted(CASES) == sorted(OBSERVED)


@pytest.mark.parametrize("name", sorted(CASES))
async def test_the_devnet_answers_as_the_real_relay(twin: Twin, name: str) -> None:
    seen = await CASES[name](twin)

    text = re.sub(r"http://127\.0\.0\.1:\d+/", "http://<relay>/", json.dumps(OBSERVED[name]))
    assert seen == json.loads(text)
