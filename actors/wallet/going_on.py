"""What money in the bucket does, wherever it came from."""

from actors.wallet import bucket
from actors.wallet.state import Phase
from actors.wallet.turn import Turn


def go_on(turn: Turn) -> None:
    """Money is in the bucket: what is owed comes first, the rest ends grace."""
    _settle_arrears(turn)
    if turn.state.accounts.bucket > 0:
        turn.set(runway_told=0)
        if turn.state.phase is Phase.GRACE:
            turn.set(phase=Phase.ALIVE, grace=None, credit_start=None, reason="paid")
            turn.tell("alive", balance_usat=turn.state.accounts.bucket)


def _settle_arrears(turn: Turn) -> None:
    accounts = turn.state.accounts
    payable = min(accounts.debt_usat, accounts.bucket)
    if payable > 0:
        turn.post(bucket.arrears(payable))
