"""A devnet's settings."""

from dataclasses import dataclass
from pathlib import Path

from stacks.network import Network


@dataclass(frozen=True, slots=True)
class DevnetSettings:
    """One devnet: which network it plays, how fast its blocks come, where its state lives, how much it holds.

    `block_seconds` 0 mines only on request. `state_path` None keeps everything in memory.
    """

    network: Network = Network.TESTNET
    block_seconds: float = 1.0
    state_path: Path | None = None
    sponsor_wallets: int = 3
    sponsor_funds_ustx: int = 1_000_000_000_000
    request_bytes_max: int = 262_144
    agents_max: int = 10_000

    def __post_init__(self) -> None:
        if not 0 <= self.block_seconds <= 3600:
            raise ValueError("block_seconds is 0 (by hand) to 3600")
        if not 1 <= self.sponsor_wallets <= 10:
            raise ValueError("sponsor_wallets is 1 to 10")
