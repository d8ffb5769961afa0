"""Going on from an earlier workspace."""

import pytest

from actors.wallet import commands as c
from actors.wallet.state import Phase
from tests.actors.harness import World

EARLIER = "e" * 64


def test_a_running_sandbox_is_stopped_and_starts_from_the_snapshot() -> None:
    world = World().alive(1_000)
    first = world.state.runtime
    world.ask(c.Restore(EARLIER))
    starts = []
    while world.effects:
        starts += [effect for effect in world.effects if isinstance(effect, c.StartSandbox)]
        world.run_effects()

    assert world.state.phase is Phase.ALIVE
    assert world.state.runtime != first
    assert world.state.snapshot_digest == EARLIER
    assert world.events[-4:] == ["stopping", "restoring", "starting", "alive"]


def test_what_it_starts_from_is_the_snapshot() -> None:
    world = World().alive(1_000)
    world.ask(c.Restore(EARLIER))
    stop = world.effects.pop()
    assert isinstance(stop, c.StopSandbox)
    world.node.running.clear()

    made = world.ask(c.Stopped(stop.runtime_id, True, "boot", world.now_ms, "left", "stopped"))

    starts = [effect for effect in made.effects if isinstance(effect, c.StartSandbox)]
    assert [start.snapshot_digest for start in starts] == [EARLIER]


def test_a_resting_wallet_takes_it_at_its_next_start() -> None:
    world = World().alive(1_000)
    world.ask(c.Reap())
    world.run_effects()

    world.ask(c.Restore(EARLIER))
    resting = world.state.phase
    world.ask(c.Wake())

    starts = [effect for effect in world.effects if isinstance(effect, c.StartSandbox)]
    assert resting is Phase.REAPED
    assert [start.snapshot_digest for start in starts] == [EARLIER]


@pytest.mark.parametrize("destroy", [False, True])
def test_a_stop_said_meanwhile_wins(destroy: bool) -> None:
    world = World().alive(1_000)
    world.ask(c.Restore(EARLIER))
    world.ask(c.Reap(destroy))
    world.run_effects()

    assert world.state.phase is Phase.REAPED
    assert not world.node.running
    assert world.state.snapshot_digest != EARLIER


def test_without_credit_it_rests_with_the_snapshot() -> None:
    world = World().alive(60)
    world.pass_ms(60_000)
    world.tick()
    assert world.state.phase is Phase.GRACE

    world.ask(c.Restore(EARLIER))
    world.run_effects()

    assert (world.state.phase, world.state.snapshot_digest) == (Phase.REAPED, EARLIER)


def test_time_until_the_stop_is_charged() -> None:
    world = World().alive(1_000)
    world.pass_ms(7_000)
    world.ask(c.Restore(EARLIER))
    world.run_effects()

    assert world.state.accounts.burnt == 7_000_000
