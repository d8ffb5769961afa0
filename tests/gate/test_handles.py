"""Handles: what they are, whom they name, and what is done when the registry lies, shares names or is silent."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from gate.outside import HandleResolver, ResolvedAgent, read_handle
from gate.outside.turns import ASKED_PER_SECOND_MAX, AT_ONCE_MAX
from operations.errors import SatboxError

STX = "SP1NMR7MY0TJ1QA7WQBZ6504KC79PZNTRQH4YGFJD"
OTHER = "SP2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKNRV9EJ7"

KINDS = {
    "17": ("agent-id", "17"),
    "0017": ("agent-id", "17"),
    "Swift Raven": ("display-name", "Swift Raven"),
    "swift-raven": ("display-name", "swift raven"),
    "  Swift   Raven ": ("display-name", "Swift Raven"),
    "Muneeb.BTC": ("bns", "muneeb.btc"),
    "agent.club.btc": ("bns", "agent.club.btc"),
    "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq": ("btc", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"),
    "bc1p5d7rjq7g6rdk2yhzks9smlaqtedr4dekq08ge8ztwac72sfr9rusxg3297": (
        "taproot", "bc1p5d7rjq7g6rdk2yhzks9smlaqtedr4dekq08ge8ztwac72sfr9rusxg3297",
    ),
    STX: ("stx", STX),
    STX.lower(): ("stx", STX),
}  # fmt: skip


@pytest.mark.parametrize("text", KINDS)
def test_what_kind_a_handle_is(text: str) -> None:
    handle = read_handle(text)

    assert (handle.kind, handle.text) == KINDS[text]


@pytest.mark.parametrize(
    "text", ["", " ", "a" * 101, "@jack", "https://x.com/jack", "twitter.com/jack", "../verify", "a/b", "a?b=c", "<script>",
             STX[:-1] + "X", "1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "9" * 19, "bad..btc", "\x00", "a%2e"]
)  # fmt: skip
def test_what_is_no_handle(text: str) -> None:
    with pytest.raises(SatboxError) as refused:
        read_handle(text)

    assert refused.value.code == "handle_invalid"


def test_an_x_handle_is_explained() -> None:
    with pytest.raises(SatboxError, match="X handles cannot be looked up"):
        read_handle("@jack")


@given(st.text(max_size=120))
def test_every_text_is_a_handle_or_is_refused(text: str) -> None:
    try:
        handle = read_handle(text)
    except SatboxError:
        return
    assert read_handle(handle.text) == handle


class Registry:
    """A registry in somebody else's hands."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[], tuple[int, Any]]] = {}
        self.agents: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.now = 0.0

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.raw_path)
        if request.path == "/api/agents":
            body = {"agents": self.agents, "pagination": {"hasMore": False}}
            return web.json_response(body)
        status, page = self.answers.get(request.match_info["rest"], lambda: (404, {"found": False}))()
        text = page if isinstance(page, str) else json.dumps(page)
        return web.Response(status=status, text=text)


@pytest.fixture
async def registry() -> AsyncIterator[tuple[Registry, HandleResolver]]:
    made = Registry()
    app = web.Application()
    app.router.add_get("/{rest:.*}", made.answer)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        yield made, HandleResolver(str(server.make_url("")), session, lambda: made.now)


def page(**identity: Any) -> dict[str, Any]:
    return {
        "found": True,
        "identity": {"stxAddress": STX, "btcAddress": "bc1q", "displayName": "Swift Raven", "agentId": 17, **identity},
        "trust": {"level": 2, "levelName": "Genesis"},
        "activity": {"lastActiveAt": "2026-01-01T00:00:00Z"},
    }


Pair = tuple[Registry, HandleResolver]


async def test_an_agent_is_found_and_kept_for_a_minute(registry: Pair) -> None:
    made, resolver = registry
    made.answers["api/resolve/17"] = lambda: (200, page())

    found = await resolver.find("17")
    again = await resolver.find("17")
    made.now = 61
    await resolver.find("17")

    assert (found.stx_address, found.level, found.display_name, found.agent_id) == (STX, 2, "Swift Raven", 17)
    assert again == found
    assert len(made.asked) == 2


async def test_nobody_is_kept_for_ten_seconds(registry: Pair) -> None:
    made, resolver = registry
    for at in (0, 9, 11):
        made.now = at
        with pytest.raises(SatboxError) as nobody:
            await resolver.find("17")
        assert nobody.value.code == "handle_not_found"

    assert len(made.asked) == 2


