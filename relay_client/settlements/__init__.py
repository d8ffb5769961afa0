"""From a presented payment to one credit: attempts, confirmations, the outbox to the wallets."""

from relay_client.settlements.policy import SettlementPolicy, SettleRoute
from relay_client.settlements.records import PaymentReport, Presentation
from relay_client.settlements.schedule import SettlementClock
from relay_client.settlements.service import Settlements

__all__ = [
    "PaymentReport",
    "Presentation",
    "SettleRoute",
    "SettlementClock",
    "SettlementPolicy",
    "Settlements",
]
