"""The sponsor relay's `/settle` family, imitated with its sharp edges. [relay: 1.31.0, protocols 1.4-1.6]

Success means that the node took the broadcast, never that a block has it. Both caches answer before recipient and amount are
compared. Origin signature, balance and post-conditions are left to the node.
"""

import hashlib
from dataclasses import dataclass

from devnet.admission import Rejected
from devnet.assets import requirement_error
from devnet.chain import Chain
from devnet.clock import iso
from devnet.faults import FaultBoard
from devnet.records import ABORTS, SUCCESS, JsonObject, TxRecord
from devnet.relay_hand import HAND_SECONDS, SWEEP_SECONDS, HeldPayment, Sender
from devnet.relay_memory import (
    CACHE_RECHECK_SECONDS,
    CACHE_SECONDS,
    POLL_SECONDS,
    CachedAnswer,
    RelayMemory,
    SettlementRecord,
)
from devnet.relay_request import Refused, SettleRequest, parse_settle
from stacks.errors import StacksError
from stacks.keys import PrivateKey
from stacks.payloads import TokenTransfer
from stacks.signing import is_unsponsored, sign_sponsor
from stacks.transaction import TRANSACTION_BYTES_MAX, Transaction, decode_transaction

DISPATCH_ESTIMATE_MS = 10_000
"""What the relay answers as `estimatedDispatchMs` when it holds for capacity. [relay: types.ts]"""
_FEES = {"token_transfer": 500, "contract_call": 3_000}
_NODE_ERRORS = {
    "NotEnoughFunds": "client_insufficient_funds",
    "BadNonce": "client_bad_nonce",
    "ConflictingNonceInMempool": "conflicting_nonce",
    "SignatureValidation": "signature_validation_failed",
    "FeeTooLow": "transaction_failed",
    "BadTransactionVersion": "transaction_failed",
}


@dataclass(frozen=True, slots=True)
class RelayResponse:
    """An HTTP reply: status, body, and whose payment it was about (for faults that pick one)."""

    status: int
    body: JsonObject
    addresses: tuple[str, ...] = ()
    txid: str = ""


@dataclass(frozen=True, slots=True)
class Sponsoring:
    """Which sponsor wallet paid for a transaction, and how."""

    wallet_index: int
    nonce: int
    fee: int


def sponsor_key(index: int) -> PrivateKey:
    """The devnet's sponsor wallets: fixed, public, worthless elsewhere."""
    return PrivateKey(hashlib.sha256(b"satbox devnet sponsor %d" % index).digest())


def read_transaction(text: str) -> Transaction | None:
    """The transaction in a hex text, or None."""
    if len(text) > 2 * TRANSACTION_BYTES_MAX + 2:
        return None
    try:
        return decode_transaction(bytes.fromhex(text.removeprefix("0x")))
    except (StacksError, ValueError):
        return None


