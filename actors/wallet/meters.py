"""What is metered beside the clock: the meters, what one has billed, and the arithmetic.

A reading is the count of one counter since its beginning, so a lost one is made up for by the next. The wallet keeps how
far each counter is billed and bills what is beyond: delivered twice, late or in another order, readings bill the same in
the end, and never more than the counter says. `rate * counted` over `per` is due; what is left over is carried.
"""

from dataclasses import dataclass

CLOCK = "clock"
"""The meter of proven uptime, kept in `metering`."""

SOURCES_MAX = 16
"""Gates that may count for one runtime; what more of them count is not billed."""


@dataclass(frozen=True, slots=True)
class Meter:
    """A counter's unit, and how many of those the rate is for."""

    name: str
    counts: str
    per: int
    unit: str


METERS = {
    meter.name: meter
    for meter in (
        Meter("cpu", "CPU microseconds", 1_000_000, "CPU second"),
        Meter("memory_above_class", "byte-milliseconds", (1 << 20) * 1000, "MiB-second above the class's memory"),
        Meter("egress", "bytes, both ways", 1_000_000, "million bytes"),
        Meter("proxy_requests", "requests", 1, "request"),
        Meter("snapshot_storage", "byte-seconds", (1 << 30) * 3600, "GiB-hour"),
    )
}
"""By name. A rate is micro-sats for one `unit`."""

STORAGE = "snapshot_storage"
NAMES = (CLOCK, *METERS)
DEFAULT_RATES = (("egress", 50_000), ("snapshot_storage", 100_000))
"""Micro-sats per unit; what is not named is free. Egress: 0.05 sats a megabyte; snapshots: 0.1 sats for a GiB-hour, 73 sats
a month. About what clouds ask for them.
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """A counter at one moment of its own clock. `source`: who counts, when that is not the node. `period`: which run of
    the counter this is, for one that begins again; a later run has a greater number.
    """

    meter: str
    count: int
    at_ms: int
    source: str = ""
    period: int = 0


@dataclass(frozen=True, slots=True)
class MeterMark:
    """How far a counter is billed, and the moment of its last reading. It `fell`: the last reading was below."""

    meter: str
    count: int
    at_ms: int
    source: str = ""
    period: int = 0
    fell: bool = False


@dataclass(frozen=True, slots=True)
class BurnSlot:
    """What the meters took within one minute of node time."""

    minute: int
    usat: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Metered:
    """What a wallet remembers of its meters. Rates are those the runtime was started at."""

    rates: tuple[tuple[str, int], ...] = ()
    marks: tuple[MeterMark, ...] = ()
    remainders: tuple[tuple[str, int], ...] = ()
    slots: tuple[BurnSlot, ...] = ()


@dataclass(frozen=True, slots=True)
class Budget:
    """What the owner allows: `caps` in micro-sats an hour by meter, `total` for all; at most so much for one request
    through the proxy; and when to be warned, in seconds left.
    """

    caps: tuple[tuple[str, int], ...] = ()
    max_usat_per_call: int | None = None
    warn_seconds: tuple[int, ...] | None = None


TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Hour:
    """What was spent in the present hour of a budget, from `began_ms` under `boot_id` on."""

    boot_id: str
    began_ms: int
    spent: tuple[tuple[str, int], ...] = ()


def of(pairs: tuple[tuple[str, int], ...], name: str) -> int:
    """What `pairs` says of a name; 0 when it says nothing."""
    return dict(pairs).get(name, 0)


def plus(pairs: tuple[tuple[str, int], ...], name: str, usat: int) -> tuple[tuple[str, int], ...]:
    """`pairs` with so much more under a name."""
    return tuple(sorted((dict(pairs) | {name: of(pairs, name) + usat}).items()))


def due(rate_usat: int, counted: int, per: int, remainder: int) -> tuple[int, int]:
    """The micro-sats due for `counted` more of a counter, and the remainder to carry (0 to `per` - 1).

    >>> due(50_000, 1_500_007, 1_000_000, 0)
    (75000, 350000)
    >>> due(50_000, 13, 1_000_000, 350_000)
    (1, 0)
    """
    assert rate_usat >= 0
    assert counted >= 0
    assert 0 <= remainder < per
    return divmod(rate_usat * counted + remainder, per)


@dataclass(frozen=True, slots=True)
class Billed:
    """What a reading comes to: the meters afterwards, what is due, and a fall that is to be told."""

    metered: Metered
    usat: int = 0
    fell_from: int | None = None


def bill(metered: Metered, reading: Reading) -> Billed:
    """Bill what a reading is beyond the last; old and repeated ones bill nothing."""
    meter = METERS.get(reading.meter)
    if meter is None or reading.count < 0:
        return Billed(metered)
    key = (reading.meter, reading.source)
    mark = next((m for m in metered.marks if (m.meter, m.source) == key), None)
    if mark is None and sum(m.meter == reading.meter for m in metered.marks) >= SOURCES_MAX:
        return Billed(metered)
    if mark is not None and reading.period < mark.period:
        return Billed(metered)
    if mark is None and reading.meter == STORAGE:
        since = reading.count  # it counts for longer than it was agreed on; from here on it is paid for
    elif mark is None or reading.period > mark.period:
        since = 0
    else:
        since = mark.count
    if mark is not None and reading.period == mark.period and reading.count <= mark.count:
        if reading.count == mark.count or reading.at_ms <= mark.at_ms:
            return Billed(metered)
        fallen = MeterMark(mark.meter, mark.count, reading.at_ms, mark.source, mark.period, fell=True)
        return Billed(_marked(metered, fallen), fell_from=None if mark.fell else mark.count)
    remainder = of(metered.remainders, meter.name)
    usat, left = due(of(metered.rates, meter.name), reading.count - since, meter.per, remainder)
    if usat == 0 and (mark is not None or reading.meter != STORAGE):
        return Billed(metered)  # nothing to write: it stays unbilled until it comes to something
    at_ms = reading.at_ms if mark is None else max(mark.at_ms, reading.at_ms)
    marked = _marked(metered, MeterMark(meter.name, reading.count, at_ms, reading.source, reading.period))
    remainders = tuple(sorted((dict(metered.remainders) | {meter.name: left}).items()))
    return Billed(Metered(metered.rates, marked.marks, remainders, metered.slots), usat)


def _marked(metered: Metered, mark: MeterMark) -> Metered:
    others = tuple(m for m in metered.marks if (m.meter, m.source) != (mark.meter, mark.source))
    return Metered(metered.rates, (*others, mark), metered.remainders, metered.slots)


def begun(metered: Metered, rates: tuple[tuple[str, int], ...]) -> Metered:
    """The meters at the start of a new runtime: its counters begin at zero, at the rates of today. Readings of the
    runtime before are told by its id, so nothing of it needs to be kept; storage goes on, at another price from now on.
    """
    is_same = of(rates, STORAGE) == of(metered.rates, STORAGE)
    kept = tuple(m for m in metered.marks if m.meter == STORAGE and is_same)
    return Metered(rates, kept, metered.remainders)
