"""Whatever goes wrong after a payment was taken, the answer names the payment and does not say that nothing moved.

Every paid route is walked with every fault the devnet has, taken from its own list.
"""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from actors.wallet.calls import Route
from actors.wallet.commands import SetRoutes
from devnet.faults import ACTS, variants
from relay_client.settlements.journal import payment_id_of
from relay_client.verify import identity_of
from stacks import Transaction
from tests.gate.gatehouse import Answer, House, Who, gatehouse, header_of
from tests.gate.inside import Inside, serving
from tests.gate.test_call_wakes import asleep

FAULTS = list(variants(("relay", "stacks")))
ROUTES = ("create", "deposit", "gift", "link", "call", "early call", "closed port", "server error", "wake")


async def serve(request: web.Request) -> web.Response:
    return web.Response(text="answered", status=500 if request.path == "/500" else 200)


@dataclass
class Street:
    """A house with a seller, a seller whose sandbox sleeps without credit, and a wake link."""

    house: House
    inside: Inside
    seller: Who
    sleeper: Who
    link: str

    @classmethod
    async def opened(cls, house: House, inside: Inside) -> "Street":
        sleeper, seller = await asleep(house), await house.agent()
        await house.created(seller, 2_000)
        early = Route(8000, "/early", sats=300, deliver_on="mempool")
        routes = SetRoutes((early, Route(8000, "/*", sats=300)))
        house.services.views.put(await house.services.system.ask(seller.address, routes))
        made = await house.ask("POST", "/sandbox/wake-links", who=seller, json={"scopes": ["topup"]})
        return cls(house, inside, seller, sleeper, made.body["token"])

    async def pay(self, route: str, tx: Transaction, payer: Who) -> Answer:
        """One paid request."""
        house, paid = self.house, {"payment-signature": header_of(tx)}
        self.inside.is_listening = route != "closed port"
        if route == "create":
            return await house.ask("POST", "/sandbox/create", who=payer, headers=paid, json={"sats": 300})
        if route == "deposit":
            body = {"address": payer.address, "sats": 300}
            return await house.ask("POST", "/bucket/deposit", headers=paid, json=body)
        if route == "gift":
            body = {"address": self.seller.address, "sats": 300}
            return await house.ask("POST", "/sandbox/extend", who=payer, headers=paid, json=body)
        if route == "link":
            headers = {**paid, "X-Satbox-Wake-Link": self.link}
            return await house.ask("POST", "/sandbox/extend", headers=headers, json={"sats": 300})
        payee = self.sleeper if route == "wake" else self.seller
        path = {"early call": "/early", "closed port": "/closed", "server error": "/500"}.get(route, "/x")
        return await house.ask("GET", f"/sandbox/proxy/{payee.address}/8000{path}", headers=paid)

    async def misbehave(self, fault: dict[str, Any]) -> None:
        """A switch for two uses; an act at once. Nothing is in the mempool yet that could be dropped."""
        if fault["kind"] not in ACTS:
            await self.house.fault(**fault, count=2)
        elif fault["kind"] != "drop":
            self.house.world.mine()
            await self.house.devnet_post("faults", fault)


def told(answer: Answer) -> tuple[str | None, str | None, Any]:
    """(payment id, where to look, whether money moved) as an answer says."""
    headers = answer.headers
    if headers.get("X-Satbox-Origin") == "sandbox":  # the answer of the server inside: ours are its headers
        return headers.get("X-Satbox-Payment"), headers.get("X-Satbox-Payment-Status"), "payment-response" in headers
    if "error" not in answer.body:
        return answer.body.get("paymentId"), answer.body.get("checkStatusUrl"), True
    error = answer.body["error"]
    assert answer.status != 404, answer.raw
    return error["details"].get("paymentId"), error["details"].get("checkStatusUrl"), error["funds_moved"]


async def checked(house: House, answer: Answer, tx: Transaction) -> str | None:
    """The id of the payment, when it was taken by the time of this answer."""
    payment_id = payment_id_of(identity_of(tx))
    report = await house.settlements.report(payment_id)
    named, where, moved = told(answer)
    if report is None:
        return None
    assert (named, where) == (payment_id, f"http://gate.test/payment-status/{payment_id}"), answer.raw
    assert moved is not False or report.funds_moved is False, answer.raw
    return payment_id


def name_of(fault: dict[str, Any]) -> str:
    return "-".join(str(each) for each in fault.values())


async def walked(folder: Path, fault: dict[str, Any], routes: Iterable[str]) -> None:
    """Each route: a payment under the fault, its repetition once all is well, and one more when it is over."""
    async with contextlib.AsyncExitStack() as stack:
        house = await stack.enter_async_context(gatehouse(folder, call_wait_seconds=0.1, open_requests_burst=1_000))
        inside = await stack.enter_async_context(serving(house, serve))
        street = await Street.opened(house, inside)
        for route in routes:
            payer = await house.agent()
            tx = house.sbtc(payer, 300, sponsored=fault["kind"] == "sponsor_twice")
            await street.misbehave(fault)
            answers = [await street.pay(route, tx, payer)]
            taken = [await checked(house, answers[0], tx)]
            await house.heal()
            answers.append(await street.pay(route, tx, payer))
            taken.append(await checked(house, answers[1], tx))
            if taken[1] is None:
                continue
            report = await house.settled(taken[1])
            if route != "wake":  # what it woke answers anybody, paid or not
                answers.append(await street.pay(route, tx, payer))
                taken.append(await checked(house, answers[2], tx))
            if report.credited_usat:
                pairs = zip(answers, taken, strict=True)
                assert not [each.raw for each, name in pairs if name and told(each)[2] is False], route


@pytest.mark.parametrize("number", range(len(FAULTS)), ids=lambda number: name_of(FAULTS[number]))
async def test_no_answer_after_a_payment_lacks_its_id_or_says_that_nothing_moved(tmp_path: Path, number: int) -> None:
    """Two routes for each fault, in turn."""
    await walked(tmp_path, FAULTS[number], {ROUTES[number % len(ROUTES)], ROUTES[(number * 3 + 4) % len(ROUTES)]})


@pytest.mark.nightly
@pytest.mark.parametrize("fault", FAULTS, ids=name_of)
async def test_no_answer_on_any_route_under_any_fault(tmp_path: Path, fault: dict[str, Any]) -> None:
    await walked(tmp_path, fault, ROUTES)


async def test_a_first_deposit_that_is_under_way_is_answered_as_such(house: House) -> None:
    """The bucket is not there before the money is, and the relay's answer settles nothing."""
    payer = await house.agent()
    await house.fault("relay_error", after_work=True)
    body, paid = {"address": payer.address, "sats": 300}, {"payment-signature": header_of(house.sbtc(payer, 300))}
    answer = await house.ask("POST", "/bucket/deposit", headers=paid, json=body)
    assert answer.status == 202, answer.raw
    assert answer.body["checkStatusUrl"].endswith(answer.body["paymentId"])
    assert (answer.body["sandbox"]["address"], answer.body["sandbox"]["state"]) == (payer.address, "none")
    assert (await house.settled(answer.body["paymentId"])).state == "confirmed"
    await house.until(lambda: house.state(payer).accounts.bucket == 300_000_000)
