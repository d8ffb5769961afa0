"""Whether payments can be taken at all: relay and chain both out of reach is an outage, told with its span. Pure."""

from dataclasses import dataclass


@dataclass(slots=True)
class Availability:
    """Since when (wall ms) each side has been out of reach; None while it answers or was never asked."""

    relay_down_since_ms: int | None = None
    chain_down_since_ms: int | None = None

    def relay(self, *, reached: bool, now_ms: int) -> None:
        """The relay answered something, or did not."""
        self.relay_down_since_ms = None if reached else self.relay_down_since_ms or now_ms

    def chain(self, *, reached: bool, now_ms: int) -> None:
        """The Stacks API answered something, or did not."""
        self.chain_down_since_ms = None if reached else self.chain_down_since_ms or now_ms

    @property
    def outage_since_ms(self) -> int | None:
        """When both were gone; None while one of them answers."""
        if self.relay_down_since_ms is None or self.chain_down_since_ms is None:
            return None
        return max(self.relay_down_since_ms, self.chain_down_since_ms)
