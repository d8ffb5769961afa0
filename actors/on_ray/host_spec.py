"""What a host's process is told."""

from dataclasses import dataclass, field
from pathlib import Path

from actors.placement import HostMap
from actors.stores.wallet_folder import WalletFolder
from actors.stores.wallets import WalletRepository
from actors.wallet.state import WalletPolicy


@dataclass(frozen=True, slots=True)
class HostSpec:
    """All a host process needs to know; it crosses to the process pickled."""

    home: Path
    node_socket: Path
    placement: HostMap
    policy: WalletPolicy = field(default_factory=WalletPolicy)
    idle_seconds: float = 300.0

    def wallets(self) -> WalletRepository:
        """Where the wallets of all hosts are."""
        return WalletFolder(self.home / "wallets")
