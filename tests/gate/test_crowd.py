"""Who proves nothing is counted by address: what costs something to answer is not free without end."""

import re
from pathlib import Path

import pytest

from gate.wire.crowd import PEERS_MAX, Peers, peer_of
from operations.catalogue import REGISTRY
from operations.errors import SatboxError
from operations.registry import Auth
from tests.gate.gatehouse import gatehouse


def allowed(peers: Peers, remote: str, now_ms: int, tries: int) -> int:
    count = 0
    for _ in range(tries):
        try:
            peers.take(remote, now_ms)
        except SatboxError as error:
            refused = error
        else:
            count += 1
            continue
        assert (refused.code, (refused.retry_after or 0) >= 1) == ("rate_limited", True)
    return count


def test_a_burst_then_so_many_a_second() -> None:
    peers = Peers(10, 20)
    assert allowed(peers, "192.0.2.1", 0, 100) == 20
    assert allowed(peers, "192.0.2.1", 1_000, 100) == 10
    assert allowed(peers, "192.0.2.1", 1_099, 100) == 0
    assert allowed(peers, "192.0.2.1", 1_100, 100) == 1
    assert allowed(peers, "192.0.2.1", 10**9, 100) == 20
    assert allowed(peers, "192.0.2.2", 10**9, 100) == 20, "everybody has a bucket of their own"


def test_when_to_come_again_is_when_there_is_room() -> None:
    peers = Peers(0.1, 1)
    peers.take("192.0.2.1", 0)
    with pytest.raises(SatboxError) as refused:
        peers.take("192.0.2.1", 2_000)
    assert refused.value.retry_after == 8
    assert allowed(peers, "192.0.2.1", 10_000, 1) == 1


def test_no_limit_is_a_choice() -> None:
    assert allowed(Peers(0, 1), "192.0.2.1", 0, 1_000) == 1_000


@pytest.mark.parametrize(
    ("remote", "peer"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        (None, ""),
        ("not an address", ""),
    ],
)
def test_addresses_of_one_subscriber_are_one_peer(remote: str | None, peer: str) -> None:
    assert peer_of(remote) == peer


def test_the_book_of_peers_stays_short() -> None:
    peers = Peers(10, 20)
    for n in range(PEERS_MAX + 500):
        peers.take(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", n)
    assert len(peers._left) == PEERS_MAX


async def test_open_routes_answer_429_with_when_to_come_again(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, open_requests_per_second=1.0, open_requests_burst=3) as house:
        body = {"btc_address": "tb1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq", "stx_address": "ST1"}
        answers = [await house.ask("POST", "/gate/challenge", json=body) for _ in range(5)]
        assert [answer.status for answer in answers] == [400, 400, 400, 429, 429]
        assert (answers[-1].code, answers[-1].headers["Retry-After"]) == ("rate_limited", "1")
        assert answers[-1].body["error"]["retryable"] is True
        open_routes = [operation for operation in REGISTRY.values() if operation.auth is Auth.NONE]
        assert {"gate.challenge", "sandbox.quote", "service.health"} <= {operation.name for operation in open_routes}
        for operation in open_routes:
            answer = await house.ask(operation.method, re.sub(r"{\w+}", "x", operation.path))
            assert answer.status == 429, operation.name
        who = await house.agent()
        assert (await house.ask("GET", "/sandbox/status", who=who)).status != 429, "a pass is counted by its wallet"
        house.clock.ahead_ms += 3_000
        assert (await house.ask("GET", "/health")).status == 200


async def test_one_peer_gets_few_quotes_and_its_other_questions_go_on(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, quotes_per_second=0.5, quotes_burst=3) as house:
        answers = [await house.ask("GET", "/sandbox/quote", params={"sats": str(1000 + n)}) for n in range(5)]
        assert [answer.status == 429 for answer in answers] == [False, False, False, True, True]
        assert (await house.ask("GET", "/health")).status == 200
        house.clock.ahead_ms += 2_100
        assert (await house.ask("GET", "/sandbox/quote", params={"sats": "2000"})).status != 429
