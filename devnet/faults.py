"""Switches that make the devnet misbehave, each with an optional count and an optional target.

| kind | what happens |
|---|---|
| delay | replies wait `seconds`, after the work is done |
| drop_reply | the connection is closed after the work is done |
| down | `mode`: 503, refuse (closed before any work) or hang (up to a minute, then 503) |
| rate_limit | 429 with Retry-After `seconds` |
| hold_confirmations | matching transactions stay in the mempool; a use is one kept out of one block |
| abort | a matching transaction ends on chain with `mode`: abort_by_response or abort_by_post_condition |
| replace | another transaction takes a matching one's nonce |
| hold_nonce | the relay holds a sponsored payment for want of a free sponsor wallet, and dispatches it within a minute |
| no_records | `/settle/status/{txid}` of the relay is always 404, as the real one's was seen to be |
| cold_relay | the relay has not yet read the chain: `/health` and `/status/sponsor` say degraded, `canSponsor` is false |
| relay_error | /settle answers `error_reason` (HTTP `status`), before the work or, with `after_work`, after it |
| sponsor_twice | /settle sponsors the payment again in a second transaction that replaces the first; `mode` says which
  of the two txids it answers: first or second |

Three more are acts, not switches: each happens once per request (`ACTS`): reorg, drop, forget_caches.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import count

from devnet.records import ABORT_BY_POST_CONDITION, ABORT_BY_RESPONSE, JsonObject, TxRecord

FAULTS_MAX = 200
SECONDS_MAX = 60.0
ROUTES = ("stacks", "relay", "aibtc", "prices")
MODES: dict[str, tuple[str, ...]] = {
    "down": ("503", "refuse", "hang"),
    "abort": (ABORT_BY_RESPONSE, ABORT_BY_POST_CONDITION),
    "sponsor_twice": ("first", "second"),
}
KINDS = (
    "delay",
    "drop_reply",
    "down",
    "rate_limit",
    "hold_confirmations",
    "abort",
    "replace",
    "hold_nonce",
    "no_records",
    "cold_relay",
    "relay_error",
    "sponsor_twice",
)
OF_REQUESTS = frozenset({"delay", "drop_reply", "down", "rate_limit"})
"""Kinds that concern whichever service a request goes to."""
ACTS = ("reorg", "drop", "forget_caches")


def variants(routes: tuple[str, ...] = ROUTES) -> Iterator[JsonObject]:
    """Every fault there is, in every mode, as it is asked for: what a table of faults is made of. Each acts without a count."""
    for kind in KINDS:
        for mode in MODES.get(kind, ("",)):
            fault: JsonObject = {"kind": kind}
            if mode:
                fault["mode"] = mode
            if kind in OF_REQUESTS:
                yield from ({**fault, "routes": route} for route in routes)
            elif kind == "relay_error":
                yield from ({**fault, "after_work": after} for after in (False, True))
            else:
                yield fault
    yield {"kind": "reorg", "blocks": 2, "vanish": False}
    yield {"kind": "reorg", "blocks": 2, "vanish": True}
    for act in ACTS:
        if act != "reorg":
            yield {"kind": act}


@dataclass(slots=True)
class Fault:
    """One switch. `count` None lasts until deleted; `routes` None means all four services, `path` a part of the path."""

    kind: str
    count: int | None = None
    address: str | None = None
    txid: str | None = None
    routes: str | None = None
    path: str | None = None
    seconds: float = 1.0
    mode: str = ""
    error_reason: str = "broadcast_failed"
    status: int = 200
    after_work: bool = False
    id: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; known: {', '.join(KINDS)}")
        if self.routes is not None and self.routes not in ROUTES:
            raise ValueError(f"routes is one of {', '.join(ROUTES)}")
        if not 0 <= self.seconds <= SECONDS_MAX:
            raise ValueError(f"seconds is at most {SECONDS_MAX}")
        if self.count is not None and not 1 <= self.count <= 1_000_000:
            raise ValueError("count is 1 or more")
        modes = MODES.get(self.kind, ("",))
        self.mode = self.mode or modes[0]
        if self.mode not in modes:
            raise ValueError(f"mode of {self.kind} is one of {', '.join(modes)}")
        if not 200 <= self.status <= 599:
            raise ValueError("status is an HTTP status")
        if self.txid is not None:
            self.txid = self.txid.removeprefix("0x").lower()

    def to_document(self) -> JsonObject:
        """As listed."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


_TYPES: dict[str, tuple[type, ...]] = {
    "kind": (str,),
    "count": (int,),
    "address": (str,),
    "txid": (str,),
    "routes": (str,),
    "path": (str,),
    "seconds": (int, float),
    "mode": (str,),
    "error_reason": (str,),
    "status": (int,),
    "after_work": (bool,),
}


def parse_fault(body: JsonObject) -> Fault:
    """A fault from a request; raises ValueError that says what is wrong."""
    given = {name: value for name, value in body.items() if value is not None}
    for name, value in given.items():
        kinds = _TYPES.get(name)
        if kinds is None or not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise ValueError(f"{name} is unknown or of the wrong type")
    if "kind" not in given:
        raise ValueError("kind is missing")
    return Fault(**given)  # type: ignore[arg-type]  # each value's type was checked against _TYPES


class FaultBoard:
    """The switches that are on. Also the chain's Interference."""

    def __init__(self) -> None:
        self._faults: dict[int, Fault] = {}
        self._ids = count(1)

    def add(self, fault: Fault) -> Fault:
        """Turns a switch on."""
        if len(self._faults) >= FAULTS_MAX:
            raise ValueError("too many faults are on")
        fault.id = next(self._ids)
        self._faults[fault.id] = fault
        return fault

    def remove(self, fault_id: int) -> bool:
        """Turns one switch off; False when it was not on."""
        return self._faults.pop(fault_id, None) is not None

    def clear(self) -> int:
        """Turns all switches off; says how many."""
        number = len(self._faults)
        self._faults.clear()
        return number

    def active(self) -> list[Fault]:
        """All switches that are on."""
        return list(self._faults.values())

    def take(
        self, kind: str, *, routes: str | None = None, path: str = "", addresses: tuple[str, ...] = (), txid: str = ""
    ) -> Fault | None:
        """The first matching switch, one use counted off, or None."""
        for fault in self._faults.values():
            if fault.kind != kind:
                continue
            if fault.routes is not None and fault.routes != routes:
                continue
            if fault.path is not None and fault.path not in path:
                continue
            if fault.address is not None and fault.address not in addresses:
                continue
            if fault.txid is not None and fault.txid != txid:
                continue
            if fault.count is not None:
                fault.count -= 1
                if fault.count == 0:
                    del self._faults[fault.id]
            return fault
        return None

    def _take_for(self, kind: str, record: TxRecord) -> Fault | None:
        return self.take(kind, addresses=record.parties, txid=record.txid)

    def is_held(self, record: TxRecord) -> bool:
        """Whether the transaction must stay in the mempool this block."""
        return self._take_for("hold_confirmations", record) is not None

    def forced_abort(self, record: TxRecord) -> str | None:
        """The abort status the transaction must end with, if any."""
        fault = self._take_for("abort", record)
        return None if fault is None else fault.mode

    def is_replaced(self, record: TxRecord) -> bool:
        """Whether another transaction must take its nonce."""
        return self._take_for("replace", record) is not None
