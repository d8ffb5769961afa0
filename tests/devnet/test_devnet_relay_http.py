from devnet_twin import ALICE, BOB, SBTC_FUNDS, SERVICE, STX_FUNDS, Payer, Twin

from stacks.keys import PrivateKey
from stacks.network import Network
from stacks.signing import Sender, sip010_transfer
from stacks.tokens import sbtc

TO = SERVICE.address


async def status(twin: Twin, txid: str, *, live: bool = False) -> dict:
    return await twin.get(f"/relay/settle/status/{txid}" + ("?live=true" if live else ""))


async def test_success_comes_before_the_block(twin: Twin) -> None:
    tx = ALICE.pay_sbtc(TO, 250, 0)
    answer = await twin.settle(tx, TO, 250)
    assert answer == {
        "success": True,
        "payer": str(ALICE.address),
        "transaction": tx.txid(),
        "network": "stacks:2147483648",
    }
    before = await status(twin, tx.txid(), live=True)
    assert (before["status"], before["hiroStatus"]["txStatus"]) == ("pending", "pending")
    assert (await twin.tx(tx.txid()))["tx_status"] == "pending"

    await twin.mine()
    after = await status(twin, tx.txid())

    assert (after["status"], after["blockHeight"], after["payer"]) == ("confirmed", 1, str(ALICE.address))


async def test_a_sponsored_payment_costs_its_payer_no_fee(twin: Twin) -> None:
    tx = ALICE.pay_sbtc(TO, 250, 0, sponsored=True)
    answer = await twin.settle(tx, TO, 250)
    await twin.mine()
    done, record = await twin.tx(answer["transaction"]), await status(twin, answer["transaction"], live=True)

    assert answer["transaction"] != tx.txid()
    assert (done["tx_status"], done["sponsored"]) == ("success", True)
    assert (record["sponsorNonce"], record["walletIndex"], record["status"]) == (0, 0, "confirmed")
    assert await twin.balance(ALICE.address) == {"stx": STX_FUNDS, "sbtc": SBTC_FUNDS - 250}
    assert await twin.conserved()


async def test_the_cache_answers_before_anything_is_compared(twin: Twin) -> None:
    """Fact 2: a hit is a success whatever recipient and amount the caller asks for."""
    tx = ALICE.pay_sbtc(TO, 250, 0)
    first = await twin.settle(tx, TO, 250)

    assert await twin.settle(tx, BOB.address, 10**9) == first


async def test_the_cache_ends_after_300_seconds(twin: Twin) -> None:
    tx = ALICE.pay_sbtc(TO, 250, 0)
    await twin.settle(tx, TO, 250)
    twin.clock.seconds += 301

    assert (await twin.settle(tx, BOB.address, 250))["errorReason"] == "recipient_mismatch"


async def test_an_old_cache_entry_is_checked_with_the_chain(twin: Twin) -> None:
    tx = ALICE.pay_sbtc(TO, 250, 0)
    await twin.fault("abort", mode="abort_by_response")
    await twin.settle(tx, TO, 250)
    await twin.mine()
    assert (await twin.settle(tx, TO, 250))["success"]
    twin.clock.seconds += 61

    assert (await twin.settle(tx, TO, 250))["errorReason"] == "client_bad_nonce"


async def test_requirements(twin: Twin) -> None:
    tx = ALICE.pay_sbtc(TO, 250, 0)

    assert (await twin.settle(tx, BOB.address, 250))["errorReason"] == "recipient_mismatch"
    assert (await twin.settle(tx, TO, 251))["errorReason"] == "amount_insufficient"
    assert (await twin.settle(tx, TO, 250, "STX"))["errorReason"] == "unsupported_scheme"
    assert (await twin.settle(tx, TO, 250, "DOGE", status=400))["errorReason"] == "unrecognized_asset"
    assert (await twin.settle(tx, TO, 250, str(sbtc(Network.TESTNET).contract)))["success"]


