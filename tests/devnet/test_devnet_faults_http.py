import aiohttp
import pytest
from devnet_twin import ALICE, BOB, SERVICE, Twin

TO = SERVICE.address


async def test_delay(twin: Twin) -> None:
    await twin.fault("delay", seconds=7, routes="relay", count=1)
    await twin.get("/stacks/v2/info")
    await twin.get("/relay/health")
    await twin.get("/relay/health")

    assert twin.clock.slept == [7]


async def test_drop_reply_does_the_work_first(twin: Twin) -> None:
    await twin.fault("drop_reply", path="/settle", count=1)
    tx = ALICE.pay_sbtc(TO, 250, 0)
    with pytest.raises(aiohttp.ClientError):
        await twin.settle(tx, TO, 250)

    assert (await twin.tx(tx.txid()))["tx_status"] == "pending"
    assert (await twin.settle(tx, TO, 250))["transaction"] == tx.txid()


async def test_drop_reply_can_pick_an_address(twin: Twin) -> None:
    await twin.fault("drop_reply", address=str(BOB.address))
    assert (await twin.settle(ALICE.pay_sbtc(TO, 5, 0), TO, 5))["success"]
    with pytest.raises(aiohttp.ClientError):
        await twin.settle(BOB.pay_sbtc(TO, 5, 0), TO, 5)


async def test_down(twin: Twin) -> None:
    await twin.fault("down", routes="relay", count=1)
    await twin.get("/relay/health", 503)
    await twin.fault("down", routes="stacks", mode="refuse", count=1)
    with pytest.raises(aiohttp.ClientError):
        await twin.broadcast(ALICE.pay_stx(TO, 1, 0))
    assert (await twin.get("/devnet/status"))["pending"] == 0
    await twin.fault("down", routes="aibtc", mode="hang", count=1)
    await twin.get("/aibtc/api/levels", 503)
    assert twin.clock.slept == [60]
    await twin.get("/relay/health")


async def test_rate_limit(twin: Twin) -> None:
    await twin.fault("rate_limit", routes="stacks", seconds=30, count=1)
    async with twin.client.get("/stacks/v2/info") as reply:
        assert (reply.status, reply.headers["Retry-After"]) == (429, "30")
    await twin.get("/stacks/v2/info")


async def test_hold_confirmations_until_lifted(twin: Twin) -> None:
    held, free = ALICE.pay_stx(TO, 1, 0), BOB.pay_stx(TO, 2, 0)
    fault = await twin.fault("hold_confirmations", txid="0x" + held.txid())
    for tx in (held, free):
        await twin.broadcast(tx)
    await twin.mine(3)
    assert (await twin.tx(held.txid()))["tx_status"] == "pending"
    assert (await twin.tx(free.txid()))["tx_status"] == "success"
    async with twin.client.delete(f"/devnet/faults/{fault['id']}") as reply:
        assert reply.status == 200
    await twin.mine()

    assert (await twin.tx(held.txid()))["tx_status"] == "success"


async def test_hold_for_a_number_of_blocks(twin: Twin) -> None:
    await twin.fault("hold_confirmations", address=str(ALICE.address), count=2)
    txid = await twin.broadcast(ALICE.pay_stx(TO, 1, 0))
    await twin.mine(2)
    assert (await twin.tx(txid))["tx_status"] == "pending"
    await twin.mine()

    assert (await twin.tx(txid))["block_height"] == 3


@pytest.mark.parametrize("mode", ["abort_by_response", "abort_by_post_condition"])
async def test_abort_on_chain(twin: Twin, mode: str) -> None:
    await twin.fault("abort", mode=mode, address=str(ALICE.address), count=1)
    txid = await twin.broadcast(ALICE.pay_sbtc(TO, 5, 0))
    await twin.mine()
    done = await twin.tx(txid)

    assert (done["tx_status"], done["events"]) == (mode, [])
    assert (await twin.balance(TO))["sbtc"] == 0
    assert await twin.conserved()


async def test_replaced_by_another_transaction(twin: Twin) -> None:
    await twin.fault("replace", address=str(ALICE.address), count=1)
    txid = await twin.broadcast(ALICE.pay_sbtc(TO, 5, 0))
    await twin.mine()
    lost = await twin.tx(txid)
    rival = await twin.tx(str(lost["replaced_by_tx_id"]).removeprefix("0x"))

    assert lost["tx_status"] == "dropped_replace_by_fee"
    assert (rival["sender_address"], rival["nonce"], rival["tx_status"]) == (str(ALICE.address), 0, "abort_by_response")
    assert (await twin.get(f"/stacks/v2/accounts/{ALICE.address}?proof=0"))["nonce"] == 1
    assert (await twin.balance(TO))["sbtc"] == 0


