"""Objections to a charge, and the operator's word on them."""

from dataclasses import dataclass
from typing import Any

from actors.wallet.commands.base import Command


@dataclass(frozen=True, slots=True)
class OpenDispute(Command):
    """The owner objects to something, at most once by `dispute_id`. `about` and `reason` go into the journal as they are."""

    dispute_id: str
    about: dict[str, Any]
    reason: str
    usat_max: int
    answer_due_ms: int
    verdict_due_ms: int


@dataclass(frozen=True, slots=True)
class AnswerDispute(Command):
    """The operator says something to it."""

    dispute_id: str
    text: str


@dataclass(frozen=True, slots=True)
class DecideDispute(Command):
    """The operator's verdict, once; `usat` are put right with it."""

    dispute_id: str
    is_upheld: bool
    usat: int
    text: str
    wants_proof = True