async def test_shapes(twin: Twin) -> None:
    good = {
        "paymentPayload": {"payload": {"transaction": "00"}},
        "paymentRequirements": {"network": "stacks:2147483648", "payTo": str(TO), "amount": "1", "asset": "STX"},
    }
    assert (await twin.post("/relay/settle", {}, 400))["errorReason"] == "invalid_payload"
    assert (await twin.post("/relay/settle", {**good, "paymentRequirements": 1}, 400))["errorReason"] == (
        "invalid_payment_requirements"
    )
    assert (await twin.post("/relay/settle", good))["errorReason"] == "invalid_transaction_state"
    for name, value, reason in (
        ("network", "stacks:1", "invalid_network"),
        ("scheme", "upto", "invalid_scheme"),
        ("amount", "1.5", "invalid_payment_requirements"),
        ("amount", "-1", "invalid_payment_requirements"),
    ):
        body = {**good, "paymentRequirements": {**good["paymentRequirements"], name: value}}
        assert (await twin.post("/relay/settle", body, 400))["errorReason"] == reason


async def test_payment_identifiers(twin: Twin) -> None:
    tx, other = ALICE.pay_sbtc(TO, 250, 0), ALICE.pay_sbtc(TO, 260, 1)
    first = await twin.settle(tx, TO, 250, identifier="pay_0123456789abcdef")
    assert first["extensions"] == {"payment-identifier": {"info": {"id": "pay_0123456789abcdef"}}}

    assert await twin.settle(tx, TO, 250, identifier="pay_0123456789abcdef") == first
    conflict = await twin.settle(other, TO, 260, identifier="pay_0123456789abcdef", status=409)
    assert conflict["errorReason"] == "payment_identifier_conflict"
    assert (await twin.settle(other, TO, 260, identifier="short", status=400))["errorReason"] == "invalid_payload"


async def test_node_refusals_in_the_relays_words(twin: Twin) -> None:
    poor = Payer("poor")
    assert (await twin.settle(poor.pay_stx(TO, 5, 0), TO, 5, "STX"))["errorReason"] == "client_insufficient_funds"
    await twin.settle(ALICE.pay_stx(TO, 5, 0), TO, 5, "STX")
    assert (await twin.settle(ALICE.pay_stx(TO, 6, 0), TO, 5, "STX"))["errorReason"] == "conflicting_nonce"
    await twin.mine()
    assert (await twin.settle(ALICE.pay_stx(TO, 6, 0), TO, 5, "STX"))["errorReason"] == "client_bad_nonce"
    assert (await twin.settle(BOB.pay_stx(TO, 6, 0, fee=10), TO, 5, "STX"))["errorReason"] == "transaction_failed"
    unsigned = sip010_transfer(Sender(BOB.key.public_key, Network.TESTNET, 0, 900), sbtc(Network.TESTNET), TO, 5)
    assert (await twin.settle(unsigned, TO, 5))["errorReason"] == "signature_validation_failed"


async def test_a_nonce_gap_is_held_and_dispatched_when_it_closes(twin: Twin) -> None:
    ahead = await twin.settle(ALICE.pay_sbtc(TO, 10, 1, sponsored=True), TO, 10)
    assert ahead["errorReason"] == "transaction_held"
    assert (ahead["queue"]["missingNonces"], ahead["queue"]["nextExpectedNonce"]) == ([0], 0)

    await twin.settle(ALICE.pay_sbtc(TO, 20, 0, sponsored=True), TO, 20)
    await twin.mine()

    assert (await twin.balance(TO))["sbtc"] == 30


async def test_a_held_payment_expires(twin: Twin) -> None:
    await twin.settle(ALICE.pay_sbtc(TO, 10, 1, sponsored=True), TO, 10)
    twin.clock.seconds += 16 * 60
    await twin.settle(ALICE.pay_sbtc(TO, 20, 0, sponsored=True), TO, 20)
    await twin.mine()

    assert (await twin.balance(TO))["sbtc"] == 20


async def second_held(twin: Twin) -> dict:
    """The first payment is in a block, and the second is held all the same: the relay's frontier stays where it was."""
    await twin.settle(ALICE.pay_sbtc(TO, 20, 0, sponsored=True), TO, 20)
    await twin.mine()
    return await twin.settle(ALICE.pay_sbtc(TO, 10, 1, sponsored=True), TO, 10)


async def pass_minutes(twin: Twin, minutes: int) -> int:
    """Mine a block a minute; returns what the service has received then."""
    for _ in range(minutes):
        twin.clock.seconds += 60
        await twin.mine()
    return (await twin.balance(TO))["sbtc"]


