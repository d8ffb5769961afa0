"""What the devnet remembers of a transaction and of a block, and how both are stored."""

from dataclasses import dataclass, field
from functools import cached_property

from devnet.ledger import Change
from stacks.clarity import ClarityValue, ContractPrincipal, StandardPrincipal, deserialize
from stacks.payloads import TokenTransfer
from stacks.transaction import Transaction, decode_transaction

JsonObject = dict[str, object]
PENDING = "pending"
SUCCESS = "success"
ABORT_BY_RESPONSE = "abort_by_response"
ABORT_BY_POST_CONDITION = "abort_by_post_condition"
ABORTS = (ABORT_BY_RESPONSE, ABORT_BY_POST_CONDITION)
REPLACED_BY_FEE = "dropped_replace_by_fee"
REPLACED_ACROSS_FORK = "dropped_replace_across_fork"
GARBAGE_COLLECTED = "dropped_stale_garbage_collect"
PROBLEMATIC = "dropped_problematic"
DROPS = (REPLACED_BY_FEE, REPLACED_ACROSS_FORK, "dropped_too_expensive", GARBAGE_COLLECTED, PROBLEMATIC)


@dataclass
class TxRecord:
    """One transaction the node has accepted: its bytes and where it stands."""

    txid: str
    raw: bytes
    received_at: float
    sequence: int
    status: str = PENDING
    block_height: int | None = None
    tx_index: int = 0
    result_bytes: bytes | None = None
    events: list[JsonObject] = field(default_factory=list)
    replaced_by: str | None = None

    @cached_property
    def tx(self) -> Transaction:
        """The decoded transaction."""
        return decode_transaction(self.raw)

    @cached_property
    def origin(self) -> str:
        """The origin's address."""
        return str(self.tx.origin_address)

    @cached_property
    def sponsor(self) -> str | None:
        """The sponsor's address, if sponsored."""
        return None if self.tx.sponsor is None else str(self.tx.sponsor_address)

    @cached_property
    def recipient(self) -> str | None:
        """The principal a transfer, of STX or of a token, goes to."""
        payload = self.tx.payload
        if isinstance(payload, TokenTransfer):
            return str(payload.recipient)
        target = payload.arguments[2] if len(payload.arguments) == 4 else None
        return str(target.principal) if isinstance(target, StandardPrincipal | ContractPrincipal) else None

    @property
    def parties(self) -> tuple[str, ...]:
        """Everyone the transaction concerns, once each: origin, sponsor, recipient."""
        return tuple(dict.fromkeys(who for who in (self.origin, self.sponsor, self.recipient) if who is not None))

    @property
    def result(self) -> ClarityValue | None:
        """What the transaction returned, once it ran."""
        return None if self.result_bytes is None else deserialize(self.result_bytes)

    @property
    def nonce_slots(self) -> tuple[tuple[str, int], ...]:
        """The account nonces this transaction would use up: the origin's and the sponsor's, one if they are the same."""
        slots = [(self.origin, self.tx.origin.nonce)]
        if self.tx.sponsor is not None and self.sponsor is not None:
            slots.append((self.sponsor, self.tx.sponsor.nonce))
        return tuple(dict.fromkeys(slots))

    def unconfirm(self) -> None:
        """Back to the mempool: forgets its block, result and events."""
        self.status, self.block_height, self.tx_index = PENDING, None, 0
        self.result_bytes, self.events = None, []

    def to_document(self) -> JsonObject:
        """As stored."""
        return {
            "raw": self.raw.hex(),
            "received_at": self.received_at,
            "sequence": self.sequence,
            "status": self.status,
            "block_height": self.block_height,
            "tx_index": self.tx_index,
            "result": None if self.result_bytes is None else self.result_bytes.hex(),
            "events": self.events,
            "replaced_by": self.replaced_by,
        }

    @classmethod
    def from_document(cls, txid: str, document: JsonObject) -> "TxRecord":
        """From storage. State files are our own, so a wrong shape is a crash, not a refusal."""
        result, events, height = document["result"], document["events"], document["block_height"]
        assert isinstance(events, list)
        assert height is None or isinstance(height, int)
        return cls(
            txid,
            bytes.fromhex(str(document["raw"])),
            float(str(document["received_at"])),
            int(str(document["sequence"])),
            str(document["status"]),
            height,
            int(str(document["tx_index"])),
            None if result is None else bytes.fromhex(str(result)),
            events,
            None if document["replaced_by"] is None else str(document["replaced_by"]),
        )


@dataclass(frozen=True, slots=True)
class Block:
    """One block: which transactions it holds and how to undo it."""

    height: int
    block_hash: str
    parent_hash: str
    time: float
    txids: tuple[str, ...]
    changes: tuple[Change, ...] = ()

    def to_document(self) -> JsonObject:
        """As stored."""
        return {
            "hash": self.block_hash,
            "parent": self.parent_hash,
            "time": self.time,
            "txids": list(self.txids),
            "changes": [[change.who, change.asset, change.delta] for change in self.changes],
        }

    @classmethod
    def from_document(cls, height: int, document: JsonObject) -> "Block":
        """From storage."""
        txids, changes = document["txids"], document["changes"]
        assert isinstance(txids, list)
        assert isinstance(changes, list)
        return cls(
            height,
            str(document["hash"]),
            str(document["parent"]),
            float(str(document["time"])),
            tuple(txids),
            tuple(Change(who, asset, delta) for who, asset, delta in changes),
        )
