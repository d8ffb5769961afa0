"""The store's promises, and the journal's transactions one by one."""

import asyncio
import json
import sqlite3

import pytest
from payment_builders import PAY_TO, SBTC, sbtc_payment, stx_payment
from settlement_bench import presentation

from operations.errors import SatboxError
from relay_client.chain import ChainPhase, ChainTransaction, Movement
from relay_client.settlements import SettlementPolicy, journal, outbox, reads
from relay_client.settlements.schema import MIGRATIONS, migrate
from relay_client.sink import Credit
from relay_client.states import IllegalMove, PaymentEvent
from storage.writer import GroupWriter, StoreClosed

NOW = 1_800_000_000_000
POLICY = SettlementPolicy()


@pytest.fixture
def db():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    migrate(connection)
    yield connection
    connection.close()


def opened(db, tx, **changes):
    return journal.open_attempt(db, presentation(tx, **changes), POLICY, NOW).payment


def on_chain(payment, *, asset_id="own", recipient=PAY_TO, amount=None, txid=None, sender=None):
    move = Movement(
        payment.asset_id if asset_id == "own" else asset_id,
        sender or payment.origin, recipient, payment.amount if amount is None else amount,
    )  # fmt: skip
    return ChainTransaction(
        txid or payment.txid or "ab" * 32, ChainPhase.SUCCESS, "success", payment.origin, payment.nonce, False,
        block_height=7, movements=(move,), events_complete=True,
    )  # fmt: skip


def counts(db):
    return tuple(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("payments", "credits"))


def test_what_is_credited_is_the_amount_of_the_event(db):
    payment = opened(db, sbtc_payment(250))
    assert journal.confirm(db, payment.payment_id, on_chain(payment, amount=240), NOW).credited_usat == 240_000_000
    quoted = opened(db, stx_payment(1_000_000, nonce=1))
    assert journal.confirm(db, quoted.payment_id, on_chain(quoted, amount=999_999), NOW).credited_usat == 999_999_000


@pytest.mark.parametrize(
    "event",
    [{"asset_id": None}, {"asset_id": f"{SBTC.contract}::sbtc-token-locked"}, {"recipient": "SOMEBODY"},
     {"sender": "SOMEBODY"}, {"amount": 0}],
)  # fmt: skip
def test_an_event_that_does_not_pay_us_credits_nothing_and_fails_the_payment(db, event):
    payment = opened(db, sbtc_payment())
    after = journal.confirm(db, payment.payment_id, on_chain(payment, **event), NOW)
    assert (after.state, after.terminal_reason, after.credited_usat) == ("failed", "chain_abort", 0)
    assert counts(db) == (1, 0)


def test_confirmed_again_and_again_it_is_credited_once(db):
    payment = opened(db, sbtc_payment())
    first = journal.confirm(db, payment.payment_id, on_chain(payment), NOW)
    assert journal.confirm(db, payment.payment_id, on_chain(payment), NOW + 1) == first
    letters = db.execute("SELECT count(*) FROM outbox WHERE kind = 'credit'").fetchone()
    assert letters == (1,)


def test_one_nonce_is_credited_once_for_ever(db):
    one, two = opened(db, sbtc_payment(memo="one")), opened(db, sbtc_payment(memo="two"))
    journal.confirm(db, one.payment_id, on_chain(one), NOW)
    journal.still_there(db, one.payment_id, 7, is_final=True)
    after = journal.confirm(db, two.payment_id, on_chain(two), NOW)
    assert (after.state, after.terminal_reason) == ("replaced", "superseded")
    assert counts(db) == (2, 1)


def test_one_txid_is_credited_once_for_ever(db):
    one, two = opened(db, sbtc_payment()), opened(db, sbtc_payment(nonce=1))
    journal.confirm(db, one.payment_id, on_chain(one), NOW)
    after = journal.confirm(db, two.payment_id, on_chain(two, txid=one.txid), NOW)
    assert after.state == "replaced"
    assert counts(db) == (2, 1)


def test_the_credit_goes_out_before_what_held_the_sandbox_up_is_released(db):
    payment = opened(db, sbtc_payment())
    journal.seen_in_mempool(db, payment.payment_id, None, PaymentEvent.RELAY_ACCEPTED, POLICY, NOW)
    journal.confirm(db, payment.payment_id, on_chain(payment), NOW)
    kinds = [kind for (kind,) in db.execute("SELECT kind FROM outbox ORDER BY seq")]
    assert kinds == ["observe", "credit", "observe"]


def test_a_newer_observation_takes_the_place_of_one_not_delivered(db):
    payment = opened(db, sbtc_payment())
    journal.held(db, payment.payment_id, "gap", NOW)
    journal.seen_in_mempool(db, payment.payment_id, None, PaymentEvent.CHAIN_PENDING, POLICY, NOW)
    letter = outbox.next_letter(db, payment.payment_id)
    assert letter is not None
    assert letter.message.state == "mempool"
    assert outbox.acknowledge(db, letter, NOW) is None


def test_letters_read_back_as_they_were_written(db):
    payment = opened(db, sbtc_payment())
    journal.confirm(db, payment.payment_id, on_chain(payment), NOW)
    letter = outbox.next_letter(db, payment.payment_id)
    assert letter is not None
    assert letter.message == Credit(
        payment.payment_id, payment.address, payment.origin, 250_000_000, "sBTC", 250, payment.txid, 7, NOW
    )


