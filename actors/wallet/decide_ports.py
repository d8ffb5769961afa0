"""What strangers may reach, by tokens that the owner gives out, and whether they may see the wallet's page."""

from actors.wallet import commands as c
from actors.wallet.state import ExposedPort
from actors.wallet.turn import Handler, Turn

EXPOSED_MAX = 64


def _expose(turn: Turn, command: c.Expose) -> c.Refusal | None:
    if not turn.state.is_planned:
        return c.Refusal("wallet_not_found")
    kept = tuple(each for each in turn.state.exposed if each.expires_wall_ms > turn.at.wall_ms)
    if len(kept) >= EXPOSED_MAX:
        return c.Refusal("overloaded", {"exposed_ports": len(kept)})
    turn.set(exposed=(*kept, ExposedPort(command.port, command.token_hash, command.expires_wall_ms)))
    turn.tell("port_exposed", port=command.port)
    return None


def _unexpose(turn: Turn, command: c.Unexpose) -> c.Refusal | None:
    kept = tuple(each for each in turn.state.exposed if each.port != command.port)
    if len(kept) != len(turn.state.exposed):
        turn.set(exposed=kept)
        turn.tell("port_revoked", port=command.port)
    return None


def _set_visibility(turn: Turn, command: c.SetVisibility) -> c.Refusal | None:
    if not turn.state.exists:
        return c.Refusal("wallet_not_found")
    if turn.state.is_public != command.is_public:
        turn.set(is_public=command.is_public)
        turn.tell("visibility", public=command.is_public)
    return None


HANDLERS: dict[type[c.Command], Handler] = {
    c.Expose: _expose,
    c.Unexpose: _unexpose,
    c.SetVisibility: _set_visibility,
}
