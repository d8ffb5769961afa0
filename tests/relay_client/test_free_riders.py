"""Who tries to have a sandbox without paying, and how many seconds that brings at most (blueprint 6; design/payments.md).

Each free ride is taken over real settlements and real wallet cores for as long as it lasts; what it brought is compared with
what the design page states, and that with the caps and rates in force.
"""

import dataclasses
import re
from pathlib import Path

import pytest
from payment_builders import NETWORK, OTHER, PAYER, sbtc_payment
from settlement_bench import WALLET, Bench
from wallets_bench import POLICY, Street

from gate.settings import RATES_USAT as RATES
from relay_client.offers import USAT_PER_SAT
from relay_client.settlements import PaymentReport
from relay_client.settlements.policy import SettlementPolicy
from stacks import PrivateKey

PAGE = (Path(__file__).parents[2] / "design" / "payments.md").read_text()
CAPS = SettlementPolicy()
CLASSES = tuple(RATES)
GRACE_SECONDS, CAP_SECONDS = POLICY.grace_ms // 1000, POLICY.grace_cap_ms // 1000
VICTIM = "ST000000000000000000002AMW42H"
WALLETS = (WALLET, VICTIM, "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM")


def address_of(key: PrivateKey) -> str:
    return str(key.public_key.address(NETWORK))


