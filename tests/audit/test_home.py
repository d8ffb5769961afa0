"""The audit of a whole home: clean books are clean, while the service runs too, and whatever is off is named with its place."""

import random
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from satbox.audit.home import HomeAudit
from tests.audit.conftest import Home, history
from tests.cli.running import satbox
from tests.gate.gatehouse import House


def audit(home: Path) -> dict[str, Any]:
    key = (home / "operator.key").read_text() if (home / "operator.key").exists() else None
    return HomeAudit(home, key).run()


async def test_clean_books_are_clean_and_every_micro_sat_is_somewhere(home: Home) -> None:
    report = audit(home.folder)
    assert report["findings"] == []
    sums = report["sums"]
    assert sums["money_in_usat"] == sums["accounted_for_usat"] == (500 + 20 + 20 + 40) * 1_000_000
    assert sums["in_transit_usat"] == 0
    assert sums["accounts_usat"]["burnt"] > 0
    checked = report["checked"]
    assert (checked["wallets"], checked["deposits"], checked["payments"]) == (3, 4, 5)
    assert checked["spans"] > 12
    assert checked["checkpoints"] == 2
    assert checked["checkpointed heads"] >= 4
    assert (checked["paid calls"], checked["logged orders"]) == (3, 6)


async def test_a_running_service_is_audited_as_it_goes(house: House, tmp_path: Path) -> None:
    who = (await history(house))[0]
    assert audit(tmp_path / "service")["findings"] == []
    paid = await house.pay("/sandbox/extend", who, house.sbtc(who, 10), {"sats": 10})
    assert audit(tmp_path / "service")["findings"] == []
    await house.settled(paid.body["paymentId"])
    await house.advance(5)
    assert audit(tmp_path / "service")["findings"] == []


def wallet(home: Path, address: str) -> Path:
    (path,) = home.glob(f"wallets/*/{address}.sqlite")
    return path


def change(path: Path, *statements: str) -> None:
    """As somebody with the file and no scruples would."""
    db = sqlite3.connect(path)
    for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {trigger}")
    for statement in statements:
        assert db.execute(statement).rowcount > 0, statement
    db.commit()
    db.close()


WALLET_CHANGES = {
    "an amount": (
        "UPDATE journal SET amounts = replace(amounts, '500000000', '600000000') WHERE kind = 'deposit'", "journal", "hash"),
    "a time": ("UPDATE journal SET at_ms = at_ms + 1 WHERE seq = 2", "journal 2", "hash"),
    "a lost entry": ("DELETE FROM journal WHERE seq = 2", "journal 3", "chain"),
    "a cut end": ("DELETE FROM journal WHERE seq = (SELECT max(seq) FROM journal)", "state", "head"),
    "a span's time": ("UPDATE spans SET to_ms = to_ms + 1 WHERE seq = 2", "span 2", "arithmetic"),
    "a span's rate": ("UPDATE spans SET rate_usat_per_second = 1 WHERE seq = 1", "span 1", "arithmetic"),
    "a lost span": ("DELETE FROM spans WHERE seq = 2", "span 3", "sequence"),
    "a span moved as a whole": (
        "UPDATE spans SET from_ms = from_ms - 100000, to_ms = to_ms - 100000 WHERE seq = 1", "span 1", "uptime"),
    "another boot": ("UPDATE spans SET boot_id = 'other'", "span 1", "uptime"),
    "a balance": ("UPDATE wallet SET state = replace(state, '\"bucket\":', '\"bucket\":1')", "state", "accounts"),
    "an order of a bundle": ("UPDATE orders SET usat = usat + 1 WHERE seq = (SELECT max(seq) FROM orders)", "journal", "bundle"),
    "an order that is gone": ("DELETE FROM orders WHERE seq = (SELECT min(seq) FROM orders)", "journal", "bundle"),
    "an order's name": ("UPDATE orders SET order_id = 'ord_x' WHERE seq = (SELECT min(seq) FROM orders)", "journal", "bundle"),
    "an order from nowhere": ("INSERT INTO orders VALUES (1, 1, 'ord_x', 1)", "orders 1", "bundle"),
    "a mark": ("DELETE FROM seen WHERE kind = 'deposit'", "seen", "mark"),
}  # fmt: skip


