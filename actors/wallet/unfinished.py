"""Which wallets cannot wait until somebody asks for them."""

from actors.wallet.state import WalletState


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
