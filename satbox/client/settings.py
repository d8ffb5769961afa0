"""A client's settings: where the gate is, on which network to pay, how long to wait."""

import ipaddress
from dataclasses import dataclass, field

from yarl import URL

from stacks import Network

DEFAULT_GATE = "http://127.0.0.1:4020"
STACKS_API = {Network.MAINNET: "https://api.hiro.so", Network.TESTNET: "https://api.testnet.hiro.so"}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait, in seconds. A command gets its own limit on top of `answer`."""

    connect_seconds: float = 5.0
    answer_seconds: float = 60.0
    paid_seconds: float = 90.0
    silence_seconds: float = 45.0
    transfer_seconds: float = 3600.0


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """One gate, as a client sees it.

    Money moves on `network` only, testnet unless mainnet is named. `deployment` is the name proofs are made out to; without
    one it is the gate's host, or anything when the gate is on this machine.
    """

    gate: str = DEFAULT_GATE
    network: Network = Network.TESTNET
    stacks_api: str | None = None
    deployment: str | None = None
    max_sats: int = 1_000
    operator_token: str | None = field(default=None, repr=False)
    timeouts: Timeouts = field(default_factory=Timeouts)

    def __post_init__(self) -> None:
        try:
            url = URL(self.gate)
        except ValueError as error:
            raise ValueError(f"{self.gate[:200]!r} is not the address of a gate: {error}") from error
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError(
                f"{self.gate[:200]!r} is not the address of a gate: it must be http:// or https:// and a host"
            )
        if self.network is Network.MAINNET and url.scheme == "http" and not is_loopback(url.host):
            raise ValueError("a mainnet gate is reached by https")

    @property
    def gate_url(self) -> URL:
        """The gate's base address."""
        return URL(self.gate.rstrip("/"))

    @property
    def stacks_api_url(self) -> str:
        """Where nonces and fees come from."""
        return self.stacks_api or STACKS_API[self.network]

    @property
    def expected_deployment(self) -> str | None:
        """Whom a proof may be made out to; None is anybody."""
        host = self.gate_url.host or ""
        if self.deployment is not None:
            return self.deployment
        return None if is_loopback(host) else host


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
