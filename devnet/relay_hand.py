"""What the relay holds for senders whose nonces have a gap, and when it lets go. [relay: durable-objects/nonce-do.ts]

The relay keeps a *frontier* for each sender: the nonce it expects next. It asks the chain for it once, at the sender's first
sponsored payment, and neither a dispatch nor a confirmation moves it. So a sender's second sponsored payment is held too. What
moves it is a sweep: once the oldest held payment has waited 5 minutes, and at most every 10 minutes, the chain is asked again.
A payment that is handed in again waits from the start.
"""

from dataclasses import asdict, dataclass, field

from devnet.records import JsonObject

HAND_MAX = 1_000
HAND_SECONDS = 15 * 60
SWEEP_SECONDS = 60
REPAIR_AGE_SECONDS = 5 * 60
REFRESH_SECONDS = 10 * 60
MISSING_SHOWN_MAX = 10


@dataclass(slots=True)
class HeldPayment:
    """A sponsored payment that waits, since when (unix seconds)."""

    transaction_hex: str
    sender: str
    nonce: int
    at: float


@dataclass(slots=True)
class Sender:
    """The frontier of one sender, and when the chain was last asked to repair it."""

    next_expected: int
    refreshed_at: float | None = None


@dataclass(slots=True)
class Hand:
    """Everything held; `dirty` names what to save."""

    senders: dict[str, Sender] = field(default_factory=dict)
    held: dict[tuple[str, int], HeldPayment] = field(default_factory=dict)
    swept_at: float = 0.0
    dirty: set[str] = field(default_factory=set)

    def seed(self, address: str, possible_next: int) -> Sender:
        """The sender's frontier, read from the chain the first time."""
        if address not in self.senders:
            self.move(address, Sender(possible_next))
        return self.senders[address]

    def move(self, address: str, sender: Sender) -> None:
        """Keep a sender's frontier, and forget what lies below it."""
        self.senders[address] = sender
        self.dirty.add(f"sender/{address}")
        for slot in [slot for slot in self.held if slot[0] == address and slot[1] < sender.next_expected]:
            self._drop(slot)

    def put(self, payment: HeldPayment) -> None:
        """Hold a payment; one handed in again takes its own place and waits from the start."""
        slot = payment.sender, payment.nonce
        if not self.held:
            self.swept_at = payment.at  # an idle relay sets its alarm with the first payment that it holds
        if slot in self.held or len(self.held) < HAND_MAX:
            self.held[slot] = payment
            self.dirty.add(f"hand/{payment.sender}/{payment.nonce}")

    def _drop(self, slot: tuple[str, int]) -> None:
        del self.held[slot]
        self.dirty.add(f"hand/{slot[0]}/{slot[1]}")

    def of(self, address: str) -> list[HeldPayment]:
        """A sender's held payments, lowest nonce first."""
        return sorted((held for held in self.held.values() if held.sender == address), key=lambda held: held.nonce)

    def missing(self, address: str) -> list[int]:
        """The nonces between the frontier and the lowest held one, as the relay lists them."""
        first, held = self.senders[address].next_expected, self.of(address)
        return list(range(first, held[0].nonce))[:MISSING_SHOWN_MAX] if held else [first]

    def take_run(self, address: str, first: int) -> list[HeldPayment]:
        """Take out the payments from nonce `first` on, up to the next gap: they are dispatched now."""
        run: list[HeldPayment] = []
        while (held := self.held.get((address, first + len(run)))) is not None:
            run.append(held)
            self._drop((address, held.nonce))
        return run

    def needs_repair(self, address: str, now: float) -> int | None:
        """The lowest held nonce when the chain is to be asked whether it is next by now; else None."""
        sender, held = self.senders[address], self.of(address)
        if not held or held[0].nonce <= sender.next_expected:
            return None
        if now - min(payment.at for payment in held) < REPAIR_AGE_SECONDS:
            return None
        if sender.refreshed_at is not None and now - sender.refreshed_at < REFRESH_SECONDS:
            return None
        return held[0].nonce

    def expire(self, now: float) -> None:
        """Forget what has waited for 15 minutes."""
        for slot, payment in list(self.held.items()):
            if now - payment.at > HAND_SECONDS:
                self._drop(slot)

    def document(self, kind: str, name: str) -> JsonObject | None:
        """The stored form of one dirty key; None when it is gone."""
        if kind == "sender":
            return asdict(self.senders[name])
        address, _, nonce = name.partition("/")
        payment = self.held.get((address, int(nonce)))
        return None if payment is None else asdict(payment)

    def restore(self, kind: str, name: str, document: JsonObject) -> None:
        """Take back what was stored."""
        if kind == "sender":
            self.senders[name] = Sender(**document)  # type: ignore[arg-type]
        else:
            payment = HeldPayment(**document)  # type: ignore[arg-type]
            self.held[payment.sender, payment.nonce] = payment
