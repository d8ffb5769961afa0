"""Wallets at rest that cannot wait until somebody asks for them, found by their files; and files that are damaged."""

import logging
from collections.abc import Callable
from pathlib import Path

from actors.errors import CorruptWalletError
from actors.hosting.wallet_store import read_state
from actors.wallet.state import WalletState
from storage import errors

log = logging.getLogger(__name__)


def owes(state: WalletState) -> bool:
    """Whether something is still to be done for a wallet without a runtime."""
    return (
        bool(state.losses)
        or state.forgets
        or bool(state.transit)
        or any(not payout.is_told for payout in state.payouts)
    )


def is_unfinished(state: WalletState) -> bool:
    """Whether somebody must look after a wallet: something runs for it, or is still to be done."""
    return state.runtime is not None or owes(state)


def is_damage(error: Exception) -> bool:
    """Whether a wallet's file is no good, rather than the disk busy or full."""
    return isinstance(error, CorruptWalletError) or errors.is_damage(error)


def unfinished(wallets: Path, owns: Callable[[str], bool] | None = None) -> list[str]:
    """The addresses of unfinished wallets below a folder. A damaged file is told of and passed over: it must not keep the
    others waiting.
    """
    found: list[str] = []
    for path in sorted(wallets.glob("*/*.sqlite")):
        if owns is not None and not owns(path.stem):
            continue
        try:
            state = read_state(path)
        except errors.StorageError as error:
            if not is_damage(error):
                raise
            log.exception("the wallet of %s is damaged", path.stem)
            continue
        if state is not None and is_unfinished(state):
            found.append(path.stem)
    return found
