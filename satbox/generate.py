"""`python -m satbox.generate`: write the client's methods and the command table from the operation registry.

Both are checked in, so that people and type checkers can read them, and so that the command line can show its help without
importing a single model. `--check` writes nothing and exits 1 when they are out of date; a test does the same.
"""

import json
import re
import sys
import textwrap
from dataclasses import fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from operations.catalogue import FEATURES, REGISTRY
from operations.registry import Auth, Body, Operation
from operations.surfaces import Option

ROOT = Path(__file__).parent
_WIDTH = 118
_BY_HAND = (Body.EVENTS, Body.SOCKET)
"""Operations that last have their own methods in `streams`."""
_HEAD = '''"""{doc}

Generated from the operation registry by `python -m satbox.generate`; do not edit.
"""
'''


def _alias(module: str) -> str:
    """Under which name a module of models is imported: no parameter ends so."""
    return f"{module.rpartition('.')[2]}_"


def _named(model: type) -> str:
    return f"{_alias(model.__module__)}.{model.__name__}"


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
        return _named(kind)
    return str(kind.__name__)


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


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
    if operation.is_on_chain:
        return ["max_sats: int | None = None", "asset: str | None = None", "sponsored: bool = False"]
    return []


def _signature(operation: Operation) -> tuple[list[str], list[str]]:
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
    return ["self", *parameters], names


def _output(operation: Operation) -> str:
    if operation.output is not None:
        return _named(operation.output)
    return "bytes" if operation.body is Body.DOWNLOAD else "str"


def _call(operation: Operation, names: list[str]) -> tuple[str, list[str], str]:
    """Head, arguments and tail of the call below a method."""
    head = {
        Body.UPLOAD: "_upload",
        Body.DOWNLOAD: "_download",
        Body.TEXT: "_text",
    }.get(operation.body, "_pay" if operation.is_on_chain else "_call")
    first = [f'"{operation.name}"']
    if operation.is_on_chain:
        first.append("PaymentTerms(max_sats, asset, sponsored)")
    elif operation.output is not None:
        first.append(_output(operation))
    if operation.body is Body.UPLOAD:
        first.append("data")
    return f"self.{head}(", [*first, *(f"{name}={name}" for name in names)], ")"


def client_source() -> str:
    """The text of `client/_generated.py`."""
    written = [operation for operation in REGISTRY.values() if operation.body not in _BY_HAND]
    lines: list[str] = []
    for operation in written:
        signature, names = _signature(operation)
        lines += _wrapped(f"    async def {operation.function}(", signature, f") -> {_output(operation)}:")
        lines.append(f'        """{operation.summary}"""')
        head, passed, tail = _call(operation, names)
        lines += [*_wrapped(f"        return await {head}", passed, tail), ""]
    lines += ["", "class SyncOperations(SyncCalls[Operations]):", '    """The same, blocking."""', ""]
    for operation in written:
        signature, names = _signature(operation)
        positional = ["data"] if operation.body is Body.UPLOAD else []
        required = [n for n in operation.positional if operation.input.model_fields[n].is_required()]
        passed = [*required, *positional, *(f"{name}={name}" for name in names if name not in required)]
        if operation.is_on_chain:
            passed += ["max_sats=max_sats", "asset=asset", "sponsored=sponsored"]
        lines += _wrapped(f"    def {operation.function}(", signature, f") -> {_output(operation)}:")
        lines.append(f'        """{operation.summary}"""')
        lines += [*_wrapped(f"        return self._run(self._client.{operation.function}(", passed, "))"), ""]
    text = "\n".join(lines)
    modules = sorted({*re.findall(r"\b(\w+)_\.[A-Z]", text)})
    literal = "from typing import Literal\n\n" if "Literal[" in text else ""
    imports = "\n".join(f"from operations import {module} as {module}_" for module in modules)
    head = _HEAD.format(doc="One method per operation, async and sync. What may go wrong: `design/errors.md`.")
    return f"""{head}
{literal}{imports}
from satbox.client.calls import Calls, PaymentTerms, SyncCalls, Upload

# fmt: off

class Operations(Calls):
    \"\"\"Every operation of the service, as a coroutine.\"\"\"

{text}"""


