"""How long should grace be, should a receipt stretch it, and where should it end? `python -m bench.grace_policy`.

Agents of several kinds run on the wallet's own rules (`decide`), second by second, under each policy. Counted: how many agents
that would have paid lose their sandbox, and how many seconds are never paid for.

    prompt     tops up at the one-minute warning
    late       notices only in grace, 5 to 50 s into it
    flapping   as late, but the first payment is dropped after a while and sent again
    broke      never pays again
    rider      sends a payment that never confirms, again and again under new names

Confirmations: 80 % in 5-30 s, 15 % in 1-5 min, 5 % in 5-25 min.
"""

import itertools
import random
import sys
from dataclasses import dataclass, replace

from actors.wallet import commands as c
from actors.wallet.decide import decide
from actors.wallet.state import Instant, Phase, Plan, RuntimeRef, UptimeProof, WalletPolicy, WalletState

SEED = 20_261_121
RATE = 7_000
BOUGHT_SECONDS = 120
TOP_UP_SECONDS = 600
AGENTS = 300
END_SECONDS = 45 * 60
KINDS = ("prompt", "late", "flapping", "broke", "rider")
GRANT_MAX_USAT = 10_000 * 1_000_000


@dataclass
class Payment:
    """One on its way: when it is seen first, and when it ends how."""

    payment_id: str
    seen_at: int
    ends_at: int | None
    confirms: bool


class Agent:
    """One agent and its wallet; time is in whole seconds."""

    def __init__(self, kind: str, policy: WalletPolicy, rng: random.Random) -> None:
        self.kind, self.policy, self.rng = kind, policy, rng
        self.state = WalletState("ST1")
        self.now = 0
        self.ids = itertools.count()
        self.payments: list[Payment] = []
        self.sent = 0
        self.is_reaped = False
        self.decides_at: int | None = None
        self.ask(c.Prepare("create", Plan(), RATE))
        self.ask(c.Deposit("pay_first", "ST1", RATE * BOUGHT_SECONDS, "tx", "sBTC"))

    def ask(self, command: c.Command) -> None:
        ms = self.now * 1000
        instant = Instant(ms, UptimeProof("n", "b", ms, ms), f"rt_{next(self.ids)}")
        made = decide(self.state, command, instant, self.policy)
        self.state = made.state
        for effect in made.effects:
            if isinstance(effect, c.StartSandbox):
                self.ask(c.Started(RuntimeRef(effect.runtime_id, "n", "b", ms, ms)))
            elif isinstance(effect, c.StopSandbox):
                self.is_reaped = True
                self.ask(c.Stopped(effect.runtime_id, True, "b", ms, "d", "stopped"))

    def confirmation(self) -> int:
        """Seconds from mempool to block."""
        chance = self.rng.random()
        low, high = (5, 30) if chance < 0.8 else (60, 300) if chance < 0.95 else (300, 1500)
        return self.rng.randint(low, high)

    def send(self, *, confirms: bool, ends_in: int | None) -> None:
        self.sent += 1
        ends_at = None if ends_in is None else self.now + 2 + ends_in
        self.payments.append(Payment(f"pay_{self.sent}", self.now + 2, ends_at, confirms))

    def act(self) -> None:
        """Decide to pay."""
        wants = self.kind != "broke" and not self.payments
        if not wants or self.is_reaped:
            return
        if self.kind == "prompt":
            if self.state.runway_told == len(self.policy.runway_seconds):
                self.send(confirms=True, ends_in=self.confirmation())
        elif self.state.phase is Phase.GRACE:
            if self.decides_at is None:
                self.decides_at = self.now + self.rng.randint(5, 50)
            if self.now < self.decides_at:
                return
            if self.kind == "rider":
                self.send(confirms=False, ends_in=None)
            elif self.kind == "flapping" and self.sent == 0:
                self.send(confirms=False, ends_in=self.rng.randint(30, 120))
            else:
                self.send(confirms=True, ends_in=self.confirmation())

    def hear(self) -> None:
        """What settlements tell: sights every four seconds, and ends."""
        for payment in list(self.payments):
            usat = RATE * TOP_UP_SECONDS
            if payment.ends_at is not None and self.now >= payment.ends_at:
                self.payments.remove(payment)
                if payment.confirms:
                    self.ask(c.Deposit(payment.payment_id, "ST1", usat, "tx", "sBTC"))
                else:
                    self.ask(c.Observe(payment.payment_id, "ST1", "failed", usat, 0, 0, "dropped"))
            elif self.now >= payment.seen_at and (self.now - payment.seen_at) % 4 == 0:
                granted = min(usat, GRANT_MAX_USAT)
                self.ask(c.Observe(payment.payment_id, "ST1", "mempool", usat, granted, 0))

    def live(self) -> None:
        """To the end, or to the first reap."""
        while self.now < END_SECONDS and not self.is_reaped:
            self.now += 1
            self.act()
            self.hear()
            self.ask(c.Tick())
            if self.kind in ("prompt", "late", "flapping") and self.state.accounts.bucket > RATE * TOP_UP_SECONDS // 2:
                return

    @property
    def unpaid_seconds(self) -> float:
        """Time used that nobody has paid for."""
        return self.state.accounts.debt_usat / RATE


def measure(policy: WalletPolicy, seed: int = SEED) -> dict[str, tuple[float, float]]:
    """By kind: the share that lost its sandbox in percent, and unpaid seconds per agent."""
    found: dict[str, tuple[float, float]] = {}
    for kind in KINDS:
        rng = random.Random(f"{seed} {kind}")
        agents = [Agent(kind, policy, rng) for _ in range(AGENTS)]
        for agent in agents:
            agent.live()
        reaped = sum(agent.is_reaped for agent in agents)
        found[kind] = (100 * reaped / AGENTS, sum(agent.unpaid_seconds for agent in agents) / AGENTS)
    return found


def policies() -> list[tuple[str, WalletPolicy]]:
    """What is compared."""
    base = WalletPolicy()
    rows = [(f"grace {s} s, receipt to 10 min", replace(base, grace_ms=s * 1000)) for s in (0, 15, 30, 60, 120, 300)]
    rows += [
        (f"grace 60 s, receipt to {minutes} min", replace(base, grace_cap_ms=minutes * 60_000))
        for minutes in (1, 3, 5, 20, 30)
    ]
    return rows


def main() -> None:
    """Print the table."""
    head = (
        "| policy | "
        + " | ".join(f"{k}: lost" for k in KINDS[:3])
        + " | "
        + " | ".join(f"{k}: unpaid s" for k in KINDS)
        + " |"
    )
    sys.stdout.write(head + "\n|---|" + "---:|" * (3 + len(KINDS)) + "\n")
    for name, policy in policies():
        found = measure(policy)
        lost = [f"{found[kind][0]:.0f} %" for kind in KINDS[:3]]
        unpaid = [f"{found[kind][1]:.0f}" for kind in KINDS]
        sys.stdout.write(f"| {name} | " + " | ".join(lost + unpaid) + " |\n")


if __name__ == "__main__":
    main()
