"""The shape of the command table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from operations.surfaces import Option


@dataclass(frozen=True, slots=True)
class Argument:
    """One input field: `kind` is text, integer, number, flag, list or pairs (`NAME=VALUE`). A hidden one has no option: the verb
    fills it in. `is_either_way`: a flag that can also be denied, and left out.
    """

    name: str
    kind: str
    help: str = ""
    is_required: bool = False
    is_positional: bool = False
    is_hidden: bool = False
    is_either_way: bool = False
    choices: tuple[str, ...] = ()
    default: Any = None

    @property
    def flag(self) -> str:
        """How it is spelt on a command line."""
        return "--" + self.name.replace("_", "-")


@dataclass(frozen=True, slots=True)
class Command:
    """One operation as a verb of one to three words; the rest as `operations.surfaces.Verb` says it."""

    operation: str
    words: tuple[str, ...]
    summary: str
    arguments: tuple[Argument, ...] = ()
    options: tuple[Option, ...] = ()
    run: str = "generic:call"
    form: str = ""
    empty: str = ""
    is_paid: bool = False
    may_pay: bool = False
    is_operators: bool = False
    needs_pass: bool = True

    @property
    def method(self) -> str:
        """The client's method."""
        return self.operation.replace(".", "_")


Groups = Mapping[str, str]
"""What the verbs of a group are for, by its words."""
