"""Meters beside the clock: the arithmetic on its own, what a wallet does with readings, and the owner's budget."""

from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given

from actors.view import View, status
from actors.wallet import commands as c
from actors.wallet.bucket import check
from actors.wallet.decide import Decision
from actors.wallet.forecast import forecast
from actors.wallet.lifecycle import next_alarm_ms
from actors.wallet.meters import METERS, SOURCES_MAX, STORAGE, Budget, Metered, Reading, begun, bill, due
from actors.wallet.state import Phase, WalletPolicy
from tests.actors.harness import World

SAT = 1_000_000
RATES = (("cpu", 1_000), ("egress", 50_000), ("proxy_requests", 7), ("snapshot_storage", 3_600_000))
HOUR = 3_600_000
Deliveries = list[tuple[int, int]]


def billed(metered: Metered, readings: list[Reading]) -> tuple[Metered, int]:
    total = 0
    for reading in readings:
        made = bill(metered, reading)
        metered, total = made.metered, total + made.usat
    return metered, total


@given(
    rate=st.integers(0, 10**9),
    steps=st.lists(st.integers(0, 10**9), min_size=1, max_size=12),
    order=st.data(),
)
def test_any_splitting_repeating_and_reordering_bills_the_same(
    rate: int, steps: list[int], order: st.DataObject
) -> None:
    counts = [sum(steps[: n + 1]) for n in range(len(steps))]
    readings = [Reading("egress", count, at) for at, count in enumerate(counts)]
    muddled = order.draw(st.lists(st.sampled_from(readings), max_size=30))
    start = Metered((("egress", rate),))

    _, at_once = billed(start, [readings[-1]])
    _, in_steps = billed(start, readings)
    partly, first = billed(start, muddled)
    _, rest = billed(partly, [readings[-1]])

    assert at_once == in_steps == first + rest == rate * counts[-1] // 1_000_000
    assert first <= rate * max((r.count for r in muddled), default=0) // 1_000_000


@given(parts=st.lists(st.integers(0, 10**12), max_size=20), rate=st.integers(0, 10**9))
def test_remainders_are_carried_to_the_last_micro_sat(parts: list[int], rate: int) -> None:
    total, remainder = 0, 0
    for part in parts:
        usat, remainder = due(rate, part, METERS["cpu"].per, remainder)
        total += usat
    assert (total, remainder) == divmod(rate * sum(parts), METERS["cpu"].per)


def test_a_counter_that_fell_bills_nothing_and_says_so_once() -> None:
    metered, paid = billed(Metered(RATES), [Reading("egress", 3_000_000, 10)])
    late = bill(metered, Reading("egress", 1_000_000, 5))
    fell = bill(metered, Reading("egress", 1_000_000, 20))
    again = bill(fell.metered, Reading("egress", 2_000_000, 30))
    _, more = billed(again.metered, [Reading("egress", 4_000_000, 40)])

    assert paid == 150_000
    assert (late.usat, late.fell_from, late.metered) == (0, None, metered)
    assert (fell.usat, fell.fell_from) == (0, 3_000_000)
    assert (again.usat, again.fell_from) == (0, None)
    assert more == 50_000


def test_each_gate_counts_its_own_requests_and_there_are_so_many_gates_at_most() -> None:
    gates = [Reading("proxy_requests", 10, 1, source=f"gate-{n}") for n in range(SOURCES_MAX + 1)]
    _, paid = billed(Metered(RATES), [*gates, *gates])
    assert paid == 7 * 10 * SOURCES_MAX


def test_storage_is_paid_from_the_first_look_on_and_goes_on_over_runtimes() -> None:
    gib_hour = METERS[STORAGE].per
    read = [Reading(STORAGE, 5 * gib_hour, 1, period=7), Reading(STORAGE, 6 * gib_hour, 2, period=7)]
    metered, paid = billed(Metered(RATES), read)
    metered = begun(metered, RATES)
    after = [Reading(STORAGE, 7 * gib_hour, 3, period=7), Reading(STORAGE, gib_hour, 4, period=9), read[1]]
    _, later = billed(metered, after)

    assert paid == 3_600_000
    assert later == 2 * 3_600_000
    assert begun(metered, ((STORAGE, 1),)).marks == ()


# A wallet


