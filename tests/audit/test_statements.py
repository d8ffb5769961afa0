"""A statement is checked offline with the operator's key alone; whatever was changed in it is named with its place."""

import json
import random
import sqlite3
from collections.abc import Callable
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
            (folder / "whole.json").write_bytes((await house.ask("GET", "/sandbox/ledger", who=who)).raw)
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


PAGES: dict[str, Callable[[dict[str, Any]], str]] = {
    "accounts": lambda page: json.dumps({**page, "accounts": {**page["accounts"], "bucket": 10**18}}),
    "chain_head": lambda page: json.dumps({**page, "chain_head": "f" * 64}),
    "next_cursor": lambda page: json.dumps({**page, "next_cursor": 1}),
    "an extra field": lambda page: json.dumps({**page, "items": [{**i, "amount_sats": 999} for i in page["items"]]}),
    "a missing field": lambda page: json.dumps(
        {**page, "items": [{k: v for k, v in i.items() if k != "at"} for i in page["items"]]}
    ),
    "a name twice": lambda page: '{"items": [{"seq": 1, "kind": "deposit"}],' + json.dumps(page)[1:],
    "a name twice below": lambda page: json.dumps(page).replace('"postings": {', '"postings": {"bucket": 9,', 1),
}


def found_in(kept: dict[str, Any], path: Path) -> list[str]:
    try:
        return [f"{item.rule}" for item in check(kept, path).found.items]
    except NotAStatement as error:
        return [str(error)]


@pytest.mark.parametrize("name", PAGES)
def test_what_a_page_says_beside_its_entries_is_held_against_them(
    kept: dict[str, Any], tmp_path: Path, name: str
) -> None:
    whole = kept["folder"] / "whole.json"
    assert found_in(kept, whole) == []
    (tmp_path / "page.json").write_text(PAGES[name](json.loads(whole.read_text())))
    assert found_in(kept, tmp_path / "page.json")


CSVS: dict[str, Callable[[str], str]] = {
    "a column twice": lambda line: ("balance_after_usat," if line.startswith("seq") else "9,") + line,
    "a column of its own": lambda line: line + (",note" if line.startswith("seq") else ",=HYPERLINK(evil)"),
    "a cell too many": lambda line: line if line.startswith("seq") else line + ",9",
    "another number": lambda line: line if line.startswith("seq") else "+" + line,
    "a part twice": lambda line: "# checkpoint null\r\n# checkpoint null\r\n" + line if line[0] == "s" else line,
}


@pytest.mark.parametrize("name", CSVS)
def test_a_csv_has_our_columns_and_no_other(kept: dict[str, Any], tmp_path: Path, name: str) -> None:
    lines = (kept["folder"] / "statement.csv").read_bytes().decode().split("\r\n")
    spoilt = [line if line.startswith("#") or not line else CSVS[name](line) for line in lines]
    (tmp_path / "s.csv").write_bytes("\r\n".join(spoilt).encode())
    assert found_in(kept, tmp_path / "s.csv")


ENDLESS = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS seq, 1 AS at_ms, 'x' AS kind,"
    " NULL AS reference, '{}' AS amounts, 1 AS balance_after_usat, 'p' AS previous, 'h' AS hash FROM n"
)
SCHEMAS = {
    "a view": "ALTER TABLE journal RENAME TO real; CREATE VIEW journal AS SELECT * FROM real;",
    "a view in place": f"DROP TABLE journal; CREATE VIEW journal AS {ENDLESS};",
    "another table": "CREATE TABLE summary (text TEXT); INSERT INTO summary VALUES ('balance: 21 BTC');",
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON journal BEGIN SELECT 1; END;",
    "another column": "ALTER TABLE journal ADD COLUMN amount_sats INTEGER;",
    "a computed column": "ALTER TABLE journal ADD COLUMN sats INTEGER AS (seq) VIRTUAL;",
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_an_sqlite_statement_has_our_tables_and_nothing_else(kept: dict[str, Any], tmp_path: Path, name: str) -> None:
    path = tmp_path / "s.sqlite"
    path.write_bytes((kept["folder"] / "statement.sqlite").read_bytes())
    db = sqlite3.connect(path)
    db.executescript(SCHEMAS[name])
    db.close()
    with pytest.raises(NotAStatement):
        read_statement(path)


def test_no_more_rows_are_read_than_the_statement_speaks_of(kept: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    path.write_bytes((kept["folder"] / "statement.sqlite").read_bytes())
    signed = len(read_statement(path).entries)
    db = sqlite3.connect(path)
    last = db.execute("SELECT * FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
    marks = ", ".join("?" * len(last))
    db.executemany(f"INSERT INTO journal VALUES ({marks})", ((last[0] + n, *last[1:]) for n in range(1, 500)))
    db.commit()
    db.close()
    assert len(read_statement(path).entries) == signed + 1
    assert found_in(kept, path)
