"""Every surface has every operation: action, client method, verb, tool. None is written down twice."""

import importlib
import inspect
import pkgutil

import pytest

import operations
from gate.actions import ACTIONS
from operations.catalogue import REGISTRY
from operations.registry import Body, Operation
from operations.surfaces import NoTool
from satbox.cli._commands import COMMANDS
from satbox.cli.errors import UsageError
from satbox.cli.local_verbs import LOCAL, LOCAL_GROUPS
from satbox.cli.main import LOCAL_RUN
from satbox.cli.parser import build
from satbox.cli.table import Command
from satbox.client import Client, SyncClient
from satbox.generate import generated
from satbox.mcp_server.tools import tools

OPERATIONS = [pytest.param(operation, id=name) for name, operation in REGISTRY.items()]
BY_OPERATION = {command.operation: command for command in COMMANDS}


def test_generated_files_are_up_to_date() -> None:
    stale = [path.name for path, text in generated().items() if path.read_text() != text]
    assert stale == [], "run python -m satbox.generate"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_gate_does_it(operation: Operation) -> None:
    assert operation.name in ACTIONS


def test_the_action_of_an_operation_is_in_the_file_that_is_named_as_that_of_its_contract() -> None:
    contracts = {
        operation.name: module
        for module in [found.name for found in pkgutil.iter_modules(operations.__path__)]
        if (feature := getattr(importlib.import_module(f"operations.{module}"), "FEATURE", None)) is not None
        for operation in feature.operations
    }
    assert {name: action.__module__ for name, action in ACTIONS.items()} == {
        name: f"gate.actions.{module}" for name, module in contracts.items()
    }


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("client", [Client, SyncClient])
def test_both_clients_have_a_method_with_every_field(client: type, operation: Operation) -> None:
    if operation.body is Body.SOCKET and client is SyncClient:
        return  # nothing blocks on both ends of a websocket
    method = getattr(client, operation.function)
    parameters = set(inspect.signature(method).parameters) - {"self"}
    extra = {"max_sats", "asset", "sponsored"} if operation.is_on_chain else set()
    extra |= {"data"} if operation.body is Body.UPLOAD else set()
    assert parameters == set(operation.input.model_fields) | extra
    assert inspect.iscoroutinefunction(method) == (client is Client and operation.body is not Body.EVENTS)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_command_line_has_its_verb(operation: Operation) -> None:
    command = BY_OPERATION[operation.name]
    assert command.words == operation.verb.words
    assert {argument.name for argument in command.arguments} == set(operation.input.model_fields)
    with pytest.raises(SystemExit) as caught:
        build().parse_args([*operation.verb.words, "--help"])
    assert caught.value.code == 0


@pytest.mark.parametrize("command", [pytest.param(command, id=command.operation) for command in COMMANDS])
def test_what_a_verb_runs_and_how_it_is_shown_are_there(command: Command) -> None:
    for named in filter(None, (command.run, command.form)):
        module, _, function = named.partition(":")
        assert callable(getattr(importlib.import_module(f"satbox.cli.{module}"), function))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_contract_speaks_of_fields_that_there_are(operation: Operation) -> None:
    verb, fields = operation.verb, set(operation.input.model_fields)
    assert {*verb.help, *verb.hidden, *verb.either_way, *verb.defaults} <= fields
    assert not {option.name for option in verb.options} & (fields - set(verb.hidden))


def test_the_command_line_has_no_verb_of_an_operation_that_is_gone() -> None:
    assert set(BY_OPERATION) == set(REGISTRY)
    grouped = {f"{group}.{name}" for group, (_, verbs) in LOCAL_GROUPS.items() for name in verbs}
    assert set(LOCAL_RUN) == set(LOCAL) | grouped


@pytest.mark.parametrize("operation", OPERATIONS)
def test_there_is_a_tool_or_a_reason(operation: Operation) -> None:
    tool = next((tool for tool in tools().values() if tool.operation is operation), None)
    if isinstance(operation.tool, NoTool):
        assert tool is None
        assert operation.tool.because
        return
    assert tool is not None
    assert tool.schema["type"] == "object"
    assert set(operation.input.model_fields) - set(operation.tool.hidden) <= set(tool.schema["properties"])
    assert operation.is_on_chain == ("max_sats" in tool.schema["properties"])


def test_a_misspelt_verb_gets_a_suggestion() -> None:
    with pytest.raises(UsageError, match="'status'"):
        build().parse_args(["statsu"])
