"""Every wallet of a host in a few numbers each, for those who watch over the service.

Wallets in memory are told from their state; those at rest are read once, and again only when they changed
since. One look reads so many at most, so that a host with many wallets answers its first look soon and a later
one fully.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from pydantic import ValidationError

from actors.stores.wallets import WalletRepository
from actors.view import balances_at, public_state, running
from actors.wallet.lifecycle import exhausts_at_ms
from actors.wallet.state import UptimeProof, WalletState
from storage.errors import StorageError

ROWS_MAX = 5_000
READS_MAX = 500
SCAN_MS = 5_000


@dataclass(frozen=True, slots=True)
class WalletRow:
    """One wallet as of a look. `burn_usat_per_second` is 0 unless it runs; `seconds_left` is None then. `earned_usat` is all that
    callers paid it, `call_fees_usat` the operator's share of that.
    """

    address: str
    state: str
    reason: str | None
    size_class: str
    is_paused: bool
    balance_usat: int
    owed_usat: int
    burnt_usat: int
    deposited_usat: int
    burn_usat_per_second: int
    seconds_left: float | None
    pending: int
    version: int
    earned_usat: int = 0
    call_fees_usat: int = 0


@dataclass(frozen=True, slots=True)
class HostOverview:
    """A host's wallets. `unread` are wallets at rest that this look had no time for."""

    rows: tuple[WalletRow, ...]
    unread: int = 0


def wallet_row(state: WalletState, proof: UptimeProof | None, late_ms: int = 0) -> WalletRow:
    """A wallet's row at the moment of `proof`, plus `late_ms`. Pure."""
    now_ms = None if proof is None else proof.now_ms + late_ms
    bucket, debt, burnt = balances_at(state, now_ms)
    runtime = running(state)
    seconds_left = None
    if runtime is not None and now_ms is not None:
        end_ms = exhausts_at_ms(state)
        seconds_left = None if end_ms is None else max(0, end_ms - now_ms) / 1000
    return WalletRow(
        state.address,
        public_state(state),
        state.reason,
        state.plan.size_class,
        runtime is not None and runtime.is_paused,
        bucket,
        debt,
        burnt,
        -state.accounts.deposits,
        0 if runtime is None else state.burn_usat_per_second,
        seconds_left,
        len(state.pending),
        state.version,
        -state.accounts.earnings,
        state.accounts.call_fees,
    )


class AtRest:
    """Rows of wallets that nobody has in memory, kept for as long as each has the same stamp."""

    def __init__(
        self, wallets: WalletRepository, owns: Callable[[str], bool] | None, now_ms: Callable[[], int]
    ) -> None:
        self._wallets = wallets
        self._owns = owns
        self._now_ms = now_ms
        self._addresses: list[str] = []
        self._scanned_ms: int | None = None
        self._kept: dict[str, tuple[str, WalletRow]] = {}

    def rows(self, resident: Collection[str]) -> tuple[list[WalletRow], int]:
        """Rows of all but `resident`, and how many are still unread. Blocks; not for the loop."""
        self._scan()
        found: list[WalletRow] = []
        reads = unread = 0
        for address in self._addresses[:ROWS_MAX]:
            if address in resident:
                continue
            try:
                written = self._wallets.stamp(address)
            except OSError:
                continue
            kept = self._kept.get(address)
            if kept is not None and kept[0] == written:
                found.append(kept[1])
            elif reads >= READS_MAX:
                unread += 1
            else:
                reads += 1
                row = self._read(address)
                if row is not None:
                    self._kept[address] = (written, row)
                    found.append(row)
        return found, unread

    def _scan(self) -> None:
        now_ms = self._now_ms()
        if self._scanned_ms is not None and now_ms - self._scanned_ms < SCAN_MS:
            return
        self._scanned_ms = now_ms
        self._addresses = [one for one in self._wallets.addresses() if self._owns is None or self._owns(one)]
        alive = set(self._addresses)
        self._kept = {address: kept for address, kept in self._kept.items() if address in alive}

    def _read(self, address: str) -> WalletRow | None:
        try:
            state = self._wallets.at_rest(address)
        except (StorageError, ValidationError, OSError):
            return None  # being made, or broken: the audit is who says so
        return None if state is None or not state.exists else wallet_row(state, None)
