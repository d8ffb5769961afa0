"""The routes of verification: the command line's answers over HTTP, open to anybody, within limits."""

import asyncio
import io
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gate.actions import verification
from gate.actions.verification import WAITING_MAX, report
from operations.catalogue import REGISTRY
from operations.errors import SatboxError
from operations.verification import FEATURE
from satbox.client import Client, ClientSettings
from stacks import Network
from stacks.clarity import UInt, serialize
from stacks.verification import (
    ALGORITHMS,
    address_report,
    bitcoin_report,
    clarity_report,
    message_report,
    sip018_report,
    transaction_report,
)
from tests.gate.gatehouse import House, gatehouse
from tests.stacks.stacks_vectors import load
from tests.stacks.test_verify_commands import HASHES

TRANSACTIONS: list[dict[str, Any]] = load("stacks_transactions")
MESSAGES: list[dict[str, Any]] = load("stacks_messages")
STRUCTURED: list[dict[str, Any]] = load("sip018")
BITCOIN: list[dict[str, Any]] = load("bitcoin_messages")
DECODE_TX = "/stacks/decode/transaction"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with gatehouse(tmp_path) as made:
        yield made


async def post(house: House, path: str, **body: Any) -> dict[str, Any]:
    answer = await house.ask("POST", path, json=body)
    assert answer.status == 200, answer.raw
    document: dict[str, Any] = answer.body
    return document


def _told(document: dict[str, Any]) -> dict[str, Any]:
    """Without the fields that only one kind of spending condition has: on the wire the other kind has them as null."""
    for signer in (document.get("origin"), document.get("sponsor")):
        if signer is not None:
            for name in ("key_encoding", "signature", "signatures_required", "fields"):
                signer.setdefault(name, None)
    return document


async def test_transactions(house: House) -> None:
    for vector in TRANSACTIONS:
        text = vector.get("sponsored_hex") or vector["origin_signed_hex"]
        document = await post(house, DECODE_TX, hex="0x" + text)
        assert document == _told(transaction_report(text))
        assert (document["valid"], document["txid"]) == (True, vector["txid"])


async def test_clarity_values(house: House) -> None:
    for vector in STRUCTURED:
        text = vector["message_clarity_hex"]
        assert await post(house, "/stacks/decode/clarity", hex=text) == clarity_report(text)
    largest = serialize(UInt((1 << 128) - 1)).hex()
    assert (await post(house, "/stacks/decode/clarity", hex=largest))["value"] == (1 << 128) - 1


async def test_addresses(house: House) -> None:
    for vector in load("stacks_addresses"):
        answer = await house.ask("GET", f"/stacks/address/{vector['mainnet']}")
        assert answer.body == address_report(vector["mainnet"])
    for wrong in ("SP000000000000000000002Q6VF79", "nobody", "S" * 90):
        answer = await house.ask("GET", f"/stacks/address/{wrong}")
        assert (answer.status, answer.code) == (400, "stx_address_invalid")


async def test_structured_data(house: House) -> None:
    for vector in STRUCTURED:
        given = {
            "domain_hex": vector["domain_clarity_hex"], "message_hex": vector["message_clarity_hex"],
            "signature": vector["signature_rsv"], "address": vector["address"],
        }  # fmt: skip
        assert await post(house, "/stacks/verify/sip018", **given) == sip018_report(**given)
        wrong = given | {"address": MESSAGES[1]["address"]}
        refused = await post(house, "/stacks/verify/sip018", **wrong)
        assert (refused["valid"], refused["address"]) == (False, vector["address"])


async def test_messages(house: House) -> None:
    for vector in MESSAGES:
        given = {"message": vector["message"], "signature": vector["signature_rsv"], "address": vector["address"]}
        assert await post(house, "/stacks/verify/message", **given) == message_report(**given)
        assert not (await post(house, "/stacks/verify/message", **{**given, "message": "another"}))["valid"]


