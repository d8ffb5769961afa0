"""Money that somebody with the files invents, with every chain and sum redone behind it, is found."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actors.wallet.journal import entry_hash
from satbox.audit.home import HomeAudit
from tests.audit.conftest import Home
from tests.cli.running import satbox

Rows = list[list[Any]]
SAT = 1_000_000


def unlocked(path: Path) -> sqlite3.Connection:
    """The file without the triggers that keep its rows."""
    db = sqlite3.connect(path)
    for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {trigger}")
    return db


def rewritten(path: Path, mutate: Callable[[Rows], Rows]) -> None:
    """The journal as `mutate` leaves it: chained anew, the state's sums and head adjusted."""
    db, address = unlocked(path), path.stem
    columns = "seq, at_ms, kind, reference, amounts, balance_after_usat, previous, hash"
    rows = mutate([list(row) for row in db.execute(f"SELECT {columns} FROM journal ORDER BY seq")])
    previous, balance, accounts = "0" * 64, 0, dict[str, int]()
    db.execute("DELETE FROM journal")
    for seq, row in enumerate(rows, 1):
        amounts = tuple(json.loads(row[4]).items())
        for name, usat in amounts:
            accounts[name] = accounts.get(name, 0) + usat
        balance += dict(amounts).get("bucket", 0)
        row[0], row[5], row[6] = seq, balance, previous
        row[7] = previous = entry_hash(address, seq, row[1], row[2], row[3], amounts, previous)
        db.execute("INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    state = json.loads(db.execute("SELECT state FROM wallet").fetchone()[0])
    state["accounts"] = {**state["accounts"], **accounts}
    state["seq"], state["head"] = len(rows), previous
    db.execute("UPDATE wallet SET state = ?", (json.dumps(state),))
    db.commit()
    db.close()


def wallet(home: Path, address: str) -> Path:
    (path,) = home.glob(f"wallets/*/{address}.sqlite")
    return path


def audited(home: Path) -> dict[str, Any]:
    return HomeAudit(home, (home / "operator.key").read_text()).run()


def appended(home: Home, target: Path, kind: str, reference: str | None, amounts: dict[str, int]) -> dict[str, Any]:
    """The audit of a home with one more entry at the end of a wallet's journal."""
    spoilt, address = home.copy(target), home.wallets[0]
    row = [0, 0, kind, reference, json.dumps(amounts), 0, "", ""]
    rewritten(wallet(spoilt, address), lambda rows: [*rows, [0, rows[-1][1], *row[2:]]])
    return audited(spoilt)


@pytest.mark.parametrize(
    ("kind", "reference", "amounts", "rule"),
    [
        ("credit", "gift_for_a_friend", {"credits": -(10**12), "bucket": 10**12}, "dispute"),
        ("meter", "nothing", {"bucket": -SAT, "owed": 0, "burnt": SAT}, "meter"),
        ("meter", "meter:air:rt_1", {"bucket": -SAT, "owed": 0, "burnt": SAT}, "meter"),
        ("fee", "nothing", {"bucket": -SAT, "burnt": SAT}, "fee"),
        ("hello", None, {"write_offs": -(10**12), "bucket": 10**12}, "shape"),
        ("write_off", "pay_" + "0" * 32, {"owed": 10**12, "write_offs": -(10**12)}, "accounts"),
        ("credit_back", "rt_never", {"burnt": -SAT, "owed": 0, "bucket": SAT}, "refund"),
        ("payout", "out_1", {"held": -SAT, "paid_out": SAT, "payout_fees": 0}, "payout"),
        ("payout_return", "out_1", {"held": -SAT, "bucket": SAT}, "payout"),
    ],
)
async def test_invented_money_is_found(
    home: Home, tmp_path: Path, kind: str, reference: str | None, amounts: dict[str, int], rule: str
) -> None:
    assert rule in {f["rule"] for f in appended(home, tmp_path / "home", kind, reference, amounts)["findings"]}


async def test_a_loss_without_a_payment_is_found(home: Home, tmp_path: Path) -> None:
    spoilt = home.copy(tmp_path / "home")

    def lost(rows: Rows) -> Rows:
        owes = [0, rows[-1][1], "charge", "rt_1", json.dumps({"bucket": 0, "owed": -5, "burnt": 5}), 0, "", ""]
        loses = [0, rows[-1][1], "write_off", "pay_none", json.dumps({"owed": 5, "write_offs": -5}), 0, "", ""]
        return [*rows, owes, loses]

    rewritten(wallet(spoilt, home.wallets[0]), lost)
    assert any(f["rule"] == "write_off" and "pay_none" in f["what"] for f in audited(spoilt)["findings"])


async def test_what_a_fee_took_is_told_as_not_proven(home: Home, tmp_path: Path) -> None:
    """A fee has the right form whoever wrote it: its question is on record nowhere else."""
    reference = f"fee_1_{'ab' * 16}"
    report = appended(home, tmp_path / "home", "fee", reference, {"bucket": -SAT, "burnt": SAT})
    assert report["findings"] == []
    assert any(f"{SAT} usat" in what and "fee" in what for what in report["not_proven"])


@pytest.mark.parametrize("amounts", ["[1]", "1", '{"bucket": "x"}', '{"bucket": null}', "[" * 50_000])
async def test_amounts_that_are_none_do_not_end_the_audit(home: Home, tmp_path: Path, amounts: str) -> None:
    spoilt = home.copy(tmp_path / "home")
    path = wallet(spoilt, home.wallets[0])
    db = unlocked(path)
    db.execute("UPDATE journal SET amounts = ? WHERE seq = 1", (amounts,))
    db.commit()
    db.close()
    assert any(path.stem in f["where"] for f in audited(spoilt)["findings"])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("amount = 500000, expected_usat = 500000000000, credited_usat = 500000000000", "500000"),
        ("pay_to = address", "signed was"),
        ("asset = 'STX', asset_wire = 'STX', asset_id = NULL", "signed was"),
        (
            "rate_usat = rate_usat * 2, expected_usat = expected_usat * 2, credited_usat = credited_usat * 2",
            "one to one",
        ),
    ],
)
async def test_a_deposit_of_another_amount_than_was_signed_is_found(
    home: Home, tmp_path: Path, change: str, told: str
) -> None:
    """Payment, credit, letter, journal and state agree with one another, and not with what the payer signed."""
    spoilt, address = home.copy(tmp_path / "home"), home.wallets[0]
    db = unlocked(spoilt / "settlements.sqlite")
    where = "address = ? AND amount = 500 AND credited_usat > 0"
    (payment_id,) = db.execute(f"SELECT payment_id FROM payments WHERE {where}", (address,)).fetchone()
    db.execute(f"UPDATE payments SET {change} WHERE payment_id = ?", (payment_id,))
    amount, usat = db.execute(
        "SELECT amount, credited_usat FROM payments WHERE payment_id = ?", (payment_id,)
    ).fetchone()
    db.execute(
        "UPDATE credits SET atomic_amount = ?, usat = ?, asset = (SELECT asset FROM payments WHERE payment_id = ?)"
        " WHERE payment_id = ?",
        (amount, usat, payment_id, payment_id),
    )
    for seq, body in db.execute("SELECT seq, body FROM outbox WHERE kind = 'credit'").fetchall():
        letter = json.loads(body)
        if letter["payment_id"] == payment_id:
            db.execute("UPDATE outbox SET body = ? WHERE seq = ?", (json.dumps({**letter, "usat": usat}), seq))
    db.commit()
    db.close()

    def inflated(rows: Rows) -> Rows:
        for row in rows:
            if (row[2], row[3]) == ("deposit", payment_id):
                row[4] = json.dumps({"deposits": -usat, "bucket": usat})
        return rows

    rewritten(wallet(spoilt, address), inflated)
    (spoilt / "checkpoints.sqlite").unlink()
    found = audited(spoilt)["findings"]
    assert any(f["rule"] == "signed" and told in f["what"] for f in found), found


