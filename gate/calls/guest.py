"""One call by a stranger: who it is, which route it falls under, and the charge that is held for it.

`Guest` is what the proxy carries through a call: it settles when the server inside has answered, and releases when it has not.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from actors.wallet.calls import Route
from gate.charging.bill import Bill
from gate.charging.charge import Charge
from operations.prices import USAT_PER_SAT


@dataclass(frozen=True, slots=True)
class Call:
    """What is called: the resource as orders name it, and the wallet that it belongs to."""

    payee: str
    port: int
    method: str
    resource: str
    route: Route
    route_number: int

    @property
    def usat(self) -> int:
        """Its price."""
        return self.route.sats * USAT_PER_SAT

    @property
    def bill(self) -> Bill:
        """What is to be paid for it."""
        return Bill(self.payee, self.payee, "call", self.resource, self.usat, self.route.deliver_on)


@dataclass(slots=True)
class Guest:
    """A caller who was let in. `payer` is proven by a signature when there is one; without a charge the call is free."""

    call: Call
    payer: str | None = None
    charge: Charge | None = None

    @property
    def is_paid(self) -> bool:
        """Whether money has moved for it."""
        return self.charge is not None and self.charge.is_paid

    async def settle(self, status: int) -> Mapping[str, str]:
        """The server inside has answered with `status`: pay, or do not; headers for the caller. What raises here reaches
        the caller in place of the answer.
        """
        return {} if self.charge is None else await self.charge.settle(status)

    async def release(self) -> None:
        """The call has failed: nobody pays for it."""
        if self.charge is not None:
            await self.charge.release()