class Relay:
    """One relay deployment over one chain. All methods take `now` (unix seconds)."""

    def __init__(self, chain: Chain, faults: FaultBoard, wallets: int) -> None:
        self.chain = chain
        self.faults = faults
        self.memory = RelayMemory()
        self.keys = [sponsor_key(index) for index in range(wallets)]
        self.addresses = [str(key.address(chain.network)) for key in self.keys]

    def refuse(self, reason: str) -> RelayResponse:
        """The answer to a body that cannot be read."""
        return self._failure(reason, 400)

    def settle(self, body: JsonObject, now: float) -> RelayResponse:
        """POST /settle."""
        self.memory.expire(now)
        try:
            request = parse_settle(body, self.chain.network)
        except Refused as refused:
            return self._failure(refused.reason, refused.status)
        known = self._by_identifier(request, now)
        if known is not None:
            return known
        answer = self._settle_transaction(request, now)
        if request.identifier is not None and answer.body["success"] is True:
            answer.body["extensions"] = {"payment-identifier": {"info": {"id": request.identifier}}}
            cached = CachedAnswer(now, body_hash=request.body_hash, body=answer.body)
            self.memory.remember_identifier(request.identifier, cached)
        return answer

    def _by_identifier(self, request: SettleRequest, now: float) -> RelayResponse | None:
        cached = self.memory.identifiers.get(request.identifier or "")
        if cached is None or now - cached.at > CACHE_SECONDS:
            return None
        if cached.body_hash != request.body_hash:
            return self._failure("payment_identifier_conflict", 409)
        return RelayResponse(200, dict(cached.body))

    def _settle_transaction(self, request: SettleRequest, now: float) -> RelayResponse:
        digest = hashlib.sha256(request.transaction_hex.encode()).hexdigest()
        cached = self._cached(digest, now)
        if cached is not None:
            return self._success(cached.payer, cached.txid)
        tx = read_transaction(request.transaction_hex)
        if tx is None:
            return self._failure("invalid_transaction_state")
        payer = str(tx.origin_address)
        fault = self.faults.take("relay_error", addresses=(payer,), txid=tx.txid())
        if fault is not None and not fault.after_work:
            return self._failure(fault.error_reason, fault.status, payer)
        if is_unsponsored(tx) and (held := self._held(request, tx, now)) is not None:
            return held
        error = requirement_error(tx, request.pay_to, request.amount, request.token_type)
        if error is not None:
            return self._failure(error, 200, payer)
        try:
            record = self._broadcast(tx, now)
        except Rejected as rejected:
            return self._failure(_node_error(rejected), 200, payer)
        self.memory.remember_transaction(digest, CachedAnswer(now, record.txid, payer))
        if is_unsponsored(tx):
            self._dispatch(payer, tx.origin.nonce + 1, now)  # what waited for this one follows; the frontier stays
        if fault is not None:
            return self._failure(fault.error_reason, fault.status, payer)
        return self._success(payer, record.txid)

    def _cached(self, digest: str, now: float) -> CachedAnswer | None:
        cached = self.memory.transactions.get(digest)
        if cached is None or now - cached.at > CACHE_SECONDS:
            return None
        record = self.chain.find(cached.txid)
        gone = record is None or record.status in ABORTS
        if now - cached.at > CACHE_RECHECK_SECONDS and gone:
            self.memory.forget_transaction(digest)
            return None
        return cached

    def _held(self, request: SettleRequest, tx: Transaction, now: float) -> RelayResponse | None:
        """The answer to a sponsored payment that is not dispatched now: below the sender's frontier, or held."""
        address, nonce, hand = str(tx.origin_address), tx.origin.nonce, self.memory.hand
        sender = hand.seed(address, self.chain.next_nonce(address))
        if nonce < sender.next_expected:
            return self._failure("conflicting_nonce")
        no_capacity = self.faults.take("hold_nonce", addresses=(address,), txid=tx.txid()) is not None
        if nonce == sender.next_expected and not no_capacity:
            return None
        hand.put(HeldPayment(request.transaction_hex, address, nonce, now))
        missing = hand.missing(address)
        numbers = ", ".join(str(number) for number in missing)
        help_text = "Verify your account nonce at /fees or via the Stacks API, then submit transactions with nonces "
        answer = self._failure("transaction_held", 200, address)
        answer.body["queue"] = {
            "status": "held",
            "senderNonce": nonce,
            "nextExpectedNonce": sender.next_expected,
            "missingNonces": missing,
            "handSize": len(hand.of(address)),
            "estimatedDispatchMs": None if missing else DISPATCH_ESTIMATE_MS,
            "expiresAt": iso(hand.of(address)[0].at + HAND_SECONDS),
            "help": f"{help_text}{numbers} to unblock dispatch"
            if missing
            else "All wallet slots are at capacity — tx will be dispatched when headroom opens",
        }
        return answer

    def dispatch_held(self, now: float) -> None:
        """The sweep over held payments, once a minute at most; called after every settlement and block."""
        hand = self.memory.hand
        self.memory.expire(now)
        if now - hand.swept_at < SWEEP_SECONDS:
            return
        hand.swept_at = now
        for address in sorted({held.sender for held in hand.held.values()}):
            lowest = hand.needs_repair(address, now)
            if lowest is not None:
                is_next = self.chain.next_nonce(address) >= lowest
                expected = lowest if is_next else hand.senders[address].next_expected
                hand.move(address, Sender(expected, refreshed_at=now))
            self._dispatch(address, hand.senders[address].next_expected, now)

    def _dispatch(self, address: str, first: int, now: float) -> None:
        """Broadcast the sender's held payments from nonce `first` on, up to the next gap."""
        for held in self.memory.hand.take_run(address, first):
            tx = read_transaction(held.transaction_hex)
            if tx is None:
                continue
            try:
                record = self._broadcast(tx, now)
            except Rejected:
                continue  # another transaction has taken its nonce
            digest = hashlib.sha256(held.transaction_hex.encode()).hexdigest()
            self.memory.remember_transaction(digest, CachedAnswer(now, record.txid, held.sender))

    def _broadcast(self, tx: Transaction, now: float) -> TxRecord:
        """Sponsors where asked to, and hands the bytes to the node; raises Rejected."""
        payer = str(tx.origin_address)
        if not is_unsponsored(tx):
            record = self.chain.submit(tx.serialize(), now)
            self._note(record, now, None)
            return record
        sponsored, how = self._sponsor(tx, avoid=None)
        record = self.chain.submit(sponsored.serialize(), now)
        self._note(record, now, how)
        again = self.faults.take("sponsor_twice", addresses=(payer,), txid=record.txid)
        if again is None:
            return record
        second, how = self._sponsor(tx, avoid=how)
        rival = self.chain.submit(second.serialize(), now)
        self._note(rival, now, how)
        return record if again.mode == "first" else rival

    def _sponsor(self, tx: Transaction, avoid: Sponsoring | None) -> tuple[Transaction, Sponsoring]:
        fee = _FEES["token_transfer" if isinstance(tx.payload, TokenTransfer) else "contract_call"]
        fee = max(fee, len(tx.serialize()))
        if avoid is not None:
            fee = avoid.fee + 1  # must outbid the first to take its place
        indexes = range(len(self.keys))
        index = min(indexes, key=lambda i: len(self.chain.pending_nonces(self.addresses[i])))
        nonce = self._free_nonce(self.addresses[index], avoid if avoid and avoid.wallet_index == index else None)
        return sign_sponsor(tx, self.keys[index], fee, nonce), Sponsoring(index, nonce, fee)

    def _free_nonce(self, address: str, avoid: Sponsoring | None) -> int:
        used = set(self.chain.pending_nonces(address))
        if avoid is not None:
            used.discard(avoid.nonce)  # the first transaction is about to be replaced: its nonce must not become a gap
        nonce = self.chain.ledger.nonce(address)
        while nonce in used:
            nonce += 1
        return nonce

    def _note(self, record: TxRecord, now: float, how: Sponsoring | None) -> None:
        if record.txid in self.memory.records:
            return
        entry = SettlementRecord(record.txid, record.origin, self.chain.network.caip2, now)
        if how is not None:
            entry.wallet_index, entry.sponsor_nonce, entry.sponsor_fee = how.wallet_index, how.nonce, how.fee
        self.memory.remember_record(entry)

    def poll(self, now: float) -> None:
        """The background poll: updates records broadcast less than 180 s ago; called after every block."""
        for record in reversed(self.memory.records.values()):
            if now - record.broadcast_at > POLL_SECONDS:
                break
            if record.status == "pending":
                self._refresh(record, now)

    def _refresh(self, record: SettlementRecord, now: float) -> str | None:
        seen = self.chain.find(record.txid)
        before = (record.status, record.block_height)
        if seen is not None and seen.status == SUCCESS:
            record.status, record.block_height = "confirmed", seen.block_height
            record.confirmed_at = record.confirmed_at or now
        elif seen is not None and seen.status in ABORTS:
            record.status, record.block_height, record.error_reason = "failed", seen.block_height, seen.status
        else:  # unknown, pending and every dropped_* count as transient
            record.status, record.block_height, record.confirmed_at = "pending", None, None
        if before != (record.status, record.block_height):
            self.memory.remember_record(record)
        return None if seen is None else seen.status

    def settle_status(self, txid: str, now: float, *, live: bool) -> RelayResponse:
        """GET /settle/status/{txid}."""
        self.memory.expire(now)
        record = self.memory.records.get(txid)
        if record is None or self.faults.take("no_records", addresses=(record.payer,), txid=txid) is not None:
            return RelayResponse(404, {"success": False, "error": "Transaction not found in relay records"})
        chain_status = self._refresh(record, now) if live else None
        body: JsonObject = {
            "success": True,
            "txid": record.txid,
            "status": record.status,
            "payer": record.payer,
            "network": record.network,
            "walletIndex": record.wallet_index,
            "sponsorNonce": record.sponsor_nonce,
            "sponsorFee": None if record.sponsor_fee is None else str(record.sponsor_fee),
            "broadcastAt": iso(record.broadcast_at),
            "confirmedAt": None if record.confirmed_at is None else iso(record.confirmed_at),
            "blockHeight": record.block_height,
            "errorReason": record.error_reason,
        }
        if live:
            status = "not_found" if chain_status is None else chain_status
            body["hiroStatus"] = {"txStatus": status, "blockHeight": record.block_height}
        return RelayResponse(200, body, (record.payer,), txid)

    def verify(self, body: JsonObject) -> RelayResponse:
        """POST /verify: decodes and compares, proves nothing about signature, balance or nonce."""
        try:
            request = parse_settle(body, self.chain.network)
        except Refused as refused:
            return RelayResponse(200, {"isValid": False, "invalidReason": refused.reason})
        tx = read_transaction(request.transaction_hex)
        if tx is None:
            return RelayResponse(200, {"isValid": False, "invalidReason": "invalid_transaction_state"})
        payer = str(tx.origin_address)
        error = requirement_error(tx, request.pay_to, request.amount, request.token_type)
        if error is not None:
            return RelayResponse(200, {"isValid": False, "invalidReason": error, "payer": payer}, (payer,))
        return RelayResponse(200, {"isValid": True, "payer": payer}, (payer,))

    def _success(self, payer: str, txid: str) -> RelayResponse:
        body: JsonObject = {
            "success": True,
            "payer": payer,
            "transaction": txid,
            "network": self.chain.network.caip2,
        }
        return RelayResponse(200, body, (payer,), txid)

    def _failure(self, reason: str, status: int = 200, payer: str = "") -> RelayResponse:
        body: JsonObject = {
            "success": False,
            "errorReason": reason,
            "transaction": "",
            "network": self.chain.network.caip2,
        }
        return RelayResponse(status, body, (payer,) if payer else ())


def _node_error(rejected: Rejected) -> str:
    """The relay's word for the node's refusal; a fault on the sponsor's side is the relay's own trouble."""
    data = rejected.data or {}
    if data.get("is_origin") is False:
        return "broadcast_failed"
    return _NODE_ERRORS.get(rejected.reason, "broadcast_failed")


__all__ = ["Relay", "RelayResponse", "sponsor_key"]
