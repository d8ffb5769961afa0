"""A wallet's world in a few lines: a clock, a node that lives and dies, a store that forgets nothing it was given."""

from dataclasses import dataclass, field

from pydantic import TypeAdapter

from actors.wallet import commands as c
from actors.wallet.decide import Decision, decide, resume
from actors.wallet.journal import Entry
from actors.wallet.meters import Reading
from actors.wallet.state import Instant, Plan, RuntimeRef, UptimeProof, WalletPolicy, WalletState

ADDRESS = "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM"
STATE = TypeAdapter(WalletState)
POLICY = WalletPolicy()
RATE = 1_000_000  # one sat a second


@dataclass
class FakeNode:
    """What runs, and since when; stops answer the moment they happened."""

    running: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    paused: dict[str, tuple[bool, int]] = field(default_factory=dict)
    egress: dict[str, int] = field(default_factory=dict)


class World:
    """Drives `decide` as the shell does: commit, then effects. Time is a number."""

    def __init__(self, policy: WalletPolicy = POLICY, rate: int = RATE) -> None:
        self.policy = policy
        self.rate = rate
        self.now_ms = 1_000_000
        self.outage_since_ms: int | None = None
        self.state = WalletState(ADDRESS)
        self.node = FakeNode()
        self.marks: set[str] = set()
        self.entries: list[Entry] = []
        self.spans: list[c.SpanRecord] = []
        self.events: list[str] = []
        self.effects: list[c.Effect] = []
        self.losses: list[tuple[str, int]] = []
        self.sent: list[str] = []
        self.ids = 0

    def instant(self) -> Instant:
        self.ids += 1
        proof = UptimeProof("node", "boot", self.now_ms, self.now_ms, self.outage_since_ms)
        return Instant(self.now_ms + 1_700_000_000_000, proof, f"rt_{self.ids}")

    def ask(self, command: c.Command) -> Decision:
        mark = None
        if isinstance(command, c.Reclaim):
            mark = f"Reclaim:{command.reclaim_id}"
        if isinstance(command, c.Deposit | c.Reverse):
            mark = f"{type(command).__name__}:{command.payment_id}"
        made = decide(self.state, command, self.instant(), self.policy, is_duplicate=mark in self.marks)
        if mark is not None and made.refusal is None:
            self.marks.add(mark)
        # Through bytes and back, as a commit and an activation would.
        self.state = STATE.validate_json(STATE.dump_json(made.state))
        assert self.state == made.state
        self.entries += made.entries
        self.spans += made.spans
        self.events += [happening.type for _, happening in made.events]
        self.effects += made.effects
        return made

    def crash(self) -> None:
        """The host dies after the commit, before its effects ran."""
        self.effects = list(resume(self.state))

    def run_effects(self, *, fail_start: bool = False) -> None:
        while self.effects:
            effect = self.effects.pop(0)
            match effect:
                case c.StartSandbox(runtime_id=runtime_id):
                    if runtime_id in self.node.ended:
                        continue
                    if fail_start:
                        self.ask(c.StartFailed(runtime_id, "boom", "it broke", retryable=True))
                        continue
                    healthy = self.node.running.setdefault(runtime_id, self.now_ms)
                    self.ask(c.Started(RuntimeRef(runtime_id, "node", "boot", healthy, healthy)))
                case c.StopSandbox(runtime_id=runtime_id):
                    started = self.node.running.pop(runtime_id, None)
                    if started is not None:
                        self.node.ended[runtime_id] = self.now_ms
                    ended = self.node.ended.get(runtime_id)
                    last = (Reading("egress", self.node.egress.get(runtime_id, 0), self.now_ms),)
                    self.ask(c.Stopped(runtime_id, ended is not None, "boot", ended, "sha256:w", "stopped", last))
                case c.SetPaused(runtime_id=runtime_id):
                    if runtime_id not in self.node.running:
                        continue
                    if self.node.paused.get(runtime_id, (False, 0))[0] != self.state.wants_pause:
                        self.node.paused[runtime_id] = (self.state.wants_pause, self.now_ms)
                    is_paused, at_ms = self.node.paused.get(runtime_id, (False, 0))
                    self.ask(c.Paused(runtime_id, "boot", is_paused, at_ms))
                case c.ForgetSnapshots():
                    self.ask(c.Forgotten())
                case c.SendPayout(payout_id=payout_id):
                    self.sent.append(payout_id)
                    self.ask(c.PayoutTold(payout_id))
                case c.TellLoss(payment_id=payment_id, usat=usat):
                    self.losses.append((payment_id, usat))
                    self.ask(c.LossTold(payment_id))

    def lose(self, reason: str = "exited") -> None:
        """The sandbox dies by itself."""
        for runtime_id in list(self.node.running):
            del self.node.running[runtime_id]
            self.node.ended[runtime_id] = self.now_ms
            self.ask(c.Lost(runtime_id, reason))

    def pass_ms(self, ms: int) -> None:
        self.now_ms += ms

    def tick(self) -> None:
        self.ask(c.Tick())
        self.run_effects()

    def create(self) -> Decision:
        return self.ask(c.Prepare("create", Plan(), self.rate))

    def deposit(self, sats: int, payment_id: str, payer: str = ADDRESS) -> Decision:
        made = self.ask(c.Deposit(payment_id, payer, sats * 1_000_000, "tx", "sBTC", sats))
        self.run_effects()
        return made

    def see(
        self,
        payment_id: str,
        state: str,
        sats: int,
        *,
        age_ms: int = 0,
        granted: int | None = None,
        payer: str = ADDRESS,
    ) -> Decision:
        usat = sats * 1_000_000
        made = self.ask(
            c.Observe(payment_id, payer, state, usat, usat if granted is None else granted * 1_000_000, age_ms)
        )
        self.run_effects()
        return made

    def alive(self, sats: int) -> "World":
        self.create()
        self.deposit(sats, "pay_first")
        assert self.state.phase.value == "alive"
        return self