CHECKPOINT_CHANGES = {
    "a leaf": ("UPDATE leaves SET seq = seq + 1 WHERE position = 0 AND number = 1", "root"),
    "a leaf that is gone": ("DELETE FROM leaves WHERE position = 1 AND number = 1", "root"),
    "a whole checkpoint": ("DELETE FROM checkpoints WHERE number = 1", "chain"),
    "a signed word": ("UPDATE checkpoints SET document = replace(document, '\"heads\"', '\"heeds\"')", "signature"),
}


@pytest.mark.parametrize("name", CHECKPOINT_CHANGES)
async def test_a_checkpoint_that_was_tampered_with_is_named(home: Home, tmp_path: Path, name: str) -> None:
    statement, rule = CHECKPOINT_CHANGES[name]
    spoilt = home.copy(tmp_path / "home")
    change(spoilt / "checkpoints.sqlite", statement)
    assert any(f["rule"] == rule and "checkpoint" in f["where"] for f in audit(spoilt)["findings"])


@pytest.mark.parametrize("name", WALLET_CHANGES)
async def test_a_wallet_that_was_tampered_with_is_named(home: Home, tmp_path: Path, name: str) -> None:
    statement, place, rule = WALLET_CHANGES[name]
    spoilt = home.copy(tmp_path / "home")
    address = home.wallets[0]
    change(wallet(spoilt, address), statement)
    found = [f for f in audit(spoilt)["findings"] if address in f["where"]]
    assert any(place in f["where"] and f["rule"] == rule for f in found), found


LOG_CHANGES = {
    "an order's price": "UPDATE orders SET usat = 2 * usat WHERE is_posted = 0",
    "an order's payee": "UPDATE orders SET payee = payer WHERE seq = (SELECT max(seq) FROM orders WHERE is_posted = 1)",
    "an order that nobody posted": "UPDATE orders SET is_posted = 1 WHERE is_posted = 0",
    "an order that nobody placed": (
        "INSERT INTO orders SELECT gate_id, seq + 1, 'ord_x', payer, payee, usat, resource, at_ms, expires_ms, 0 FROM orders "
        "ORDER BY seq DESC LIMIT 1"
    ),
}


@pytest.mark.parametrize("name", LOG_CHANGES)
async def test_a_log_of_calls_that_was_tampered_with_is_named(home: Home, tmp_path: Path, name: str) -> None:
    spoilt = home.copy(tmp_path / "home")
    change(spoilt / "orders" / "orders.sqlite", LOG_CHANGES[name])
    assert any(f["rule"] == "order" and "gate_2" in f["where"] for f in audit(spoilt)["findings"])


SETTLEMENT_CHANGES = {
    "a credit's amount": ("UPDATE credits SET usat = usat + 1 WHERE rowid = 1", "credit"),
    "a credit that is gone": ("DELETE FROM credits WHERE rowid = 1", "credit"),
    "an amount": ("UPDATE payments SET amount = amount + 1", "amount"),
    "the bytes": ("UPDATE payments SET transaction_bytes = zeroblob(200)", "bytes"),
    "a letter to another": (
        "UPDATE outbox SET body = replace(body, '\"address\":\"S', '\"address\":\"X') WHERE kind = 'credit'", "settlement"),
    "a letter that is gone": ("DELETE FROM outbox WHERE kind = 'credit'", "settlement"),
    "a state": ("UPDATE payments SET state = 'mempool' WHERE state = 'confirmed'", "moves"),
    "a move": ("DELETE FROM moves WHERE state = 'mempool'", "moves"),
}  # fmt: skip