async def test_evidence_that_is_gone_is_told_as_not_proven(home: Home, tmp_path: Path) -> None:
    assert audited(home.folder)["not_proven"] == []
    spoilt = home.copy(tmp_path / "home")
    (spoilt / "checkpoints.sqlite").unlink()
    shutil.rmtree(spoilt / "node")
    told = " ".join(audited(spoilt)["not_proven"])
    assert "no checkpoint" in told
    assert "slot table" in told


async def test_a_checkpoint_held_outside_must_be_in_the_log(home: Home, tmp_path: Path) -> None:
    db = sqlite3.connect(home.folder / "checkpoints.sqlite")
    first, last = [
        json.loads(document) for (document,) in db.execute("SELECT document FROM checkpoints ORDER BY number")
    ]
    db.close()
    (tmp_path / "held.json").write_text(json.dumps(last))
    key = (home.folder / "operator.key").read_text()

    def findings(folder: Path, *held: Any) -> list[Any]:
        found: list[Any] = HomeAudit(folder, key, [("held.json", one) for one in held]).run()["findings"]
        return found

    assert findings(home.folder, first, last) == []
    forged = {**last, "statement": {**last["statement"], "heads": 99}}
    assert {f["rule"] for f in findings(home.folder, forged)} == {"signature", "checkpoint"}
    assert {f["rule"] for f in findings(home.folder, {"a": 1})} == {"format"}
    cut = home.copy(tmp_path / "home")
    db = unlocked(cut / "checkpoints.sqlite")
    db.execute("DELETE FROM leaves WHERE number = 2")
    db.execute("DELETE FROM checkpoints WHERE number = 2")
    db.commit()
    db.close()
    assert findings(cut) == []
    assert [(f["where"], f["rule"]) for f in findings(cut, last)] == [("held.json", "checkpoint")]
    (cut / "checkpoints.sqlite").unlink()
    assert [(f["where"], f["rule"]) for f in findings(cut, last)] == [("held.json", "checkpoint")]
    held = str(tmp_path / "held.json")
    assert (await satbox("audit", "--home", str(home.folder), "--checkpoint", held, home=tmp_path)).code == 0
    assert (await satbox("audit", "--home", str(cut), "--checkpoint", held, home=tmp_path)).code == 1
