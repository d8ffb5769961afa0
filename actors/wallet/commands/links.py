"""Wake links, and what their holders do with them."""

from dataclasses import dataclass

from actors.wallet.commands.base import Command
from actors.wallet.links import WakeLink


@dataclass(frozen=True, slots=True)
class AddLink(Command):
    """Give a wake link out."""

    link: WakeLink


@dataclass(frozen=True, slots=True)
class RevokeLink(Command):
    """Void a wake link."""

    link_id: str


@dataclass(frozen=True, slots=True)
class WakeByLink(Command):
    """Start again as planned, on the credit that is left, for the holder of a link."""

    token_hash: str


@dataclass(frozen=True, slots=True)
class TopUpByLink(Command):
    """A payment through a link is about to be presented: may it be?"""

    token_hash: str
    payment_id: str
    usat: int


@dataclass(frozen=True, slots=True)
class TopUpOff(Command):
    """A payment through a link came to nothing before anybody else could tell."""

    payment_id: str
