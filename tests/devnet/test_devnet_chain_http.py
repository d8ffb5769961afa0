from dataclasses import replace

import pytest
from devnet_twin import ALICE, BOB, SBTC_FUNDS, SERVICE, STX_FUNDS, Payer, Twin

from stacks.c32 import Principal
from stacks.clarity import NoneValue, UInt, principal_value
from stacks.network import Network
from stacks.postconditions import PostConditionMode
from stacks.signing import Sender, contract_call, sign_origin, sign_sponsor
from stacks.spending import SingleSig
from stacks.tokens import sbtc
from stacks.transaction import Transaction


async def test_stx_transfer_confirms_in_the_next_block(twin: Twin) -> None:
    tx = ALICE.pay_stx(SERVICE.address, 1_000, 0)
    txid = await twin.broadcast(tx)
    assert txid == tx.txid()
    pending = await twin.tx(txid)
    assert (pending["tx_status"], pending["tx_type"]) == ("pending", "token_transfer")
    assert "block_height" not in pending

    await twin.mine()
    done = await twin.tx(txid)

    assert (done["tx_status"], done["block_height"], done["canonical"]) == ("success", 1, True)
    assert done["tx_result"] == {"hex": "0x0703", "repr": "(ok true)"}
    assert done["events"][0]["asset"] == {
        "asset_event_type": "transfer",
        "sender": str(ALICE.address),
        "recipient": str(SERVICE.address),
        "amount": "1000",
        "memo": "0x" + b"x402:test".ljust(34, b"\0").hex(),
    }
    assert (await twin.balance(ALICE.address))["stx"] == STX_FUNDS - 1_000 - 400
    assert (await twin.balance(SERVICE.address))["stx"] == 1_000
    assert await twin.conserved()


async def test_sbtc_transfer_shows_call_event_and_memo(twin: Twin) -> None:
    txid = await twin.broadcast(ALICE.pay_sbtc(SERVICE.address, 250, 0))
    await twin.mine()
    done = await twin.tx(txid)

    assert done["tx_status"] == "success"
    assert done["contract_call"]["contract_id"] == str(sbtc(Network.TESTNET).contract)
    assert [(a["name"], a["repr"]) for a in done["contract_call"]["function_args"]][:3] == [
        ("amount", "u250"),
        ("sender", str(ALICE.address)),
        ("recipient", str(SERVICE.address)),
    ]
    assert done["events"][0]["asset"] == {
        "asset_event_type": "transfer",
        "asset_id": sbtc(Network.TESTNET).asset_id,
        "sender": str(ALICE.address),
        "recipient": str(SERVICE.address),
        "amount": "250",
    }
    assert done["events"][1]["contract_log"]["topic"] == "print"
    assert done["event_count"] == 2
    assert done["post_conditions"][0]["condition_code"] == "sent_equal_to"
    assert (await twin.balance(SERVICE.address))["sbtc"] == 250


async def test_nonces_follow_chain_and_mempool(twin: Twin) -> None:
    path = f"/stacks/extended/v1/address/{ALICE.address}/nonces"
    fresh = await twin.get(path)
    assert fresh == {
        "last_mempool_tx_nonce": None,
        "last_executed_tx_nonce": None,
        "possible_next_nonce": 0,
        "detected_missing_nonces": [],
        "detected_mempool_nonces": [],
    }
    await twin.broadcast(ALICE.pay_stx(SERVICE.address, 1, 0))
    await twin.broadcast(ALICE.pay_stx(SERVICE.address, 1, 2))
    gap = await twin.get(path)
    assert (gap["possible_next_nonce"], gap["detected_missing_nonces"]) == (3, [1])
    await twin.mine()
    assert (await twin.get(f"/stacks/v2/accounts/{ALICE.address}?proof=0"))["nonce"] == 1
    await twin.broadcast(ALICE.pay_stx(SERVICE.address, 1, 1))
    await twin.mine()
    assert (await twin.get(path))["last_executed_tx_nonce"] == 2


async def test_a_chain_of_nonces_confirms_in_one_block(twin: Twin) -> None:
    for nonce in (2, 1, 0):
        await twin.broadcast(ALICE.pay_stx(SERVICE.address, 1, nonce))

    assert len((await twin.mine())["txids"]) == 3


async def rejected(twin: Twin, tx: Transaction) -> tuple[str, dict | None]:
    body = await twin.broadcast(tx, 400)
    assert isinstance(body, dict)
    assert body["error"] == "transaction rejected"
    assert body["txid"] == tx.txid()
    return body["reason"], body.get("reason_data")


