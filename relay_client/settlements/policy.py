"""How long, how often and how much: every number settlements go by, and the rule for credit before confirmation."""

from dataclasses import dataclass
from enum import StrEnum

from relay_client.offers import USAT_PER_SAT

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS


class SettleRoute(StrEnum):
    """Who broadcasts payments. `DIRECT` sends them to the Stacks API and asks no relay, so nobody sponsors; `RELAY` sends them to
    the relay alone; `RELAY_THEN_DIRECT` sends what carries its own fee to the Stacks API when the relay cannot.
    """

    RELAY = "relay"
    DIRECT = "direct"
    RELAY_THEN_DIRECT = "relay-then-direct"


@dataclass(frozen=True, slots=True)
class SettlementPolicy:
    """Times in milliseconds. Grants are caps on what is spendable before it confirms, in usat."""

    route: SettleRoute = SettleRoute.RELAY_THEN_DIRECT
    grant_per_payer_usat: int = 10_000 * USAT_PER_SAT
    grant_per_wallet_usat: int = 20_000 * USAT_PER_SAT
    grant_overall_usat: int = 1_000_000 * USAT_PER_SAT
    grant_overdue_ms: int = 10 * MINUTE_MS  # a payment unconfirmed for as long earns its payer no more credit
    quote_grace_ms: int = 10 * SECOND_MS  # one block
    present_wait_ms: int = 25 * SECOND_MS  # then the answer is "broadcasting", and the call goes on
    presents_max: int = 512
    followed_per_nonce_max: int = 8  # of which one can confirm; the others cost looks at the chain for `watch_ms`
    poll_first_ms: int = 250
    poll_max_ms: int = 4 * SECOND_MS
    poll_growth: float = 1.5
    refresh_ms: int = 4 * SECOND_MS  # wallets want a sighting at most 15 s old
    relay_word_ms: int = (
        180 * SECOND_MS
    )  # the relay's own poll runs that long; later "pending" means it stopped looking
    chain_look_ms: int = 15 * SECOND_MS
    resend_first_ms: int = 500
    resend_max_ms: int = 30 * SECOND_MS
    held_ms: int = 16 * MINUTE_MS  # the relay holds for 15, counted from when it was last handed the bytes
    refusal_settles_ms: int = MINUTE_MS  # a refusal after an unknown outcome is believed after this
    unknown_give_up_ms: int = 30 * MINUTE_MS
    dropped_give_up_ms: int = 30 * MINUTE_MS
    rebroadcast_ms: int = MINUTE_MS
    direct_broadcast_attempts: int = 2  # self-paid: unreachable relay calls before a node is asked directly
    watch_ms: int = 48 * HOUR_MS  # mempools keep a transaction for about 42 h
    watch_looks_min: int = 12  # about an hour and a half of looks that were answered, whatever the clock says
    watch_first_ms: int = 10 * SECOND_MS
    watch_max_ms: int = 10 * MINUTE_MS
    reorg_depth: int = 6
    recheck_ms: int = 5 * SECOND_MS
    reorg_wait_ms: int = 10 * MINUTE_MS
    steps_concurrency: int = 32
    delivery_concurrency: int = 32
    delivery_first_ms: int = 50
    delivery_max_ms: int = 5 * SECOND_MS
    probe_ms: int = 5 * SECOND_MS


@dataclass(frozen=True, slots=True)
class Outstanding:
    """Grants that no confirmed money covers yet, and whether an earlier one was never paid, or should have been by now.

    `payer_usat` counts for the payer, or for whoever presented it, whichever has more.
    """

    payer_usat: int
    wallet_usat: int
    overall_usat: int
    has_open_loss: bool
    is_overdue: bool = False


def granted_usat(policy: SettlementPolicy, grantable_usat: int, outstanding: Outstanding) -> int:
    """What of a payment in the mempool may be spent now: never more than is asked for, never over a cap. Pure."""
    if outstanding.has_open_loss or outstanding.is_overdue:
        return 0
    room = min(
        policy.grant_per_payer_usat - outstanding.payer_usat,
        policy.grant_per_wallet_usat - outstanding.wallet_usat,
        policy.grant_overall_usat - outstanding.overall_usat,
    )
    return max(0, min(grantable_usat, room))


def backoff_ms(first_ms: int, max_ms: int, growth: float, tries: int, jitter: float) -> int:
    """The pause after `tries` tries: exponential, bounded, spread over +-25 % by `jitter` in [0, 1). Pure."""
    pause = min(float(max_ms), first_ms * growth ** min(tries, 64))
    return max(1, int(pause * (0.75 + 0.5 * jitter)))
