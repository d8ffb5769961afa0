"""Attacks on charging: answers for nothing, purchases that are said to be paid and are not, keys beyond what they are for."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from pydantic import Field

from actors.wallet.calls import Route
from actors.wallet.commands import SetRoutes
from gate.charging.charger import CHARGER, Charger
from gate.charging.order_file import OrderFile
from gate.charging.till import Till
from gate.charging.unsigned_orders import ONCE_MS
from gate.context import RequestContext
from gate.front.app import add_operation
from gate.identity import tenures
from gate.wire.outcomes import Reply, Stream
from operations.models import Input, Output
from operations.prices import Fixed, Metered
from operations.registry import Auth, Operation
from operations.surfaces import NoTool, Verb
from tests.gate.gatehouse import SATS, Answer, GateServer, House, Who, gatehouse
from tests.gate.inside import serving
from tests.gate.test_failed_calls import serve, sold
from tests.gate.test_spending_keys import ROUTE, bearer, key_of

PRICE = 5 * SATS
PRICED: dict[str, Any] = {"prices_sats": {"verification": 5}}


def charger_of(house: House) -> Charger:
    server = house.client.server
    assert isinstance(server, GateServer)
    return server._app[CHARGER]


async def asked(house: House, who: Who, data: str = "a", **other: Any) -> Answer:
    return await house.ask("POST", ROUTE, who=who, json={"data": data}, **other)


# The same question at the same time


async def test_of_those_who_ask_the_same_at_once_without_credit_nobody_is_answered(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, **PRICED) as house:
        poor = await house.agent()
        await house.created(poor, sats=1)
        answers = await asyncio.gather(*(asked(house, poor) for _ in range(8)))
        assert {(answer.status, answer.code) for answer in answers} == {(409, "credit_insufficient")}


async def test_of_those_who_ask_the_same_at_once_one_pays_and_all_are_answered(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, **PRICED) as house:
        who = await house.agent()
        await house.created(who, sats=500)
        answers = await asyncio.gather(*(asked(house, who) for _ in range(8)))
        assert [answer.status for answer in answers] == [200] * 8
        assert sum("X-Satbox-Charge" in answer.headers for answer in answers) == 1


class Question(Input):
    data: str


class Told(Output):
    runs: int


ASK = Operation(
    "test.ask", "POST", "/test/ask", "Answer.", Question, Told, Auth.NONE,
    Verb(("ask",), "for tests"), NoTool("for tests"),
    price=Fixed("verification", 5),
)  # fmt: skip


class Work(Input):
    most: int = Field(ge=1)
    lines: int = 1
    is_broken: bool = False


WORK = Operation(
    "test.work", "POST", "/test/work", "Work for so much.", Work, Told, Auth.NONE,
    Verb(("work",), "for tests"), NoTool("for tests"),
    price=Metered("verification", lambda work: work.most),
)  # fmt: skip


TELL = Operation(
    "test.tell", "POST", "/test/tell", "Answer line by line.", Question, Told, Auth.NONE,
    Verb(("tell",), "for tests"), NoTool("for tests"),
    price=Fixed("verification", 5),
)  # fmt: skip


class Shop:
    """Fails as often as it is told to; streams a line for each sat."""

    def __init__(self) -> None:
        self.runs = self.failures = 0
        self.may_end = asyncio.Event()

    async def ask(self, context: RequestContext, data: Question) -> Told:
        self.runs += 1
        await self.may_end.wait()
        if self.failures:
            self.failures -= 1
            raise RuntimeError("broken")
        return Told(runs=self.runs)

    async def tell(self, context: RequestContext, data: Question) -> Stream:
        self.runs += 1
        return Stream(self._told(data))

    async def _told(self, data: Question) -> AsyncIterator[bytes]:
        try:
            yield b"line\n"
            while data.data == "ends badly":  # until its reader leaves
                yield b"."
                await asyncio.sleep(0.005)
            await self.may_end.wait()
            yield b"end\n"
        finally:
            if data.data == "ends badly":
                raise RuntimeError("broken")

    async def stream(self, context: RequestContext, data: Work) -> Stream:
        self.runs += 1
        return Stream(self._lines(context, data))

    async def _lines(self, context: RequestContext, data: Work) -> AsyncIterator[bytes]:
        for number in range(data.lines):
            yield b"line\n"
            context.used_usat = (number + 1) * SATS
        if data.is_broken:
            raise RuntimeError("broken")
        while not self.may_end.is_set():
            yield b"."
            await asyncio.sleep(0.005)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[tuple[House, Shop]]:
    made = Shop()

    def mount(app: web.Application) -> None:
        add_operation(app, ASK, made.ask)
        add_operation(app, WORK, made.stream)
        add_operation(app, TELL, made.tell)

    async with gatehouse(tmp_path, mounts=[mount], **PRICED) as house:
        yield house, made


async def test_nobody_is_answered_for_free_beside_one_that_fails(shop: tuple[House, Shop]) -> None:
    house, made = shop
    who = await house.agent()
    await house.created(who, sats=500)
    made.failures = 1
    asking = [asyncio.create_task(house.ask("POST", "/test/ask", who=who, json={"data": "a"})) for _ in range(2)]
    await house.until(lambda: made.runs == 1 and 2 in charger_of(house)._alike._under_way.values())
    made.may_end.set()
    failed, served = sorted(await asyncio.gather(*asking), key=lambda answer: -answer.status)
    assert (failed.status, served.status) == (500, 200)
    assert served.headers["X-Satbox-Charge"] == str(PRICE)


async def test_the_same_stream_asked_for_twice_is_paid_once_and_refused_to_nobody(shop: tuple[House, Shop]) -> None:
    house, made = shop
    who = await house.agent()
    await house.created(who, sats=500)
    key = bearer((await key_of(house, who))["key"])
    asking = [asyncio.create_task(house.ask("POST", "/test/tell", headers=key, json={"data": "a"})) for _ in range(2)]
    await house.until(lambda: made.runs == 1 and 2 in charger_of(house)._alike._under_way.values())
    made.may_end.set()
    answers = await asyncio.gather(*asking)
    assert [(answer.status, answer.raw) for answer in answers] == [(200, b"line\nend\n")] * 2
    await house.until(lambda: house.state(who).keys[0].spent_usat == PRICE)
    assert made.runs == 2


async def test_a_stream_that_ends_badly_leaves_nothing_held(shop: tuple[House, Shop]) -> None:
    house, _ = shop
    who = await house.agent()
    await house.created(who, sats=500)
    key = bearer((await key_of(house, who))["key"])
    async with house.client.post("/test/tell", headers=key, json={"data": "ends badly"}) as response:
        assert await response.content.readexactly(5) == b"line\n"
        assert charger_of(house).till._held
        response.close()
    await house.until(lambda: not charger_of(house).till._held)
    assert house.state(who).keys[0].spent_usat == 0


async def test_a_stream_that_breaks_does_not_look_whole(shop: tuple[House, Shop]) -> None:
    house, _ = shop
    who = await house.agent()
    await house.created(who, sats=500)
    body = {"most": 50 * SATS, "lines": 3, "is_broken": True}
    async with house.client.post("/test/work", headers=house.bearer(who), json=body) as response:
        assert await response.content.readexactly(15) == b"line\n" * 3
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.content.read()


@pytest.mark.parametrize("is_broken", [True, False])
async def test_a_stream_that_is_cut_off_is_paid_for_what_was_delivered(
    shop: tuple[House, Shop], is_broken: bool
) -> None:
    house, _ = shop
    who = await house.agent()
    await house.created(who, sats=500)
    body = {"most": 50 * SATS, "lines": 40, "is_broken": is_broken}
    key = await key_of(house, who)
    async with house.client.post("/test/work", headers=bearer(key["key"]), json=body) as response:
        assert (await response.content.readexactly(200)).count(b"line\n") == 40
        response.close()
    await house.until(lambda: house.state(who).keys[0].spent_usat == 40 * SATS, 20)


# A purchase that comes again


async def test_a_named_purchase_is_known_when_the_log_has_forgotten_it(house: House) -> None:
    """A wallet posts no order twice: taken anew, it would be said to be paid, and be free."""
    seller, payer = await sold(house), await house.agent()
    await house.created(payer, 500)
    made = await key_of(house, payer)
    async with serving(house, serve):
        url = f"/sandbox/proxy/{seller.address}/8000/x"
        named = {**bearer(made["key"]), "Idempotency-Key": "one"}
        assert (await house.ask("GET", url, headers=named)).status == 200
        await house.until(lambda: house.state(payer).accounts.spent == 10 * SATS)
        till = charger_of(house).till
        house.clock.ahead_ms += 3 * ONCE_MS
        await till.sweep()
        till._log.trimmed_every = 1
        till._log.posted([])
        assert (await house.ask("GET", url, headers=bearer(made["key"]))).status == 200  # trims, with its commit
        await house.until(lambda: house.state(payer).accounts.spent == 20 * SATS)
        again = await house.ask("GET", url, headers=named)
        assert (again.status, again.code) == (409, "order_used"), again.headers
    assert house.state(payer).accounts.spent == 20 * SATS


async def test_a_named_purchase_is_known_at_every_gate(house: House, tmp_path: Path) -> None:
    seller, payer = await sold(house), await house.agent()
    await house.created(payer, 500)
    made = await key_of(house, payer)
    calls = 0

    async def counted(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        return web.Response(text="served")

    async with serving(house, counted):
        url = f"/sandbox/proxy/{seller.address}/8000/x"
        named = {**bearer(made["key"]), "Idempotency-Key": "one"}
        assert (await house.ask("GET", url, headers=named)).status == 200
        async with another_till(house, tmp_path):
            assert (await house.ask("GET", url, headers=named)).code == "order_used"
    assert calls == 1, "the seller does not work for nothing"


async def test_a_question_paid_at_another_gate_is_answered_for_free(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, **PRICED) as house:
        who = await house.agent()
        await house.created(who, sats=500)
        house.clock.ahead_ms += ONCE_MS - house.clock.wall_ms() % ONCE_MS
        assert (await asked(house, who)).headers["X-Satbox-Charge"] == str(PRICE)
        async with another_till(house, tmp_path):
            again = await asked(house, who)
            assert (again.status, "X-Satbox-Charge" in again.headers) == (200, False)
        charger_of(house).till._used.sweep(house.clock.monotonic_ms() + ONCE_MS)  # a quarter of an hour later
        again = await asked(house, who)
        assert (again.status, "X-Satbox-Charge" in again.headers) == (200, False)


async def test_purchases_of_accounts_slow_no_signed_order(tmp_path: Path) -> None:
    """What a gate forgets makes it look for every order that expires no later."""
    async with gatehouse(tmp_path, **PRICED) as house:
        who = await house.agent()
        await house.created(who, sats=500)
        assert (await asked(house, who)).status == 200
        till, now_ms = charger_of(house).till, house.clock.monotonic_ms()
        till._used.sweep(now_ms + ONCE_MS)
        assert not till._used.may_have_forgotten(house.clock.wall_ms() + 1)


async def test_a_key_past_its_cap_hears_again_what_it_has_paid_for(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, **PRICED) as house:
        who = await house.agent()
        await house.created(who, sats=500)
        house.clock.ahead_ms += ONCE_MS - house.clock.wall_ms() % ONCE_MS
        made = await key_of(house, who, sats_total=5)
        ask: dict[str, Any] = {"headers": bearer(made["key"]), "json": {"data": "a"}}
        assert (await house.ask("POST", ROUTE, **ask)).status == 200
        await house.until(lambda: house.state(who).keys[0].spent_usat == PRICE)
        house.services.views.put(await house.services.system.look(who.address))
        assert (await house.ask("POST", ROUTE, **ask)).status == 200
        other = await house.ask("POST", ROUTE, headers=ask["headers"], json={"data": "b"})
        assert other.code == "spending_cap"


class another_till:  # noqa: N801 - reads as what it is
    """The requests of a house go to another gate's till for a while, on a slot of its own in the same log."""

    def __init__(self, house: House, folder: Path) -> None:
        self._house, self._charger, self._mine = house, charger_of(house), charger_of(house).till
        self._log = OrderFile(house.orders_folder, "gate_8", house.clock.wall_ms)

    async def __aenter__(self) -> None:
        house = self._house
        self._charger.till = Till(house.services.system, house.clock, self._log)
        self._charger.till._used._orders.clear()  # it has been there all the time, and heard of nothing

    async def __aexit__(self, *_: object) -> None:
        await self._charger.till.close(5)
        self._charger.till = self._mine


