"""Real wallet cores behind real settlements on one clock: how many seconds of sandbox somebody gets, and how many are paid."""

from dataclasses import dataclass, field

from settlement_bench import Bench

from actors.wallet import commands as c
from actors.wallet.metering import cost_usat
from actors.wallet.state import Plan, WalletPolicy
from relay_client.sink import Credit, Observation, Outage, Reversal
from tests.actors.harness import World

POLICY = WalletPolicy()


@dataclass
class Street:
    """Wallets by address, all of one rate: a sink for settlements."""

    bench: Bench
    rate_usat_per_second: int
    wallets: dict[str, World] = field(default_factory=dict)

    def wallet(self, address: str) -> World:
        """The wallet: created by its owner, never paid."""
        if address not in self.wallets:
            world = self.wallets[address] = World(rate=self.rate_usat_per_second)
            world.now_ms = self.bench.clock.ms
            world.ask(c.Prepare("create", Plan(), self.rate_usat_per_second))
        return self.wallets[address]

    @property
    def grant_max_usat(self) -> int:
        """What the gate says that a wallet could use of one payment."""
        return cost_usat(self.rate_usat_per_second, POLICY.grace_cap_ms // 1000)

    async def observe(self, observation: Observation) -> None:
        seen, world = observation, self._at_present(observation.address)
        age_ms = self.bench.clock.ms - seen.seen_at_ms
        usat = (seen.expected_usat, seen.granted_usat)
        world.ask(c.Observe(seen.payment_id, seen.payer, seen.state, *usat, age_ms, seen.terminal_reason))
        await self._settle(world)

    async def credit(self, credit: Credit) -> None:
        world = self._at_present(credit.address)
        world.ask(c.Deposit(credit.payment_id, credit.payer, credit.usat, credit.txid, credit.asset))
        await self._settle(world)

    async def reverse(self, reversal: Reversal) -> None:
        world = self._at_present(reversal.address)
        world.ask(c.Reverse(reversal.payment_id, reversal.usat))
        await self._settle(world)

    async def payments_unavailable(self, outage: Outage) -> None:
        raise AssertionError("no outage in these tests")

    def _at_present(self, address: str) -> World:
        world = self.wallet(address)
        world.now_ms = self.bench.clock.ms
        return world

    async def _settle(self, world: World) -> None:
        world.run_effects()
        while world.losses:
            payment_id, usat = world.losses.pop(0)
            await self.bench.settlements.record_loss(payment_id, usat)

    async def pass_time(self, seconds: float, *, mining: bool = False, step_seconds: float = 2) -> None:
        """Deadlines fire, sightings come in."""
        for _ in range(int(seconds / step_seconds)):
            await self.bench.pass_time(step_seconds, step_seconds=step_seconds, mining=mining)
            for world in self.wallets.values():
                world.now_ms = self.bench.clock.ms
                world.tick()
                await self._settle(world)

    def starts(self, address: str) -> int:
        """How often a sandbox was started."""
        return self.wallets[address].events.count("starting")

    def stolen_seconds(self) -> float:
        """Metered time that no deposit has paid: used, less what came in, plus what is left of that."""
        usat = 0
        for world in self.wallets.values():
            accounts = world.state.accounts
            usat += accounts.burnt + accounts.deposits + accounts.bucket
        return usat / self.rate_usat_per_second
