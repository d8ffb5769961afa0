"""`satbox wake-link` and `satbox wake` by link, by handle and as a gift: what is sent, what is shown, and what is never told."""

import stat
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from operations.errors import SatboxError
from operations.wake_links import LINK_HEADER
from satbox.agent.keystore import Keystore, agent_of
from satbox.cli.durations import seconds_of
from satbox.client import Client, SyncClient
from satbox.client.wake_links import looks_like_link, read_link
from stacks import Network, PrivateKey
from tests.cli.running import satbox, satbox_on_terminal
from tests.client.fake_gate import BITCOIN_KEY, NETWORK, STACKS_KEY, FakeGate, status_of

OWN = str(STACKS_KEY.address(NETWORK))
OTHER_KEY = PrivateKey(bytes(31) + b"\x77")
OTHER = str(OTHER_KEY.address(NETWORK))
SECRET = "A" * 43
TOKEN = f"swl_{OTHER}_{SECRET}"
LINK = {
    "link_id": "wl_0123456789ab", "label": "Anna", "state": "good", "scopes": ["wake"], "wakes_per_day": 10,
    "wakes_left_today": 7, "sats_per_day": None, "sats_left_today": 0, "created_at": "2026-01-01T00:00:00.000Z",
    "expires_at": "2026-02-01T00:00:00.000Z", "last_used_at": None,
}  # fmt: skip
INFO = {
    **{name: value for name, value in LINK.items() if name not in ("state", "created_at", "last_used_at")},
    "address": OTHER, "resets_at": "2026-01-02T00:00:00.000Z", "state": "reaped", "wakes_now": True, "missing_sats": 0,
}  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    Keystore(tmp_path).save(agent_of("default", STACKS_KEY, BITCOIN_KEY))
    return tmp_path


class Gate:
    """A gate that knows one link and two agents."""

    def __init__(self, *, scopes: tuple[str, ...] = ("wake",), has_credit: bool = True) -> None:
        self.scopes = list(scopes)
        self.has_credit = has_credit
        self.woken: list[dict[str, Any]] = []
        self.made: list[dict[str, Any]] = []
        self.fake = FakeGate(wall_seconds=time.time)

    @staticmethod
    def refuse(code: str, **details: Any) -> web.Response:
        error = SatboxError(code, details=details)
        return web.json_response(error.body("req_1"), status=error.kind.status)

    async def info(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get(LINK_HEADER) != TOKEN:
            return self.refuse("wake_link_invalid")
        return web.json_response(INFO | {"scopes": self.scopes})

    async def wake(self, request: web.Request) -> web.StreamResponse:
        link = request.headers.get(LINK_HEADER)
        assert SECRET not in request.path_qs
        assert (link is None) != ("Authorization" not in request.headers)
        self.woken.append({"link": link, **await request.json()})
        if not self.has_credit:
            return self.refuse("credit_insufficient", missing_sats=12)
        return web.Response(body=status_of(OWN if link is None else OTHER).model_dump_json())

    async def resolve(self, request: web.Request) -> web.StreamResponse:
        handle = request.match_info["handle"].lower()
        if handle == "shared-name":
            mainnet = [str(key.address(Network.MAINNET)) for key in (STACKS_KEY, OTHER_KEY)]
            return self.refuse("handle_ambiguous", candidates=mainnet, count=2)
        known = {"calm-otter": OTHER, OTHER.lower(): OTHER, "swift-raven": OWN}
        if handle not in known:
            return self.refuse("handle_not_found")
        found = {
            "kind": "display-name", "address": known[handle], "state": "reaped", "stx_address": "SP1",
            "display_name": "Calm Otter", "agent_id": 17, "level": 2, "level_name": "Genesis",
        }  # fmt: skip
        return web.json_response(found)

    async def create(self, request: web.Request) -> web.StreamResponse:
        self.made.append(await request.json())
        url = f"http://127.0.0.1:4020/wake/{OTHER}#{TOKEN}"
        return web.json_response({**LINK, "scopes": self.made[-1]["scopes"], "token": TOKEN, "url": url})

    async def listing(self, request: web.Request) -> web.StreamResponse:
        used = {"label": "x" * 60, "last_used_at": "2026-01-01T21:18:00.000Z", "wakes_per_day": 1000}
        topup = LINK | {"scopes": ["wake", "topup"], "sats_per_day": 5000, "sats_left_today": 3800, "label": ""}
        return web.json_response({"items": [LINK | used, topup, topup | {"state": "revoked"}, LINK]})

    def running(self) -> Any:
        return self.fake.running(
            ("GET", "/sandbox/wake-links/info", self.info), ("POST", "/sandbox/wake", self.wake),
            ("GET", "/agents/{handle}", self.resolve), ("POST", "/sandbox/wake-links", self.create),
            ("GET", "/sandbox/wake-links", self.listing),
        )  # fmt: skip


# Reading links


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        (TOKEN, None), (f" {TOKEN}\n", None), (f"https://sat.example/wake/{OTHER}#{TOKEN}", "https://sat.example"),
        (f"http://127.0.0.1:4020/wake/{OTHER}#{TOKEN}", "http://127.0.0.1:4020"),
        (f"https://a.example/box/wake/{OTHER}#{TOKEN}", "https://a.example/box"),
    ],
)  # fmt: skip
def test_a_link_is_read(text: str, gate: str | None) -> None:
    assert looks_like_link(text.strip())
    link = read_link(text)

    assert (link.address, link.token, link.gate) == (OTHER, TOKEN, gate)
    assert SECRET not in repr(link)


