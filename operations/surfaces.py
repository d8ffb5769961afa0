"""How an operation is offered beside HTTP: as a verb of the command line and as a tool over MCP.

Part of an operation's contract, so that a new one is written in one place. Nothing here imports a model: the command line reads
it from a table that is generated (`satbox/cli/_commands.py`) and starts in milliseconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

OptionKind = Literal["text", "integer", "flag", "duration", "list", "words"]


@dataclass(frozen=True, slots=True)
class Option:
    """One more argument of a verb, beside the fields of its operation.

    `flags`: how it is spelt; None: as the name, `()`: by its place. A `duration` is said as 30d and arrives in seconds; a `list`
    may be given several times; `words` is all that is left.
    """

    name: str
    help: str
    kind: OptionKind = "text"
    flags: tuple[str, ...] | None = None
    choices: tuple[str, ...] = ()
    default: Any = None
    metavar: str | None = None


@dataclass(frozen=True, slots=True)
class Verb:
    """An operation on the command line.

    `run` is `module:function` in `satbox.cli`, and so is `form`, which makes an answer fit for people. `help` replaces a field's
    description. `hidden` fields are filled in by `run`; `either_way` flags can be said, denied (`--no-...`) and left out;
    `defaults` are for fields that other surfaces require. `empty` is what to do about an answer with nothing in it.
    """

    words: tuple[str, ...]
    summary: str
    help: Mapping[str, str] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    either_way: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    options: tuple[Option, ...] = ()
    may_pay: bool = False
    """Whether it takes the options of paying, although the operation itself is not paid."""
    run: str = "generic:call"
    form: str = ""
    empty: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """What a tool makes, and therefore lists and revokes too: who can give something out must be able to take it back."""

    id_field: str
    noun: str
    id_sample: str


@dataclass(frozen=True, slots=True)
class Actions:
    """Operations that undo each other and take the same arguments: one tool and its field `action`, the first by default."""

    operations: Mapping[str, str]
    text: str


@dataclass(frozen=True, slots=True)
class Tool:
    """An operation over MCP.

    `text` stands in place of the operation's summary, `more` behind it. `hidden` fields make a stream of an answer, or are filled
    in by the server. `is_destructive`: something can be lost. `is_idempotent`: called again with the same arguments it changes
    nothing more; what only reads is so anyway.
    """

    name: str
    text: str = ""
    more: str = ""
    hidden: tuple[str, ...] = ()
    properties: Mapping[str, Any] = field(default_factory=dict)
    """Further properties of its schema."""
    is_destructive: bool = False
    is_idempotent: bool = False
    made: Made | None = None
    actions: Actions | None = None


@dataclass(frozen=True, slots=True)
class NoTool:
    """Why an operation is not a tool."""

    because: str
