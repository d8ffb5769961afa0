"""What the relay remembers: its two 300 s caches, 24 h of settlement records, and what it holds for senders."""

from dataclasses import asdict, dataclass, field

from devnet.records import JsonObject
from devnet.relay_hand import Hand

CACHE_SECONDS = 300
CACHE_RECHECK_SECONDS = 60
RECORD_SECONDS = 24 * 3600
POLL_SECONDS = 180
ENTRIES_MAX = 5_000


@dataclass(slots=True)
class CachedAnswer:
    """An answer kept under a payment identifier or under the hash of a transaction's hex."""

    at: float
    txid: str = ""
    payer: str = ""
    body_hash: str = ""
    body: JsonObject = field(default_factory=dict)


@dataclass(slots=True)
class SettlementRecord:
    """The state of one broadcast payment, as `/settle/status` shows it."""

    txid: str
    payer: str
    network: str
    broadcast_at: float
    status: str = "pending"
    wallet_index: int | None = None
    sponsor_nonce: int | None = None
    sponsor_fee: int | None = None
    confirmed_at: float | None = None
    block_height: int | None = None
    error_reason: str | None = None


class RelayMemory:
    """All of it, bounded; `dirty` names what to save."""

    def __init__(self) -> None:
        self.identifiers: dict[str, CachedAnswer] = {}
        self.transactions: dict[str, CachedAnswer] = {}
        self.records: dict[str, SettlementRecord] = {}
        self.hand = Hand()
        self.dirty: set[str] = set()

    def remember_identifier(self, identifier: str, answer: CachedAnswer) -> None:
        """Keeps the answer given under a payment identifier."""
        self.identifiers[identifier] = answer
        self.dirty.add("id/" + identifier)

    def remember_transaction(self, digest: str, answer: CachedAnswer) -> None:
        """Keeps which txid the bytes with this digest became."""
        self.transactions[digest] = answer
        self.dirty.add("tx/" + digest)

    def forget_transaction(self, digest: str) -> None:
        """Forget these bytes, so that they can be settled again."""
        self.transactions.pop(digest, None)
        self.dirty.add("tx/" + digest)

    def remember_record(self, record: SettlementRecord) -> None:
        """Keeps or updates a settlement record."""
        self.records[record.txid] = record
        self.dirty.add("record/" + record.txid)

    def expire(self, now: float) -> None:
        """Forgets what is over its time or over the limit, oldest first."""
        for prefix, answers in (("id/", self.identifiers), ("tx/", self.transactions)):
            for key, answer in list(answers.items()):
                if now - answer.at <= CACHE_SECONDS and len(answers) <= ENTRIES_MAX:
                    break
                del answers[key]
                self.dirty.add(prefix + key)
        for txid, record in list(self.records.items()):
            if now - record.broadcast_at <= RECORD_SECONDS and len(self.records) <= ENTRIES_MAX:
                break
            del self.records[txid]
            self.dirty.add("record/" + txid)
        self.hand.expire(now)

    def forget_caches(self) -> None:
        """Drops both caches at once, as when they expire or the relay is redeployed."""
        self.dirty |= {"id/" + key for key in self.identifiers} | {"tx/" + key for key in self.transactions}
        self.identifiers.clear()
        self.transactions.clear()

    def document(self, key: str) -> JsonObject | None:
        """The stored form of one dirty key; None when it is gone."""
        kind, _, name = key.partition("/")
        if kind in ("sender", "hand"):
            return self.hand.document(kind, name)
        item = {"id": self.identifiers, "tx": self.transactions, "record": self.records}[kind].get(name)  # type: ignore[attr-defined]
        return None if item is None else asdict(item)

    def restore(self, documents: dict[str, JsonObject]) -> None:
        """Takes back what was stored, oldest first."""
        for key, document in sorted(documents.items(), key=lambda item: _age(item[1])):
            kind, _, name = key.partition("/")
            if kind in ("sender", "hand"):
                self.hand.restore(kind, name, document)
            elif kind == "record":
                self.records[name] = SettlementRecord(**document)  # type: ignore[arg-type]
            else:
                answers = self.identifiers if kind == "id" else self.transactions
                answers[name] = CachedAnswer(**document)  # type: ignore[arg-type]


def _age(document: JsonObject) -> float:
    return float(str(document.get("at", document.get("broadcast_at", 0))))
