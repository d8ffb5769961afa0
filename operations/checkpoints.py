"""Checkpoints: the operator's signed word on the heads of all wallets, and proof that one's own is among them."""

from pydantic import Field

from operations.codes import IDENTITY
from operations.models import Input, Nothing, Output, Receipt, Target
from operations.registry import Auth, Feature, Operation
from operations.surfaces import NoTool, Verb


class CheckpointsInput(Input):
    """A page of checkpoints."""

    after: int = Field(0, ge=0, le=2**53, description="leave out what is numbered up to this")
    limit: int = Field(50, ge=1, le=500, description="at most so many, from the oldest on")
    last: bool = Field(False, description="only the newest one")


class Checkpoints(Output):
    """Checkpoints, oldest first; each names the one before it by hash."""

    items: list[Receipt]
    next_cursor: int


class HeadView(Output):
    """Where a wallet's journal and spans stood."""

    address: str
    seq: int
    head: str
    spans_seq: int
    spans_head: str


class InclusionProof(Output):
    """That `checkpoint` holds `leaf`: RFC 6962, the hashes of `path` from the leaf's neighbour up."""

    leaf: HeadView
    position: int
    path: list[str]
    checkpoint: Receipt


class MadeCheckpoint(Output):
    """The newest checkpoint; `made` is False when nothing had changed. `rewritten` names wallets whose past has changed."""

    made: bool
    checkpoint: Receipt | None = None
    rewritten: dict[str, str] = Field(default_factory=dict)


FEATURE = Feature(
    160,
    (
        Operation(
            "checkpoints.list", "GET", "/checkpoints",
            "Read the signed checkpoints over the heads of all wallets.",
            CheckpointsInput, Checkpoints, Auth.NONE,
            verb=Verb(
                ("checkpoints", "list"), "read the signed checkpoints", form="books.books_tables:checkpoints",
                empty=" yet: they are made every hour",
            ),
            tool=NoTool("for checks outside of a conversation"),
        ),
        Operation(
            "checkpoints.proof", "GET", "/sandbox/checkpoint",
            "Get proof that a checkpoint holds the head of your journal.",
            Target, InclusionProof, Auth.OWNER, scope="owner", errors=(*IDENTITY, "checkpoint_not_found"),
            positional=("address",),
            verb=Verb(("checkpoints", "proof"), "prove that a checkpoint holds your head", form="books.books_tables:proof"),
            tool=NoTool("for checks outside of a conversation"),
        ),
        Operation(
            "operator.checkpoint", "POST", "/operator/checkpoint",
            "Make a checkpoint now.",
            Nothing, MadeCheckpoint, Auth.OPERATOR, errors=("operator_only",),
            verb=Verb(("operator", "checkpoint"), "make a checkpoint now", form="books.books_tables:made_checkpoint"),
            tool=NoTool("an agent has no operator token"),
        ),
    ),
    verb_groups={"checkpoints": "signed words on all journals' heads"},
)  # fmt: skip
