"""`python -m satbox.client.generate`: write the client's methods and the command table from the operation registry.

Both are checked in, so that people and type checkers can read them, and so that the command line can show its help without
importing a single model. `--check` writes nothing and exits 1 when they are out of date; a test does the same.
"""

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from operations.catalogue import REGISTRY
from operations.registry import Body, Operation

ROOT = Path(__file__).parent.parent
_WIDTH = 118
_ALIASES = {
    "operations.models": "m",
    "operations.budget": "bu",
    "operations.visibility": "vi",
    "operations.checkpoints": "cp",
    "operations.contexts": "k",
    "operations.disputes": "d",
    "operations.folders": "f",
    "operations.git": "g",
    "operations.handles": "h",
    "operations.ledger": "b",
    "operations.oracle": "o",
    "operations.processes": "p",
    "operations.refunds": "r",
    "operations.routes": "rt",
    "operations.secrets": "x",
    "operations.snapshots": "s",
    "operations.usage": "u",
    "operations.verification": "v",
    "operations.wake_links": "w",
    "operations.spending_keys": "sk",
}
_BY_HAND = (Body.EVENTS, Body.SOCKET)
"""What goes on for a while has a method of its own in `streams`."""
_HEAD = '''"""{doc}

Generated from the operation registry by `python -m satbox.client.generate`; do not edit.
"""
'''


