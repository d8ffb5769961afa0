"""Everything a wallet remembers, as one immutable value."""

from dataclasses import dataclass, field
from enum import StrEnum

from actors.wallet.bucket import Accounts
from actors.wallet.calls import Allowance, Promise, Route, Transit, WakeHour
from actors.wallet.journal import GENESIS
from actors.wallet.links import Links
from actors.wallet.lots import Lot, Lots, fitted
from actors.wallet.meters import DEFAULT_RATES, Budget, Hour, Metered
from actors.wallet.spending_keys import Keys


class Phase(StrEnum):
    """Where a wallet's sandbox is in its life. Callers see `stopping` as `grace` or `alive` until it is over."""

    NONE = "none"
    STARTING = "starting"
    ALIVE = "alive"
    GRACE = "grace"
    STOPPING = "stopping"
    REAPED = "reaped"


class After(StrEnum):
    """What a stop is for."""

    REAP = "reap"
    RESTART = "restart"
    DESTROY = "destroy"


@dataclass(frozen=True, slots=True)
class WalletPolicy:
    """The rules of time and credit; all injectable, so that ten minutes are tested in microseconds."""

    grace_ms: int = 60_000
    grace_cap_ms: int = 600_000
    observation_fresh_ms: int = 15_000
    wake_minimum_seconds: int = 60
    start_attempts_max: int = 3
    crash_loop_max: int = 3
    crash_loop_window_ms: int = 60_000
    checkpoint_ms: int = 3_600_000
    runway_seconds: tuple[int, ...] = (600, 60)
    pending_max: int = 64
    disputes_max: int = 8
    credit_back_seconds: int = 60
    """A runtime that ends by its node's fault: so much of its last time is given back, never more than it was charged."""
    credit_back_percent: int = 10
    """The same where a sandbox could bring the fault about by itself: no more than this share of its charge."""
    lots_max: int = 32
    payouts_max: int = 16
    routes_max: int = 32
    call_fee_bps: int = 200
    """The operator's share of what calls earn, in hundredths of a percent."""
    allowances_max: int = 8
    transit_max: int = 1_024
    promises_max: int = 16
    promised_usat_max: int = 10_000_000_000
    """The most that one payer's unconfirmed payments may owe for calls that were answered."""
    paused_rate_percent: int = 25
    """What a frozen sandbox pays: it keeps its memory and its slot, but burns no CPU."""
    meter_rates: tuple[tuple[str, int], ...] = DEFAULT_RATES
    """Micro-sats per unit by meter, for runtimes started from now on."""


@dataclass(frozen=True, slots=True)
class UptimeProof:
    """What a node has proven: its clock now, and the last heartbeat. Milliseconds of CLOCK_BOOTTIME under `boot_id`."""

    node_id: str
    boot_id: str
    now_ms: int
    proven_ms: int
    outage_since_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Instant:
    """When a turn happens: wall time to label it, node time to measure by (None while no node was heard)."""

    wall_ms: int
    proof: UptimeProof | None
    runtime_id: str = ""
    """A fresh id, in case this turn starts a sandbox."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to start."""

    size_class: str = "small"
    image: str = "base"
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RuntimeRef:
    """The one sandbox process tree this wallet owns; not healthy yet while `boot_id` is empty."""

    runtime_id: str
    node_id: str = ""
    boot_id: str = ""
    healthy_at_ms: int = 0
    metered_through_ms: int = 0
    is_paused: bool = False
    """The node has reported it frozen."""
    charged_usat: int = 0
    """All it was charged so far: the most that can be given back for it."""

    @property
    def is_healthy(self) -> bool:
        """Whether the node has reported it up."""
        return bool(self.boot_id)


@dataclass(frozen=True, slots=True)
class Pending:
    """A payment under way. `seen_ms` is node time of the last sight in the mempool, under `boot_id`. `wakes`: its
    confirmation may start a reaped sandbox; not so once the owner has reaped after it was sent.
    """

    payment_id: str
    payer: str
    state: str
    expected_usat: int
    granted_usat: int
    boot_id: str = ""
    seen_ms: int | None = None
    wakes: bool = True


@dataclass(frozen=True, slots=True)
class StartFile:
    """How the start file of the workspace failed, in the runtime that was started last."""

    runtime_id: str
    exit_code: int | None
    signal: int | None
    process_id: str


