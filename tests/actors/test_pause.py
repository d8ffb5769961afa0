"""Pausing: a lower rate for exactly as long as the node says, whatever crashes in between."""

import pytest

from actors.view import View, status
from actors.wallet import commands as c
from actors.wallet.state import Phase
from tests.actors.harness import POLICY, RATE, World


def paused(sats: int = 1_000) -> World:
    world = World().alive(sats)
    world.ask(c.Pause(True))
    world.run_effects()
    return world


def test_time_before_at_the_full_rate_time_frozen_at_the_lower_one() -> None:
    world = World().alive(1_000)
    world.pass_ms(10_000)
    world.ask(c.Pause(True))
    world.run_effects()
    world.pass_ms(10_000)
    world.ask(c.Pause(False))
    world.run_effects()
    world.pass_ms(10_000)
    world.ask(c.Checkpoint())

    assert [span.charge_usat for span in world.spans] == [10 * RATE, 10 * RATE // 4, 10 * RATE]
    assert world.events[-2:] == ["paused", "resumed"]


def test_the_moment_is_the_node_s_not_the_answer_s() -> None:
    world = World().alive(1_000)
    world.pass_ms(4_000)
    world.ask(c.Pause(True))
    world.effects.clear()
    runtime = world.state.runtime
    assert runtime is not None
    frozen_at = world.now_ms
    world.pass_ms(6_000)  # the answer took its time

    world.ask(c.Paused(runtime.runtime_id, "boot", True, frozen_at))
    world.ask(c.Checkpoint())

    assert [span.charge_usat for span in world.spans] == [4 * RATE, 6 * RATE // 4]


def test_a_crash_before_the_node_was_told_repeats_it() -> None:
    world = World().alive(1_000)
    world.ask(c.Pause(True))
    world.crash()

    assert world.effects == [c.SetPaused(world.state.runtime.runtime_id)]  # type: ignore[union-attr]
    world.run_effects()
    assert world.state.runtime is not None
    assert world.state.runtime.is_paused


def test_a_mind_changed_while_the_node_was_busy_wins() -> None:
    world = World().alive(1_000)
    world.ask(c.Pause(True))
    first, runtime = world.effects.pop(), world.state.runtime
    assert runtime is not None
    world.ask(c.Pause(False))
    world.effects.clear()
    world.node.paused[runtime.runtime_id] = (True, world.now_ms)
    assert isinstance(first, c.SetPaused)

    world.ask(c.Paused(runtime.runtime_id, "boot", True, world.now_ms))
    world.run_effects()

    assert world.state.runtime is not None
    assert not world.state.runtime.is_paused
    assert world.node.paused[runtime.runtime_id][0] is False


def test_a_frozen_sandbox_runs_dry_later_and_is_reaped_all_the_same() -> None:
    world = paused(1_000)
    world.pass_ms(3_999_000)
    world.tick()
    alive = world.state.phase
    world.pass_ms(1_000)
    world.tick()
    dry = world.state.phase
    world.pass_ms(POLICY.grace_ms)
    world.tick()

    assert (alive, dry, world.state.phase) == (Phase.ALIVE, Phase.GRACE, Phase.REAPED)
    assert world.state.accounts.debt_usat == RATE * POLICY.grace_ms // 1000 // 4


def test_status_says_paused_and_the_rate_it_pays() -> None:
    world = paused()
    instant = world.instant()

    shown = status(View(world.state, instant.wall_ms, instant.proof), POLICY, instant.wall_ms)

    assert (shown.state, shown.paused, shown.rate_usat_per_second) == ("alive", True, RATE // 4)
    assert shown.seconds_left == pytest.approx(4_000)


def test_the_next_runtime_is_not_paused() -> None:
    world = paused()
    world.lose()
    world.run_effects()

    assert world.state.runtime is not None
    assert (world.state.runtime.is_paused, world.state.wants_pause) == (False, False)
    assert world.state.burn_usat_per_second == RATE


def test_a_node_that_can_t_says_so_and_the_price_stays() -> None:
    world = World().alive(1_000)
    world.ask(c.Pause(True))
    world.effects.clear()
    assert world.state.runtime is not None

    world.ask(c.PauseFailed(world.state.runtime.runtime_id, "pause_unavailable"))

    assert (world.state.wants_pause, world.state.burn_usat_per_second) == (False, RATE)
    assert world.events[-1] == "pause_failed"


def test_a_new_rate_while_frozen_counts_from_there() -> None:
    world = paused()
    world.ask(c.SetRate(4 * RATE))
    world.pass_ms(1_000)
    world.ask(c.Checkpoint())

    assert world.spans[-1].charge_usat == RATE


@pytest.mark.parametrize(("reaped", "code"), [(True, "sandbox_reaped"), (False, "wallet_not_found")])
def test_what_does_not_run_can_t_be_paused(reaped: bool, code: str) -> None:
    world = World()
    if reaped:
        world.alive(100)
        world.ask(c.Reap())
        world.run_effects()

    refusal = world.ask(c.Pause(True)).refusal

    assert refusal is not None
    assert refusal.code == code
