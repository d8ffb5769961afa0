"""The journal and statements of it: operations, what they take and give."""

from typing import Literal

from pydantic import Field

from operations.codes import IDENTITY
from operations.models import Nothing, Output, Receipt, Target
from operations.registry import Auth, Body, Operation

_MOMENT = r"^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?)?$"


class RangeInput(Target):
    """A part of the journal, by time and by number."""

    since: str | None = Field(None, pattern=_MOMENT, description="from this moment on: ISO 8601, a day alone is UTC")
    until: str | None = Field(None, pattern=_MOMENT, description="before this moment: ISO 8601, a day alone is UTC")
    after: int = Field(0, ge=0, le=2**53, description="leave out what is numbered up to this (seq)")


class LedgerInput(RangeInput):
    """A page of a range."""

    limit: int = Field(200, ge=1, le=1000, description="at most so many, from the oldest on")


class StatementInput(RangeInput):
    """A whole range in one file."""

    format: Literal["sqlite", "json", "csv"] = Field("sqlite", description="what kind of file")


class LedgerEntry(Output):
    """One journal entry: postings sum to zero, `hash` covers the entry and `previous`."""

    seq: int
    at: str
    at_ms: int = 0
    kind: str
    reference: str | None = None
    postings: dict[str, int]
    balance_after_usat: int
    previous: str
    hash: str


class Ledger(Output):
    """A page of the journal, with the sums over all of it. `statement` is the operator's word on this page: opening and
    closing balance, totals by kind, and the head of the whole chain.
    """

    items: list[LedgerEntry]
    accounts: dict[str, int]
    chain_head: str
    next_cursor: int
    has_more: bool
    statement: Receipt | None = None


class Key(Output):
    """The operator's public key: what receipts, statements and checkpoints verify with."""

    deployment: str
    network: str
    algorithm: str = "Ed25519"
    public_key: str


LEDGER = (
    Operation(
        "sandbox.ledger", "GET", "/sandbox/ledger",
        "Read your journal: every deposit and charge, hash-chained, each page signed.",
        LedgerInput, Ledger, Auth.OWNER, ("ledger",), "satbox_ledger", scope="owner",
        errors=(*IDENTITY, "wallet_not_found"), positional=("address",),
    ),
    Operation(
        "sandbox.statement", "GET", "/sandbox/ledger/statement",
        "Get a signed statement of your journal as one file, to check offline: SQLite, JSON or CSV.",
        StatementInput, None, Auth.OWNER, ("statement",), None,
        no_tool_because="a file for keeping; agents read the ledger", body=Body.DOWNLOAD, scope="owner",
        errors=(*IDENTITY, "wallet_not_found", "statement_too_large"), positional=("address",),
    ),
    Operation(
        "service.key", "GET", "/key",
        "The operator's public key, which receipts, statements and checkpoints verify with.",
        Nothing, Key, Auth.NONE, ("key",), None,
        no_tool_because="for checks outside of a conversation",
    ),
)  # fmt: skip