async def test_a_second_sponsored_payment_is_held_for_five_minutes(twin: Twin) -> None:
    held = await second_held(twin)
    assert (held["errorReason"], held["queue"]["missingNonces"]) == ("transaction_held", [0])

    assert await pass_minutes(twin, 4) == 20
    assert await pass_minutes(twin, 3) == 30


async def test_a_resend_restarts_the_wait_of_a_held_payment(twin: Twin) -> None:
    await second_held(twin)
    for _ in range(6):
        assert await pass_minutes(twin, 2) == 20
        await twin.settle(ALICE.pay_sbtc(TO, 10, 1, sponsored=True), TO, 10)

    assert await pass_minutes(twin, 7) == 30


async def test_what_is_held_for_capacity_leaves_with_the_next_sweep(twin: Twin) -> None:
    """For want of a free sponsor wallet: nothing is missing, and the next sweep dispatches it."""
    await twin.fault("hold_nonce", count=1)
    held = await twin.settle(ALICE.pay_sbtc(TO, 10, 0, sponsored=True), TO, 10)
    assert (held["queue"]["missingNonces"], held["queue"]["estimatedDispatchMs"]) == ([], 10_000)

    assert await pass_minutes(twin, 2) == 10


async def test_a_relay_without_records_and_one_that_is_cold(twin: Twin) -> None:
    tx = ALICE.pay_sbtc(TO, 250, 0)
    await twin.settle(tx, TO, 250)
    await twin.fault("no_records", count=1)
    assert (await twin.get(f"/relay/settle/status/{tx.txid()}", 404))["success"] is False
    assert (await status(twin, tx.txid()))["success"] is True

    assert (await twin.get("/relay/status/sponsor"))["canSponsor"] is True
    await twin.fault("cold_relay", count=2)
    assert (await twin.get("/relay/health"))["status"] == "degraded"
    assert (await twin.get("/relay/status/sponsor"))["canSponsor"] is False


async def test_the_background_poll_ends_after_180_seconds(twin: Twin) -> None:
    tx = ALICE.pay_sbtc(TO, 250, 0)
    await twin.settle(tx, TO, 250)
    twin.clock.seconds += 181
    await twin.mine()

    assert (await status(twin, tx.txid()))["status"] == "pending"
    assert (await status(twin, tx.txid(), live=True))["status"] == "confirmed"


async def test_status_of_a_failure_and_of_nobody(twin: Twin) -> None:
    await twin.fault("abort", mode="abort_by_post_condition")
    tx = ALICE.pay_sbtc(TO, 250, 0)
    await twin.settle(tx, TO, 250)
    await twin.mine()
    failed = await status(twin, tx.txid())

    assert (failed["status"], failed["errorReason"]) == ("failed", "abort_by_post_condition")
    missing = await twin.get("/relay/settle/status/" + "ab" * 32, 404)
    assert missing["success"] is False


async def test_verify_only_compares(twin: Twin) -> None:
    forged = sip010_transfer(Sender(BOB.key.public_key, Network.TESTNET, 0, 900), sbtc(Network.TESTNET), TO, 5)
    body = {
        "paymentPayload": {"payload": {"transaction": "0x" + forged.serialize().hex()}},
        "paymentRequirements": {"network": "stacks:2147483648", "payTo": str(TO), "amount": "5", "asset": "sBTC"},
    }
    assert await twin.post("/relay/verify", body) == {"isValid": True, "payer": str(BOB.address)}
    body["paymentRequirements"]["amount"] = "6"
    assert (await twin.post("/relay/verify", body))["invalidReason"] == "amount_insufficient"


async def test_small_paths(twin: Twin) -> None:
    assert await twin.get("/relay/supported") == {
        "kinds": [{"x402Version": 2, "scheme": "exact", "network": "stacks:2147483648"}],
        "extensions": ["payment-identifier"],
        "signers": {"stacks:*": []},
    }
    assert (await twin.get("/relay/health"))["status"] == "ok"
    assert (await twin.get("/relay/fees"))["fees"]["contract_call"]["low_priority"] > 0


async def test_sponsor_keys_differ_from_payers(twin: Twin) -> None:
    sponsors = (await twin.get("/devnet/status"))["sponsors"]

    assert len(set(sponsors)) == 3
    assert str(PrivateKey(ALICE.key.secret).address(Network.TESTNET)) not in sponsors