async def test_a_silent_registry_leaves_old_answers_marked_stale(registry: Pair) -> None:
    made, resolver = registry
    made.answers["api/resolve/17"] = lambda: (200, page())
    fresh = await resolver.find("17")
    made.answers["api/resolve/17"] = lambda: (503, {})
    made.now = 3_600
    stale = await resolver.find("17")
    made.now = 90_000
    with pytest.raises(SatboxError) as silent:
        await resolver.find("17")

    assert (fresh.is_stale, stale.is_stale, stale.stx_address) == (False, True, STX)
    assert silent.value.code == "registry_unavailable"


async def test_a_shared_name_is_shown_and_not_guessed(registry: Pair) -> None:
    made, resolver = registry
    made.answers["api/resolve/swift%20raven"] = made.answers["api/resolve/swift raven"] = lambda: (200, page())
    made.agents = [{"displayName": "Swift Raven", "stxAddress": STX}]
    alone = await resolver.find("swift-raven")
    made.agents.append({"displayName": "Swift Raven", "stxAddress": OTHER})
    made.now = 400
    with pytest.raises(SatboxError) as shared:
        await resolver.find("swift-raven")

    assert alone.stx_address == STX
    assert shared.value.code == "handle_ambiguous"
    assert shared.value.details["candidates"] == [STX, OTHER]


LIES: dict[str, Any] = {
    "no JSON": "nonsense",
    "a list": [],
    "deep": "[" * 100_000,
    "no identity": {"found": True},
    "no address": {"found": True, "identity": {"stxAddress": "SP123"}},
    "an address of another type": {"found": True, "identity": {"stxAddress": 5}},
    "endless": "x" * 600_000,
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_registry_that_lies_is_unavailable(registry: Pair, lie: str) -> None:
    made, resolver = registry
    made.answers["api/resolve/17"] = lambda: (200, LIES[lie])

    with pytest.raises(SatboxError) as refused:
        await resolver.find("17")

    assert refused.value.code == "registry_unavailable"


async def test_an_answer_for_another_address_is_none(registry: Pair) -> None:
    made, resolver = registry
    made.answers[f"api/resolve/{OTHER}"] = lambda: (200, page())

    with pytest.raises(SatboxError) as refused:
        await resolver.find(OTHER)

    assert refused.value.code == "registry_unavailable"


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda x: st.lists(x, max_size=3)))
def test_any_level_and_id_are_read_as_what_they_are(value: Any) -> None:
    from gate.outside.handle_resolver import _read

    found = _read({**page(agentId=value), "trust": {"level": value, "levelName": value}})

    assert isinstance(found, ResolvedAgent)
    assert 0 <= found.level <= 9
    assert found.agent_id is None or type(found.agent_id) is int


async def answers(resolver: HandleResolver, handles: list[str]) -> Counter[str]:
    """What each was answered, asked for at once."""
    found = await asyncio.gather(*map(resolver.find, handles), return_exceptions=True)
    assert all(isinstance(one, ResolvedAgent | SatboxError) for one in found), found
    return Counter(one.code if isinstance(one, SatboxError) else "found" for one in found)


async def test_the_registry_is_asked_by_few_at_once_and_seldom(registry: Pair) -> None:
    """Anybody may ask for any name; the registry also answers those who prove their keys, and would shut us out."""
    made, resolver = registry
    told = await answers(resolver, [str(number) for number in range(1, 101)])
    assert told == {"handle_not_found": AT_ONCE_MAX, "overloaded": 100 - AT_ONCE_MAX}
    for number in range(200, 240):
        told += await answers(resolver, [str(number)])
    assert told["handle_not_found"] == len(made.asked) == ASKED_PER_SECOND_MAX
    made.now = 1.0
    assert await answers(resolver, ["300"]) == {"handle_not_found": 1}


async def test_who_is_known_is_shown_while_too_much_is_asked(registry: Pair) -> None:
    made, resolver = registry
    made.answers["api/resolve/17"] = lambda: (200, page())
    await resolver.find("17")
    made.now = 3_600
    await answers(resolver, [str(number) for number in range(100, 100 + AT_ONCE_MAX)])
    for number in range(200, 200 + ASKED_PER_SECOND_MAX):
        await answers(resolver, [str(number)])
    assert (await resolver.find("17")).is_stale


async def test_the_list_of_names_is_read_once_for_all_who_wait(registry: Pair) -> None:
    made, resolver = registry
    await answers(resolver, [f"Swift {bird}" for bird in ("Raven", "Otter", "Heron", "Falcon", "Lynx")])
    assert sum(path.startswith("/api/agents") for path in made.asked) == 1
