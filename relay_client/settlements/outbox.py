"""Messages to the wallets that must not get lost: written in the transaction that makes them true."""

import json
from dataclasses import asdict, dataclass

from relay_client.sink import Credit, CreditSink, Observation, Outage, Reversal
from storage.connection import Connection

OUTAGE_LANE = "outage"
Message = Observation | Credit | Reversal | Outage
_KINDS: dict[type[Message], str] = {
    Observation: "observe",
    Credit: "credit",
    Reversal: "reverse",
    Outage: "outage",
}
_TYPES = {kind: message_type for message_type, kind in _KINDS.items()}


@dataclass(frozen=True, slots=True)
class Letter:
    """One message in its lane (a payment id, or `outage`); lanes are delivered in order of `seq`."""

    seq: int
    lane: str
    message: Message


def post(db: Connection, lane: str, message: Message, now_ms: int) -> Letter:
    """Write a message. A newer observation takes the place of one not delivered yet, unless something follows it."""
    kind = _KINDS[type(message)]
    body = json.dumps(asdict(message), separators=(",", ":"))
    if kind == "observe":
        last = db.execute(
            "SELECT seq, kind FROM outbox WHERE lane = ? AND acknowledged_at_ms IS NULL ORDER BY seq DESC LIMIT 1",
            (lane,),
        ).fetchone()
        if last is not None and last[1] == "observe":
            db.execute("DELETE FROM outbox WHERE seq = ?", (last[0],))
    query = "INSERT INTO outbox (lane, kind, body, created_at_ms) VALUES (?, ?, ?, ?) RETURNING seq"
    ((seq,),) = db.execute(query, (lane, kind, body, now_ms)).fetchall()
    return Letter(seq, lane, message)


def open_lanes(db: Connection) -> list[str]:
    """Lanes with something to deliver."""
    return [lane for (lane,) in db.execute("SELECT DISTINCT lane FROM outbox WHERE acknowledged_at_ms IS NULL")]


def next_letter(db: Connection, lane: str) -> Letter | None:
    """The oldest message of a lane that is not acknowledged."""
    row = db.execute(
        "SELECT seq, kind, body FROM outbox WHERE lane = ? AND acknowledged_at_ms IS NULL ORDER BY seq LIMIT 1", (lane,)
    ).fetchone()
    return None if row is None else Letter(row[0], lane, _TYPES[row[1]](**json.loads(row[2])))


def acknowledge(db: Connection, letter: Letter, now_ms: int) -> Letter | None:
    """The other side has it; returns the lane's next. Observations are not worth keeping, money is."""
    if isinstance(letter.message, Observation):
        db.execute("DELETE FROM outbox WHERE seq = ?", (letter.seq,))
    else:
        db.execute("UPDATE outbox SET acknowledged_at_ms = ? WHERE seq = ?", (now_ms, letter.seq))
    return next_letter(db, letter.lane)


async def hand_over(sink: CreditSink, message: Message) -> None:
    """Tell the sink."""
    match message:
        case Observation():
            await sink.observe(message)
        case Credit():
            await sink.credit(message)
        case Reversal():
            await sink.reverse(message)
        case Outage():
            await sink.payments_unavailable(message)