@pytest.mark.parametrize("name", SETTLEMENT_CHANGES)
async def test_settlements_that_were_tampered_with_are_named(home: Home, tmp_path: Path, name: str) -> None:
    statement, rule = SETTLEMENT_CHANGES[name]
    spoilt = home.copy(tmp_path / "home")
    change(spoilt / "settlements.sqlite", statement)
    assert rule in {f["rule"] for f in audit(spoilt)["findings"]}


async def test_money_from_nowhere_is_found(home: Home, tmp_path: Path) -> None:
    """A wallet file that is sound by itself, with a deposit that nobody settled."""
    spoilt = home.copy(tmp_path / "home")
    for path in spoilt.glob("settlements.sqlite*"):
        path.unlink()
    rules = {f["rule"] for f in audit(spoilt)["findings"]}
    assert rules == {"settlement", "conservation"}


async def test_a_wallet_that_is_gone_is_missed(home: Home, tmp_path: Path) -> None:
    spoilt = home.copy(tmp_path / "home")
    wallet(spoilt, home.wallets[0]).unlink()
    found = audit(spoilt)["findings"]
    assert any(home.wallets[0] in f["where"] and "acknowledged" in f["what"] for f in found)


COVERED: dict[str, dict[str, str]] = {
    "wallet": {
        "journal": "*", "spans": "*", "seen": "kind, id",
        "wallet": "json_extract(state, '$.accounts', '$.seq', '$.head', '$.span_seq', '$.remainder', '$.address')",
    },
    "settlements": {
        "credits": "payment_id, chain_id, origin, nonce, txid, asset, atomic_amount, usat",
        "payments": "payment_id, identity, chain_id, nonce, origin, address, pay_to, amount, rate_usat, rate_atomic,"
        " transaction_bytes, state, txid, expected_usat, credited_usat",
        "moves": "payment_id, seq, state",
    },
    "checkpoints": {"checkpoints": "number, heads, root, hash, document", "leaves": "*"},
}  # fmt: skip


def files(home: Path) -> list[Path]:
    return [*sorted(home.glob("wallets/*/*.sqlite")), home / "settlements.sqlite", home / "checkpoints.sqlite"]


def content(home: Path) -> dict[str, Any] | None:
    """All that an audit vouches for; None when a file cannot be read."""
    found: dict[str, Any] = {}
    try:
        for path in files(home):
            db = sqlite3.connect(path)
            for table, columns in COVERED.get(path.stem, COVERED["wallet"]).items():
                where = " WHERE kind IN ('deposit', 'reversal')" if table == "seen" else ""
                found[f"{path} {table}"] = sorted(db.execute(f"SELECT {columns} FROM {table}{where}"), key=repr)
            db.close()
    except (sqlite3.Error, UnicodeError):
        return None
    return found


def flipped(home: Path, rng: random.Random) -> str:
    """One bit of one file, anywhere."""
    path = rng.choice(files(home))
    raw = bytearray(path.read_bytes())
    at = rng.randrange(len(raw))
    raw[at] ^= 1 << rng.randrange(8)
    path.write_bytes(raw)
    return f"{path.name} byte {at}"


def at_rest(home: Path) -> None:
    """Logs written back and gone, so that each file is the whole of it."""
    for path in [*files(home), home / "node" / "slots.sqlite"]:
        db = sqlite3.connect(path)
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("VACUUM")
        db.close()


