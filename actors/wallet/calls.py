"""What wallets remember of paid calls: the routes an owner sells, and money on its way from one wallet to another.

A payer's side of a call is `bucket -> reserved -> in_transit -> spent`, the payee's is `earnings -> bucket`. Money in transit
is named in the payer's state until the payee has said that it is there, so a crash on either side loses and doubles nothing.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

Callers = Literal["anyone", "genesis", "list", "holders"]
"""Who may call: anybody; whoever proves a Genesis pair; the addresses on the route's list; holders of the wallet's own passes
and port tokens.
"""

DeliverOn = Literal["mempool", "confirmed"]


@dataclass(frozen=True, slots=True)
class Route:
    """What an owner lets strangers reach: requests to `port` with one of `methods` (none: any) whose path fits `path`.

    `path` is literal, or ends in `*` for all that begins so. `sats` is the price of a call (0: free); `rate_per_minute` limits
    each caller; `wakes` starts a reaped sandbox on its credit, at most `wakes_per_hour` times.
    """

    port: int
    path: str
    methods: tuple[str, ...] = ()
    sats: int = 0
    callers: Callers = "anyone"
    addresses: tuple[str, ...] = ()
    rate_per_minute: int = 600
    deliver_on: DeliverOn = "confirmed"
    wakes: bool = False
    wakes_per_hour: int = 6


@dataclass(frozen=True, slots=True)
class Allowance:
    """Money set aside for the orders that one gate takes, so that no order waits for its hold; the gate gives back what it
    does not use. `posted_seq`: the last of the gate's orders that this wallet has posted; an earlier one is a repetition.
    `gate_id` names a key, too, when it is for what that key spends (`spending_keys.key_of`).
    `until_wall_ms` is in files of an earlier version alone: no gate gives those back, so the wallet's next turn does.
    """

    gate_id: str
    usat: int
    posted_seq: int = 0
    until_wall_ms: int | None = None
    asked: int = 0
    """The number of the last `Reserve` or `Unreserve`: one that comes after a later one does nothing."""


@dataclass(frozen=True, slots=True)
class LoggedOrder:
    """A call that is paid: durable in its gate's log under `seq`, and paid from what is set aside for that gate."""

    seq: int
    order_id: str
    payee: str
    usat: int


@dataclass(frozen=True, slots=True)
class BundledOrder:
    """An order that went with others to the same payee, in the one entry of their bundle."""

    entry_seq: int
    seq: int
    order_id: str
    usat: int


OPERATOR = "operator/"
"""How the operator is named as a payee: with what it is paid for, such as `operator/inference`. No address begins so."""


def operator_for(purpose: str) -> str:
    """The operator as the payee of one purpose."""
    return f"{OPERATOR}{purpose}"


BUNDLE = "calls_"
"""How the names of bundles begin; orders' own begin with `ord_` or `call_`."""


def bundle_id(orders: Sequence[LoggedOrder]) -> str:
    """Names what goes to one payee together, for ever: the order's own id when it goes alone, else how many they are and a
    hash of what they are. The chain over the journal thereby holds every order of a bundle, and no bundle is another's.
    """
    if len(orders) == 1:
        return orders[0].order_id
    said = json.dumps([[one.seq, one.order_id, one.usat] for one in orders], separators=(",", ":"))
    return f"{BUNDLE}{len(orders)}_{hashlib.sha256(said.encode()).hexdigest()[:32]}"


@dataclass(frozen=True, slots=True)
class Transit:
    """An order, or a bundle of orders, that is paid and has not been heard of from the payee's side yet."""

    order_id: str
    payee: str
    usat: int


@dataclass(frozen=True, slots=True)
class Promise:
    """An order that is paid as soon as the payment it leans on is credited, and never if that fails."""

    order_id: str
    payment_id: str
    payee: str
    usat: int


@dataclass(frozen=True, slots=True)
class WakeHour:
    """How often traffic woke the sandbox in one hour of wall time."""

    hour: int
    count: int


HOUR_MS = 3_600_000


def counted_wake(before: WakeHour | None, wall_ms: int, most: int) -> WakeHour | None:
    """The hour with one more wake in it; None when it has had its share."""
    hour = wall_ms // HOUR_MS
    if before is None or before.hour != hour:
        return WakeHour(hour, 1) if most > 0 else None
    return replace(before, count=before.count + 1) if before.count < most else None
