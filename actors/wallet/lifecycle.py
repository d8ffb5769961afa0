"""When things are due: depletion, the end of grace, the next alarm. Node milliseconds throughout; no clock is read."""

from actors.wallet import budget
from actors.wallet.forecast import thresholds
from actors.wallet.metering import MS_PER_SECOND, lasts_ms
from actors.wallet.state import GraceState, Pending, Phase, UptimeProof, WalletPolicy, WalletState

IN_MEMPOOL = "mempool"


def exhausts_at_ms(state: WalletState) -> int | None:
    """When the bucket runs dry at the present rate; None when it never does."""
    assert state.runtime is not None
    lasts = lasts_ms(state.burn_usat_per_second, state.accounts.bucket, state.remainder)
    return None if lasts is None else state.runtime.metered_through_ms + lasts


def holding(state: WalletState) -> tuple[Pending, ...]:
    """Payments seen in the mempool under the present boot: only these may stretch grace."""
    assert state.runtime is not None
    boot_id = state.runtime.boot_id
    return tuple(p for p in state.pending if p.state == IN_MEMPOOL and p.seen_ms is not None and p.boot_id == boot_id)


def grace_base_ms(grace: GraceState, policy: WalletPolicy) -> int:
    """The end of grace when no payment holds it. A start on credit has no grace of its own."""
    return grace.began_ms + grace.outage_ms + (0 if grace.on_credit else policy.grace_ms)


def grace_cap_ms(grace: GraceState, policy: WalletPolicy) -> int:
    """The end of grace whatever is pending."""
    return grace.began_ms + grace.outage_ms + policy.grace_cap_ms


def grace_deadline_ms(state: WalletState, policy: WalletPolicy) -> int:
    """When grace ends as things stand.

    A payment in the mempool holds it until `grace` after it was last seen there, but never past the cap, and never for
    more seconds than the pending payments buy after arrears.
    """
    assert state.grace is not None
    assert state.runtime is not None
    base = grace_base_ms(state.grace, policy)
    held = holding(state)
    if not held:
        return base
    seen = max(p.seen_ms for p in held if p.seen_ms is not None)
    stretched = min(seen + policy.grace_ms, grace_cap_ms(state.grace, policy))
    granted = sum(p.granted_usat for p in held)
    left = granted - state.accounts.debt_usat
    if left <= 0:
        return max(base, min(stretched, state.runtime.metered_through_ms))
    lasts = lasts_ms(state.burn_usat_per_second, left, state.remainder)
    if lasts is not None:
        stretched = min(stretched, state.runtime.metered_through_ms + lasts)
    return max(base, stretched)


def runway_at_ms(state: WalletState, policy: WalletPolicy) -> int | None:
    """When the next runway warning is due; None when all were given."""
    exhausts = exhausts_at_ms(state)
    warn_seconds = thresholds(state, policy)
    if exhausts is None or state.runway_told >= len(warn_seconds):
        return None
    return exhausts - warn_seconds[state.runway_told] * MS_PER_SECOND


def next_alarm_ms(state: WalletState, policy: WalletPolicy) -> int | None:
    """The node time at which this wallet must be looked at again; None when only a command can change it."""
    if state.runtime is None or not state.runtime.is_healthy:
        return None
    if state.phase is Phase.GRACE:
        return grace_deadline_ms(state, policy)
    if state.phase is not Phase.ALIVE:
        return None
    due = [state.runtime.metered_through_ms + policy.checkpoint_ms]
    due += [at for at in (exhausts_at_ms(state), runway_at_ms(state, policy)) if at is not None]
    reached = budget.reached_at(state)
    due += [at for at in (budget.ends_at_ms(state), reached and reached[0]) if at is not None]
    return min(due)


def measures(state: WalletState, proof: UptimeProof | None) -> bool:
    """Whether `proof` speaks about this wallet's runtime: same node, same boot."""
    runtime = state.runtime
    return (
        proof is not None
        and runtime is not None
        and runtime.is_healthy
        and (proof.node_id, proof.boot_id) == (runtime.node_id, runtime.boot_id)
    )