@pytest.mark.parametrize(
    "text",
    ["", "swl_", TOKEN[:-1], TOKEN + "A", f"https://a.example/wake/{OWN}#{TOKEN}", f"https://a.example/wake/{OTHER}",
     f"https://a.example/{OTHER}#{TOKEN}", f"ftp://a.example/wake/{OTHER}#{TOKEN}", f"file:///wake/{OTHER}#{TOKEN}",
     f"https:///wake/{OTHER}#{TOKEN}", f"https://a.example/wake/{OTHER}?t={TOKEN}", "https://[::1/wake/x#y", "x" * 9000],
)  # fmt: skip
def test_what_is_no_link_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(SatboxError) as refused:
        read_link(text)

    assert refused.value.code == "wake_link_invalid"
    assert SECRET[:-1] not in f"{refused.value} {refused.value.details} {refused.value.hint}"


@given(st.text(max_size=80))
def test_no_other_text_is_a_link(text: str) -> None:
    with pytest.raises(SatboxError, match="wake_link_invalid"):
        read_link(text)


def test_an_x_handle_is_not_taken_for_a_link() -> None:
    assert not looks_like_link("https://x.com/jack")


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("15m", 900), ("1h", 3600), ("30d", 2_592_000)])
def test_lengths_of_time(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0d", "-1h", "1.5h", "1 h", "h", "1y", "\uff11h", "9" * 12])
async def test_what_is_no_length_of_time(text: str, home: Path) -> None:
    ended = await satbox("wake-link", "create", f"--expires={text}", home=home, gate="http://127.0.0.1:9")
    assert (ended.code, ended.error["code"]) == (2, "invalid_request")


# Making links


async def test_a_made_link_is_shown_with_a_picture_that_fits_a_terminal(home: Path, tmp_path: Path) -> None:
    gate, picture = Gate(), tmp_path / "link.svg"
    async with gate.running() as fake:
        code, shown = await satbox_on_terminal(
            "wake-link", "create", "--scope", "wake,topup", "--wakes-per-day", "3", "--sats-per-day", "5000", "--expires",
            "7d", "--label", "Anna", "--svg", str(picture), home=home, gate=fake.url,
        )  # fmt: skip
    assert code == 0, shown
    assert gate.made == [
        {
            "scopes": ["wake", "topup"],
            "wakes_per_day": 3,
            "sats_per_day": 5000,
            "expires_seconds": 604_800,
            "label": "Anna",
        }
    ]
    lines = shown.splitlines()
    assert f"http://127.0.0.1:4020/wake/{OTHER}#{TOKEN}" in lines
    assert "▀" in shown or "▄" in shown
    assert max(len(line) for line in lines if TOKEN not in line) <= 80
    assert picture.read_text().startswith("<svg")
    assert stat.S_IMODE(picture.stat().st_mode) == 0o600


async def test_for_machines_it_is_one_document(home: Path) -> None:
    async with Gate().running() as fake:
        made = await satbox("wake-link", "create", home=home, gate=fake.url)
        listed = await satbox("wake-link", "list", home=home, gate=fake.url)
    assert made.document["token"] == TOKEN
    assert TOKEN not in made.stderr
    assert len(listed.document["items"]) == 4


async def test_links_are_listed_for_people(home: Path) -> None:
    async with Gate().running() as fake:
        code, shown = await satbox_on_terminal("wake-link", "list", home=home, gate=fake.url)
    assert code == 0
    assert "3/10" in shown
    assert "1,200/5,000" in shown
    assert len(shown.splitlines()) == 6, "no cell is broken over lines"
    assert "revoked" in shown
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("scope", ["", "owner", "wake,exec"])
async def test_scopes_that_there_are_not(home: Path, scope: str) -> None:
    ended = await satbox("wake-link", "create", "--scope", scope, home=home, gate="http://127.0.0.1:9")
    assert (ended.code, ended.error["code"]) == (2, "invalid_request")


# Waking


@pytest.mark.parametrize("how", ["url", "token", "stdin", "with a name"])
async def test_a_link_wakes_without_any_keys(tmp_path: Path, how: str) -> None:
    gate = Gate()
    async with gate.running() as fake:
        url = f"{fake.url}/wake/{OTHER}#{TOKEN}"
        words = {
            "url": [url], "token": [TOKEN, "--gate", fake.url], "stdin": ["--link", "-"],
            "with a name": ["calm-otter", "--link", url],
        }[how]  # fmt: skip
        ended = await satbox("wake", *words, home=tmp_path, stdin=url.encode() + b"\n")
    assert ended.code == 0, ended.stderr
    assert ended.document["address"] == OTHER
    assert gate.woken == [{"link": TOKEN, **({"handle": "calm-otter"} if how == "with a name" else {})}]
    assert SECRET not in ended.stderr + ended.stdout.decode()


async def test_a_link_that_is_none_says_so_without_repeating_it(tmp_path: Path) -> None:
    async with Gate().running() as fake:
        for text in (f"{fake.url}/wake/{OTHER}#{TOKEN[:-1]}", f"{fake.url}/wake/{OTHER}#{TOKEN[:-1]}B"):
            ended = await satbox("wake", text, home=tmp_path)
            assert (ended.code, ended.error["code"]) == (1, "wake_link_invalid")
            assert SECRET[:-1] not in ended.stderr


@pytest.mark.parametrize(("scopes", "hint"), [(("wake",), "satbox extend --address"), (("wake", "topup"), "--pay 1h")])
async def test_without_credit_it_is_said_how_to_pay(tmp_path: Path, scopes: tuple[str, ...], hint: str) -> None:
    async with Gate(scopes=scopes, has_credit=False).running() as fake:
        ended = await satbox("wake", f"{fake.url}/wake/{OTHER}#{TOKEN}", home=tmp_path)
    assert (ended.code, ended.error["code"]) == (1, "credit_insufficient")
    assert ended.error["details"]["missing_sats"] == 12
    assert hint in ended.error["hint"]


async def test_ones_own_is_woken_by_name_and_it_is_said_who_it_is(home: Path) -> None:
    gate = Gate()
    async with gate.running() as fake:
        code, shown = await satbox_on_terminal("wake", "swift-raven", home=home, gate=fake.url)
        plain = await satbox("wake", home=home, gate=fake.url)
        shared = await satbox("wake", "shared-name", home=home, gate=fake.url)
    assert (code, plain.code, shared.code) == (0, 0, 0), shared.stderr
    assert f"swift-raven is Calm Otter, agent 17 ({OWN})" in shown
    assert [each["link"] for each in gate.woken] == [None] * 3
    assert [each.get("address", OWN) for each in gate.woken] == [OWN] * 3


@pytest.mark.parametrize("whom", ["calm-otter", OTHER, OTHER.lower()])
async def test_somebody_elses_is_not_woken_and_the_gift_is_named(home: Path, whom: str) -> None:
    gate = Gate()
    async with gate.running() as fake:
        ended = await satbox("wake", whom, home=home, gate=fake.url)
    assert (ended.code, ended.error["code"]) == (1, "not_owner")
    assert f"satbox extend --address {OTHER} --seconds 3600" in ended.error["hint"]
    assert gate.woken == []


async def test_a_shared_name_of_others_is_shown_and_not_guessed(tmp_path: Path) -> None:
    async with Gate().running() as fake:
        ended = await satbox("wake", "shared-name", home=tmp_path, gate=fake.url)
    assert (ended.code, ended.error["code"]) == (1, "handle_ambiguous")
    assert len(ended.error["details"]["candidates"]) == 2


@pytest.mark.parametrize("by", ["link", "gift"])
async def test_pay_pays_for_the_one_who_was_named(home: Path, by: str) -> None:
    gate, extended = Gate(scopes=("topup",)), []

    async def extend(request: web.Request) -> web.StreamResponse:
        extended.append((request.headers.get(LINK_HEADER), await request.json()))
        return await gate.fake.buy(request)

    async with gate.fake.running(
        ("POST", "/sandbox/extend", extend), ("GET", "/agents/{handle}", gate.resolve)
    ) as fake:
        words = [f"{fake.url}/wake/{OTHER}#{TOKEN}"] if by == "link" else ["calm-otter"]
        environment = {"SATBOX_STACKS_API": fake.url, "SATBOX_GATE": fake.url}
        ended = await satbox("wake", *words, "--pay", "1h", home=home, environment=environment)
        other = await satbox("wake", "swift-raven", "--link", TOKEN, "--pay", "1h", home=home, environment=environment)
    assert ended.code == 0, ended.stderr
    assert gate.fake.signed == 1
    assert [body for _, body in extended] == [{"address": OTHER, "seconds": 3600}] * 2
    assert {link for link, _ in extended} == {TOKEN if by == "link" else None}
    assert (other.code, other.error["code"]) == (1, "wake_link_invalid")


async def test_a_link_given_twice_is_a_mistake(tmp_path: Path) -> None:
    ended = await satbox("wake", TOKEN, "--link", TOKEN, home=tmp_path, gate="http://127.0.0.1:9")
    assert (ended.code, ended.error["code"]) == (2, "invalid_request")


async def test_what_a_link_may_do_is_said_for_people(tmp_path: Path) -> None:
    async with Gate(scopes=("wake", "topup")).running() as fake:
        url = f"{fake.url}/wake/{OTHER}#{TOKEN}"
        code, shown = await satbox_on_terminal("wake-link", "info", url, home=tmp_path, gate=fake.url)
    assert code == 0
    assert "wake it with the credit left, 10 times a day" in shown
    assert SECRET not in shown


# From Python


async def test_a_client_takes_a_link_in_place_of_keys() -> None:
    gate = Gate()
    async with gate.running() as fake, Client(fake.url, wake_link=f"{fake.url}/wake/{OTHER}#{TOKEN}") as client:
        assert (await client.wake_links_info()).label == "Anna"
        assert (await client.wake()).address == OTHER
    assert gate.woken == [{"link": TOKEN}]
    with pytest.raises(SatboxError, match="wake_link_invalid"):
        Client(wake_link="nonsense")


def test_a_blocking_client_takes_one_too() -> None:
    with pytest.raises(SatboxError, match="wake_link_invalid"):
        SyncClient(wake_link="nonsense")