async def test_bitcoin_messages(house: House) -> None:
    for vector in BITCOIN:
        for scheme in ("bip137", "bip322"):
            for kind, signature in vector[scheme].items():
                given = {"address": vector["addresses"][kind], "message": vector["message"], "signature": signature}
                document = await post(house, "/stacks/verify/btc-message", **given)
                assert document == bitcoin_report(**given)
                assert (document["valid"], document["scheme"], document["address_type"]) == (True, scheme, kind)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_hashes(house: House, algorithm: str) -> None:
    path = f"/hashing/{algorithm}"
    assert await post(house, path, data="abc") == {
        "hash": HASHES[algorithm], "algorithm": algorithm, "encoding": "hex", "inputLength": 3,
    }  # fmt: skip
    assert (await post(house, path, data="0x616263"))["hash"] == HASHES[algorithm]
    assert (await post(house, path, data="abc", encoding="base64"))["hash"].endswith("=") or algorithm != "sha256"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        (DECODE_TX, {"hex": "deadbeef"}, 422, "bytes_invalid"),
        (DECODE_TX, {"hex": "zz"}, 400, "invalid_request"),
        (DECODE_TX, {"hex": ""}, 400, "invalid_request"),
        (DECODE_TX, {}, 400, "invalid_request"),
        (DECODE_TX, {"hex": "00" * 131_073}, 400, "invalid_request"),
        (DECODE_TX, {"hex": "00", "more": 1}, 400, "invalid_request"),
        ("/stacks/decode/clarity", {"hex": "0a" * 40 + "03"}, 422, "bytes_invalid"),
        ("/stacks/decode/clarity", {"hex": "03" * 65_537}, 400, "invalid_request"),
        (
            "/stacks/verify/sip018",
            {"domain_hex": "03", "message_hex": "03", "signature": "00" * 65},
            422,
            "bytes_invalid",
        ),
        ("/stacks/verify/sip018", {"domain_hex": "03", "message_hex": "03", "signature": "?"}, 400, "invalid_request"),
        ("/stacks/verify/message", {"message": "x", "signature": "00" * 65, "address": "ST1"}, 400, "invalid_request"),
        ("/stacks/verify/message", {"message": "x" * 65_537, "signature": "00" * 65}, 400, "invalid_request"),
        ("/stacks/verify/message", {"message": "é" * 65_536, "signature": "00" * 65}, 400, "invalid_request"),
        ("/stacks/verify/btc-message", {"address": "1", "message": "x", "signature": "AA=="}, 400, "invalid_request"),
        ("/hashing/md5", {"data": "x"}, 400, "invalid_request"),
        ("/hashing/sha256", {"data": "0xf"}, 400, "invalid_request"),
    ],
)
async def test_what_cannot_be_judged(house: House, path: str, body: Any, status: int, code: str) -> None:
    answer = await house.ask("POST", path, json=body)
    assert (answer.status, answer.code) == (status, code)
    assert answer.funds_moved is False


async def test_bodies_have_a_limit(house: House) -> None:
    for path, name, chars, status, code in (
        (DECODE_TX, "hex", 5 << 20, 413, "body_too_large"),
        ("/hashing/sha256", "data", (1 << 20) + 1, 400, "invalid_request"),
    ):
        body = io.BytesIO(json.dumps({name: "0" * chars}).encode())
        answer = await house.ask("POST", path, data=body)
        assert (answer.status, answer.code) == (status, code)


async def test_only_so_many_wait_and_payments_do_not(house: House) -> None:
    """Reports run on a thread of their own: while it is taken the next ones wait, more are told to come back."""
    taken, go_on = threading.Event(), threading.Event()

    def slow() -> dict[str, Any]:
        taken.set()
        assert go_on.wait(30)
        return {}

    waiting = [asyncio.create_task(report(house.services.settings, slow)) for _ in range(WAITING_MAX)]
    try:
        assert await asyncio.to_thread(taken.wait, 30)
        answer = await house.ask("POST", "/hashing/sha256", json={"data": "x"})
        assert (answer.status, answer.code) == (503, "overloaded")
        assert answer.headers["Retry-After"] == "1"
        assert (await house.ask("GET", "/sandbox/quote?sats=1")).status == 200
    finally:
        go_on.set()
        await asyncio.gather(*waiting)
    assert verification._waiting == 0
    assert (await house.ask("POST", "/hashing/sha256", json={"data": "x"})).status == 200


async def test_an_operator_may_switch_it_off(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, verifies_for_anybody=False) as house:
        for operation in FEATURE.operations:
            path = operation.path.format(address="SP000000000000000000002Q6VF78", algorithm="sha256")
            body = {name: "00" for name in operation.input.model_fields if name not in operation.path_fields}
            sent = {name: value for name, value in body.items() if name not in ("network", "encoding")}
            answer = await house.ask(operation.method, path, json=sent if operation.method == "POST" else None)
            assert (answer.status, answer.code) == (404, "not_found")


async def test_the_client_reads_what_the_gate_says(house: House) -> None:
    vector = TRANSACTIONS[0]
    async with Client(ClientSettings(str(house.client.make_url("")), Network.TESTNET)) as client:
        told = await client.stacks_decode_transaction(vector["origin_signed_hex"])
        assert (told.txid, told.valid) == (vector["txid"], True)
        with pytest.raises(SatboxError, match="bytes_invalid"):
            await client.stacks_decode_transaction("deadbeef")


async def test_machines_are_told_of_every_operation(house: House) -> None:
    described = (await house.ask("GET", "/openapi.json")).body["paths"]
    words = (await house.ask("GET", "/llms.txt")).raw.decode()
    for operation in FEATURE.operations:
        assert REGISTRY[operation.name] is operation
        assert operation.method.lower() in described[operation.path]
        assert f"{operation.method} {operation.path}:" in words
    assert json.dumps(described)