# Whose money it is


@pytest.mark.parametrize("scope", ["exec", "files"])
async def test_a_pass_for_less_than_all_buys_nothing(tmp_path: Path, scope: str) -> None:
    async with gatehouse(tmp_path, **PRICED) as house:
        who = await house.agent()
        await house.created(who, sats=500)
        refused = await house.ask("POST", ROUTE, headers=house.bearer(who, scope), json={"data": "a"})
        assert (refused.status, refused.code) == (403, "scope_missing")


async def test_a_key_speaks_for_its_wallet_at_routes_where_it_may_call(house: House) -> None:
    seller, listed = await sold(house), await house.agent()
    await house.created(listed, 500)
    routes = SetRoutes((Route(8000, "/*", callers="list", addresses=(listed.address,)),))
    house.services.views.put(await house.services.system.ask(seller.address, routes))
    url = f"/sandbox/proxy/{seller.address}/8000/x"
    async with serving(house, serve):
        for caps, expected in (
            ({"scopes": ["call"]}, 200),
            ({"scopes": ["files"]}, 403),
            ({"payees": [listed.address]}, 403),
        ):
            made = await key_of(house, listed, **caps)
            assert (await house.ask("GET", url, headers=bearer(made["key"]))).status == expected, caps


async def test_a_stream_of_a_key_ends_when_the_key_expires(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenures, "LOOK_SECONDS", 0.01)
    seller, payer = await sold(house), await house.agent()
    await house.created(payer, 500)
    made = await key_of(house, payer, expires_seconds=60)

    async def echo(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    async with serving(house, echo), asyncio.timeout(30):
        url = f"/sandbox/proxy/{seller.address}/8000/ws"
        async with house.client.ws_connect(url, headers=bearer(made["key"])) as socket:
            await socket.send_str("before")
            assert (await socket.receive()).data == "before"
            house.clock.ahead_ms += 61_000
            assert (await socket.receive()).type in (WSMsgType.CLOSE, WSMsgType.CLOSED)


async def test_made_up_keys_are_counted(tmp_path: Path) -> None:
    """Each is looked for in the wallet that it names: that is a hop, and a place among what a gate remembers."""
    async with gatehouse(tmp_path, open_requests_per_second=0.01, open_requests_burst=3) as house:
        who = await house.agent()
        made_up = bearer(f"sb_{who.address}_{'A' * 43}")
        codes = [(await house.ask("GET", "/sandbox/api-keys", headers=made_up)).code for _ in range(5)]
        assert codes == ["spending_key_invalid"] * 3 + ["rate_limited"] * 2
        assert (await house.ask("GET", "/sandbox/api-keys", who=who)).code == "wallet_not_found", "passes are not"


# An answer that fails after it was paid


async def test_an_answer_that_cannot_be_sent_after_it_was_paid_says_that_it_was(tmp_path: Path) -> None:
    async def unsendable(context: RequestContext, data: Question) -> Reply:
        return Reply({"answer": object()})

    async with gatehouse(tmp_path, mounts=[lambda app: add_operation(app, ASK, unsendable)]) as house:
        who = await house.agent()
        await house.created(who, sats=500)
        answer = await house.ask("POST", "/test/ask", who=who, json={"data": "a"})
        assert (answer.status, answer.code) == (500, "internal")
        assert answer.body["error"]["funds_moved"] is True
