"""What a host is told at its start."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from actors.wallet.state import WalletPolicy


@dataclass(frozen=True, slots=True)
class HostSettings:
    """What a host is told at start."""

    folder: Path
    """Where it notes when it was last up."""
    name: str = "host-0"
    policy: WalletPolicy = field(default_factory=WalletPolicy)
    idle_seconds: float = 300.0
    resident_max: int = 20_000
    open_files_max: int = 1_500
    """Wallet files held open; each takes three descriptors."""
    threads: int = 3
    """Of commits and reads: more of them wait for one another, since each statement changes hands of the interpreter."""
    pre_stop_seconds: float = 1.0
    reserve_seconds: float = 60.0
    meter_seconds: float = 60.0
    """How often meters other than the clock are read; at the end of a runtime they are read anyhow."""
    owns: Callable[[str], bool] | None = None