async def test_rejections_in_the_nodes_words(twin: Twin) -> None:
    to, poor = SERVICE.address, Payer("poor")
    await twin.broadcast(ALICE.pay_stx(to, 1, 0))
    await twin.mine()

    assert await rejected(twin, ALICE.pay_stx(to, 1, 0)) == (
        "BadNonce",
        {"expected": 1, "actual": 0, "principal": str(ALICE.address), "is_origin": True},
    )
    reason, data = await rejected(twin, ALICE.pay_stx(to, 1, 26))
    assert (reason, data["is_origin"]) == ("TooMuchChaining", True)
    assert await rejected(twin, ALICE.pay_stx(to, 1, 1, fee=179)) == ("FeeTooLow", {"expected": 180, "actual": 179})
    reason, data = await rejected(twin, poor.pay_stx(to, 1, 0))
    assert reason == "NotEnoughFunds"
    assert data == {"expected": f"0x{400:032x}", "actual": f"0x{0:032x}"}
    assert (await rejected(twin, ALICE.pay_stx(to, STX_FUNDS, 1)))[0] == "NotEnoughFunds"
    assert await rejected(twin, ALICE.pay_stx(ALICE.address, 1, 1)) == (
        "TransferRecipientCannotEqualSender",
        {"recipient": str(ALICE.address)},
    )
    assert await rejected(twin, ALICE.pay_stx(to, 0, 1)) == ("TransferAmountMustBePositive", None)
    mainnet = Payer("alice", Network.MAINNET)
    assert await rejected(twin, mainnet.pay_stx(to, 1, 1)) == ("BadTransactionVersion", None)
    signed = ALICE.pay_stx(to, 1, 1)
    assert isinstance(signed.origin, SingleSig)
    forged = replace(signed, origin=replace(signed.origin, fee=500))
    assert (await rejected(twin, forged))[0] == "SignatureValidation"


def call(
    contract: str, function: str, arguments: tuple, mode: PostConditionMode = PostConditionMode.ALLOW
) -> Transaction:
    sender = Sender(ALICE.key.public_key, Network.TESTNET, 0, 900)
    tx = contract_call(sender, Principal.parse(contract), function, arguments, post_condition_mode=mode)
    return sign_origin(tx, ALICE.key)


def transfer_arguments(amount: int, sender: Payer, to: Payer) -> tuple:
    people = (principal_value(Principal(who.address)) for who in (sender, to))
    return (UInt(amount), *people, NoneValue())


SBTC = str(sbtc(Network.TESTNET).contract)


async def test_contract_rejections(twin: Twin) -> None:
    fine = transfer_arguments(1, ALICE, SERVICE)
    unknown = f"{ALICE.address}.sbtc-token"

    assert await rejected(twin, call(unknown, "transfer", fine)) == ("NoSuchContract", None)
    assert await rejected(twin, call(SBTC, "mint", fine)) == ("NoSuchPublicFunction", None)
    assert (await rejected(twin, call(SBTC, "transfer", fine[:3])))[0] == "BadFunctionArgument"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (transfer_arguments(SBTC_FUNDS + 1, ALICE, SERVICE), "u1"),
        (transfer_arguments(1, ALICE, ALICE), "u2"),
        (transfer_arguments(0, ALICE, SERVICE), "u3"),
        (transfer_arguments(1, BOB, SERVICE), "u4"),
    ],
)
async def test_sip010_errors_abort_by_response_and_cost_the_fee(twin: Twin, arguments: tuple, code: str) -> None:
    txid = await twin.broadcast(call(SBTC, "transfer", arguments))
    await twin.mine()
    done = await twin.tx(txid)

    assert (done["tx_status"], done["tx_result"]["repr"]) == ("abort_by_response", f"(err {code})")
    assert done["events"] == []
    assert await twin.balance(ALICE.address) == {"stx": STX_FUNDS - 900, "sbtc": SBTC_FUNDS}
    assert await twin.conserved()


@pytest.mark.parametrize("mode", [PostConditionMode.DENY, PostConditionMode.ORIGINATOR])
async def test_a_movement_no_condition_names_aborts(twin: Twin, mode: PostConditionMode) -> None:
    """The trap of the PyPI client: 0x02 with an empty list. It costs the fee and moves nothing."""
    txid = await twin.broadcast(call(SBTC, "transfer", transfer_arguments(5, ALICE, SERVICE), mode))
    await twin.mine()

    assert (await twin.tx(txid))["tx_status"] == "abort_by_post_condition"
    assert await twin.balance(ALICE.address) == {"stx": STX_FUNDS - 900, "sbtc": SBTC_FUNDS}


