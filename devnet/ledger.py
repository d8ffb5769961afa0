"""Accounts of the devnet chain: balances per asset and nonces, every change reversible.

Nothing but `mint` creates units, so the sum over all accounts always equals what was minted: fees go to a miner account
instead of vanishing. Changes are noted, so that a transaction can be rolled back and a block undone.
"""

from dataclasses import dataclass, field

STX = "STX"


class Overdraft(Exception):  # noqa: N818 - a refusal, not a fault
    """An account would have gone below zero."""


@dataclass(slots=True)
class Account:
    """Next nonce and balances by asset (`STX` in micro-STX, else the asset id)."""

    nonce: int = 0
    balances: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """One reversible step: `delta` units of `asset`, or of the nonce where `asset` is None."""

    who: str
    asset: str | None
    delta: int


class Ledger:
    """All accounts, keyed by the text of their principal."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.minted: dict[str, int] = {}
        self.dirty: set[str] = set()
        self._changes: list[Change] = []

    def nonce(self, who: str) -> int:
        """The nonce the account's next confirmed transaction has."""
        account = self.accounts.get(who)
        return 0 if account is None else account.nonce

    def balance(self, who: str, asset: str = STX) -> int:
        """Units of `asset` the account holds."""
        account = self.accounts.get(who)
        return 0 if account is None else account.balances.get(asset, 0)

    def total(self, asset: str) -> int:
        """Units of `asset` over all accounts; equals what was minted."""
        return sum(account.balances.get(asset, 0) for account in self.accounts.values())

    def mint(self, who: str, asset: str, amount: int) -> None:
        """New units from the faucet; outside of blocks, so never undone."""
        if amount < 0:
            raise ValueError("nothing is minted below zero")
        self._apply(Change(who, asset, amount))
        self.minted[asset] = self.minted.get(asset, 0) + amount

    def move(self, asset: str, sender: str, recipient: str, amount: int) -> None:
        """Units from one account to another; raises Overdraft and changes nothing when the sender has too few."""
        if amount < 0 or self.balance(sender, asset) < amount:
            raise Overdraft(f"{sender} has {self.balance(sender, asset)} of {asset}, not {amount}")
        for change in (Change(sender, asset, -amount), Change(recipient, asset, amount)):
            self._apply(change)
            self._changes.append(change)

    def bump_nonce(self, who: str) -> None:
        """Uses up the account's nonce."""
        change = Change(who, None, 1)
        self._apply(change)
        self._changes.append(change)

    def mark(self) -> int:
        """A point to roll back to within the current block."""
        return len(self._changes)

    def roll_back(self, mark: int) -> None:
        """Takes back every change since `mark`."""
        while len(self._changes) > mark:
            self._revert(self._changes.pop())

    def seal(self) -> tuple[Change, ...]:
        """Ends a block: the changes that would have to be undone to reorganise it away."""
        changes = tuple(self._changes)
        self._changes.clear()
        return changes

    def undo(self, changes: tuple[Change, ...]) -> None:
        """Takes back a sealed block's changes; blocks are undone newest first."""
        for change in reversed(changes):
            self._revert(change)

    def _revert(self, change: Change) -> None:
        self._apply(Change(change.who, change.asset, -change.delta))

    def _apply(self, change: Change) -> None:
        account = self.accounts.setdefault(change.who, Account())
        self.dirty.add(change.who)
        if change.asset is None:
            account.nonce += change.delta
            assert account.nonce >= 0
            return
        after = account.balances.get(change.asset, 0) + change.delta
        assert after >= 0
        account.balances[change.asset] = after
