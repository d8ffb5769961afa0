"""One turn under way: the state so far, and what has to be written, told and done about it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from actors.wallet.bucket import Posting, posted
from actors.wallet.calls import BundledOrder
from actors.wallet.commands import Effect, Happening, Refusal, SpanRecord
from actors.wallet.journal import Entry, chained
from actors.wallet.lots import fitted
from actors.wallet.metering import charge
from actors.wallet.state import Instant, WalletPolicy, WalletState


class Turn:
    """Collects a turn's consequences. Nothing here is visible outside until the shell has committed it."""

    def __init__(
        self, state: WalletState, at: Instant, policy: WalletPolicy, used: frozenset[str] = frozenset()
    ) -> None:
        self.state = state
        self.at = at
        self.policy = policy
        self.used = used
        self.posted: list[str] = []
        self.entries: list[Entry] = []
        self.orders: list[BundledOrder] = []
        self.spans: list[SpanRecord] = []
        self.events: list[tuple[int, Happening]] = []
        self.effects: list[Effect] = []

    def set(self, **changes: Any) -> None:
        """Replace fields of the state."""
        self.state = replace(self.state, **changes)

    def post(self, posting: Posting) -> None:
        """Append a journal entry and move the balances with it."""
        state = self.state
        accounts = posted(state.accounts, posting)
        entry = chained(
            state.address,
            posting,
            seq=state.seq + 1,
            at_ms=self.at.wall_ms,
            previous=state.head,
            balance_after_usat=accounts.bucket,
        )
        self.entries.append(entry)
        lots = fitted(state.lots, accounts.bucket + accounts.reserved)  # what is set aside for calls is not spent
        self.set(accounts=accounts, seq=entry.seq, head=entry.hash, lots=lots)

    def tell(self, kind: str, **data: Any) -> None:
        """Append an event."""
        seq = self.state.event_seq + 1
        self.events.append((seq, Happening(kind, data)))
        self.set(event_seq=seq)

    def do(self, effect: Effect) -> None:
        """Have the shell do something after the commit."""
        self.effects.append(effect)

    def meter_through(self, until_ms: int) -> int:
        """Record the span up to `until_ms` and return what it costs; the caller posts it."""
        runtime = self.state.runtime
        assert runtime is not None
        elapsed = until_ms - runtime.metered_through_ms
        if elapsed <= 0:
            return 0
        before = self.state.remainder
        due, after = charge(self.state.burn_usat_per_second, elapsed, before)
        seq = self.state.span_seq + 1
        self.spans.append(
            SpanRecord(
                seq,
                runtime.runtime_id,
                runtime.boot_id,
                runtime.metered_through_ms,
                until_ms,
                self.state.burn_usat_per_second,
                before,
                after,
                due,
            )
        )
        charged = runtime.charged_usat + due
        runtime = replace(runtime, metered_through_ms=until_ms, charged_usat=charged)
        self.set(runtime=runtime, remainder=after, span_seq=seq)
        return due


Handler = Callable[[Turn, Any], Refusal | None]
"""Decides one kind of command on a turn under way."""
