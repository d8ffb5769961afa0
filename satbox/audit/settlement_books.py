"""One settlements file: every credit follows from the bytes of its payment, and every letter to a wallet from a credit."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from operations.errors import SatboxError
from relay_client.offers import USAT_PER_SAT, assets
from relay_client.settlements.journal import payment_id_of
from relay_client.settlements.records import COLUMNS, Payment, from_row
from relay_client.states import IllegalMove, PaymentEvent, PaymentState, check_move, is_terminal
from relay_client.verify import transfer_of
from satbox.audit.files import check_pages, readable, snapshot
from satbox.audit.findings import Findings
from stacks import Address, StacksError, decode_transaction
from stacks.signing import origin_identity_bytes
from stacks.transaction import Transaction
from storage.connection import Connection


@dataclass(frozen=True, slots=True)
class CreditNotice:
    """A message to a wallet, sent or waiting: money into its bucket, or back out."""

    address: str
    usat: int
    is_acknowledged: bool


@dataclass(frozen=True, slots=True)
class Paid:
    """Who signed a payment, and what it is worth in usat."""

    origin: str
    usat: int


@dataclass
class SettlementBooks:
    """What an audit takes along: letters by credit id, payments by their id, and the payments that stand for others."""

    credits: dict[str, CreditNotice] = field(default_factory=dict)
    reversals: dict[str, CreditNotice] = field(default_factory=dict)
    payments: dict[str, Paid] = field(default_factory=dict)
    claims: dict[str, str] = field(default_factory=dict)
    is_read: bool = False

    def add(self, other: "SettlementBooks") -> None:
        """One more file."""
        self.credits |= other.credits
        self.reversals |= other.reversals
        self.payments |= other.payments
        self.claims |= other.claims
        self.is_read &= other.is_read


def audit_settlements(path: Path, found: Findings, *, quick: bool = False) -> SettlementBooks:
    """Check one file. `quick` only reads the letters, for a second look at a running service."""
    books = SettlementBooks()
    with readable(path.name, found), snapshot(path) as db:
        if not quick:
            check_pages(db, path.name, found)
        _read_letters(db, path.name, books, found, quick=quick)
        if not quick:
            _Check(db, path.name, books, found).run()
        books.is_read = True
    return books


def _read_letters(db: Connection, where: str, books: SettlementBooks, found: Findings, *, quick: bool) -> None:
    rows = db.execute(
        "SELECT seq, lane, kind, body, acknowledged_at_ms FROM outbox WHERE kind IN ('credit', 'reverse') ORDER BY seq"
    )
    for seq, lane, kind, body, acknowledged in rows:
        letter = json.loads(body)
        into = books.credits if kind == "credit" else books.reversals
        credit_id = str(letter["payment_id"])
        if not quick and (credit_id in into or not credit_id.startswith(str(lane))):
            found.add(f"{where} outbox {seq}", "once", f"a second {kind} of {credit_id}, or in the lane of {lane}")
        into[credit_id] = CreditNotice(str(letter["address"]), int(letter["usat"]), acknowledged is not None)


class _Check:
    """The rules of one file."""

    def __init__(self, db: Connection, where: str, books: SettlementBooks, found: Findings) -> None:
        self._db = db
        self._where = where
        self._books = books
        self._found = found
        self._credits: dict[str, tuple[Any, ...]] = {}
        self._quoted = 0

    def _tell(self, place: str, rule: str, what: str) -> None:
        self._found.add(f"{self._where} {place}", rule, what)

    def run(self) -> None:
        """All of them."""
        query = (
            "SELECT payment_id, chain_id, origin, nonce, txid, asset, atomic_amount, usat, block_height FROM credits"
        )
        self._credits = {row[0]: row[1:] for row in self._db.execute(query)}
        seen = self._books.payments
        for row in self._db.execute(f"SELECT {', '.join(COLUMNS)} FROM payments"):  # noqa: S608 - our own column names
            payment = from_row(row)
            seen[payment.payment_id] = Paid(payment.origin, payment.expected_usat)
            self._payment(payment)
            self._found.looked_at("payments")
        self._stand_ins()
        if self._quoted:
            self._found.not_proven.append(
                f"{self._where}: the rates of {self._quoted} credits in assets other than sBTC"
            )
        for payment_id in self._credits.keys() - seen:
            self._tell(f"credits {payment_id}", "settlement", "credited without a payment")
        for credit_id in self._books.credits.keys() | self._books.reversals.keys():
            if _payment_of(credit_id) not in seen:
                self._tell(f"outbox {credit_id}", "settlement", "a wallet was told of a payment that is not here")
        for credit_id, letter in self._books.reversals.items():
            credit = self._books.credits.get(credit_id)
            if credit is None or (credit.address, credit.usat) != (letter.address, letter.usat):
                self._tell(f"outbox {credit_id}", "reversal", "takes back another amount than was credited")

    def _stand_ins(self) -> None:
        """Payments of calls that failed may pay their payer's next call, and a later payment may stand for one of them: each is
        on record, is its payer's own, and is not itself one that was never sent.
        """
        payments, claims = self._books.payments, self._books.claims
        claims |= dict(self._db.execute("SELECT payment_id, spare_id FROM claims").fetchall())
        for payment_id, origin, is_claimed in self._db.execute("SELECT payment_id, origin, is_claimed FROM spares"):
            paid = payments.get(payment_id)
            if paid is None or paid.origin != origin:
                self._tell(f"spares {payment_id}", "spare", f"is kept for {origin}, and is {paid}")
            if is_claimed not in (0, 1) or (is_claimed and payment_id not in claims.values()):
                self._tell(f"spares {payment_id}", "spare", "is taken, and no payment stands for it")
        for payment_id, spare_id in claims.items():
            if spare_id not in payments or spare_id in claims:
                self._tell(f"claims {payment_id}", "spare", f"stands for {spare_id}, which was never sent")

    def _payment(self, payment: Payment) -> None:
        place = f"payments {payment.payment_id}"
        self._bytes(payment, place)
        self._moves(payment, place)
        self._parties(payment, place)
        if payment.amount * payment.rate_usat // payment.rate_atomic != payment.expected_usat:
            self._tell(place, "amount", f"expects {payment.expected_usat} usat, its amount and rate say otherwise")
        credit = self._credits.get(payment.payment_id)
        if (credit is None) != (payment.credited_usat == 0):
            self._tell(place, "credit", f"credited_usat is {payment.credited_usat}, its credit is {credit}")
        if credit is not None:
            self._credit(payment, credit, place)
        for number in range(payment.reversals):
            credit_id = payment.payment_id if number == 0 else f"{payment.payment_id}_{number}"
            if credit_id not in self._books.credits or credit_id not in self._books.reversals:
                self._tell(place, "reversal", f"{credit_id} was reversed, and no two letters say so")
        told = {i for i in (self._books.credits | self._books.reversals) if i == payment.credit_id}
        if told and credit is None:
            self._tell(place, "credit", "a wallet was told of a credit that does not stand")

    def _bytes(self, payment: Payment, place: str) -> None:
        """What was signed is what is on record."""
        if payment.payment_id != payment_id_of(payment.identity):
            self._tell(place, "identity", "its id is not made of its identity")
        try:
            tx = decode_transaction(payment.transaction_bytes)
            identity = hashlib.sha256(origin_identity_bytes(tx)).hexdigest()
            signed = (tx.network.chain_id, str(tx.origin_address), tx.origin.nonce)
        except (StacksError, ValueError) as error:
            self._tell(place, "bytes", f"its transaction cannot be read: {error}")
            return
        if payment.txid_is_local and tx.txid() != (payment.txid or "").removeprefix("0x"):
            self._tell(place, "bytes", f"its transaction is {tx.txid()}, on record {payment.txid}")
        if identity != payment.identity:
            self._tell(place, "identity", "its transaction has another identity")
        recorded = (payment.chain_id, payment.origin, payment.nonce)
        if signed != recorded:
            self._tell(place, "bytes", f"signed was for chain, payer, nonce {signed}, on record {recorded}")
        self._signed_for(tx, payment, place)

    def _signed_for(self, tx: Transaction, payment: Payment, place: str) -> None:
        """What its payer signed to send, to whom and in which asset. The chain can move no more than that."""
        try:
            transfer = transfer_of(tx, assets(tx.network))
        except SatboxError as error:
            self._tell(place, "signed", f"its transaction is no payment: {error.code}")
            return
        asset = transfer.asset
        signed = (transfer.amount, transfer.recipient, transfer.sender, asset.symbol, asset.wire, asset.asset_id)
        recorded = (
            payment.amount, payment.pay_to, payment.origin, payment.asset, payment.asset_wire, payment.asset_id,
        )  # fmt: skip
        if signed != recorded:
            self._tell(place, "signed", f"signed was {signed}, on record is {recorded}")
        credit = self._credits.get(payment.payment_id)
        if credit is not None and not 0 < credit[5] <= transfer.amount:
            self._tell(place, "signed", f"credited are {credit[5]} units, signed were {transfer.amount}")
        if asset.symbol == "sBTC" and payment.rate_usat != USAT_PER_SAT * payment.rate_atomic:
            self._tell(
                place, "signed", f"sBTC for {payment.rate_usat} usat per {payment.rate_atomic}: it is one to one"
            )
        if asset.symbol != "sBTC" and credit is not None:
            self._quoted += 1

    def _parties(self, payment: Payment, place: str) -> None:
        """Addresses carry checksums."""
        for name in ("origin", "address", "pay_to", "holder"):
            text = getattr(payment, name)
            try:
                if text is not None:
                    Address.parse(text.partition(".")[0])
            except (StacksError, ValueError) as error:
                self._tell(place, "address", f"its {name} {text[:60]} is no address: {error}")

    def _credit(self, payment: Payment, credit: tuple[Any, ...], place: str) -> None:
        chain_id, origin, nonce, txid, asset, atomic_amount, usat, height = credit
        if (chain_id, origin, nonce, asset) != (payment.chain_id, payment.origin, payment.nonce, payment.asset):
            self._tell(place, "credit", "its credit names another chain, payer, nonce or asset")
        if txid != payment.txid or height > (payment.block_height or 0) + 10_000:
            self._tell(place, "credit", f"its credit names transaction {txid}, the payment {payment.txid}")
        due = atomic_amount * payment.rate_usat // payment.rate_atomic
        if not due == usat == payment.credited_usat:
            both = f"credited are {usat}, on record {payment.credited_usat}"
            self._tell(place, "credit", f"{atomic_amount} units are {due} usat, {both}")
        letter = self._books.credits.get(payment.credit_id)
        if letter is None or (letter.address, letter.usat) != (payment.address, usat):
            self._tell(place, "outbox", f"credited {usat} usat to {payment.address}, the wallet is told {letter}")

    def _moves(self, payment: Payment, place: str) -> None:
        """The life on record is a legal one and ends where the payment stands."""
        before: PaymentState | None = None
        query = "SELECT seq, state, observation FROM moves WHERE payment_id = ? ORDER BY seq"
        for number, (seq, word, observation) in enumerate(self._db.execute(query, (payment.payment_id,)), start=1):
            state = PaymentState(word)
            PaymentEvent(observation)
            if seq != number:
                self._tell(place, "moves", f"move {seq} is the {number}th")
            if before is not None:
                try:
                    check_move(before, state)
                except IllegalMove as error:
                    self._tell(place, "moves", str(error))
            before = state
        if before is not payment.state:
            self._tell(place, "moves", f"its moves end at {before}, it stands at {payment.state}")
        if is_terminal(payment.state) and payment.state is not PaymentState.CONFIRMED and not payment.terminal_reason:
            self._tell(place, "moves", "ended without a reason")


def _payment_of(credit_id: str) -> str:
    """The payment a credit id belongs to: `pay_<32 hex>`, perhaps with a number behind it."""
    return "_".join(credit_id.split("_")[:2])
