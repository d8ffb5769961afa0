"""The log of the calls that were paid from buckets, as tills see it: written ahead of the wallets, each order once.

A call is paid when its order is durable here. The wallets post what is logged afterwards, from what they have reserved for each
gate (`gate.charging.till`). The log outlives the gates: a slot's next gate continues where the last one stopped.
`tests/storage/contracts/test_orders.py` holds each of them.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from actors.wallet.calls import LoggedOrder
from operations.errors import SatboxError

SLOTS_MAX = 8
"""Gates over one home. A wallet keeps as many allowances (`Policy.allowances_max`)."""
SLOTS = tuple(f"gate_{number}" for number in range(1, SLOTS_MAX + 1))
NEVER_LOOKED = -1
UNSIGNED = "chg_"
"""How ids of orders begin that a pass or a key stands for, in place of a signature."""


@dataclass(frozen=True, slots=True)
class Held:
    """An order whose money is reserved. It was presented in time; by `expires_ms` it is paid, or never. `payer` is an account:
    an address, or `ADDRESS/key_...` when a spending key pays. `usat` is the most it may cost.
    """

    order_id: str
    payer: str
    payee: str
    usat: int
    expires_ms: int
    resource: str = ""
    looked: int = NEVER_LOOKED
    """The last trim of the log at which this order was known as unused: not logged then, nor posted by its wallet after."""
    is_named: bool = False
    """Nobody signed it, and its id comes again with the same purchase: it may have been paid before, at any gate."""
    kept_ms: int = 0
    """Until when the log keeps every order of this id; once it has trimmed such, the wallet is asked. 0: it always is."""


Written = Callable[[LoggedOrder | None], None]
"""Called before anybody hears of it: with the order as logged, or None when it is not, or when nobody knows whether it is."""


class OrderLog(Protocol):
    """One gate's part of the log, by its slot, which nobody else has meanwhile."""

    gate_id: str
    mark_ms: int
    """The highest expiry of all orders that were ever trimmed, as looked up last."""
    is_broken: bool
    """A write has failed: nothing is taken until it was opened again (`reopen`), and what was under way is unknown."""

    def refusal(self) -> SatboxError:
        """Why nothing can be written while it is broken."""
        ...

    async def write(self, held: Held, told: Written) -> LoggedOrder:
        """Log an order; durable when this returns. `told` is called even if the caller here has gone. Raises order_used;
        another error means that it is not known whether the order is paid (`funds_moved` is "unknown"), or that the log takes
        no orders now (overloaded, storage_full).
        """
        ...

    async def opens(self, payer: str) -> None:
        """Remember that this wallet has reserved money for this gate; durable when this returns. Raises overloaded."""
        ...

    def closed(self, payer: str) -> None:
        """It has none any more."""
        ...

    def has_elsewhere(self, gate_id: str, payer: str) -> None:
        """This wallet has reserved money for another slot, whose log may have been lost: it is found there now."""
        ...

    def posted(self, orders: Iterable[LoggedOrder]) -> None:
        """Their wallet has posted these. Written with the next order, or by `tidy`: asked twice, a wallet posts them once."""
        ...

    def tidy(self) -> None:
        """Write what has waited for an order to go with."""
        ...

    def next_number(self) -> int:
        """A number that this slot has not used, later than the last one."""
        ...

    def goes_on_after(self, seq: int) -> None:
        """A wallet knows this number of ours: after a log was lost, and its clock was set back."""
        ...

    def unposted(self) -> dict[str, list[LoggedOrder]]:
        """By payer, oldest first. Called when nothing is being written."""
        ...

    def payers(self) -> list[str]:
        """Wallets that may have reserved money for this gate."""
        ...

    def used(self, most: int) -> list[tuple[str, int]]:
        """Orders in the log, the last to expire last, with the time until when each could be shown again. The clock may step
        back, so those are among them whose time is over by the clock as it is now. Not those that nobody signed: they come
        once, or are looked for each time.
        """
        ...

    async def look(self, order_id: str = "") -> tuple[bool, int]:
        """Whether the log holds an order now, and the number of the last trim; `mark_ms` is fresh after it. Raises overloaded."""
        ...

    async def reopen(self) -> None:
        """After a failure: read the log again. Raises StorageError when it still cannot be written."""
        ...

    async def close(self) -> None:
        """Write what is left, and let the slot go."""
        ...


class OrderLogs(Protocol):
    """All slots of a home."""

    def free_slot(self) -> OrderLog:
        """The part of the first slot that no gate has. Raises overloaded when all are taken."""
        ...

    def left_behind(self) -> Iterator[OrderLog]:
        """Parts whose gates are gone with something left to do, one after another; the caller drains and closes each."""
        ...