def world(*rates: tuple[str, int], rate: int = 10_000) -> World:
    return World(replace(WalletPolicy(), meter_rates=rates or RATES), rate=rate)


def read(w: World, runtime_id: str | None = None, **counts: int) -> Decision:
    runtime = w.state.runtime
    assert runtime is not None
    found = tuple(Reading(name, count, w.now_ms) for name, count in counts.items())
    made = w.ask(c.Readings(runtime_id or runtime.runtime_id, found))
    w.run_effects()
    return made


def test_a_reading_is_a_posting_of_its_own_after_the_time_before_it() -> None:
    w = world().alive(100)
    w.pass_ms(30_000)
    made = read(w, egress=2_000_000, cpu=5_000_000)

    assert [(e.kind, dict(e.amounts)["burnt"]) for e in made.entries] == [
        ("charge", 300_000),
        ("meter", 100_000),
        ("meter", 5_000),
    ]
    assert made.entries[1].reference == "meter:egress:rt_2"
    assert read(w, egress=2_000_000, cpu=5_000_000).entries == ()
    check(w.state.accounts)


def test_a_reading_of_another_runtime_is_ignored() -> None:
    w = world().alive(100)
    assert not read(w, "rt_somebody_else", egress=10**12).is_changed


def test_what_is_free_stays_free_for_a_runtime_whatever_the_settings_say_later() -> None:
    w = world(("egress", 0)).alive(100)
    w.policy = replace(w.policy, meter_rates=RATES)
    assert not read(w, egress=10**12).is_changed


def test_the_last_word_of_the_node_is_billed_once() -> None:
    w = world().alive(100)
    read(w, egress=2_000_000)
    runtime = w.state.runtime
    assert runtime is not None
    w.ask(c.Reap())
    told = c.Stopped(
        runtime.runtime_id, True, "boot", w.now_ms, "d", "stopped", (Reading("egress", 5_000_000, w.now_ms),)
    )
    made = w.ask(told)

    assert [dict(e.amounts)["burnt"] for e in made.entries if e.kind == "meter"] == [150_000]
    assert w.ask(told).entries == ()


def test_a_meter_that_empties_the_bucket_begins_grace_now_not_in_the_past() -> None:
    w = world().alive(1)
    w.pass_ms(50_000)
    read(w, egress=100_000_000)

    assert w.state.phase is Phase.GRACE
    assert w.state.grace is not None
    assert w.state.grace.began_ms == w.now_ms
    assert w.state.accounts.debt_usat == 50_000 * 100 + 500_000 - 1_000_000
    check(w.state.accounts)


def test_a_fall_is_told_to_the_owner() -> None:
    w = world().alive(100)
    read(w, egress=2_000_000)
    w.pass_ms(1000)
    read(w, egress=1_000_000)
    assert "meter_fell" in w.events


@given(
    steps=st.lists(st.tuples(st.integers(0, 40_000), st.integers(0, 3_000_000), st.booleans()), max_size=15),
)
def test_a_wallet_pays_its_counters_exactly_whatever_is_lost_or_told_twice(steps: list[tuple[int, int, bool]]) -> None:
    w = world().alive(10_000)
    count = 0
    for ms, more, is_lost in steps:
        w.pass_ms(ms)
        count += more
        if not is_lost:
            read(w, egress=count)
            read(w, egress=count)
    read(w, egress=count)
    paid = sum(dict(e.amounts)["burnt"] for e in w.entries if e.kind == "meter")
    assert paid == count * 50_000 // 1_000_000


# Budget


def set_budget(w: World, *caps: tuple[str, int], **rest: object) -> None:
    made = w.ask(c.SetBudget(Budget(tuple(sorted(caps)), **rest)))  # type: ignore[arg-type]
    assert made.refusal is None
    w.run_effects()


def until(w: World, end_ms: int, late_ms: int = 0) -> None:
    """Time passes; alarms fire, each a little late."""
    while w.now_ms < end_ms:
        alarm = next_alarm_ms(w.state, w.policy)
        w.now_ms = end_ms if alarm is None else min(end_ms, max(w.now_ms + 1, alarm + late_ms))
        w.tick()


