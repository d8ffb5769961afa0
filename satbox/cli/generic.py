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


def needs_agent(command: Command) -> bool:
    """Whether the operation wants a pass. The registry says so, but importing it takes longer than knowing these."""
    return not command.is_operators and command.operation not in OPEN_OPERATIONS


OPEN_OPERATIONS = frozenset(
    {
        "gate.challenge",
        "gate.prove",
        "sandbox.quote",
        "oracle.prices",
        "oracle.sources",
        "payment.status",
        "service.health",
        "service.metrics",
        "service.key",
        "checkpoints.list",
        "sandbox.meters",
        "agents.resolve",
        "wake_links.info",
    }
)


EMPTY = {
    "snapshots.list": ": satbox snapshots create NAME keeps the workspace as it is",
    "processes.list": ": satbox processes start COMMAND runs one",
    "ports.list": ": satbox ports expose PORT gives out a link",
    "contexts.list": ": satbox contexts create opens one (image: python)",
    "secrets.list": ": satbox secrets set NAME keeps one",
    "wake_links.list": ": satbox wake-link create makes one",
    "api_keys.list": ": satbox api-key create makes one",
    "disputes.list": ": satbox disputes open --seq N objects to a charge",
    "checkpoints.list": " yet: they are made every hour",
}
"""What to do about a list with nothing in it."""


def _is_empty(document: Any) -> bool:
    """Whether an answer is a list of things, and there are none."""
    return isinstance(document, dict) and any(document.get(name) == [] for name in ("items", "entries", "ports"))


async def call(context: Context) -> int:
    """One call of one operation."""
    command: Command = context.arguments.command
    client = context.client(with_agent=needs_agent(command), as_operator=command.is_operators)
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
            print(f"none{EMPTY.get(command.operation, '')}")
        if getattr(context.arguments, "verbose", False):
            for span in document["spans"]:
                print(f"{span['seq']}: {span['arithmetic']}")
    if command.operation == "processes.wait" and not result.met:
        return 1
    return say(lacks(document_of(result)))
