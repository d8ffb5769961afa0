"""The devnet chain: a mempool with a node's rules, blocks that execute it, and reorganisations.

Pure: time is an argument, nothing is read or written elsewhere. What changed since the last save is in `dirty`.
"""

import hashlib
from dataclasses import dataclass, field, replace
from typing import Protocol

from devnet.admission import Rejected, check_admission
from devnet.execution import execute
from devnet.ledger import STX, Ledger, Overdraft
from devnet.records import (
    DROPS,
    GARBAGE_COLLECTED,
    PENDING,
    REPLACED_ACROSS_FORK,
    REPLACED_BY_FEE,
    Block,
    TxRecord,
)
from stacks.c32 import Address, Principal
from stacks.clarity import NoneValue, UInt, principal_value, serialize
from stacks.errors import StacksError
from stacks.hashes import sha512_256
from stacks.network import Network
from stacks.payloads import ContractCall
from stacks.spending import EMPTY_SIGNATURE, SingleSig
from stacks.tokens import Token, sbtc, usdcx
from stacks.transaction import decode_transaction

MEMPOOL_MAX = 2_000
MEMPOOL_SECONDS_MAX = 256 * 600  # a node forgets a transaction after 256 blocks of ten minutes
BLOCK_TRANSACTIONS_MAX = 500
BLOCKS_KEPT = 200  # how deep a reorganisation can go
TRANSACTIONS_KEPT = 5_000
FAUCET_UNITS_MAX = 10**15
ACCOUNTS_MAX = 100_000


class Interference(Protocol):
    """What may be made to go wrong while a block is mined."""

    def is_held(self, record: TxRecord) -> bool:
        """Whether the transaction must stay in the mempool."""
        ...

    def forced_abort(self, record: TxRecord) -> str | None:
        """The abort status the transaction must end with, if any."""
        ...

    def is_replaced(self, record: TxRecord) -> bool:
        """Whether another transaction must take its nonce."""
        ...


class NoInterference:
    """An honest chain."""

    def is_held(self, record: TxRecord) -> bool:
        """Never."""
        return False

    def forced_abort(self, record: TxRecord) -> str | None:
        """Never."""
        return None

    def is_replaced(self, record: TxRecord) -> bool:
        """Never."""
        return False


@dataclass(slots=True)
class Dirty:
    """Keys of what changed since the last save; a key whose object is gone was deleted."""

    txids: set[str] = field(default_factory=set)
    heights: set[int] = field(default_factory=set)