def annotation(kind: Any) -> str:
    """A type as source text."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " | ".join("None" if a is NoneType else annotation(a) for a in arguments)
    if origin is Literal:
        return f"Literal[{', '.join(_quoted(a) for a in arguments)}]"
    if hasattr(kind, "__metadata__"):
        return annotation(arguments[0])
    if origin is not None:
        return f"{origin.__name__}[{', '.join(annotation(a) for a in arguments)}]"
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return f"{_ALIASES[kind.__module__]}.{kind.__name__}"
    return str(kind.__name__)


def _quoted(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _parameter(name: str, field: FieldInfo) -> str:
    kind = annotation(field.annotation)
    if field.is_required():
        return f"{name}: {kind}"
    if field.default_factory is not None:
        return f"{name}: {kind} | None = None"
    return f"{name}: {kind} = {_quoted(field.default)}"


def _extras(operation: Operation) -> list[str]:
    if operation.body is Body.UPLOAD:
        return ["data: Upload"]
    if operation.paid:
        return ["max_sats: int | None = None", "asset: str | None = None", "sponsored: bool = False"]
    return []


def _signature(operation: Operation) -> tuple[str, list[str]]:
    fields = operation.input.model_fields
    required = [name for name in operation.positional if fields[name].is_required()]
    names = [*required, *(name for name in fields if name not in required)]
    extras = _extras(operation)
    parameters = [_parameter(name, fields[name]) for name in required]
    if operation.body is Body.UPLOAD:
        parameters += extras
        extras = []
    keywords = [_parameter(name, fields[name]) for name in names[len(required) :]] + extras
    if keywords:
        parameters += ["*", *keywords]
    return ", ".join(["self", *parameters]), names


def _output(operation: Operation) -> str:
    if operation.output is not None:
        return f"{_ALIASES[operation.output.__module__]}.{operation.output.__name__}"
    return "bytes" if operation.body is Body.DOWNLOAD else "str"


def _docstring(operation: Operation) -> str:
    lines = [operation.summary]
    if operation.paid:
        lines += [
            "",
            "Pays within `max_sats` (default: the client's), once: after a lost answer the same signed bytes are repeated.",
        ]
    if operation.errors:
        codes = textwrap.wrap(f"Errors: {', '.join(operation.errors)}.", _WIDTH - 8)
        lines += ["", *codes]
    if len(lines) == 1:
        return f'        """{lines[0]}"""'
    return "\n".join(
        ['        """' + lines[0], *(f"        {line}" if line else "" for line in lines[1:]), '        """']
    )


def _call(operation: Operation, names: list[str]) -> str:
    passed = [f"{name}={name}" for name in names]
    head = {
        Body.UPLOAD: "_upload",
        Body.DOWNLOAD: "_download",
        Body.TEXT: "_text",
    }.get(operation.body, "_pay" if operation.paid else "_call")
    first = [f'"{operation.name}"']
    if operation.paid:
        first.append("PaymentTerms(max_sats, asset, sponsored)")
    elif operation.output is not None:
        first.append(_output(operation))
    if operation.body is Body.UPLOAD:
        first.append("data")
    return f"self.{head}({', '.join(first + passed)})"


def client_source() -> str:
    """The text of `client/_generated.py`, unformatted."""
    parts = [
        _HEAD.format(doc="One method per operation, async and sync."),
        "from typing import Literal\n",
        "from operations import "
        + ", ".join(f"{module.removeprefix('operations.')} as {alias}" for module, alias in _ALIASES.items()),
        "from satbox.client.calls import Calls, PaymentTerms, SyncCalls, Upload\n\n",
        "class Operations(Calls):",
        '    """Every operation of the service, as a coroutine."""\n',
    ]
    written = [operation for operation in REGISTRY.values() if operation.body not in _BY_HAND]
    for operation in written:
        signature, names = _signature(operation)
        parts.append(f"    async def {operation.function}({signature}) -> {_output(operation)}:")
        parts.append(_docstring(operation))
        parts.append(f"        return await {_call(operation, names)}\n")
    parts += ["\nclass SyncOperations(SyncCalls[Operations]):", '    """The same, blocking."""\n']
    for operation in written:
        signature, names = _signature(operation)
        positional = ["data"] if operation.body is Body.UPLOAD else []
        required = [n for n in operation.positional if operation.input.model_fields[n].is_required()]
        passed = [*required, *positional, *(f"{name}={name}" for name in names if name not in required)]
        if operation.paid:
            passed += ["max_sats=max_sats", "asset=asset", "sponsored=sponsored"]
        parts.append(f"    def {operation.function}({signature}) -> {_output(operation)}:")
        parts.append(_docstring(operation))
        parts.append(f"        return self._run(self._client.{operation.function}({', '.join(passed)}))\n")
    return "\n".join(parts)


def _argument_kind(kind: Any) -> tuple[str, tuple[str, ...]]:
    """How a value is read from a command line, and the choices when there are few."""
    text = annotation(kind).replace(" | None", "")
    if text.startswith("Literal["):
        arms = [a for a in (get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)) if a is not NoneType]
        return "text", tuple(str(a) for a in get_args(arms[0]))
    kinds = {
        "int": "integer",
        "float": "number",
        "bool": "flag",
        "str": "text",
        "list[str]": "list",
        "list[int]": "list",
    }
    return kinds.get(text, "pairs"), ()


def _arguments(operation: Operation) -> Iterator[str]:
    model: type[BaseModel] = operation.input
    names = [*operation.positional, *(name for name in model.model_fields if name not in operation.positional)]
    for name in names:
        field = model.model_fields[name]
        kind, choices = _argument_kind(field.annotation)
        default = None if field.is_required() or field.default_factory is not None else field.default
        shown = f" (default: {default})" if default not in (None, False, "") else ""
        yield (
            f"Argument({_quoted(name)}, {_quoted(kind)}, {_quoted((field.description or '') + shown)}, "
            f"is_required={field.is_required()}, is_positional={name in operation.positional}, choices={choices!r}),"
        )


def commands_source() -> str:
    """The text of `cli/_commands.py`, unformatted."""
    parts = [
        _HEAD.format(doc="The command table: every operation's verb and arguments, as data."),
        "from satbox.cli.table import Argument, Command\n",
        "COMMANDS: tuple[Command, ...] = (",
    ]
    for operation in REGISTRY.values():
        parts.append("Command(")
        parts.append(f"    {_quoted(operation.name)}, {operation.command!r}, {_quoted(operation.summary)},")
        parts.append(f"    method={_quoted(operation.function)}, body={_quoted(operation.body.value)},")
        parts.append(f"    is_paid={operation.paid}, is_operators={operation.auth.value == 'operator'},")
        parts.append("    arguments=(")
        parts.extend(f"        {argument}" for argument in _arguments(operation))
        parts.append("    ),\n),")
    parts.append(")\n")
    return "\n".join(parts)


def generated() -> dict[Path, str]:
    """Every generated file and its text, formatted."""
    sources = {
        ROOT / "client" / "_generated.py": client_source(),
        ROOT / "cli" / "_commands.py": commands_source(),
    }
    return {path: _formatted(text, path) for path, text in sources.items()}


def _formatted(text: str, path: Path) -> str:
    import subprocess

    for arguments in (("check", "--fix", "--quiet", "--select", "I,UP"), ("format", "--quiet")):
        text = subprocess.run(
            ["ruff", *arguments, "--stdin-filename", str(path), "-"],
            input=text, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    return text


def main() -> None:
    """Write what changed."""
    files = generated()
    stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        if stale:
            sys.exit(f"out of date: {', '.join(str(path) for path in stale)}; run python -m satbox.client.generate")
        return
    for path in stale:
        path.write_text(files[path])
        print(f"wrote {path}", file=sys.stderr)


if __name__ == "__main__":
    main()
