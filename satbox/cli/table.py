"""The shape of the command table."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Argument:
    """One input field: `kind` is text, integer, number, flag, list or pairs (`NAME=VALUE`)."""

    name: str
    kind: str
    help: str
    is_required: bool = False
    is_positional: bool = False
    choices: tuple[str, ...] = ()

    @property
    def flag(self) -> str:
        """How it is spelt on a command line."""
        return "--" + self.name.replace("_", "-")


@dataclass(frozen=True, slots=True)
class Command:
    """One operation as a verb of one or two words."""

    operation: str
    words: tuple[str, ...]
    summary: str
    method: str
    body: str
    is_paid: bool = False
    is_operators: bool = False
    arguments: tuple[Argument, ...] = ()