def least(usat: int, rate: int) -> int:
    """Seconds that a grant of `usat` keeps one wallet up: never more than grace may last."""
    return min(usat // rate, CAP_SECONDS)


STATED = {
    # ride: seconds by the rules, at a rate in usat per second
    "1-sat wakes": lambda rate: GRACE_SECONDS,
    "a payment that never confirms": lambda rate: least(CAPS.grant_per_payer_usat, rate),
    "serial nonces": lambda rate: least(CAPS.grant_per_wallet_usat, rate),
    "many keys, one wallet": lambda rate: least(CAPS.grant_per_wallet_usat, rate),
    "many wallets, one key or pass": lambda rate: CAPS.grant_per_payer_usat // rate,
    "everybody at once": lambda rate: CAPS.grant_overall_usat // rate,
    "replace by fee": lambda rate: least(CAPS.grant_per_payer_usat, rate),
    "failing gifts": lambda rate: least(CAPS.grant_per_payer_usat, rate),
    "wakes by call, where an operator trusts the mempool": lambda rate: least(CAPS.grant_per_payer_usat, rate),
}


def stated(ride: str, size_class: str) -> int:
    """The page's number for a ride and a class."""
    row = re.search(rf"^\| {re.escape(ride)} \|(.*)\|$", PAGE, re.MULTILINE)
    assert row is not None, f"design/payments.md says nothing about {ride!r}"
    columns = [cell.strip().replace(",", "") for cell in row[1].split("|")]
    return int(columns[1 + CLASSES.index(size_class)])


@pytest.mark.parametrize("size_class", CLASSES)
@pytest.mark.parametrize("ride", STATED)
def test_the_page_states_what_caps_and_rates_allow(ride, size_class):
    assert stated(ride, size_class) == STATED[ride](RATES[size_class])


@pytest.fixture(params=["small", *(pytest.param(name, marks=pytest.mark.nightly) for name in ("nano", "medium"))])
def size_class(request):
    return request.param


@pytest.fixture
def street(bench, size_class):
    """Wallets of one class behind the settlements of `bench`."""
    return opened(bench, RATES[size_class])


def opened(bench: Bench, rate: int) -> Street:
    bench.store.close()
    street = bench.wallets = Street(bench, rate)
    bench.start()
    return street


async def pay(street: Street, sats: int, *, nonce: int = 0, key: PrivateKey = PAYER, **changes) -> PaymentReport:
    """A payment as the gate presents it."""
    street.wallet(changes.get("address", WALLET))
    changes = {"grant_max_usat": street.grant_max_usat, "purpose": "extend"} | changes
    report = await street.bench.present(sbtc_payment(sats, key=key, nonce=nonce), **changes)
    await street.pass_time(2)
    return report


async def test_waking_on_one_sat_again_and_again_brings_one_grace(bench):
    """Grace stays owed and is the first claim on the next sat: it does not add up."""
    street = opened(bench, RATES["nano"])
    for nonce in range(4):
        report = await pay(street, 1, nonce=nonce)
        await bench.mine()
        await street.pass_time(400, mining=True)
        assert (await bench.settlements.report(report.payment_id)).state == "confirmed"
    assert street.starts(WALLET) >= 2
    usat_seconds = 1 / RATES["nano"]  # the last micro-sat of a whole sat buys a fraction of a millisecond more
    assert 0 < street.stolen_seconds() <= stated("1-sat wakes", "nano") + 10 * usat_seconds


async def test_one_sat_does_not_wake_where_it_buys_less_than_a_minute(bench):
    street = opened(bench, USAT_PER_SAT // 60 + 1)
    await bench.fault("hold_confirmations")
    for nonce in range(3):
        await pay(street, 1, nonce=nonce)
    await street.pass_time(60)
    assert (street.starts(WALLET), street.stolen_seconds()) == (0, 0)


async def test_a_payment_that_never_confirms_brings_ten_minutes_once(street, size_class):
    await street.bench.fault("hold_confirmations")
    await pay(street, 10_000)
    await street.pass_time(1_500)
    assert street.starts(WALLET) == 1, "a reap is not followed by another start on the same money"
    assert CAP_SECONDS - 5 <= street.stolen_seconds() <= stated("a payment that never confirms", size_class)


async def test_a_payment_dropped_from_the_mempool_holds_for_a_minute(street, size_class):
    await street.bench.fault("hold_confirmations")
    tx = sbtc_payment(10_000)
    await pay(street, 10_000)
    await street.bench.fault("down", routes="stacks", path="/v2/transactions", mode="503")
    await street.bench.fault("down", routes="relay", path="/settle", mode="503")
    await street.bench.post("/devnet/faults", {"kind": "drop", "txid": tx.txid()})
    await street.pass_time(300)
    assert street.stolen_seconds() <= GRACE_SECONDS + 10


async def test_serial_nonces_on_one_wallet_bring_no_more_than_one(street, size_class):
    await street.bench.fault("hold_confirmations")
    for nonce in range(8):
        await pay(street, 1_000, nonce=nonce)
        await street.pass_time(180)
    await street.pass_time(600)
    assert street.stolen_seconds() <= stated("serial nonces", size_class)


async def test_many_keys_for_one_wallet_bring_no_more_than_one(street, size_class):
    bench = street.bench
    await bench.fault("hold_confirmations")
    keys = [PrivateKey(bytes(30) + bytes([1, n])) for n in range(1, 6)]
    for key in keys:
        await bench.fund(key)
        await pay(street, 5_000, key=key, holder=address_of(key))
        await street.pass_time(150)
    await street.pass_time(700)
    assert street.stolen_seconds() <= stated("many keys, one wallet", size_class)


async def test_one_pass_with_many_keys_has_one_go(street, size_class):
    """Payers are made for nothing, passes are not: what a pass's first payment did not bring, its next ones do not."""
    bench = street.bench
    await bench.fault("hold_confirmations")
    holder = address_of(PAYER)
    for n in range(1, 4):
        key = PrivateKey(bytes(30) + bytes([2, n]))
        await bench.fund(key)
        await pay(street, 5_000, key=key, holder=holder, address=WALLETS[n - 1])
        await street.pass_time(700)
    assert street.stolen_seconds() <= CAP_SECONDS
    assert [street.starts(wallet) for wallet in WALLETS] == [1, 0, 0]


async def test_many_wallets_of_one_payer_share_its_cap(street, size_class):
    """With a cap of 750 seconds' worth, so that three wallets meet it."""
    bench = street.bench
    cap_usat = 750 * street.rate_usat_per_second
    bench.policy = dataclasses.replace(bench.policy, grant_per_payer_usat=cap_usat)
    await bench.restart()
    await bench.fault("hold_confirmations")
    for nonce, wallet in enumerate(WALLETS):
        await pay(street, 5_000, nonce=nonce, address=wallet)
    await street.pass_time(900)
    assert CAP_SECONDS < street.stolen_seconds() <= 750 <= stated("many wallets, one key or pass", size_class)


async def test_everybody_together_stays_under_the_cap_of_all(street, size_class):
    bench = street.bench
    cap_usat = 700 * street.rate_usat_per_second
    bench.policy = dataclasses.replace(bench.policy, grant_overall_usat=cap_usat)
    await bench.restart()
    await bench.fault("hold_confirmations")
    for wallet, key in zip(WALLETS, (PAYER, OTHER, PrivateKey(bytes(31) + b"\x44")), strict=True):
        await bench.fund(key)
        await pay(street, 5_000, key=key, address=wallet)
    await street.pass_time(800)
    assert CAP_SECONDS < street.stolen_seconds() <= 700 <= stated("everybody at once", size_class)


async def test_replacing_by_fee_after_the_start_is_told_once_and_not_trusted_again(street, size_class):
    bench = street.bench
    await bench.fault("hold_confirmations")
    report = await pay(street, 10_000)
    await street.pass_time(300)
    await bench.heal()
    await bench.fault("replace", count=1)
    await street.pass_time(60, mining=True)
    assert (await bench.settlements.report(report.payment_id)).state == "replaced"
    first = street.stolen_seconds()
    assert 250 <= first <= stated("replace by fee", size_class)
    await bench.fault("hold_confirmations")
    for nonce in (1, 2):
        await pay(street, 5_000, nonce=nonce)
        await street.pass_time(60)
    assert (street.starts(WALLET), street.stolen_seconds()) == (1, first), "the loss comes before any credit"


async def test_failing_gifts_ban_their_giver_and_not_the_stranger(street, size_class):
    bench = street.bench
    giver, stranger = address_of(PAYER), address_of(OTHER)
    await bench.fault("hold_confirmations")
    await pay(street, 5_000, address=stranger, holder=giver)
    await street.pass_time(120)
    await bench.heal()
    await bench.fault("abort", count=1)
    await street.pass_time(60, mining=True)
    await bench.heal()
    stolen = street.stolen_seconds()
    assert 0 < stolen <= stated("failing gifts", size_class)
    assert await bench.settlements.open_loss(stranger) == 0
    assert await bench.settlements.open_loss(giver) > 0
    # The stranger starts on credit as if nothing had been; the giver does not, wherever.
    await bench.fault("hold_confirmations")
    own = await pay(street, 100, key=OTHER, address=stranger, holder=stranger)
    assert own.granted_usat == min(100 * USAT_PER_SAT, street.grant_max_usat)
    assert street.wallets[stranger].state.phase.value == "grace"
    again = await pay(street, 100, nonce=1, address=WALLET, holder=giver)
    assert again.granted_usat == 0


async def test_a_fresh_key_for_each_wake_by_call_brings_no_more_than_one(street, size_class):
    """All wakes by call of a wallet are presented under one name: what one key failed to pay bars the next."""
    bench, ride = street.bench, "wakes by call, where an operator trusts the mempool"
    for n in range(1, 4):
        key = PrivateKey(bytes(30) + bytes([3, n]))
        await bench.fund(key)
        await bench.fault("hold_confirmations")
        await pay(street, 5_000, key=key, holder=f"{WALLET}.wake-calls")
        await street.pass_time(400)
        await bench.heal()
        await bench.fault("abort", count=1)
        await street.pass_time(60, mining=True)
        await bench.heal()
    assert street.starts(WALLET) == 1
    assert 390 <= street.stolen_seconds() <= stated(ride, size_class)
