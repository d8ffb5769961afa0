"""What is to be paid, before anybody has paid it."""

from dataclasses import dataclass

from actors.wallet.calls import DeliverOn, operator_for
from gate.settings import GateSettings
from operations.prices import USAT_PER_SAT, checked_usat


@dataclass(frozen=True, slots=True)
class Bill:
    """`usat` is the most that it can cost. `payee` is a wallet's address, or the operator for a purpose; `order_to` is the
    address that signed orders name for it. `resource` is what is bought, as orders name it: `METHOD /path`.
    """

    payee: str
    order_to: str
    purpose: str
    resource: str
    usat: int
    deliver_on: DeliverOn = "confirmed"

    def __post_init__(self) -> None:
        checked_usat(self.usat)

    @property
    def sats(self) -> int:
        """What must be signed or sent for it: whole sats, rounded up. What is not used stays in the payer's bucket."""
        return -(-self.usat // USAT_PER_SAT)


def operators_bill(settings: GateSettings, purpose: str, resource: str, usat: int) -> Bill:
    """A bill for a service of the operator's. A small one is answered once its payment on chain is seen, within the bound that
    holds for every seller (`gate.charging.exposure`).
    """
    return Bill(operator_for(purpose), settings.pay_to, purpose, resource, usat, "mempool")
