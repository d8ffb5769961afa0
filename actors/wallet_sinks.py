"""How settlements reach wallets: each message becomes a command that is durable, and exactly once, when it returns."""

from actors.clock import Clock
from actors.system import ActorSystem
from actors.wallet.commands import Deposit, Observe, PayoutEnded, Reverse
from relay_client.payouts import PayoutResult
from relay_client.sink import Credit, Observation, Outage, Reversal


class WalletSink:
    """The `CreditSink` that wallets are behind."""

    def __init__(self, system: ActorSystem, clock: Clock) -> None:
        self._system = system
        self._clock = clock

    async def observe(self, observation: Observation) -> None:
        """A payment's state, by its age rather than by a time of another clock."""
        await self._system.ask(
            observation.address,
            Observe(
                observation.payment_id,
                observation.payer,
                observation.state,
                observation.expected_usat,
                observation.granted_usat,
                max(0, self._clock.wall_ms() - observation.seen_at_ms),
                observation.terminal_reason,
                observation.wakes,
            ),
        )

    async def credit(self, credit: Credit) -> None:
        """Money in."""
        await self._system.ask(
            credit.address,
            Deposit(
                credit.payment_id,
                credit.payer,
                credit.usat,
                credit.txid,
                credit.asset,
                credit.atomic_amount,
                credit.wakes,
            ),
        )

    async def reverse(self, reversal: Reversal) -> None:
        """Money back out."""
        await self._system.ask(reversal.address, Reverse(reversal.payment_id, reversal.usat))

    async def payments_unavailable(self, outage: Outage) -> None:
        """Hold grace."""
        await self._system.payments_unavailable(outage.since_ms, outage.until_ms)


class WalletPayouts:
    """The `PayoutSink` that wallets are behind."""

    def __init__(self, system: ActorSystem) -> None:
        self._system = system

    async def ended(self, ended: PayoutResult) -> None:
        """A payout has arrived, or certainly never will."""
        await self._system.ask(ended.address, PayoutEnded(ended.payout_id, ended.is_paid, ended.txid, ended.reason))
