"""What a heartbeat proves, and of which sandbox."""

from actors.clock import SystemClock
from actors.hosting.node_link import LOSSES_KEPT, NodeLink
from sandboxes.protocol import Beat, RuntimeLost
from sandboxes.simulated import SimulatedNode


async def _nothing(*_values: object) -> None:
    """Nobody listens."""


def link() -> NodeLink:
    node = SimulatedNode(lambda: 0)
    return NodeLink(
        node, SystemClock(), on_lost=_nothing, on_start_file=_nothing, on_connect=_nothing, on_beat=lambda: None
    )


def test_a_beat_proves_nothing_of_a_runtime_it_names_as_lost() -> None:
    made = link()
    made.hear(Beat("node", "boot", 9_000, 1, 1, (RuntimeLost("rt_dead", "boot", 4_000, "node_restart"),)))

    dead, living = made.proof("rt_dead"), made.proof("rt_living")

    assert dead is not None
    assert living is not None
    assert (dead.proven_ms, living.proven_ms) == (4_000, 9_000)


def test_a_loss_stays_known_when_later_beats_leave_it_out() -> None:
    made = link()
    made.hear(Beat("node", "boot", 9_000, 1, 1, (RuntimeLost("rt_dead", "boot", 4_000, "exited"),)))
    made.hear(Beat("node", "boot", 12_000, 2, 1))

    dead = made.proof("rt_dead")

    assert dead is not None
    assert dead.proven_ms == 4_000


def test_losses_are_kept_within_a_bound() -> None:
    made = link()
    losses = tuple(RuntimeLost(f"rt_{number}", "boot", 1, "exited") for number in range(LOSSES_KEPT + 5))
    made.hear(Beat("node", "boot", 9_000, 1, 0, losses))

    first, last = made.proof("rt_0"), made.proof(f"rt_{LOSSES_KEPT}")

    assert first is not None
    assert last is not None
    assert (first.proven_ms, last.proven_ms) == (9_000, 1)
