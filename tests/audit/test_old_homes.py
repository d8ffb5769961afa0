"""Homes as an earlier version left them, and what a wallet's state says of its calls, which no other file says."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from actors.stores.wallet_file import WalletFile
from actors.stores.wallet_folder import wallet_path
from actors.wallet import commands as c
from actors.wallet.state import WalletPolicy
from satbox.audit.files import snapshot
from tests.actors.harness import STATE
from tests.actors.test_calls import PAYER, SAT, Purse
from tests.audit.conftest import Home
from tests.audit.test_home import audit


def change_state(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        state = json.loads(db.execute("SELECT state FROM wallet").fetchone()[0])
        change(state)
        db.execute("UPDATE wallet SET state = ?", (json.dumps(state, separators=(",", ":")),))


def aged(path: Path) -> None:
    """Before orders were bundled: no table of them, and allowances that ran out by themselves."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript("DROP TABLE orders; PRAGMA user_version = 2;")
    change_state(path, lambda state: state.update(allowances=[{"gate_id": "gate_ab", "usat": 0, "until_wall_ms": 5}]))


async def test_wallets_of_an_earlier_version_are_clean_and_are_brought_up(home: Home, tmp_path: Path) -> None:
    old = home.copy(tmp_path / "old")
    for address in home.wallets[1:]:
        path = wallet_path(old / "wallets", address)
        aged(path)
    assert audit(old)["findings"] == []
    path = wallet_path(old / "wallets", home.wallets[1])
    WalletFile(path, home.wallets[1]).close()
    with snapshot(path) as db:
        assert db.execute("SELECT count(*) FROM orders").fetchone() == (0,)
    assert audit(old)["findings"] == []


def test_what_an_earlier_version_set_aside_goes_back_and_makes_room() -> None:
    payer = Purse(PAYER, 100, WalletPolicy(allowances_max=2))
    for gate in ("gate_old", "gate_older"):
        payer.ask(c.Reserve(gate, 10 * SAT, SAT))
    old = [{"gate_id": gate, "usat": 10 * SAT, "until_wall_ms": 7} for gate in ("gate_old", "gate_older")]
    state = json.loads(STATE.dump_json(payer.state)) | {"allowances": old}
    payer.state = STATE.validate_json(json.dumps(state))
    assert payer.ask(c.Reserve("gate_1", 30 * SAT, SAT)).refusal is None
    assert (payer.state.accounts.bucket, payer.state.accounts.reserved) == (70 * SAT, 30 * SAT)
    assert [one.gate_id for one in payer.state.allowances] == ["gate_1"]


STATES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "an allowance that is gone": (lambda state: state.update(allowances=[]), "reserved"),
    "an allowance that is more": (lambda state: state["allowances"][0].update(usat=77), "reserved"),
    "an order under way again": (
        lambda state: state["transit"].append({"order_id": "ord_0", "payee": PAYER, "usat": 1}),
        "transit",
    ),
}


@pytest.mark.parametrize("name", STATES)
async def test_a_state_that_says_something_else_than_its_journal_is_named(
    home: Home, tmp_path: Path, name: str
) -> None:
    spoilt = home.copy(tmp_path / "spoilt")
    change, rule = STATES[name]
    change_state(wallet_path(spoilt / "wallets", home.wallets[0]), change)
    assert rule in {one["rule"] for one in audit(spoilt)["findings"]}
