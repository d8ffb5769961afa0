"""What people type instead of a digest or a document, and what an empty list says."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from operations.errors import SatboxError
from satbox.agent.keystore import Keystore, agent_of
from satbox.cli.errors import UsageError
from satbox.cli.people import for_people
from satbox.cli.sandbox.sandbox_tables import DIGEST_CHARS
from satbox.cli.sandbox.snapshots import found
from tests.cli.running import satbox
from tests.client.fake_gate import BITCOIN_KEY, STACKS_KEY, FakeGate, status_of

ADDRESS = "ST" + "T" * 39
SAT = 1_000_000
DIGESTS = st.lists(st.text("0123456789abcdef", min_size=64, max_size=64), min_size=1, max_size=8, unique=True)
ONE, TWO = "ab12" + "0" * 60, "ab13" + "1" * 60


@pytest.fixture
def home(tmp_path: Path) -> Path:
    Keystore(tmp_path).save(agent_of("default", STACKS_KEY, BITCOIN_KEY))
    return tmp_path


@given(DIGESTS, st.data())
def test_a_beginning_means_the_one_digest_that_has_it(digests: list[str], data: st.DataObject) -> None:
    meant = data.draw(st.sampled_from(digests))
    word = meant[: data.draw(st.integers(4, 63))]
    others = [digest for digest in digests if digest.startswith(word)]

    if len(others) == 1:
        assert found(word, [(digest, "") for digest in digests]) == meant
    else:
        with pytest.raises(UsageError):
            found(word, [(digest, "") for digest in digests])


def test_a_name_means_its_snapshot_and_two_of_a_name_none() -> None:
    listed = [(ONE, "before"), (TWO, "ab12")]

    assert found("before", listed) == ONE
    assert found("ab13", listed) == TWO
    with pytest.raises(UsageError) as ambiguous:
        found("ab12", listed)  # one is called so, the other begins so
    assert ONE[:DIGEST_CHARS] in ambiguous.value.hint
    assert TWO[:DIGEST_CHARS] in ambiguous.value.hint
    for word in ("", "ab", "after", "zz12"):
        with pytest.raises(SatboxError) as missing:
            found(word, listed)
        assert missing.value.code == "snapshot_not_found"


def _snapshot(digest: str, name: str) -> dict[str, Any]:
    return {"digest": digest, "name": name, "size_bytes": 5, "created_at": "2026-11-21T12:50:28.482Z", "current": False}


async def test_a_snapshot_is_listed_so_that_it_can_be_restored(home: Path) -> None:
    restored: list[str] = []

    async def listing(request: web.Request) -> web.StreamResponse:
        return web.json_response({"items": [_snapshot(ONE, "before"), _snapshot(TWO, "")]})

    async def restore(request: web.Request) -> web.StreamResponse:
        restored.append(request.match_info["digest"])
        return web.json_response(status_of(ADDRESS).model_dump(mode="json"))

    routes = (("GET", "/sandbox/snapshots", listing), ("POST", "/sandbox/snapshots/{digest}/restore", restore))
    async with FakeGate(wall_seconds=time.time).running(*routes) as gate:
        table = await satbox("snapshots", "list", "--table", home=home, gate=gate.url, environment={"COLUMNS": "80"})
        shown = re.findall(rf"[0-9a-f]{{{DIGEST_CHARS}}}", table.stdout.decode())
        for word in ("before", shown[1], TWO):
            assert (await satbox("snapshots", "restore", word, home=home, gate=gate.url)).code == 0
        unknown = await satbox("snapshots", "restore", "after", home=home, gate=gate.url)

    assert "…" not in table.stdout.decode()
    assert restored == [ONE, TWO, TWO]
    assert unknown.error["code"] == "snapshot_not_found"


async def test_an_empty_list_says_none_to_people_and_nothing_else_to_machines(home: Path) -> None:
    async def nothing(request: web.Request) -> web.StreamResponse:
        return web.json_response({"items": []})

    async with FakeGate(wall_seconds=time.time).running(("GET", "/sandbox/snapshots", nothing)) as gate:
        people = await satbox("snapshots", "list", "--table", home=home, gate=gate.url)
        machine = await satbox("snapshots", "list", "--json", home=home, gate=gate.url)

    assert people.stdout.decode() == "none: satbox snapshots create NAME keeps the workspace as it is\n"
    assert machine.document == {"items": []}


@pytest.mark.parametrize("is_in_its_answer", [False, True])
@pytest.mark.parametrize("form", ["@{}", "{}"])
async def test_a_receipt_is_taken_from_a_file(home: Path, tmp_path: Path, form: str, is_in_its_answer: bool) -> None:
    receipt, sent = '{"payment_id": "pay_1", "usat": 9007199254740993, "signature": "x"}', []
    answer = f'{{"exit_code": 0, "stdout": "{"x" * 100_000}", "receipt": {receipt}, "receipt_salt": "s"}}'
    (tmp_path / "receipt.json").write_text(answer if is_in_its_answer else receipt)

    async def opened(request: web.Request) -> web.StreamResponse:
        sent.append((await request.json())["receipt"])
        return web.json_response({"error": {"code": "dispute_target", "message": "no", "retryable": False}}, status=409)

    async with FakeGate(wall_seconds=time.time).running(("POST", "/sandbox/disputes", opened)) as gate:
        words = ("disputes", "open", "--receipt", form.format(tmp_path / "receipt.json"), "--reason", "not so")
        await satbox(*words, home=home, gate=gate.url)
        missing = await satbox(
            "disputes", "open", "--receipt", "@nowhere.json", "--reason", "x", home=home, gate=gate.url
        )

    assert [json.loads(text) for text in sent] == [json.loads(receipt)]
    assert missing.code == 1
    assert "nowhere.json" in missing.stderr


def test_a_sandbox_held_by_its_budget_says_so_and_how_to_raise_it() -> None:
    budget = {
        "caps_usat_per_hour": {"total": 3 * SAT, "egress": SAT}, "spent_usat": {"clock": 2 * SAT, "egress": SAT},
        "max_usat_per_call": None, "warn_seconds": None, "held": True,
    }  # fmt: skip
    document = status_of(ADDRESS).model_dump(mode="json") | {"paused": True, "budget": budget}

    held = for_people("sandbox.status", document)
    by_owner = for_people("sandbox.status", {**document, "budget": {**budget, "held": False}})

    assert held["state"] == "alive, paused: the hour's budget is used up"
    assert held["budget"].startswith(
        "3.000000 of 3.000000 sats, egress 1.000000 of 1.000000 sats (satbox budget --max-sats"
    )
    assert "unpause" in by_owner["state"]
    assert "budget" not in by_owner


def test_a_budget_is_told_in_sats_and_so_is_that_there_is_none() -> None:
    budget = {
        "caps_usat_per_hour": {"total": 3 * SAT}, "spent_usat": {"clock": 2 * SAT}, "max_usat_per_call": SAT,
        "warn_seconds": [600], "held": False,
    }  # fmt: skip
    document = status_of(ADDRESS).model_dump(mode="json")

    told = for_people("sandbox.budget", {**document, "budget": budget})
    none = for_people("sandbox.budget", {**document, "budget": None})

    assert told["budget"] == "this hour 2.000000 of 3.000000 sats; a call 1.000000 sats at most; warns at 10 min"
    assert none["budget"] == "no limit is set"
