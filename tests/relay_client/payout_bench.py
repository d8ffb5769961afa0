"""A payout queue over the real devnet through the real Stacks client, with crashes at will."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from payment_builders import NETWORK, SBTC
from settlement_bench import Clock, Crash, Wire

from devnet.world import WORLD
from relay_client.chain import StacksApi
from relay_client.payouts import (
    KeyUnavailable,
    PayoutOrder,
    PayoutPolicy,
    PayoutQueue,
    PayoutReport,
    PayoutResult,
    migrate,
)
from stacks import PrivateKey
from storage.writer import GroupWriter

PAYOUT_KEY = PrivateKey(bytes(31) + b"\x44")
SENDER = str(PAYOUT_KEY.address(NETWORK))
WALLET = "ST2CY5V39NHDPWSXMW9QDT3HC3GD6Q6XX4CFRK9AG"
ORIGIN = str(PrivateKey(bytes(31) + b"\x55").address(NETWORK))
SAT = 1_000_000


def order(
    name: str = "rcl_1_0", *, sats: int = 100, fee: int = 10, asset: str = "sBTC", to: str = ORIGIN
) -> PayoutOrder:
    """What a wallet would order."""
    return PayoutOrder(name, WALLET, to, asset, sats - fee, sats * SAT, fee * SAT)


@dataclass
class Told:
    """Wallets that post each end once, as theirs do; trouble on request."""

    ends: dict[str, PayoutResult] = field(default_factory=dict)
    calls: int = 0
    trouble: int = 0

    async def ended(self, ended: PayoutResult) -> None:
        self.calls += 1
        if self.trouble:
            self.trouble -= 1
            raise ConnectionError("wallets cannot be reached")
        assert self.ends.setdefault(ended.payout_id, ended) == ended


class PayoutBench:
    """One queue that can be killed and started again."""

    def __init__(self, twin, wire: Wire, clock: Clock, path: Path) -> None:
        self.twin, self.wire, self.clock, self.path = twin, wire, clock, path
        self.world = twin.app[WORLD]
        self.told = Told()
        self.policy = PayoutPolicy()
        self.has_key = True
        self.die_at: str | None = None
        self.steps: list[str] = []
        self.store: GroupWriter | None = None

    def _checkpoint(self, step: str) -> None:
        self.steps.append(step)
        if step == self.die_at:
            self.die_at = None
            raise Crash(step)

    def _open_key(self) -> PrivateKey:
        if not self.has_key:
            raise KeyUnavailable("there is no payout key")
        return PAYOUT_KEY

    def start(self) -> PayoutQueue:
        self.store = GroupWriter(self.path, migrate)
        chain = StacksApi(str(self.twin.make_url("/stacks")), self.wire.session)
        self.queue = PayoutQueue(
            self.store,
            chain,
            self.told,
            self.clock,
            self._open_key,
            NETWORK,
            policy=self.policy,
            checkpoint=self._checkpoint,
        )
        return self.queue

    def kill(self) -> None:
        if self.store is not None:
            self.store.close()
            self.store = None

    def mine(self, count: int = 1) -> None:
        for _ in range(count):
            self.world.mine()

    def held(self, address: str = ORIGIN, asset: str = SBTC.asset_id) -> int:
        return self.world.chain.ledger.balance(address, asset)

    async def settle(self, rounds: int = 12, each: Callable[[], None] | None = None) -> None:
        """Rounds with a block and a minute in between."""
        for _ in range(rounds):
            try:
                await self.queue.tick()
            except Crash:
                self.kill()
                self.start()
            if each is not None:
                each()
            self.mine()
            self.clock.ms += 31_000

    async def one(self, name: str = "rcl_1_0") -> PayoutReport:
        (found,) = [payout for payout in await self.queue.of(WALLET) if payout.payout_id == name]
        return found
