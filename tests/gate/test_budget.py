"""Rates of meters, budgets, and requests through the proxy that have a price."""

from dataclasses import replace
from pathlib import Path

import pytest

from gate.proxy.counting import RequestCounter
from gate.reach.reaching import runtime_of
from operations.catalogue import REGISTRY
from operations.errors import SatboxError
from satbox.client.requests import request_for
from tests.gate import gatehouse as building
from tests.gate.gatehouse import House, gatehouse

SAT = 1_000_000


async def test_meters_and_rates_are_open_to_anybody_and_agreed_ones_are_in_the_status(house: House) -> None:
    who = await house.agent()
    await house.created(who)
    told = (await house.ask("GET", "/sandbox/meters")).body
    status = (await house.ask("GET", "/sandbox/status", who=who)).body

    rates = {item["name"]: item["rate_usat"] for item in told["items"]}
    assert rates == {
        "cpu": 0,
        "memory_above_class": 0,
        "egress": 50_000,
        "proxy_requests": 0,
        "snapshot_storage": 100_000,
    }
    assert told["clock_usat_per_second"]["small"] == 7_000
    assert status["meter_rates"] == {"egress": 50_000, "snapshot_storage": 100_000}
    assert status["burn_usat_per_hour"] == {"clock": status["rate_usat_per_second"] * 3600}
    assert status["budget"] is None


async def test_a_budget_is_set_as_a_whole_and_told(house: House) -> None:
    who = await house.agent()
    await house.created(who)
    body = {
        "max_sats_per_hour": 100, "max_sats_per_hour_by_meter": {"egress": 5}, "max_sats_per_call": 1,
        "warn_seconds": [60, 3600, 60],
    }  # fmt: skip
    first = await house.ask("POST", "/sandbox/budget", who=who, json=body)
    second = await house.ask("POST", "/sandbox/budget", who=who, json={"warn_seconds": []})

    assert first.body["budget"] == {
        "caps_usat_per_hour": {"egress": 5 * SAT, "total": 100 * SAT}, "spent_usat": {}, "max_usat_per_call": SAT,
        "warn_seconds": [3600, 60], "held": False,
    }  # fmt: skip
    assert second.body["budget"]["caps_usat_per_hour"] == {}
    assert second.body["budget"]["warn_seconds"] == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"max_sats_per_hour": None, "max_sats_per_call": None, "warn_seconds": None},
        {"max_sats_per_hour_by_meter": {}, "remove": False},
        request_for("sandbox.budget", {}).json,
    ],
    ids=["nothing", "nulls", "empty", "our own client"],
)
async def test_a_budget_is_seen_without_being_changed_and_lifted_by_word(house: House, body: dict[str, object]) -> None:
    who = await house.agent()
    await house.created(who)
    await house.ask("POST", "/sandbox/budget", who=who, json={"max_sats_per_hour": 100})
    seen = await house.ask("POST", "/sandbox/budget", who=who, json=body)
    lifted = await house.ask("POST", "/sandbox/budget", who=who, json={"remove": True})

    assert seen.body["budget"]["caps_usat_per_hour"] == {"total": 100 * SAT}
    assert not lifted.body["budget"] or lifted.body["budget"]["caps_usat_per_hour"] == {}


@pytest.mark.parametrize(
    "body",
    [
        {"max_sats_per_hour": -1},
        {"max_sats_per_hour": 10**12},
        {"max_sats_per_hour_by_meter": {"nothing": 5}},
        {"warn_seconds": [0]},
        {"warn_seconds": list(range(1, 20))},
        {"unknown": 1},
    ],
)
async def test_odd_budgets_are_refused(house: House, body: dict[str, object]) -> None:
    who = await house.agent()
    await house.created(who)
    refused = await house.ask("POST", "/sandbox/budget", who=who, json=body)
    assert (refused.status, refused.code) == (400, "invalid_request")


async def test_what_a_budget_holds_is_refused_with_the_budget_s_name(house: House) -> None:
    who = await house.agent()
    await house.created(who)
    await house.ask("POST", "/sandbox/budget", who=who, json={"max_sats_per_hour": 1000})
    view = await house.services.views.get(who.address, fresh=True)
    assert view.state.runtime is not None
    assert view.state.hour is not None
    frozen = replace(view.state, runtime=replace(view.state.runtime, is_paused=True))
    hour = replace(view.state.hour, spent=(("clock", 2 * SAT), ("egress", SAT)))

    with pytest.raises(SatboxError) as by_owner:
        runtime_of(replace(view, state=frozen))
    with pytest.raises(SatboxError) as by_budget:
        runtime_of(replace(view, state=replace(frozen, is_held=True, hour=hour)))

    assert by_owner.value.code == "sandbox_paused"
    assert by_budget.value.code == "budget_reached"
    assert by_budget.value.details == {"caps_usat_per_hour": {"total": 1000 * SAT}, "spent_usat": {"total": 3 * SAT}}
    assert "budget_reached" in REGISTRY["sandbox.exec"].errors


async def test_only_the_owner_sets_a_budget(house: House) -> None:
    who, other = await house.agent(), await house.agent()
    await house.created(who)
    refused = await house.ask("POST", "/sandbox/budget", who=other, json={"address": who.address})
    assert (refused.status, refused.code) == (403, "not_owner")


async def test_requests_are_told_once_and_dear_ones_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "POLICY", replace(building.POLICY, meter_rates=(("proxy_requests", 2 * SAT),)))
    async with gatehouse(tmp_path) as house:
        who = await house.agent()
        await house.created(who)
        view = await house.services.views.get(who.address, fresh=True)
        assert view.state.runtime is not None
        counters = [RequestCounter(house.services, f"gate_{n}") for n in range(2)]
        for counter in counters:
            for _ in range(3):
                counter.admit(view)
                counter.served(view, view.state.runtime.runtime_id)
            await counter.tell()
            await counter.tell()

        ledger = await house.ask("GET", "/sandbox/ledger", who=who)
        burnt = [entry["postings"]["burnt"] for entry in ledger.body["items"] if entry["kind"] == "meter"]
        assert burnt == [6 * SAT, 6 * SAT]

        await house.ask("POST", "/sandbox/budget", who=who, json={"max_sats_per_call": 1})
        with pytest.raises(SatboxError) as caught:
            counters[0].admit(await house.services.views.get(who.address, fresh=True))
        assert caught.value.code == "budget_reached"
