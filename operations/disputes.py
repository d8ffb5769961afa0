"""Disputes: what an owner objects to, and what the operator says and decides."""

from typing import Annotated, Literal

from pydantic import Field

from operations.codes import IDENTITY
from operations.models import Input, Output, Target
from operations.registry import Auth, Feature, Operation
from operations.surfaces import NoTool, Verb

TEXT_MAX = 2000
DisputeId = Annotated[str, Field(pattern=r"^dsp_[0-9a-f]{24}$", description="the dispute's id, dsp_...")]


class OpenInput(Target):
    """What is objected to, an entry of the journal or a receipt, and why."""

    seq: int | None = Field(None, ge=1, le=2**53, description="the number of a journal entry")
    receipt: str | None = Field(None, max_length=65_536, description="a receipt, as the JSON it came as")
    reason: str = Field(
        min_length=1, max_length=TEXT_MAX, description="what is wrong; it stays in the journal for good"
    )


class Step(Output):
    """One step of a dispute, and the journal entry it is."""

    state: str
    at: str
    seq: int
    text: str
    usat: int = 0


class Dispute(Output):
    """A dispute as it stands. Due is the operator's answer, then the verdict; `overdue` when that moment has passed."""

    dispute_id: str
    address: str
    state: Literal["open", "answered", "upheld", "denied"]
    about: dict[str, str | int]
    reason: str
    usat_max: int
    credited_usat: int = 0
    answer_due_at: str
    verdict_due_at: str
    overdue: bool
    steps: list[Step]


class Disputes(Output):
    """Disputes, oldest first."""

    items: list[Dispute]


class OperatorDisputesInput(Input):
    """Those that wait for the operator."""

    limit: int = Field(100, ge=1, le=1000, description="at most so many, from the oldest on")


class AnswerInput(Input):
    """An answer to a dispute."""

    dispute_id: DisputeId
    text: str = Field(min_length=1, max_length=TEXT_MAX, description="what to say; the owner reads it")


class UpholdInput(AnswerInput):
    """A verdict for the owner."""

    usat: int | None = Field(None, ge=0, description="micro-sats to put right; default: all that a charge took")


_ERRORS = ("operator_only", "dispute_not_found", "dispute_state")
_NO_TOOL = "an agent has no operator token"

FEATURE = Feature(
    170,
    (
        Operation(
            "disputes.open", "POST", "/sandbox/disputes",
            "Dispute an entry of your journal or a receipt.",
            OpenInput, Dispute, Auth.OWNER, scope="owner",
            errors=(*IDENTITY, "wallet_not_found", "dispute_target", "dispute_too_late", "dispute_limit"),
            verb=Verb(
                ("disputes", "open"), "dispute an entry or a receipt",
                help={"receipt": "a receipt: a file (a path, or @FILE), or its JSON"}, run="books.statements:dispute",
                form="books.books_tables:dispute",
            ),
            tool=NoTool("for the owner to decide"),
        ),
        Operation(
            "disputes.list", "GET", "/sandbox/disputes",
            "See your disputes and what was said to them.",
            Target, Disputes, Auth.OWNER, scope="owner", errors=(*IDENTITY, "wallet_not_found"),
            verb=Verb(
                ("disputes", "list"), "see your disputes and what was said to them", form="books.books_tables:disputes",
                empty=": satbox disputes open --seq N objects to a charge",
            ),
            tool=NoTool("for the owner to read"),
        ),
        Operation(
            "operator.disputes", "GET", "/operator/disputes",
            "List the disputes that wait for an answer or a verdict.",
            OperatorDisputesInput, Disputes, Auth.OPERATOR, errors=("operator_only",),
            verb=Verb(("operator", "disputes", "ls"), "list the disputes that wait for us", form="books.books_tables:disputes"),
            tool=NoTool("an agent has no operator token"),
        ),
        Operation(
            "operator.answer", "POST", "/operator/disputes/{dispute_id}/answer",
            "Answer a dispute.",
            AnswerInput, Dispute, Auth.OPERATOR, errors=_ERRORS, positional=("dispute_id", "text"),
            verb=Verb(("operator", "disputes", "answer"), "answer a dispute", form="books.books_tables:dispute"),
            tool=NoTool("an agent has no operator token"),
        ),
        Operation(
            "operator.uphold", "POST", "/operator/disputes/{dispute_id}/uphold",
            "Decide for the owner: what was charged wrongly is put back into the bucket, once.",
            UpholdInput, Dispute, Auth.OPERATOR, errors=(*_ERRORS, "dispute_amount"), positional=("dispute_id", "text"),
            verb=Verb(
                ("operator", "disputes", "uphold"), "decide for the owner, and put it right", form="books.books_tables:dispute",
            ),
            tool=NoTool("an agent has no operator token"),
        ),
        Operation(
            "operator.deny", "POST", "/operator/disputes/{dispute_id}/deny",
            "Decide against the owner.",
            AnswerInput, Dispute, Auth.OPERATOR, errors=_ERRORS, positional=("dispute_id", "text"),
            verb=Verb(("operator", "disputes", "deny"), "decide against the owner", form="books.books_tables:dispute"),
            tool=NoTool("an agent has no operator token"),
        ),
    ),
    verb_groups={"disputes": "object to a charge", "operator disputes": "answer and decide disputes"},
)  # fmt: skip
