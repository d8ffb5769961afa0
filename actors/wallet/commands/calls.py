"""Calls that wallets pay one another for (`design/calls.md`)."""

from dataclasses import dataclass

from actors.wallet.calls import LoggedOrder, Route
from actors.wallet.commands.base import Command


@dataclass(frozen=True, slots=True)
class SetRoutes(Command):
    """What strangers may reach from here on, in the order in which it is tried."""

    routes: tuple[Route, ...]


@dataclass(frozen=True, slots=True)
class Reserve(Command):
    """Bring what is set aside for calls at a gate up to `usat`, or as far as the bucket goes but not under `least_usat`."""

    gate_id: str
    usat: int
    least_usat: int
    number: int = 0
    """Rises with what a gate asks. One that comes late, when the wallet knows a later one, does nothing; 0 always does."""
    wants_proof = True


@dataclass(frozen=True, slots=True)
class Unreserve(Command):
    """A gate needs what was set aside for it no more. `number`: as for `Reserve`."""

    gate_id: str
    number: int = 0


@dataclass(frozen=True, slots=True)
class PostOrders(Command):
    """Post the calls that a gate took, in the order of its log, each once, from what is set aside for that gate and from
    nothing else: they are paid already.
    """

    gate_id: str
    orders: tuple[LoggedOrder, ...]


@dataclass(frozen=True, slots=True)
class PayOrder(Command):
    """Pay another wallet for a call that leans on a credited payment, once by `order_id`. `attempt_id` tells a repetition of
    this command from another use of the same order: that one is refused.
    """

    order_id: str
    attempt_id: str
    payee: str
    usat: int


@dataclass(frozen=True, slots=True)
class PromiseOrder(Command):
    """Pay another wallet as soon as a payment of this one's is credited. Once, like `PayOrder`."""

    order_id: str
    attempt_id: str
    payment_id: str
    payee: str
    usat: int


@dataclass(frozen=True, slots=True)
class OrdersDelivered(Command):
    """The payees have these orders."""

    order_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Earn(Command):
    """Another wallet has paid for a call, exactly once by `order_id`."""

    order_id: str
    payer: str
    usat: int