@pytest.mark.parametrize("seed", range(4))
async def test_no_flipped_bit_of_what_is_covered_goes_unnoticed(home: Home, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    clean = home.copy(tmp_path / "clean")
    at_rest(clean)
    before = content(clean)
    assert before is not None
    assert audit(clean)["findings"] == []
    noticed = 0
    for number in range(40):
        spoilt = tmp_path / f"home{number}"
        shutil.copytree(clean, spoilt)
        what = flipped(spoilt, rng)
        after = content(spoilt)
        report = audit(spoilt)
        is_changed = after is None or list(after.values()) != list(before.values())
        if is_changed:
            assert report["findings"], f"seed {seed}: {what} went unnoticed"
            assert any(what.split()[0].split(".")[0][:12] in f["where"] for f in report["findings"]), report["findings"]
            noticed += 1
        shutil.rmtree(spoilt)
    assert noticed


VALUES = {
    "journal": "seq at_ms kind reference amounts balance_after_usat previous hash",
    "spans": "seq runtime_id boot_id from_ms to_ms rate_usat_per_second remainder_before remainder_after charge_usat",
    "credits": "payment_id chain_id origin nonce txid asset atomic_amount usat",
    "payments": "payment_id identity chain_id nonce origin address pay_to amount rate_usat rate_atomic transaction_bytes state"
    " txid expected_usat credited_usat",
    "moves": "payment_id seq state",
    "checkpoints": "number heads root hash document",
    "leaves": "number position address seq head spans_seq spans_head",
}


def spoil_a_value(path: Path, rng: random.Random) -> str | None:
    """One bit of one value, past all constraints; None when it is no other value after all."""
    db = sqlite3.connect(path)
    tables = [
        table for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'") if table in VALUES
    ]
    table = rng.choice([table for table in tables if db.execute(f"SELECT 1 FROM {table}").fetchone()])
    column = rng.choice(VALUES[table].split())
    key = {"checkpoints": "number", "leaves": "address", "journal": "seq", "spans": "seq"}.get(table, "payment_id")
    rows = db.execute(f"SELECT {key}, {column} FROM {table} ORDER BY {key}").fetchall()
    row, value = rng.choice(rows)
    after: Any
    match value:
        case None:
            after = "x"
        case int():
            after = value ^ (1 << rng.randrange(20))
        case _:
            raw = bytearray(value if isinstance(value, bytes) else value.encode())
            raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(5)
            after = bytes(raw) if isinstance(value, bytes) else raw.decode()
    for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {trigger}")
    db.execute("PRAGMA ignore_check_constraints = ON")
    try:
        db.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ? AND {column} IS ?", (after, row, value))
    except sqlite3.IntegrityError:
        return None  # that value stands elsewhere already: the file cannot hold it
    finally:
        db.commit()
        db.close()
    return f"{table}.{column} of {row}: {value!r} -> {after!r}"


@pytest.mark.parametrize("seed", range(3))
async def test_every_spoilt_value_is_found_in_its_file(home: Home, tmp_path: Path, seed: int) -> None:
    rng = random.Random(1000 + seed)
    clean = home.copy(tmp_path / "clean")
    at_rest(clean)
    for number in range(60):
        spoilt = tmp_path / f"home{number}"
        shutil.copytree(clean, spoilt)
        path = rng.choice(files(spoilt))
        what = spoil_a_value(path, rng)
        if what is not None:
            found = audit(spoilt)["findings"]
            assert any(path.stem in f["where"] for f in found), f"seed {seed}: {path.name} {what}: {found}"
        shutil.rmtree(spoilt)


async def test_the_command_line_exits_1_and_says_where(home: Home, tmp_path: Path) -> None:
    good = await satbox("audit", "--home", str(home.folder), home=tmp_path)
    assert (good.code, good.document["valid"]) == (0, True), good.stderr
    spoilt = home.copy(tmp_path / "home")
    change(wallet(spoilt, home.wallets[0]), "UPDATE journal SET at_ms = 0 WHERE seq = 1")
    bad = await satbox("audit", "--table", "--home", str(spoilt), home=tmp_path)
    assert bad.code == 1
    assert f"{home.wallets[0]}.sqlite journal 1: hash" in bad.stdout.decode()
    assert (await satbox("audit", home=tmp_path / "nowhere")).code == 2
