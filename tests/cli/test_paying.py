"""What a person is told around a payment, and for how long a payment is waited for."""

import time
from pathlib import Path

import pytest
from aiohttp import web

from operations.errors import SatboxError
from operations.sandbox import Grace
from satbox.agent.keystore import Keystore, agent_of
from satbox.cli._commands import COMMANDS
from satbox.cli.sandbox.sandbox_tables import CONFIRMING, state_means
from satbox.client import Client, ClientSettings
from tests.cli.running import satbox, satbox_on_terminal
from tests.client.fake_gate import BITCOIN_KEY, NETWORK, STACKS_KEY, FakeGate, payment_of, status_of


@pytest.fixture
def home(tmp_path: Path) -> Path:
    Keystore(tmp_path).save(agent_of("default", STACKS_KEY, BITCOIN_KEY))
    return tmp_path


FIELDS = [
    pytest.param(command.operation, argument.name, argument.help, id=f"{command.operation}-{argument.name}")
    for command in COMMANDS
    for argument in command.arguments
    if not argument.is_hidden
]


@pytest.mark.parametrize(("operation", "name", "text"), FIELDS)
def test_every_argument_says_what_it_is(operation: str, name: str, text: str) -> None:
    assert len(text.split(" (default: ")[0].strip()) > 8


@pytest.mark.parametrize("verb", ["create", "extend", "quote"])
async def test_help_says_what_is_paid_without_an_amount(tmp_path: Path, verb: str) -> None:
    ended = await satbox(verb, "--help", home=tmp_path, environment={"COLUMNS": "200"})
    assert b"default: the service's (300 on a fresh one)" in ended.stdout


async def test_a_terminal_shows_what_is_paid_and_waits_for_it(home: Path) -> None:
    asked = 0

    async def confirmed_at_second_look(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        state = "confirmed" if asked > 1 else "mempool"
        return web.Response(body=payment_of(request.match_info["id"], state).model_dump_json())

    gate_of = FakeGate(wall_seconds=time.time, payment_step=confirmed_at_second_look)
    async with gate_of.running() as gate:
        code, shown = await satbox_on_terminal("create", home=home, gate=gate.url)
    assert (code, asked) == (0, 2)
    assert "paying 500 sats of sBTC (the service's default;" in shown
    assert shown.index("paying 500 sats") < shown.index("confirmed")


async def test_an_amount_that_was_named_is_no_default(home: Path) -> None:
    async def confirmed(request: web.Request) -> web.StreamResponse:
        return web.Response(body=payment_of(request.match_info["id"], "confirmed").model_dump_json())

    async with FakeGate(wall_seconds=time.time, payment_step=confirmed).running() as gate:
        code, shown = await satbox_on_terminal("create", "--sats", "500", home=home, gate=gate.url)
    assert code == 0
    assert "paying 500 sats of sBTC" in shown
    assert "default" not in shown


async def test_a_script_is_not_kept_waiting(home: Path) -> None:
    async with FakeGate(wall_seconds=time.time).running() as gate:
        ended = await satbox("create", "--sats", "500", home=home, gate=gate.url)
        table = await satbox("extend", "--sats", "500", "--table", home=home, gate=gate.url)
    assert (ended.code, ended.document["status"], ended.stderr) == (0, "mempool", "")
    assert table.code == 0
    assert b"mempool" in table.stdout


async def test_a_confirmation_is_waited_for_only_so_long() -> None:
    now = 1_000_000.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    async with (
        FakeGate(known={"pay_1": "mempool"}).running() as gate,
        Client(ClientSettings(gate.url), now_seconds=lambda: now, sleep=sleep) as client,
    ):
        with pytest.raises(SatboxError) as caught:
            await client.wait_confirmed("pay_1", timeout_seconds=15)
    assert caught.value.code == "timeout"
    assert 15 <= now - 1_000_000.0 < 15.1


async def test_a_payment_that_fails_while_it_is_waited_for_is_an_error(home: Path) -> None:
    async def failed(request: web.Request) -> web.StreamResponse:
        return web.Response(body=payment_of(request.match_info["id"], "failed").model_dump_json())

    async with FakeGate(wall_seconds=time.time, payment_step=failed).running() as gate:
        code, shown = await satbox_on_terminal("create", home=home, gate=gate.url)
    assert code == 1
    assert "payment_failed" in shown


def test_grace_is_explained() -> None:
    grace = Grace(began_at="t", deadline_at="t", cap_at="t", held_by_payment="pay_1", seconds_left=60)
    sandbox = status_of(str(STACKS_KEY.address(NETWORK))).model_copy(update={"state": "grace", "grace": grace})
    assert state_means(sandbox.model_dump()) == CONFIRMING
    spent = sandbox.model_copy(update={"grace": grace.model_copy(update={"held_by_payment": None})})
    assert "out of credit: stops in 1 min" in str(state_means(spent.model_dump()))
    assert state_means(status_of("x").model_dump()) is None