def test_an_end_is_an_end(db):
    payment = opened(db, sbtc_payment())
    journal.confirm(db, payment.payment_id, on_chain(payment), NOW)
    with pytest.raises(IllegalMove):
        journal.call_begins(db, payment.payment_id, NOW)


def test_a_reversal_is_written_once(db):
    payment = opened(db, sbtc_payment())
    journal.confirm(db, payment.payment_id, on_chain(payment), NOW)
    first = journal.reverse(db, payment.payment_id, "gone", NOW, watch=True)
    assert journal.reverse(db, payment.payment_id, "gone", NOW, watch=True) == first
    assert db.execute("SELECT count(*) FROM outbox WHERE kind = 'reverse'").fetchone() == (1,)


def test_a_reversed_payment_that_comes_back_is_another_credit(db):
    payment = opened(db, sbtc_payment())
    journal.confirm(db, payment.payment_id, on_chain(payment), NOW)
    journal.reverse(db, payment.payment_id, "gone", NOW, watch=True)
    back = journal.confirm(db, payment.payment_id, on_chain(payment), NOW)
    assert (back.state, back.credited_usat, back.reversed_usat) == ("confirmed", 250_000_000, 0)
    names = [
        json.loads(body)["payment_id"].removeprefix(payment.payment_id)
        for (body,) in db.execute("SELECT body FROM outbox WHERE kind IN ('credit', 'reverse') ORDER BY seq")
    ]
    assert names == ["", "", "_1"]


def test_after_a_reorganisation_the_rival_waits_for_the_reversal(db):
    one, two = opened(db, sbtc_payment(memo="one")), opened(db, sbtc_payment(memo="two"))
    journal.confirm(db, one.payment_id, on_chain(one), NOW)
    assert journal.confirm(db, two.payment_id, on_chain(two), NOW) == two
    journal.reverse(db, one.payment_id, "displaced", NOW, watch=False)
    assert journal.confirm(db, two.payment_id, on_chain(two), NOW).credited_usat == 250_000_000


def test_an_identifier_of_another_payment_is_a_conflict_even_with_the_same_body_hash(db):
    opened(db, sbtc_payment(), identifier="i" * 16)
    with pytest.raises(SatboxError) as caught:
        opened(db, sbtc_payment(nonce=1), identifier="i" * 16)
    assert caught.value.code == "payment_identifier_conflict"


def test_a_file_of_a_newer_program_is_refused(db):
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(RuntimeError, match="newer"):
        migrate(db)


def test_a_file_of_the_first_version_is_brought_up_to_date(db):
    """What was to be granted of a payment under way is still to be granted after the upgrade."""
    yes = opened(db, sbtc_payment(), purpose="extend")
    no = opened(db, sbtc_payment(nonce=1), credit_before_confirmation=False)
    for index in ("payments_granted_holder", "payments_followed", "payments_age"):
        db.execute(f"DROP INDEX {index}")
    for table in ("claims", "spares"):
        db.execute(f"DROP TABLE {table}")
    db.execute("ALTER TABLE payments DROP COLUMN wakes")
    db.execute("ALTER TABLE payments DROP COLUMN held_until_ms")
    db.execute("ALTER TABLE payments DROP COLUMN is_unsent")
    db.execute("ALTER TABLE payments RENAME COLUMN purpose TO new")
    named = "CHECK (purpose IN ('create', 'extend'))"
    db.execute(f"ALTER TABLE payments ADD COLUMN purpose TEXT NOT NULL DEFAULT 'create' {named}")
    db.execute("UPDATE payments SET purpose = new")
    db.execute("ALTER TABLE payments DROP COLUMN new")
    db.execute("UPDATE payments SET grantable_usat = min(1, grantable_usat)")
    db.execute("ALTER TABLE payments RENAME COLUMN grantable_usat TO grantable")
    db.execute("PRAGMA user_version = 1")
    migrate(db)
    assert (reads.load(db, yes.payment_id), reads.load(db, no.payment_id)) == (yes, no)
    assert (yes.grantable_usat, no.grantable_usat) == (250_000_000, 0)
    assert opened(db, sbtc_payment(nonce=2), purpose="verification").purpose == "verification"
    again = journal.recall(db, presentation(sbtc_payment(), purpose="deposit"))
    assert again == yes, "a deposit, which was recorded as an extension then"
    with pytest.raises(SatboxError, match="another"):
        journal.recall(db, presentation(sbtc_payment(), purpose="create"))
    with pytest.raises(ValueError, match="not a purpose"):
        presentation(sbtc_payment(), purpose="hats")


async def test_work_that_raises_is_undone_alone(tmp_path):
    store = GroupWriter(tmp_path / "s.sqlite", migrate)

    def insert(db):
        db.execute("INSERT INTO outages (since_ms) VALUES (1)")

    def insert_and_raise(db):
        insert(db)
        raise ValueError("no")

    outcomes = await asyncio.gather(
        store.run(insert), store.run(insert_and_raise), store.run(insert), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [type(None), ValueError, type(None)]
    assert await store.run(lambda db: db.execute("SELECT count(*) FROM outages").fetchone()) == (2,)
    store.close()
    with pytest.raises(StoreClosed):
        await store.run(insert)


async def test_what_was_answered_is_on_disk(tmp_path):
    store = GroupWriter(tmp_path / "s.sqlite", migrate)
    await store.run(lambda db: db.execute("INSERT INTO outages (since_ms) VALUES (7)").lastrowid)
    other = sqlite3.connect(tmp_path / "s.sqlite")
    assert other.execute("SELECT since_ms FROM outages").fetchone() == (7,)
    assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()
    store.close()