@dataclass(frozen=True, slots=True)
class GraceState:
    """Running without credit since `began_ms` (node time; `began_wall_ms` labels it). On credit: started on a receipt,
    with no grace of its own.
    """

    began_ms: int
    began_wall_ms: int = 0
    on_credit: bool = False
    outage_ms: int = 0


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop under way: why, what comes after, and the last moment that may be billed."""

    reason: str
    after: After
    bill_until_ms: int | None = None
    restore_digest: str | None = None
    """The workspace to start again from, instead of the one this stop leaves."""
    fault: str | None = None
    """Why it was lost, if it was."""


@dataclass(frozen=True, slots=True)
class CreditStart:
    """The payment a sandbox was started on before it confirmed, and the debt that stood before."""

    payment_id: str
    payer: str
    debt_before_usat: int


@dataclass(frozen=True, slots=True)
class Planned:
    """What starts, and at which rate."""

    plan: Plan
    rate_usat_per_second: int


@dataclass(frozen=True, slots=True)
class Create:
    """What a create asked for whose payment is under way. `before`: what was in force until it was put in its place."""

    payment_id: str
    planned: Planned
    before: Planned | None = None
    is_failed: bool = False
    """Its payment has failed while what it started still stops."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A start on credit that was never paid, to be told to settlements."""

    payment_id: str
    payer: str
    usat: int


@dataclass(frozen=True, slots=True)
class Dispute:
    """A dispute that is not over: `open` or `answered`, and the most a verdict may put right."""

    dispute_id: str
    state: str
    usat_max: int
    is_for_use: bool = False
    """It is about what use cost, so that no more can be put right than use cost in all."""


@dataclass(frozen=True, slots=True)
class Payout:
    """Money set aside to go back to `origin`: `usat` of the wallet's, as `atomic` units of `asset` once the fee is off.
    `is_told`: the queue has it.
    """

    payout_id: str
    payment_id: str
    origin: str
    asset: str
    atomic: int
    usat: int
    fee_usat: int
    lot: Lot
    is_told: bool = False


@dataclass(frozen=True, slots=True)
class ExposedPort:
    """A port that whoever holds a token may reach, until a moment. Only the token's sha256 is kept."""

    port: int
    token_hash: str
    expires_wall_ms: int


@dataclass(frozen=True, slots=True)
class WalletState:
    """One wallet. Replaced as a whole by each turn; written as a whole by each commit."""

    address: str
    phase: Phase = Phase.NONE
    reason: str | None = None
    accounts: Accounts = field(default_factory=Accounts)
    rate_usat_per_second: int = 0
    remainder: int = 0
    plan: Plan = field(default_factory=Plan)
    is_planned: bool = False
    creates: tuple[Create, ...] = ()
    runtime: RuntimeRef | None = None
    start_file: StartFile | None = None
    grace: GraceState | None = None
    stop: Stop | None = None
    credit_start: CreditStart | None = None
    pending: tuple[Pending, ...] = ()
    losses: tuple[Loss, ...] = ()
    exposed: tuple[ExposedPort, ...] = ()
    links: Links = ()
    disputes: tuple[Dispute, ...] = ()
    put_right_usat: int = 0
    """What verdicts gave back of what use cost."""
    lots: tuple[Lot, ...] = ()
    payouts: tuple[Payout, ...] = ()
    routes: tuple[Route, ...] = ()
    allowances: tuple[Allowance, ...] = ()
    keys: Keys = ()
    transit: tuple[Transit, ...] = ()
    promises: tuple[Promise, ...] = ()
    traffic_wakes: WakeHour | None = None
    wants_pause: bool = False
    """Whether the owner wants it frozen; the node is asked until it is as wanted."""
    paused_rate_usat_per_second: int = 0
    meters: Metered = field(default_factory=Metered)
    budget: Budget = field(default_factory=Budget)
    hour: Hour | None = None
    is_held: bool = False
    """Frozen because the budget of the hour is used up; the next hour lets it run on."""
    snapshot_digest: str | None = None
    forgets: bool = False
    """The node has yet to delete what a destroyed lifetime left behind."""
    lifetime: int = 1
    start_failures: int = 0
    crashes: int = 0
    runway_told: int = 0
    pass_epoch: int = 0
    is_public: bool = False
    """Whether everybody may see its page; never what is inside."""
    version: int = 0
    seq: int = 0
    event_seq: int = 0
    span_seq: int = 0
    head: str = GENESIS

    @property
    def reclaimable(self) -> Lots:
        """What of the deposits can be paid back now. Excludes funds held for calls."""
        return fitted(self.lots, self.accounts.bucket)

    @property
    def burn_usat_per_second(self) -> int:
        """What the runtime costs as it is now: less while it is frozen."""
        is_paused = self.runtime is not None and self.runtime.is_paused
        return self.paused_rate_usat_per_second if is_paused else self.rate_usat_per_second

    @property
    def comes_back(self) -> bool:
        """Whether the sandbox stops only to start again: it was lost, or another workspace is put into it."""
        return self.phase is Phase.STOPPING and self.stop is not None and self.stop.after is After.RESTART

    @property
    def exists(self) -> bool:
        """Whether this wallet was ever created or paid."""
        return self.phase is not Phase.NONE or self.is_planned or self.seq > 0 or bool(self.pending)
