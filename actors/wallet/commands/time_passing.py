"""A look at a wallet, and what time does to it: alarms, charges, rates, outages."""

from dataclasses import dataclass

from actors.wallet.commands.base import Command


@dataclass(frozen=True, slots=True)
class Look(Command):
    """Change nothing; answer with the state."""


@dataclass(frozen=True, slots=True)
class Tick(Command):
    """An alarm is due, or may be."""

    wants_proof = True


@dataclass(frozen=True, slots=True)
class Checkpoint(Command):
    """Post what is due up to now, as before a clean shutdown."""

    wants_proof = True


@dataclass(frozen=True, slots=True)
class SetRate(Command):
    """Charge at another rate from here on."""

    rate_usat_per_second: int
    wants_proof = True


@dataclass(frozen=True, slots=True)
class Outage(Command):
    """Payments could not be taken for this long: grace that ran meanwhile is given back."""

    from_ms: int
    to_ms: int
