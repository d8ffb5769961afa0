"""Marks: what a wallet's file remembers for good, so that a command happens at most once."""

from collections.abc import Iterable

from actors.stores.wallets import Mark
from actors.wallet.commands import (
    BurnNonce,
    Command,
    Deposit,
    Earn,
    Observe,
    OpenDispute,
    PayOrder,
    PromiseOrder,
    Reclaim,
    Reverse,
)
from actors.wallet.decide_payments import TERMINAL_FAILURES

ORDER = "order"
"""The kind of the marks of orders: paid or promised by themselves, or posted from a gate's log."""


def made_by(command: Command) -> tuple[Mark, ...]:
    """What makes a command happen at most once."""
    match command:
        case PayOrder() | PromiseOrder():
            return _order_mark(command), _attempt_mark(command)
        case Deposit(payment_id=payment_id):
            return (Mark("deposit", payment_id),)
        case Reverse(payment_id=payment_id):
            return (Mark("reversal", payment_id),)
        case BurnNonce(nonce=nonce, expires_ms=expires_ms):
            return (Mark("nonce", nonce, expires_ms),)
        case OpenDispute(dispute_id=dispute_id):
            return (Mark("dispute", dispute_id),)
        case Earn(order_id=order_id):
            return (Mark("earning", order_id),)
        case Reclaim(reclaim_id=reclaim_id):
            return (Mark("reclaim", reclaim_id),)
        case Observe(payment_id=payment_id, state=state) if state in TERMINAL_FAILURES:
            return (Mark("ended", payment_id),)
        case _:
            return ()


def _order_mark(command: PayOrder | PromiseOrder) -> Mark:
    return Mark(ORDER, command.order_id)


def posted(order_ids: Iterable[str]) -> tuple[Mark, ...]:
    """Of the orders of a `PostOrders` that were posted: no number and no other gate makes one of them new."""
    return tuple(Mark(ORDER, order_id) for order_id in order_ids)


def _attempt_mark(command: PayOrder | PromiseOrder) -> Mark:
    return Mark("attempt", command.attempt_id)


def barring(command: Command) -> tuple[Mark, ...]:
    """The marks that make a command a repetition. A sight of a payment that has ended or was credited comes too late:
    taken seriously it would start a sandbox on money that is spent or will not come.
    """
    match command:
        case Observe(payment_id=payment_id):
            return Mark("ended", payment_id), Mark("deposit", payment_id)
        case PayOrder() | PromiseOrder():
            return (_attempt_mark(command),)
        case _:
            return made_by(command)


def conflicting(command: Command) -> tuple[tuple[Mark, str], ...]:
    """The marks that forbid a command which is no repetition, and the code it is refused with."""
    match command:
        case PayOrder():
            return ((_order_mark(command), "order_used"),)
        case PromiseOrder(payment_id=payment_id):
            # What is credited already fulfils no promise any more: it is paid at once instead.
            return (
                (_order_mark(command), "order_used"),
                (Mark("deposit", payment_id), "order_settled"),
                (Mark("ended", payment_id), "payment_failed"),
            )
        case _:
            return ()