async def test_reorganised_transactions_return_and_confirm_again(twin: Twin) -> None:
    txid = await twin.broadcast(ALICE.pay_sbtc(TO, 5, 0))
    await twin.mine(2)
    first = await twin.tx(txid)
    undone = await twin.post("/devnet/faults", {"kind": "reorg", "blocks": 2})
    assert (undone["height"], undone["txids"]) == (0, [txid])
    assert (await twin.tx(txid))["tx_status"] == "pending"
    assert (await twin.balance(TO))["sbtc"] == 0
    assert (await twin.get(f"/stacks/v2/accounts/{ALICE.address}?proof=0"))["nonce"] == 0
    await twin.mine()
    again = await twin.tx(txid)

    assert again["tx_status"] == "success"
    assert again["block_hash"] != first["block_hash"]
    assert await twin.conserved()


async def test_reorganised_transactions_can_vanish(twin: Twin) -> None:
    txid = await twin.broadcast(ALICE.pay_sbtc(TO, 5, 0))
    await twin.mine()
    await twin.post("/devnet/reorg", {"blocks": 1, "vanish": True})

    await twin.tx(txid, 404)
    assert (await twin.balance(TO))["sbtc"] == 0
    assert await twin.conserved()


async def test_drop_from_the_mempool(twin: Twin) -> None:
    txid = await twin.broadcast(ALICE.pay_sbtc(TO, 5, 0))
    await twin.post("/devnet/faults", {"kind": "drop", "txid": txid, "status": "dropped_stale_garbage_collect"})
    await twin.mine()

    assert (await twin.tx(txid))["tx_status"] == "dropped_stale_garbage_collect"
    await twin.post("/devnet/faults", {"kind": "drop", "txid": txid}, 400)


async def test_hold_nonce(twin: Twin) -> None:
    await twin.fault("hold_nonce", address=str(ALICE.address), count=1)
    tx = ALICE.pay_sbtc(TO, 5, 0, sponsored=True)

    assert (await twin.settle(tx, TO, 5))["errorReason"] == "transaction_held"
    assert (await twin.settle(tx, TO, 5))["success"]


async def test_relay_error_before_and_after_the_work(twin: Twin) -> None:
    await twin.fault("relay_error", error_reason="unexpected_settle_error", status=500, count=1)
    tx = ALICE.pay_sbtc(TO, 5, 0)
    assert (await twin.settle(tx, TO, 5, status=500))["errorReason"] == "unexpected_settle_error"
    await twin.tx(tx.txid(), 404)
    await twin.fault("relay_error", error_reason="broadcast_failed", after_work=True, count=1)
    assert (await twin.settle(tx, TO, 5))["errorReason"] == "broadcast_failed"

    assert (await twin.tx(tx.txid()))["tx_status"] == "pending"


@pytest.mark.parametrize("mode", ["first", "second"])
async def test_sponsored_twice_confirms_once(twin: Twin, mode: str) -> None:
    """One origin-signed payment, two txids: only the second can confirm, whichever the relay names."""
    await twin.fault("sponsor_twice", mode=mode, count=1)
    answer = await twin.settle(ALICE.pay_sbtc(TO, 5, 0, sponsored=True), TO, 5)
    await twin.mine()
    named = await twin.tx(answer["transaction"])
    listed = await twin.get(f"/stacks/extended/v1/address/{ALICE.address}/transactions")

    assert named["tx_status"] == ("dropped_replace_by_fee" if mode == "first" else "success")
    assert [r["tx_status"] for r in listed["results"]] == ["success"]
    assert (await twin.balance(TO))["sbtc"] == 5
    await twin.settle(BOB.pay_sbtc(TO, 5, 0, sponsored=True), TO, 5)
    await twin.mine()
    assert (await twin.balance(TO))["sbtc"] == 10  # no sponsor nonce was left as a gap


async def test_forgotten_caches(twin: Twin) -> None:
    tx = ALICE.pay_sbtc(TO, 5, 0, sponsored=True)
    first = await twin.settle(tx, TO, 5)
    await twin.post("/devnet/faults", {"kind": "forget_caches"})

    assert (await twin.settle(tx, TO, 5))["errorReason"] == "conflicting_nonce"
    assert first["success"]


async def test_switches_are_listed_and_cleared(twin: Twin) -> None:
    await twin.fault("delay", seconds=1)
    await twin.fault("down", routes="relay")
    listed = (await twin.get("/devnet/faults"))["faults"]
    assert [fault["kind"] for fault in listed] == ["delay", "down"]
    async with twin.client.delete("/devnet/faults") as reply:
        assert await reply.json() == {"removed": 2}
    await twin.get("/relay/health")
    async with twin.client.delete("/devnet/faults/1") as reply:
        assert reply.status == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kind": "nothing"},
        {"kind": "delay", "seconds": 61},
        {"kind": "delay", "seconds": "1"},
        {"kind": "delay", "count": 0},
        {"kind": "delay", "count": True},
        {"kind": "delay", "id": 3},
        {"kind": "down", "mode": "sideways"},
        {"kind": "down", "routes": "devnet"},
        {"kind": "relay_error", "status": 99},
        {"kind": "reorg", "blocks": -1},
        {"kind": "reorg", "vanish": 1},
    ],
)
async def test_switches_that_cannot_be(twin: Twin, body: dict) -> None:
    assert "error" in await twin.post("/devnet/faults", body, 400)
