"""Every operation that needs nothing of its own: arguments in, one call, result out."""

from typing import Any

from satbox.cli.context import Context
from satbox.cli.incomplete import lacks, say
from satbox.cli.output import document_of, show
from satbox.cli.people import for_people
from satbox.cli.table import Command


def values_of(context: Context) -> dict[str, Any]:
    """The operation's input, as the command line gave it."""
    command: Command = context.arguments.command
    values: dict[str, Any] = {}
    for argument in command.arguments:
        value = getattr(context.arguments, argument.name, None)
        if value is not None:
            values[argument.name] = dict(value) if argument.kind == "pairs" else value
    return values


def _is_empty(document: Any) -> bool:
    """Whether an answer is a list of things, and there are none."""
    return isinstance(document, dict) and any(document.get(name) == [] for name in ("items", "entries", "ports"))


async def call(context: Context) -> int:
    """One call of one operation."""
    command: Command = context.arguments.command
    client = context.client(
        with_agent=command.needs_pass and not command.is_operators, as_operator=command.is_operators
    )
    async with client:
        result = await getattr(client, command.method)(**values_of(context))
    if isinstance(result, str):
        if context.as_json:
            show(context, {"text": result})
        else:
            print(result, end="")
    elif context.as_json:
        show(context, result)
    else:
        document = document_of(result)
        show(context, for_people(command.operation, document))
        if _is_empty(document):
            print(f"none{command.empty}")
        if getattr(context.arguments, "verbose", False):
            for span in document["spans"]:
                print(f"{span['seq']}: {span['arithmetic']}")
    if command.operation == "processes.wait" and not result.met:
        return 1
    return say(lacks(document_of(result)))
