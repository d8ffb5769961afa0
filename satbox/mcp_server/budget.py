"""What one session may pay. Reserved before a payment, so that calls in parallel cannot overspend together."""

from collections.abc import Iterator
from contextlib import contextmanager

from operations.errors import SatboxError


class SessionBudget:
    """Sats of one session. Reserving checks and takes in one step, with no await between."""

    def __init__(self, session_sats: int) -> None:
        self.session_sats = session_sats
        self.reserved_sats = 0
        self.spent_sats = 0

    @property
    def left_sats(self) -> int:
        """What may still be reserved."""
        return self.session_sats - self.spent_sats - self.reserved_sats

    @contextmanager
    def reserved(self, sats: int) -> Iterator["Hold"]:
        """Hold `sats` while a payment is made. Raises max_sats_exceeded when there is not enough left."""
        if sats < 0 or sats > self.left_sats:
            raise SatboxError(
                "max_sats_exceeded",
                "This session's budget does not cover that.",
                details={"max_sats": sats, "session_sats": self.session_sats, "left_sats": self.left_sats},
                hint="Ask for less, or have the owner start the server with a larger --max-sats.",
            )
        self.reserved_sats += sats
        reservation = Hold(sats)
        try:
            yield reservation
        finally:
            self.reserved_sats -= sats
            self.spent_sats += min(reservation.spent_sats, sats)


class Hold:
    """One payment's hold. Whatever is not reported as spent goes back."""

    def __init__(self, sats: int) -> None:
        self.sats = sats
        self.spent_sats = 0
