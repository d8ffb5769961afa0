"""Ports given out by tokens: kept with the wallet, voided by its owner, gone with its lifetime."""

from actors.wallet import commands as c
from gate.identity.port_tokens import open_until, token_hash
from tests.actors.harness import World


def test_a_token_opens_its_port_until_it_expires_or_is_revoked() -> None:
    world = World().alive(1_000)
    wall_ms = world.instant().wall_ms
    world.ask(c.Expose(80, token_hash("one"), wall_ms + 1_000))
    world.ask(c.Expose(81, token_hash("two"), wall_ms + 1_000))

    assert open_until(world.state.exposed, 80, "one", wall_ms) is not None
    assert open_until(world.state.exposed, 81, "one", wall_ms) is None
    assert open_until(world.state.exposed, 80, "one", wall_ms + 1_000) is None
    world.ask(c.Unexpose(80))
    assert open_until(world.state.exposed, 80, "one", wall_ms) is None
    assert open_until(world.state.exposed, 81, "two", wall_ms) is not None


def test_a_restart_keeps_them_and_a_destroyed_lifetime_does_not() -> None:
    world = World().alive(1_000)
    world.ask(c.Expose(80, token_hash("one"), world.instant().wall_ms + 10**6))
    world.lose()
    world.run_effects()
    kept = world.state.exposed
    world.ask(c.Reap(destroy=True))
    world.run_effects()

    assert len(kept) == 1
    assert world.state.exposed == ()


def test_there_are_only_so_many_and_expired_ones_make_room() -> None:
    world = World().alive(1_000)
    wall_ms = world.instant().wall_ms
    for number in range(64):
        assert world.ask(c.Expose(80, token_hash(str(number)), wall_ms + 10_000)).refusal is None
    refusal = world.ask(c.Expose(80, token_hash("more"), wall_ms + 10_000)).refusal
    world.pass_ms(20_000)

    assert refusal is not None
    assert world.ask(c.Expose(80, token_hash("more"), wall_ms + 90_000)).refusal is None
    assert len(world.state.exposed) == 1
