"""A gate's settings, fixed at start."""

from dataclasses import dataclass, field
from typing import Any

from actors.wallet.state import WalletPolicy
from sandboxes.size_classes import SIZE_CLASSES
from stacks import Network

RATES_USAT: dict[str, int] = {"nano": 3_500, "small": 7_000, "medium": 14_000}
"""Micro-sats per second by size class: twice the cost worked out in `design/phase-0-findings.md`, 0.007 sat/s for `small`."""


def _size_limits() -> dict[str, dict[str, Any]]:
    return {name: limits.model_dump() for name, limits in SIZE_CLASSES.items()}


@dataclass(frozen=True, slots=True)
class GateSettings:
    """One gate of one deployment."""

    deployment: str
    network: Network
    pay_to: str
    public_url: str
    operator_token: str = field(repr=False)
    self_key: bytes = field(default=b"", repr=False)
    """With it the sandbox node says in whose name a sandbox calls (`sandboxes.self_tokens`); empty: nobody is believed."""
    stacks_api: str = ""
    """Where clients of a gate on this machine find nonces and fees; empty: where they look by themselves."""
    ports_host: str = ""
    """Below which name each port has its own origin (`gate/wire/port_origins.py`); empty: ports have paths of the gate alone."""
    policy: WalletPolicy = field(default_factory=WalletPolicy)
    rates_usat_per_second: dict[str, int] = field(default_factory=lambda: dict(RATES_USAT))
    images: frozenset[str] = frozenset({"base"})
    image_digests: dict[str, str] = field(default_factory=dict)
    """What each built image is, by name; one that is this machine's own `/usr` has no digest."""
    size_limits: dict[str, dict[str, Any]] = field(default_factory=_size_limits)
    default_sats: int = 300
    start_on_mempool: bool = True
    start_wait_seconds: float = 20.0
    snapshot_ms_max: int = 1000
    upload_bytes_max: int = 1 << 30
    verifies_for_anybody: bool = True
    prices_sats: dict[str, int] = field(default_factory=dict)
    """What the operator takes for one answer, by purpose (`operations.purposes`); others cost what their contract says."""
    statement_rows_max: int = 200_000
    """Entries, or spans, that one statement file holds at most."""
    dispute_window_seconds: int = 30 * 86_400
    dispute_answer_seconds: int = 7 * 86_400
    dispute_verdict_seconds: int = 21 * 86_400
    """How long after it something may be disputed; how long an answer and a verdict may take from the opening on."""
    payout_fees: dict[str, int] = field(default_factory=lambda: {"sBTC": 5, "STX": 5_000})
    """What sending a deposit back costs, in units of its asset (sats, micro-STX); others are not sent back."""
    call_mempool_sats_max: int = 1_000
    """The most a call may cost that is answered before its payment on chain has confirmed, whatever its route says."""
    call_unconfirmed_sats_max: int = 10_000
    """The most that one seller's calls, answered before their payments confirmed, may amount to at one gate: those under way,
    and those of the last 24 hours that failed.
    """
    wake_calls_on_mempool: bool = False
    """Whether a wake by call, paid by somebody without a pass, starts before the payment has confirmed."""
    call_wait_seconds: float = 10.0
    """How long a call waits for a confirmation before its caller gets a 202."""
    wake_wait_seconds: float = 30.0
    """How long a call waits for a sandbox to come up and for its port to answer."""
    wake_offer_seconds: int = 3_600
    """How much time the offer to wake a sandbox without credit is for."""
    json_bytes_max: int = 4 << 20
    streams_max: int = 1000
    requests_per_wallet_max: int = 64
    held_bytes_max: int = 512 << 20
    held_bytes_per_caller_max: int = 64 << 20
    """What requests may hold in memory, those of all and those of one wallet or peer (`gate/wire/byte_budget.py`)."""
    connections_max: int = 4_096
    connections_per_peer_max: int = 256
    """0: no limit. Peers on loopback have none: they are a reverse proxy, behind which all callers are one."""
    open_requests_per_second: float = 50.0
    open_requests_burst: int = 200
    quotes_per_second: float = 1.0
    quotes_burst: int = 100
    """Quotes one peer may ask for, besides its open requests: each is signed and kept."""
    link_guesses_per_second: float = 0.2
    link_guesses_burst: int = 20
    """Invalid wake links that one peer may send; valid ones are not counted."""
    body_seconds_max: float = 30.0