async def test_a_higher_fee_replaces_and_an_equal_one_conflicts(twin: Twin) -> None:
    first = await twin.broadcast(ALICE.pay_stx(SERVICE.address, 1, 0, fee=400))
    assert await rejected(twin, ALICE.pay_stx(SERVICE.address, 2, 0, fee=400)) == ("ConflictingNonceInMempool", None)
    second = await twin.broadcast(ALICE.pay_stx(SERVICE.address, 2, 0, fee=401))
    await twin.mine()

    assert (await twin.tx(first))["tx_status"] == "dropped_replace_by_fee"
    assert (await twin.tx(first))["replaced_by_tx_id"] == "0x" + second
    assert (await twin.tx(second))["tx_status"] == "success"
    assert (await twin.balance(SERVICE.address))["stx"] == 2


async def test_the_same_bytes_twice_are_one_transaction(twin: Twin) -> None:
    tx = ALICE.pay_stx(SERVICE.address, 7, 0)

    assert await twin.broadcast(tx) == await twin.broadcast(tx)
    await twin.mine()
    assert (await twin.balance(SERVICE.address))["stx"] == 7


async def test_a_sponsor_pays_the_fee(twin: Twin) -> None:
    tx = sign_sponsor(ALICE.pay_stx(SERVICE.address, 9, 0, sponsored=True), BOB.key, 700, 0)
    txid = await twin.broadcast(tx)
    await twin.mine()
    done = await twin.tx(txid)

    assert (done["tx_status"], done["sponsored"], done["sponsor_address"]) == ("success", True, str(BOB.address))
    assert (await twin.balance(ALICE.address))["stx"] == STX_FUNDS - 9
    assert (await twin.balance(BOB.address))["stx"] == STX_FUNDS - 700


async def test_an_account_may_sponsor_itself(twin: Twin) -> None:
    txid = await twin.broadcast(sign_sponsor(ALICE.pay_stx(SERVICE.address, 9, 0, sponsored=True), ALICE.key, 700, 0))
    await twin.mine()

    assert (await twin.tx(txid))["tx_status"] == "success"
    assert (await twin.get(f"/stacks/v2/accounts/{ALICE.address}?proof=0"))["nonce"] == 1


async def test_lists_of_an_addresss_transactions(twin: Twin) -> None:
    first = await twin.broadcast(ALICE.pay_stx(SERVICE.address, 1, 0))
    await twin.mine()
    second = await twin.broadcast(ALICE.pay_stx(SERVICE.address, 1, 1))
    base = f"/stacks/extended/v1/address/{SERVICE.address}"
    done, waiting = await twin.get(base + "/transactions"), await twin.get(base + "/mempool")
    mine = await twin.get(f"/stacks/extended/v1/tx/mempool?sender_address={ALICE.address}")

    assert [r["tx_id"] for r in done["results"]] == ["0x" + first]
    assert [r["tx_id"] for r in waiting["results"]] == [r["tx_id"] for r in mine["results"]] == ["0x" + second]
    assert (done["total"], done["limit"], done["offset"]) == (1, 20, 0)


async def test_small_paths(twin: Twin) -> None:
    assert await twin.get("/stacks/v2/fees/transfer") == 1
    assert (await twin.get("/stacks/v2/info"))["network_id"] == 0x80000000
    for path in ("/stacks/extended/v1/status", "/stacks/extended", "/stacks/extended/"):
        assert (await twin.get(path))["status"] == "ready"
    fees = await twin.get("/stacks/extended/v2/mempool/fees")
    assert fees["contract_call"]["medium_priority"] > 0
    payload = ALICE.pay_sbtc(SERVICE.address, 1, 0).payload.serialize().hex()
    estimate = await twin.post("/stacks/v2/fees/transaction", {"transaction_payload": payload, "estimated_len": 350})
    assert [e["fee"] for e in estimate["estimations"]] == [350, 700, 1400]
    await twin.post("/stacks/v2/fees/transaction", {"transaction_payload": "zz"}, 400)
    assert await twin.tx("ab" * 32, 404) == {"error": "could not find transaction by ID"}
    await twin.get("/stacks/extended/v1/tx/0x12", 400)
    await twin.get("/stacks/extended/v1/address/nobody/nonces", 400)


async def test_noise_is_refused(twin: Twin) -> None:
    async with twin.client.post("/stacks/v2/transactions", data=b"\x80noise") as reply:
        body = await reply.json()
    assert (reply.status, body["reason"]) == (400, "Deserialization")
    async with twin.client.post("/stacks/v2/transactions", data=bytes(300_000)) as reply:
        assert reply.status == 413
    async with twin.client.post("/relay/settle", data=b"[" * 5_000) as reply:
        assert reply.status == 400
