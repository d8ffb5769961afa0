"""Payouts against the devnet: each is paid once, whatever dies when, and fails only when it is certain."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from payment_builders import NETWORK
from payout_bench import ORIGIN, PAYOUT_KEY, SAT, SENDER, WALLET, PayoutBench, order

from operations.errors import SatboxError
from relay_client.payouts import KeyFile, KeyUnavailable, PayoutPolicy, PayoutState
from relay_client.payouts.building import sign
from relay_client.payouts.keystore import read_key, write_key
from relay_client.payouts.limits import Spent, waits_for
from stacks import Address, PrivateKey
from stacks.signing import Sender, sign_origin, token_transfer

STEPS = (
    "before_reserving",
    "after_reserving",
    "after_signing",
    "after_sending",
    "after_answer",
    "before_end",
    "after_end",
    "after_telling",
)


def foreign(nonce: int) -> bytes:
    """Another transaction of the payout key, as if the operator used it elsewhere."""
    to = Address.parse(WALLET)
    return sign_origin(
        token_transfer(Sender(PAYOUT_KEY.public_key, NETWORK, nonce, 5_000), to, 1), PAYOUT_KEY
    ).serialize()


async def send(payouts: PayoutBench, data: bytes) -> None:
    async with payouts.twin.post("/stacks/v2/transactions", data=data) as reply:
        assert reply.status == 200, await reply.text()


@pytest.mark.parametrize("asset", ["sBTC", "STX"])
async def test_a_payout_arrives_and_its_wallet_is_told(payouts: PayoutBench, asset: str) -> None:
    await payouts.queue.submit(order(asset=asset))
    await payouts.settle()
    report = await payouts.one()
    assert report.state is PayoutState.CONFIRMED
    assert (payouts.held() if asset == "sBTC" else payouts.held(asset="STX")) == 90
    assert payouts.told.ends["rcl_1_0"].is_paid
    assert [state for state, _ in await payouts.queue.history("rcl_1_0")] == [
        "queued", "approved", "signing", "broadcasting", "mempool", "confirmed",
    ]  # fmt: skip


@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_any_step_it_pays_once(payouts: PayoutBench, step: str) -> None:
    await payouts.queue.submit(order())
    await payouts.queue.submit(order("rcl_2_0", sats=50))
    payouts.die_at = step
    await payouts.settle(24)
    assert payouts.die_at is None, f"{step} was never reached"
    assert payouts.held() == 90 + 40
    assert {name: end.is_paid for name, end in payouts.told.ends.items()} == {"rcl_1_0": True, "rcl_2_0": True}


async def test_killed_at_every_step_one_after_another_it_pays_once(payouts: PayoutBench) -> None:
    await payouts.queue.submit(order())
    for step in STEPS:
        payouts.die_at = step
        await payouts.settle(10)
    payouts.die_at = None
    await payouts.settle(10)
    assert payouts.held() == 90


async def test_the_same_order_again_is_the_same_payout(payouts: PayoutBench) -> None:
    first = await payouts.queue.submit(order())
    assert await payouts.queue.submit(order()) == first
    await payouts.settle()
    assert (await payouts.queue.submit(order())).state is PayoutState.CONFIRMED
    await payouts.settle(3)
    assert payouts.held() == 90
    with pytest.raises(SatboxError):
        await payouts.queue.submit(order(sats=200))


@pytest.mark.parametrize("vanish", [False, True])
async def test_a_reorganisation_sends_the_same_bytes_again(payouts: PayoutBench, vanish: bool) -> None:
    await payouts.queue.submit(order())
    await payouts.queue.tick()
    payouts.mine(2)
    await payouts.queue.tick()
    txid = (await payouts.one()).txid
    payouts.world.chain.reorganise(2, vanish=vanish)
    await payouts.settle(16)
    report = await payouts.one()
    assert (report.state, report.txid) == (PayoutState.CONFIRMED, txid)
    assert payouts.held() == 90


async def test_a_dropped_payout_is_sent_again(payouts: PayoutBench) -> None:
    await payouts.queue.submit(order())
    await payouts.queue.tick()
    report = await payouts.one()
    assert report.state is PayoutState.MEMPOOL
    payouts.world.chain.drop(str(report.txid), "dropped_stale_garbage_collect")
    await payouts.settle(14)
    assert (await payouts.one()).txid == report.txid
    assert payouts.held() == 90


async def test_one_that_moves_nothing_fails_once_it_is_deep_and_goes_back(payouts: PayoutBench) -> None:
    await payouts.queue.submit(order(sats=2_000))
    payouts.world.chain.ledger.accounts[SENDER].balances[
        "ST1F7QA2MDF17S807EPA36TSS8AMEFY4KA9TVGWXT.sbtc-token::sbtc-token"
    ] = 5
    payouts.world.chain.ledger.minted["ST1F7QA2MDF17S807EPA36TSS8AMEFY4KA9TVGWXT.sbtc-token::sbtc-token"] = 5
    await payouts.queue.tick()
    payouts.mine()
    await payouts.queue.tick()
    assert (await payouts.one()).state is PayoutState.MEMPOOL
    assert payouts.told.ends == {}
    await payouts.settle()
    end = payouts.told.ends["rcl_1_0"]
    assert not end.is_paid
    assert str(end.reason).startswith("chain_abort")
    assert payouts.held() == 0


async def test_a_nonce_that_another_took_is_believed_late_and_another_is_signed(payouts: PayoutBench) -> None:
    payouts.die_at = "after_signing"
    await payouts.queue.submit(order())
    with pytest.raises(BaseException, match="after_signing"):
        await payouts.queue.tick()
    payouts.kill()
    payouts.start()
    first = await payouts.one()
    await send(payouts, foreign(0))
    payouts.mine(2)
    await payouts.queue.tick()
    assert (await payouts.one()).state is PayoutState.BROADCASTING
    await payouts.settle(20)
    report = await payouts.one()
    assert (report.state, report.nonce) == (PayoutState.CONFIRMED, 1)
    assert report.txid != first.txid
    assert payouts.held() == 90


async def test_nonces_follow_one_another(payouts: PayoutBench) -> None:
    for number in range(4):
        await payouts.queue.submit(order(f"rcl_{number}_0", sats=100 + number))
    await payouts.settle(30)
    assert sorted(p.nonce or 0 for p in await payouts.queue.of(WALLET)) == [0, 1, 2, 3]
    assert payouts.held() == 90 + 91 + 92 + 93


async def test_an_older_copy_of_the_queue_pays_nothing_again(payouts: PayoutBench, tmp_path: Path) -> None:
    """Its payout was paid after the copy was made: the chain has more of the key than the copy knows."""
    await payouts.queue.submit(order())
    payouts.kill()
    older = tmp_path / "older.sqlite"
    shutil.copy(payouts.path, older)
    payouts.start()
    await payouts.settle()
    assert (payouts.held(), (await payouts.one()).state) == (90, PayoutState.CONFIRMED)
    payouts.kill()
    payouts.path = older
    payouts.start()
    await payouts.settle()
    report = await payouts.one()
    assert (payouts.held(), report.state, report.waits_for) == (90, PayoutState.APPROVED, "key_used_elsewhere")
    await payouts.queue.deny("rcl_1_0")
    await payouts.settle(3)
    assert payouts.held() == 90


async def test_the_operator_who_has_used_the_key_lets_payouts_pass(payouts: PayoutBench) -> None:
    await send(payouts, foreign(0))
    payouts.mine()
    await payouts.queue.submit(order())
    await payouts.queue.submit(order("rcl_2_0", sats=50))
    await payouts.settle(3)
    assert (payouts.held(), (await payouts.one()).waits_for) == (0, "key_used_elsewhere")
    assert (await payouts.queue.approve("rcl_1_0")).waits_for is None
    await payouts.settle(24)
    assert payouts.held() == 90 + 40


async def test_without_a_key_it_waits_and_says_so(payouts: PayoutBench) -> None:
    payouts.has_key = False
    await payouts.queue.submit(order())
    await payouts.settle(3)
    report = await payouts.one()
    assert (report.state, report.waits_for) == (PayoutState.APPROVED, "payout_key")
    payouts.has_key = True
    await payouts.settle(12)
    assert payouts.held() == 90


async def test_a_large_one_waits_for_the_operator_who_can_deny_it_until_it_is_signed(payouts: PayoutBench) -> None:
    payouts.policy = PayoutPolicy(approve_above_usat=50 * SAT, payout_max_usat=500 * SAT)
    payouts.kill()
    queue = payouts.start()
    for name in ("rcl_1_0", "rcl_2_0"):
        assert (await queue.submit(order(name))).waits_for == "approval"
    assert (await queue.submit(order("rcl_3_0", sats=501))).waits_for == "payout_limit"
    await payouts.settle(3)
    assert payouts.held() == 0
    with pytest.raises(SatboxError) as refused:
        await queue.approve("rcl_3_0")
    assert refused.value.code == "payout_limit"
    assert (await queue.approve("rcl_1_0")).state is PayoutState.APPROVED
    assert (await queue.deny("rcl_2_0")).state is PayoutState.FAILED
    assert (await queue.deny("rcl_2_0")).state is PayoutState.FAILED
    await queue.tick()
    for act in (queue.deny("rcl_1_0"), queue.approve("rcl_2_0")):
        with pytest.raises(SatboxError) as refused:
            await act
        assert refused.value.code == "payout_state"
    with pytest.raises(SatboxError) as refused:
        await queue.approve("rcl_none")
    assert refused.value.code == "payout_not_found"
    await payouts.settle(12)
    assert payouts.held() == 90
    assert payouts.told.ends["rcl_2_0"].reason == "denied"


async def test_a_day_has_its_limit_and_the_next_one_goes_on(payouts: PayoutBench) -> None:
    payouts.policy = PayoutPolicy(wallet_day_usat=150 * SAT)
    payouts.kill()
    queue = payouts.start()
    await queue.submit(order())
    assert (await queue.submit(order("rcl_2_0"))).waits_for == "wallet_day_limit"
    await payouts.settle(12)
    assert payouts.held() == 90
    payouts.clock.ms += 86_400_000
    await payouts.settle(12)
    assert payouts.held() == 180


async def test_a_wallet_that_can_not_be_reached_is_told_later(payouts: PayoutBench) -> None:
    payouts.told.trouble = 3
    await payouts.queue.submit(order())
    await payouts.settle(16)
    assert payouts.told.calls == 4
    assert payouts.told.ends["rcl_1_0"].is_paid


@pytest.mark.parametrize(
    "bad",
    [{"asset": "USDCx"}, {"to": "nobody"}, {"to": "SP2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKNRV9EJ7"}, {"sats": 5, "fee": 5}],
)
async def test_what_no_wallet_orders_is_refused(payouts: PayoutBench, bad: dict) -> None:
    with pytest.raises(SatboxError):
        await payouts.queue.submit(order(**bad))
    assert await payouts.queue.of(WALLET) == []


def test_signing_again_gives_the_same_bytes() -> None:
    assert sign(order(), PAYOUT_KEY, NETWORK, 3, 3_000) == sign(order(), PAYOUT_KEY, NETWORK, 3, 3_000)


@given(st.integers(1, 10**13), st.integers(0, 10**13), st.integers(0, 10**13))
def test_nothing_goes_out_unseen_beyond_a_limit(usat: int, day: int, wallet: int) -> None:
    policy = PayoutPolicy()
    if waits_for(policy, usat, Spent(day, wallet)) is None:
        assert usat <= min(policy.payout_max_usat, policy.approve_above_usat)
        assert day + usat <= policy.day_usat
        assert wallet + usat <= policy.wallet_day_usat


def test_the_key_is_sealed_and_never_overwritten(tmp_path) -> None:
    path, phrase = tmp_path / "payout.json", "a long enough phrase"
    write_key(path, PAYOUT_KEY, phrase)
    assert PAYOUT_KEY.secret.hex() not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_key(path, phrase) == PAYOUT_KEY
    with pytest.raises(FileExistsError):
        write_key(path, PrivateKey(bytes(31) + b"\x01"), phrase)
    with pytest.raises(KeyUnavailable):
        read_key(path, phrase + "!")
    path.write_text(path.read_text().replace(SENDER, ORIGIN))
    with pytest.raises(KeyUnavailable):
        read_key(path, phrase)
    path.chmod(0o644)
    with pytest.raises(KeyUnavailable, match="chmod"):
        read_key(path, phrase)
    with pytest.raises(ValueError, match="characters"):
        write_key(tmp_path / "other.json", PAYOUT_KEY, "short")


@pytest.mark.parametrize(
    "content",
    [
        '{"header": {"version": 1, "kdf": "scrypt", "cipher": "aes-256-gcm", "salt": "00", "n": 1e999}}',
        "[" * 4000,
        "[]",
        "1",
    ],
)
def test_a_key_file_of_any_content_is_a_key_that_is_not_available(tmp_path, content: str) -> None:
    path = tmp_path / "payout.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(KeyUnavailable):
        read_key(path, "a long enough phrase")


def test_where_the_passphrase_comes_from(tmp_path) -> None:
    path, named = tmp_path / "payout.json", tmp_path / "phrase"
    with pytest.raises(KeyUnavailable, match="no payout key"):
        KeyFile(path)()
    write_key(path, PAYOUT_KEY, "a long enough phrase")
    with pytest.raises(KeyUnavailable, match="passphrase"):
        KeyFile(path, environment={})()
    assert KeyFile(path, environment={"SATBOX_PAYOUT_PASSPHRASE": "a long enough phrase"})() == PAYOUT_KEY
    named.write_text("a long enough phrase\n")
    assert KeyFile(path, named, environment={})() == PAYOUT_KEY