@given(cap=st.integers(10_000_000, 40_000_000), hours=st.integers(1, 3), late_ms=st.integers(0, 9_000))
def test_an_hour_never_costs_more_than_its_budget(cap: int, hours: int, late_ms: int) -> None:
    w = world().alive(10_000)  # 36 sats an hour, 9 frozen
    set_budget(w, ("total", cap))
    began, before = w.now_ms, w.state.accounts.burnt
    for hour in range(hours):
        until(w, began + (hour + 1) * HOUR, late_ms)
        w.ask(c.Checkpoint())
        spent = w.state.accounts.burnt - before
        assert min(cap, 36 * SAT) - 20 * 10_000 <= spent <= cap
        assert w.state.phase is Phase.ALIVE
        before += spent


def test_a_used_up_budget_freezes_and_the_next_hour_lets_go() -> None:
    w = world().alive(10_000)
    set_budget(w, ("egress", 1_000_000))
    w.pass_ms(10_000)
    read(w, egress=20_000_000)

    assert w.state.is_held
    assert w.state.runtime is not None
    assert w.state.runtime.is_paused
    assert "budget_reached" in w.events
    refused = w.ask(c.Pause(False)).refusal
    assert refused is not None
    assert refused.code == "budget_reached"

    until(w, w.now_ms + HOUR)
    assert not w.state.is_held
    assert w.state.runtime is not None
    assert not w.state.runtime.is_paused
    assert "budget_renewed" in w.events


def test_a_higher_budget_lets_go_at_once() -> None:
    w = world().alive(10_000)
    set_budget(w, ("egress", 1_000_000))
    read(w, egress=20_000_000)
    set_budget(w, ("egress", 2_000_000))
    assert not w.state.is_held
    assert w.state.runtime is not None
    assert not w.state.runtime.is_paused


def test_where_nothing_can_be_frozen_a_used_up_budget_stops() -> None:
    w = world().alive(10_000)
    set_budget(w, ("egress", 1_000_000))
    runtime = w.state.runtime
    assert runtime is not None
    w.ask(c.Readings(runtime.runtime_id, (Reading("egress", 20_000_000, w.now_ms),)))
    w.effects.clear()
    w.ask(c.PauseFailed(runtime.runtime_id, "pause_unavailable"))
    w.run_effects()

    assert (w.state.phase, w.state.reason) == (Phase.REAPED, "budget_reached")
    assert w.state.accounts.bucket > 0


def test_what_its_owner_froze_is_stopped_at_the_cap_and_not_thawed_by_the_next_hour() -> None:
    w = world().alive(10_000)
    w.ask(c.Pause(True))
    w.run_effects()
    set_budget(w, ("total", 4 * SAT))  # frozen costs 9 an hour
    until(w, w.now_ms + HOUR)
    assert (w.state.phase, w.state.reason) == (Phase.REAPED, "budget_reached")
    assert w.state.accounts.burnt == 4 * SAT


# Forecast and warnings


def test_the_clock_alone_is_forecast_as_before() -> None:
    w = world().alive(36)
    ahead = forecast(w.state, w.now_ms)
    assert ahead.exhausts_ms == w.now_ms + HOUR
    assert ahead.usat_per_hour == (("clock", 36 * SAT),)


def test_what_was_burnt_lately_shortens_the_runway_and_is_named() -> None:
    w = world().alive(100)
    for minute in range(1, 11):
        w.pass_ms(60_000)
        read(w, egress=minute * 12_000_000)  # 0.6 sats a minute, as much as the clock
    found = status(View(w.state, 0, w.instant().proof), w.policy, 0)

    assert found.seconds_left == pytest.approx((100 - 12) * 60 / 1.2, rel=0.11)
    assert next(iter(found.burn_usat_per_hour)) == "egress" or found.burn_usat_per_hour["clock"] == 36 * SAT
    assert found.meter_rates["egress"] == 50_000
    w.pass_ms(20 * 60_000)
    assert dict(forecast(w.state, w.now_ms).usat_per_hour) == {"clock": 36 * SAT}


def test_owners_say_when_to_be_warned_and_egress_counts() -> None:
    w = world().alive(100)
    set_budget(w, warn_seconds=(5_000, 30))
    w.pass_ms(60_000)
    made = read(w, egress=1_000_000_000)  # fifty sats at once
    assert [h.data["seconds_left"] for _, h in made.events if h.type == "runway"] == [5_000]
