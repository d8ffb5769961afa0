"""The journal and statements of it: operations, what they take and give."""

from typing import Literal

from pydantic import Field

from operations.codes import IDENTITY
from operations.models import Nothing, Output, Receipt, Target
from operations.registry import Auth, Body, Feature, Operation
from operations.surfaces import NoTool, Option, Tool, Verb

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


class Span(Output):
    """A stretch of proven uptime at one rate, and its charge."""

    seq: int
    runtime_id: str
    boot_id: str
    from_ms: int
    to_ms: int
    elapsed_ms: int
    rate_usat_per_second: int
    remainder_before: int
    remainder_after: int
    charge_usat: int
    arithmetic: str


class MeterExplanation(Output):
    """Every charge of a wallet, to check by hand."""

    spans: list[Span]
    charged_usat: int
    journal_charged_usat: int
    matches: bool


FEATURE = Feature(
    150,
    (
        Operation(
            "sandbox.ledger", "GET", "/sandbox/ledger",
            "Read your journal: every deposit and charge, hash-chained, each page signed.",
            LedgerInput, Ledger, Auth.OWNER, scope="owner", errors=(*IDENTITY, "wallet_not_found"), positional=("address",),
            verb=Verb(
                ("ledger",), "read your journal: deposits and charges",
                help={"after": "only entries with a higher number (the first column)"}, form="books.books_tables:ledger",
            ),
            tool=Tool("satbox_ledger"),
        ),
        Operation(
            "sandbox.statement", "GET", "/sandbox/ledger/statement",
            "Get a signed statement of your journal as one file, to check offline: SQLite, JSON or CSV.",
            StatementInput, None, Auth.OWNER, body=Body.DOWNLOAD, scope="owner",
            errors=(*IDENTITY, "wallet_not_found", "statement_too_large"), positional=("address",),
            verb=Verb(
                ("statement",), "get a signed statement as a file",
                options=(
                    Option("output", "into a file (default: stdout)", metavar="FILE"),
                ),
                run="books.statements:statement",
            ),
            tool=NoTool("a file for keeping; agents read the ledger"),
        ),
        Operation(
            "service.key", "GET", "/key",
            "The operator's public key, which receipts, statements and checkpoints verify with.",
            Nothing, Key, Auth.NONE,
            verb=Verb(("key",), "see the operator's public key"),
            tool=NoTool("for checks outside of a conversation"),
        ),
        Operation(
            "sandbox.meter", "GET", "/sandbox/meter",
            "Check every charge by hand: spans, rate, remainders and sum.",
            Target, MeterExplanation, Auth.OWNER, scope="owner", errors=(*IDENTITY, "wallet_not_found"),
            positional=("address",),
            verb=Verb(
                ("meter", "explain"), "check every charge by hand",
                options=(
                    Option("verbose", "also the arithmetic of every charge, a line each", "flag"),
                ),
                form="books.books_tables:meter",
            ),
            tool=Tool("satbox_meter_explain"),
        ),
    ),
    verb_groups={"meter": "check charges"},
)  # fmt: skip
