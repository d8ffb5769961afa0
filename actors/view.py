"""What a wallet looks like from outside: a snapshot, and status as a pure function of it and the time."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from actors.wallet.commands import Refusal
from actors.wallet.forecast import Forecast, forecast
from actors.wallet.lifecycle import grace_cap_ms, grace_deadline_ms, holding
from actors.wallet.metering import MS_PER_SECOND, charge
from actors.wallet.meters import Budget
from actors.wallet.state import Phase, RuntimeRef, UptimeProof, WalletPolicy, WalletState
from operations.sandbox import BudgetStatus, Earnings, Grace, PendingPayment, SandboxStatus, StartFile
from sandboxes.protocol import CANNOT_RUN

USAT_PER_SAT = 1_000_000

PublicState = Literal["none", "starting", "alive", "grace", "reaped"]

_PUBLIC: dict[Phase, PublicState] = {
    Phase.NONE: "none",
    Phase.STARTING: "starting",
    Phase.ALIVE: "alive",
    Phase.GRACE: "grace",
    Phase.REAPED: "reaped",
}


@dataclass(frozen=True, slots=True)
class View:
    """A wallet's state and when it was seen; what every answer of the actor runtime carries."""

    state: WalletState
    wall_ms: int
    proof: UptimeProof | None
    refusal: Refusal | None = None
    is_duplicate: bool = False


def iso(wall_ms: int) -> str:
    """Wall milliseconds as ISO 8601 in UTC."""
    return datetime.fromtimestamp(wall_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def public_state(state: WalletState) -> PublicState:
    """The lifecycle word callers see."""
    if state.phase is not Phase.STOPPING:
        return _PUBLIC[state.phase]
    return "starting" if state.runtime is None or not state.runtime.is_healthy else "grace"


def status(view: View, policy: WalletPolicy, wall_ms: int) -> SandboxStatus:
    """The wallet's status at `wall_ms`, worked out from a snapshot taken earlier."""
    state = view.state
    now_ms = None if view.proof is None else view.proof.now_ms + (wall_ms - view.wall_ms)
    bucket, debt, burnt = balances_at(state, now_ms)
    ahead = None if running(state) is None or now_ms is None else forecast(state, now_ms)
    seconds_left, exhausts_at = _runway(state, ahead, now_ms, wall_ms)
    return SandboxStatus.model_construct(
        address=state.address,
        state=public_state(state),
        reason=state.reason,
        runtime_id=state.runtime.runtime_id if state.runtime else None,
        size_class=state.plan.size_class,
        image=state.plan.image,
        rate_usat_per_second=state.burn_usat_per_second,
        paused=state.runtime is not None and state.runtime.is_paused,
        balance_usat=bucket,
        balance_sats=bucket // USAT_PER_SAT,
        owed_usat=debt,
        deposited_usat=-state.accounts.deposits,
        charged_usat=burnt,
        earnings=_earnings(state),
        seconds_left=seconds_left,
        exhausts_at=exhausts_at,
        burn_usat_per_hour={} if ahead is None else dict(ahead.usat_per_hour),
        meter_rates=dict(state.meters.rates),
        budget=_budget(state),
        start_file=_start_file(state),
        grace=_grace(state, policy, now_ms),
        pending_payments=[
            PendingPayment(
                paymentId=p.payment_id, status=p.state, expected_usat=p.expected_usat, granted_usat=p.granted_usat
            )
            for p in state.pending
        ],
        snapshot_digest=state.snapshot_digest,
        version=state.version,
        chain_head=state.head,
        as_of=iso(wall_ms),
    )


def _start_file(state: WalletState) -> StartFile | None:
    failed = state.start_file
    if failed is None:
        return None
    return StartFile(
        state="cannot_run" if failed.exit_code in CANNOT_RUN else "failed",
        exit_code=failed.exit_code,
        signal=failed.signal,
        process_id=failed.process_id,
    )


def _earnings(state: WalletState) -> Earnings:
    accounts = state.accounts
    return Earnings(
        earned_usat=-accounts.earnings,
        fees_usat=accounts.call_fees,
        spent_usat=accounts.spent + accounts.in_transit,
        reserved_usat=accounts.reserved,
        routes=len(state.routes),
    )


def running(state: WalletState) -> RuntimeRef | None:
    """The runtime that is up, and so burns."""
    if state.phase in (Phase.ALIVE, Phase.GRACE) and state.runtime is not None and state.runtime.is_healthy:
        return state.runtime
    return None


def balances_at(state: WalletState, now_ms: int | None) -> tuple[int, int, int]:
    """Bucket, debt and burnt as they will read when the span up to now is posted."""
    bucket, debt, burnt = state.accounts.bucket, state.accounts.debt_usat, state.accounts.burnt
    runtime = running(state)
    if runtime is None or now_ms is None or now_ms <= runtime.metered_through_ms:
        return bucket, debt, burnt
    due, _ = charge(state.burn_usat_per_second, now_ms - runtime.metered_through_ms, state.remainder)
    from_bucket = min(due, bucket)
    return bucket - from_bucket, debt + due - from_bucket, burnt + due


def _budget(state: WalletState) -> BudgetStatus | None:
    budget, hour = state.budget, state.hour
    if budget == Budget():
        return None
    return BudgetStatus(
        caps_usat_per_hour=dict(budget.caps),
        spent_usat={} if hour is None else dict(hour.spent),
        max_usat_per_call=budget.max_usat_per_call,
        warn_seconds=None if budget.warn_seconds is None else list(budget.warn_seconds),
        held=state.is_held,
    )


def _runway(
    state: WalletState, ahead: Forecast | None, now_ms: int | None, wall_ms: int
) -> tuple[float | None, str | None]:
    if state.phase is Phase.REAPED and state.rate_usat_per_second:
        return state.accounts.bucket / state.rate_usat_per_second, None
    if ahead is None or now_ms is None or ahead.exhausts_ms is None:
        return None, None
    left_ms = max(0, ahead.exhausts_ms - now_ms)
    return left_ms / MS_PER_SECOND, iso(wall_ms + ahead.exhausts_ms - now_ms)


def _grace(state: WalletState, policy: WalletPolicy, now_ms: int | None) -> Grace | None:
    if state.phase is not Phase.GRACE or state.grace is None or now_ms is None:
        return None
    deadline = grace_deadline_ms(state, policy)
    held = holding(state)
    # One offset for all three, from the label kept when grace began, so that they do not jitter between two looks.
    offset = state.grace.began_wall_ms - state.grace.began_ms
    return Grace(
        began_at=iso(state.grace.began_wall_ms),
        deadline_at=iso(deadline + offset),
        cap_at=iso(grace_cap_ms(state.grace, policy) + offset),
        held_by_payment=held[0].payment_id if held else None,
        seconds_left=max(0, deadline - now_ms) / MS_PER_SECOND,
    )
