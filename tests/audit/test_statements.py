"""A statement is checked offline with the operator's key alone; whatever was changed in it is named with its place."""

import json
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from satbox.audit.statement_file import NotAStatement, read_statement
from satbox.audit.statements import StatementCheck
from satbox.cli.parser import spoken
from tests.audit.conftest import OPERATOR, used
from tests.cli.running import satbox
from tests.gate.gatehouse import gatehouse

KINDS = ("sqlite", "json", "csv")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Statements of one wallet in every form, the key, and receipts that were given out on the way."""
    import asyncio

    folder = tmp_path_factory.mktemp("statements")

    async def live() -> dict[str, Any]:
        async with gatehouse(folder / "service") as house:
            who = await house.agent()
            paid = (await house.created(who)).body
            await used(house, who)
            await house.ask("POST", "/operator/checkpoint", headers=OPERATOR)
            await used(house, who)
            for kind in KINDS:
                answer = await house.ask("GET", "/sandbox/ledger/statement", who=who, params={"format": kind})
                (folder / f"statement.{kind}").write_bytes(answer.raw)
            page = await house.ask("GET", "/sandbox/ledger", who=who, params={"after": "2", "limit": "3"})
            (folder / "page.json").write_bytes(page.raw)
            (folder / "receipt.json").write_text(json.dumps(paid))
            return {"folder": folder, "key": house.services.receipts.public_key, "paid": paid, "wallet": who.address}

    (folder / "service").mkdir()
    return asyncio.run(live())


def check(kept: dict[str, Any], path: Path) -> StatementCheck:
    made = StatementCheck(read_statement(path), kept["key"])
    made.run()
    return made


@pytest.mark.parametrize("name", [*(f"statement.{kind}" for kind in KINDS), "page.json"])
def test_what_the_operator_gave_holds(kept: dict[str, Any], name: str) -> None:
    made = check(kept, kept["folder"] / name)
    made.against_receipts([("receipt", kept["paid"])])
    assert made.found.items == []
    assert made.wallet == kept["wallet"]
    assert made.found.checked["journal entries"] >= 3
    assert made.found.checked.get("spans", 99) > 5
    assert ("checkpoints" in made.found.checked) == (name != "page.json")


ENTRY_CHANGES = {
    "amount": ("UPDATE journal SET amounts = replace(amounts, '500000000', '400000000') WHERE kind = 'deposit'", "hash"),
    "balance": ("UPDATE journal SET balance_after_usat = balance_after_usat + 1 WHERE seq = 3", "balance"),
    "removed": ("DELETE FROM journal WHERE seq = 3", "chain"),
    "cut": ("DELETE FROM journal WHERE seq = (SELECT max(seq) FROM journal)", "closing_head"),
    "span": ("UPDATE spans SET boot_id = 'x'", "spans_head"),
    "leaf": (
        "UPDATE documents SET body = replace(body, '\"position\": 0', '\"position\": 1') WHERE name = 'checkpoint'", "inclusion"),
    "signed": ("UPDATE documents SET body = replace(body, 'closing_usat', 'closing_usam') WHERE name = 'statement'", "signature"),
}  # fmt: skip


@pytest.mark.parametrize("name", ENTRY_CHANGES)
def test_what_was_changed_is_named(kept: dict[str, Any], tmp_path: Path, name: str) -> None:
    statement, rule = ENTRY_CHANGES[name]
    path = tmp_path / "statement.sqlite"
    path.write_bytes((kept["folder"] / "statement.sqlite").read_bytes())
    db = sqlite3.connect(path)
    assert db.execute(statement).rowcount > 0
    db.commit()
    db.close()
    found = check(kept, path).found
    assert rule in {item.rule for item in found.items}


def test_another_history_under_the_same_key_is_found(kept: dict[str, Any], tmp_path: Path) -> None:
    """Whoever kept a receipt sees that the chain does not go through what was signed then."""
    made = check(kept, kept["folder"] / "statement.sqlite")
    seq = 3
    made.against_entry(seq, "0" * 64)
    assert [(item.where, item.rule) for item in made.found.items] == [(f"service journal {seq}", "chain")]


def meaning(path: Path) -> Any:
    try:
        return read_statement(path)
    except (NotAStatement, OSError):
        return None


@pytest.mark.parametrize("kind", KINDS)
def test_no_flipped_bit_of_a_statement_goes_unnoticed(kept: dict[str, Any], tmp_path: Path, kind: str) -> None:
    whole = (kept["folder"] / f"statement.{kind}").read_bytes()
    path, rng, changed = tmp_path / f"statement.{kind}", random.Random(5), 0
    path.write_bytes(whole)
    before = meaning(path)
    for _ in range(200):
        raw = bytearray(whole)
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
        path.write_bytes(raw)
        after = meaning(path)
        if after is None:
            changed += 1
        elif after != before:
            assert not check(kept, path).found.is_clean
            changed += 1
    assert changed > 20


async def test_the_command_line_checks_offline(kept: dict[str, Any], tmp_path: Path) -> None:
    folder = kept["folder"]
    words = ("ledger", "verify", str(folder / "statement.sqlite"), "--key", kept["key"])
    good = await satbox(*words, "--receipt", str(folder / "receipt.json"), home=tmp_path)
    assert (good.code, good.document["wallet"]) == (0, kept["wallet"]), good.stderr
    spoilt = tmp_path / "statement.csv"
    spoilt.write_text((folder / "statement.csv").read_text().replace("deposit", "deposed", 1))
    bad = await satbox("--table", "ledger", "verify", str(spoilt), "--key", kept["key"], home=tmp_path)
    assert bad.code == 1
    assert "does NOT hold" in bad.stdout.decode()
    assert "journal " in bad.stdout.decode()
    nothing = tmp_path / "nothing"
    nothing.write_bytes(b"SQLite format 3\0 but not really")
    assert (await satbox("verify", "ledger", str(nothing), "--key", kept["key"], home=tmp_path)).code == 1


def test_ledger_verify_is_verify_ledger_and_nothing_else_is() -> None:
    assert spoken(["--json", "--gate", "ledger", "ledger", "verify", "f"]) == [
        "--json",
        "--gate",
        "ledger",
        "verify",
        "ledger",
        "f",
    ]
    for argv in (
        ["exec", "ledger", "verify"],
        ["ledger"],
        ["ledger", "--after", "3"],
        ["--gate", "ledger", "verify"],
        [],
    ):
        assert spoken(argv) == argv