class Chain:
    """Accounts, mempool and blocks of one network."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.tokens: dict[str, Token] = {str(token.contract): token for token in (sbtc(network), usdcx(network))}
        self.miner = str(Address(network.single_sig_version, bytes(20)))
        self.ledger = Ledger()
        self.txs: dict[str, TxRecord] = {}
        self.pending: dict[str, TxRecord] = {}  # in order of arrival
        self.blocks: list[Block] = []
        self.sequence = 0
        self.forks = 0
        self.dirty = Dirty()
        self._slots: dict[tuple[str, int], str] = {}
        self._by_address: dict[str, dict[str, None]] = {}

    @property
    def height(self) -> int:
        """Height of the newest block; 0 before the first."""
        return self.blocks[-1].height if self.blocks else 0

    @property
    def tip_hash(self) -> str:
        """Hash of the newest block."""
        return self.blocks[-1].block_hash if self.blocks else "00" * 32

    def block_at(self, height: int) -> Block | None:
        """The block at a height, while it is kept."""
        index = height - self.blocks[0].height if self.blocks else -1
        return self.blocks[index] if 0 <= index < len(self.blocks) else None

    def find(self, txid: str) -> TxRecord | None:
        """The transaction with an id, pending or not."""
        return self.txs.get(txid)

    def of_address(self, address: str) -> list[TxRecord]:
        """Transactions the principal sent, sponsored or received, newest first."""
        return [self.txs[txid] for txid in reversed(self._by_address.get(address, {}))]

    def pending_of(self, address: str) -> list[TxRecord]:
        """Pending transactions the address sent or sponsored, oldest first."""
        return [r for r in self.pending.values() if address in (r.origin, r.sponsor)]

    def pending_nonces(self, address: str) -> list[int]:
        """Account nonces that pending transactions would use up."""
        return sorted(nonce for who, nonce in self._slots if who == address)

    def next_nonce(self, address: str) -> int:
        """The first nonce that neither the chain nor the mempool has used, missing ones not filled."""
        pending = self.pending_nonces(address)
        return max([self.ledger.nonce(address), *(nonce + 1 for nonce in pending)])

    def faucet(self, address: str, asset: str, amount: int) -> None:
        """Gives units of `STX` or of a token's asset id, at once."""
        if not 0 <= amount <= FAUCET_UNITS_MAX:
            raise ValueError(f"the faucet gives at most {FAUCET_UNITS_MAX} units at once")
        if address not in self.ledger.accounts and len(self.ledger.accounts) >= ACCOUNTS_MAX:
            raise ValueError(f"a devnet has at most {ACCOUNTS_MAX} accounts")
        self.ledger.mint(address, asset, amount)

    def submit(self, raw: bytes, now: float) -> TxRecord:
        """Takes a transaction into the mempool; the same bytes again change nothing. Raises Rejected."""
        try:
            tx = decode_transaction(raw)
        except StacksError as error:
            raise Rejected("Deserialization", {"message": str(error)}) from error
        txid = sha512_256(raw).hex()
        if txid in self.pending:
            return self.pending[txid]
        check_admission(self.ledger, self.network, self.tokens, tx, len(raw))
        record = TxRecord(txid, raw, now, self.sequence)
        rivals = {self._slots[slot] for slot in record.nonce_slots if slot in self._slots}
        if any(self.pending[rival].tx.fee >= tx.fee for rival in rivals):
            raise Rejected("ConflictingNonceInMempool")
        if len(self.pending) - len(rivals) >= MEMPOOL_MAX:
            raise Rejected("ServerFailureOther", {"message": "mempool is full"})
        for rival in rivals:
            self._drop(self.pending[rival], REPLACED_BY_FEE, replaced_by=txid)
        self._enter(record)
        return record

    def drop(self, txid: str, status: str) -> None:
        """Throws a pending transaction out of the mempool with one of the node's `dropped_*` words."""
        if status not in DROPS or txid not in self.pending:
            raise ValueError("only a pending transaction is dropped, with a dropped_ status")
        self._drop(self.pending[txid], status)

    def mine(self, now: float, interference: Interference | None = None) -> Block:
        """One block: every pending transaction whose nonces have come, in order of arrival."""
        rules = interference or NoInterference()
        for record in list(self.pending.values()):
            if now - record.received_at > MEMPOOL_SECONDS_MAX:
                self._drop(record, GARBAGE_COLLECTED)
            elif self._is_ready(record) and rules.is_replaced(record):
                self._replace(record, now)
        height, mined = self.height + 1, list[str]()
        held = {txid for txid, record in self.pending.items() if rules.is_held(record)}
        progress = True
        while progress and len(mined) < BLOCK_TRANSACTIONS_MAX:
            progress = False
            for record in list(self.pending.values()):
                if len(mined) == BLOCK_TRANSACTIONS_MAX:
                    break
                if record.txid in held or not self._is_ready(record):
                    continue
                if self._confirm(record, height, len(mined), rules):
                    mined.append(record.txid)
                    progress = True
                else:
                    held.add(record.txid)
        self._drop_stale()
        seed = f"{self.network.chain_id}/{height}/{self.tip_hash}/{self.forks}/{','.join(mined)}"
        block_hash = hashlib.sha256(seed.encode()).hexdigest()
        block = Block(height, block_hash, self.tip_hash, now, tuple(mined), self.ledger.seal())
        self.blocks.append(block)
        self.dirty.heights.add(height)
        self._prune()
        return block

    def reorganise(self, count: int, *, vanish: bool = False) -> list[str]:
        """Undoes the newest `count` blocks; their transactions return to the mempool, or vanish as if never seen."""
        undone: list[str] = []
        for _ in range(min(count, len(self.blocks))):
            block = self.blocks.pop()
            self.dirty.heights.add(block.height)
            self.ledger.undo(block.changes)
            undone.extend(reversed(block.txids))
        self.forks += 1
        for txid in reversed(undone):
            record = self.txs.get(txid)
            if record is None:
                continue
            if vanish:
                self._forget(record)
                continue
            # A confirmed nonce is below every pending one of its account, so nothing can have taken its place.
            assert not any(slot in self._slots for slot in record.nonce_slots)
            record.unconfirm()
            self._enter(record)
        return list(reversed(undone))

    def restore(self, record: TxRecord) -> None:
        """Puts a stored transaction back, in order of sequence."""
        self.txs[record.txid] = record
        self._index(record)
        if record.status == PENDING:
            self.pending[record.txid] = record
            self._slots.update(dict.fromkeys(record.nonce_slots, record.txid))

    def _is_ready(self, record: TxRecord) -> bool:
        return all(self.ledger.nonce(who) == nonce for who, nonce in record.nonce_slots)

    def _confirm(self, record: TxRecord, height: int, index: int, rules: Interference) -> bool:
        try:
            outcome = execute(self.ledger, self.tokens, record.tx, self.miner, rules.forced_abort(record))
        except Overdraft:
            return False
        record.status, record.block_height, record.tx_index = outcome.status, height, index
        record.result_bytes = serialize(outcome.result)
        record.events = [{"event_index": i, "tx_id": "0x" + record.txid, **e} for i, e in enumerate(outcome.events)]
        self._leave(record)
        return True

    def _enter(self, record: TxRecord) -> None:
        record.sequence = self.sequence
        self.sequence += 1
        self.txs[record.txid] = self.pending[record.txid] = record
        self._slots.update(dict.fromkeys(record.nonce_slots, record.txid))
        self._index(record)
        self.dirty.txids.add(record.txid)

    def _leave(self, record: TxRecord) -> None:
        del self.pending[record.txid]
        for slot in record.nonce_slots:
            if self._slots.get(slot) == record.txid:
                del self._slots[slot]
        self.dirty.txids.add(record.txid)

    def _drop(self, record: TxRecord, status: str, replaced_by: str | None = None) -> None:
        self._leave(record)
        record.status, record.replaced_by = status, replaced_by

    def _drop_stale(self) -> None:
        for record in list(self.pending.values()):
            if any(nonce < self.ledger.nonce(who) for who, nonce in record.nonce_slots):
                self._drop(record, REPLACED_ACROSS_FORK)

    def _replace(self, record: TxRecord, now: float) -> None:
        """Another transaction takes the nonce: an empty transfer by the same origin that fails and costs nothing."""
        assert isinstance(record.tx.origin, SingleSig)
        me = principal_value(Principal(record.tx.origin_address))
        token = sbtc(self.network)
        call = ContractCall(token.contract, "transfer", (UInt(0), me, me, NoneValue()))
        origin = replace(record.tx.origin, fee=0, signature=EMPTY_SIGNATURE)
        tx = replace(record.tx, origin=origin, sponsor=None, post_conditions=(), payload=call)
        rival = TxRecord(tx.txid(), tx.serialize(), now, self.sequence)
        self._drop(record, REPLACED_BY_FEE, replaced_by=rival.txid)
        self._enter(rival)

    def _index(self, record: TxRecord) -> None:
        for address in record.parties:
            self._by_address.setdefault(address, {})[record.txid] = None

    def _forget(self, record: TxRecord) -> None:
        self.txs.pop(record.txid, None)
        self.dirty.txids.add(record.txid)
        for address in record.parties:
            txids = self._by_address.get(address, {})
            txids.pop(record.txid, None)
            if not txids:
                self._by_address.pop(address, None)

    def _prune(self) -> None:
        while len(self.blocks) > BLOCKS_KEPT:
            self.dirty.heights.add(self.blocks.pop(0).height)
        for record in list(self.txs.values())[: max(0, len(self.txs) - TRANSACTIONS_KEPT)]:
            if record.txid not in self.pending:
                self._forget(record)


__all__ = ["STX", "Chain", "Dirty", "Interference", "NoInterference", "Rejected"]