def _wrapped(head: str, parts: list[str], tail: str) -> list[str]:
    """`head`, parts with commas and `tail`, on as few lines as fit."""
    one = head + ", ".join(parts) + tail
    if len(one) <= _WIDTH:
        return [one]
    indent = " " * (len(head) - len(head.lstrip()) + 4)
    return [
        head,
        *textwrap.wrap(", ".join(parts), _WIDTH, initial_indent=indent, subsequent_indent=indent),
        indent[4:] + tail,
    ]


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


def _argument(operation: Operation, name: str) -> str:
    verb, field = operation.verb, operation.input.model_fields[name]
    kind, choices = _argument_kind(field.annotation)
    default = None if field.is_required() or field.default_factory is not None else field.default
    shown = f" (default: {default})" if default not in (None, False, "") else ""
    told = {
        "help": "" if name in verb.hidden else verb.help.get(name, (field.description or "") + shown),
        "is_required": field.is_required() and name not in verb.defaults,
        "is_positional": name in operation.positional,
        "is_hidden": name in verb.hidden,
        "is_either_way": name in verb.either_way,
        "choices": choices,
        "default": verb.defaults.get(name),
    }
    return f"Argument({', '.join([_quoted(name), _quoted(kind), *_said(told)])})"


def _option(option: Option) -> str:
    plain = Option(option.name, option.help)
    values = {one.name: getattr(option, one.name) for one in fields(Option)[2:]}
    told = [f"{name}={_quoted(value)}" for name, value in values.items() if value != getattr(plain, name)]
    return f"Option({', '.join([_quoted(option.name), _quoted(option.help), *told])})"


def _said(values: dict[str, Any]) -> list[str]:
    return [f"{name}={_quoted(value)}" for name, value in values.items() if value not in (None, False, "", ())]


def commands_source() -> str:
    """The text of `cli/_commands.py`: one line for each command, argument and option."""
    lines = [
        _HEAD.format(doc="The command table: every operation's verb and arguments, as data."),
        "from operations.surfaces import Option",
        "from satbox.cli.table import Argument, Command\n",
        "# fmt: off",
        "GROUPS: dict[str, str] = {",
        *(f"    {_quoted(words)}: {_quoted(text)}," for one in FEATURES for words, text in one.verb_groups.items()),
        "}",
        "COMMANDS: tuple[Command, ...] = (",
    ]
    for operation in REGISTRY.values():
        verb, model = operation.verb, operation.input
        names = [*operation.positional, *(name for name in model.model_fields if name not in operation.positional)]
        told = _said(
            {
                "run": "" if verb.run == "generic:call" else verb.run,
                "form": verb.form,
                "empty": verb.empty,
                "is_paid": operation.is_on_chain,
                "may_pay": verb.may_pay,
                "is_operators": operation.auth is Auth.OPERATOR,
            }
        )
        if operation.auth in (Auth.NONE, Auth.OPTIONAL):
            told.append("needs_pass=False")
        lines.append(
            f"    Command({', '.join([_quoted(operation.name), repr(verb.words), _quoted(verb.summary), *told])},"
        )
        for label, rows in (
            ("arguments", [_argument(operation, name) for name in names]),
            ("options", [_option(option) for option in verb.options]),
        ):
            if rows:
                lines += [f"        {label}=(", *(f"            {row}," for row in rows), "        ),"]
        if lines[-1].startswith("    Command"):
            lines[-1] = lines[-1].removesuffix(",") + "),"
        else:
            lines.append("    ),")
    return "\n".join([*lines, ")\n"])


def generated() -> dict[Path, str]:
    """Every generated file and its text."""
    return {
        ROOT / "client" / "_generated.py": client_source(),
        ROOT / "cli" / "_commands.py": commands_source(),
    }


def main() -> None:
    """Write what changed."""
    files = generated()
    stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        if stale:
            sys.exit(f"out of date: {', '.join(str(path) for path in stale)}; run python -m satbox.generate")
        return
    for path in stale:
        path.write_text(files[path])
        print(f"wrote {path}", file=sys.stderr)


if __name__ == "__main__":
    main()
