"""Receipts for payments and for commands: signed, bound to the chain, checkable by anybody with the operator's key."""

import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gate.parts.receipts import ReceiptSigner
from satbox.audit.keys import NotAKey, public_key_of
from satbox.audit.receipts import check_receipt
from tests.cli.running import satbox
from tests.gate.gatehouse import House, Who, gatehouse, split_output

SIGNER = ReceiptSigner(Ed25519PrivateKey.from_private_bytes(bytes(32)))
REPORT = {
    "driver": "bubblewrap", "cgroup_kind": "v2", "unsupported": [], "warm": {}, "egress": "off",
    "checks": [{"name": "seccomp", "status": "ok", "reason": ""}, {"name": "volumes", "status": "missing", "reason": "-"}],
}  # fmt: skip


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with gatehouse(tmp_path) as built:
        yield built


def commands(house: House, **result: Any) -> list[Any]:
    """Have the simulated node run commands, with this result."""
    asked: list[Any] = []

    async def execute(runtime_id: str, command: Any, **options: Any) -> tuple[dict[str, Any], dict[str, bytearray]]:
        asked.append(command)
        return split_output({"exit_code": 0, "duration_ms": 1500.4, "cpu_ms": 3.7, "max_rss_bytes": 4096, **result})

    async def doctor() -> dict[str, Any]:
        asked.append("doctor")
        return REPORT

    house.node.exec_bytes, house.node.doctor = execute, doctor  # type: ignore[attr-defined]
    return asked


async def ran(house: House, who: Who, **body: Any) -> Any:
    answer = await house.ask("POST", "/sandbox/exec", who=who, json={"receipt": True, **body})
    assert answer.status == 200, answer.raw
    return answer.body


async def test_a_receipt_names_what_ran_and_what_came_out(house: House) -> None:
    who = await house.agent()
    await house.created(who)
    commands(
        house, stdout="out", stderr_base64=base64.b64encode(b"\xff").decode(), truncated={"stdout_bytes_dropped": 9}
    )
    stdin = base64.b64encode(b"input").decode()
    body = await ran(house, who, argv=["cat", "-"], stdin=stdin, env={"A": "1"})
    key = (await house.ask("GET", "/key")).body["public_key"]
    assert check_receipt(body, key).items == []
    said = body["receipt"]["statement"]
    salt = bytes.fromhex(body["receipt_salt"])
    assert len(salt) == 32

    def sha(data: bytes) -> Any:
        return hashlib.sha256(salt + data)

    assert said["stdout"] == {"sha256": sha(b"out").hexdigest(), "bytes": 3, "bytes_cut_off": 9}
    assert said["stderr"] == {"sha256": sha(b"\xff").hexdigest(), "bytes": 1, "bytes_cut_off": 0}
    assert said["stdin_sha256"] == sha(b"input").hexdigest()
    assert said["command_sha256"] == sha(b'{"argv":["cat","-"]}').hexdigest()
    assert (said["wallet"], said["payer"], said["caller"]) == (who.address,) * 3
    assert said["usage"] == {"cpu_ms": 4, "max_rss_bytes": 4096, "duration_ms": 1500}
    assert said["price"] == {"rate_usat_per_second": "7000", "time_usat": "10500"}
    assert (said["policy"]["enforced"], said["policy"]["missing"]) == (["seccomp"], ["volumes"])
    assert said["policy"]["limits"]["processes"] == 256
    state = house.state(who)
    assert (said["journal_seq"], said["journal_head"]) == (state.seq, state.head)


async def test_without_being_asked_nothing_is_signed_and_nobody_else_is_asked(house: House) -> None:
    who = await house.agent()
    await house.created(who)
    asked = commands(house)
    answer = await house.ask("POST", "/sandbox/exec", who=who, json={"shell": "true"})
    assert answer.body["receipt"] is None
    assert asked == ["true"]
    await ran(house, who, shell="true")
    await ran(house, who, shell="true")
    assert asked == ["true", "true", "doctor", "true"]
    both = await house.ask("POST", "/sandbox/exec", who=who, json={"shell": "x", "receipt": True, "stream": True})
    assert both.code == "invalid_request"


@pytest.mark.parametrize(
    "change",
    [
        {"stdout": "other"}, {"stderr": "x"}, {"exit_code": 1}, {"truncated": {"stdout_bytes_dropped": 1}},
        {"signal": 9}, {"runtime_id": "rt_other"}, {"stdout_base64": "!"}, {"start_error": "x"}, {"evidence": "hardware"},
        {"cpu_ms": 9e9}, {"max_rss_bytes": 1}, {"duration_ms": 1e9}, {"cost": 5}, {"truncated": {"x": 1}},
        {"stdout": "FAKE", "stdout_base64": base64.b64encode(b"out").decode()},
    ],
)  # fmt: skip
async def test_an_answer_that_was_changed_does_not_fit_its_receipt(house: House, change: dict[str, Any]) -> None:
    who = await house.agent()
    await house.created(who)
    commands(house, stdout="out")
    body = await ran(house, who, shell="echo out")
    found = check_receipt({**body, **change}, house.services.receipts.public_key)
    assert {item.rule for item in found.items} == {"answer"}


async def test_a_settlements_receipt_carries_the_chain_head(house: House) -> None:
    who = await house.agent()
    paid = (await house.created(who)).body
    assert check_receipt(paid, house.services.receipts.public_key).is_clean
    later = {"status": "confirmed", "payment": {**paid["payment"], "status": "confirmed"}}
    looked_at_later = check_receipt({**paid, **later}, house.services.receipts.public_key)
    assert looked_at_later.is_clean
    assert ("status" in str(looked_at_later.not_proven)) == (paid["status"] != "confirmed")
    said = paid["receipt"]["statement"]
    assert {"journal_head", "journal_seq", "payment_id", "credited_usat", "payer", "txid"} <= said.keys()
    assert not check_receipt({**paid, "paymentId": "pay_other"}, house.services.receipts.public_key).is_clean


@pytest.mark.parametrize(
    "change",
    [
        {"state": "confirmed"}, {"credited_usat": 10**15}, {"sats": 10**9}, {"txid": "0x00"}, {"status": "confirmed"},
        {"payment": {"credited_usat": 10**15}}, {"payment": {"txid": "0x00"}}, {"payment": {"amount": "9"}},
        {"payment": {"address": "SP000000000000000000002Q6VF78"}}, {"payment": {"sats": 9}}, {"payment": {"asset": "STX"}},
        {"payment": {"status": "confirmed", "credited_usat": 10**15}, "status": "confirmed"}, {"paymentId": "pay_other"},
    ],
)  # fmt: skip
async def test_an_answer_to_a_payment_that_was_changed_does_not_fit(house: House, change: dict[str, Any]) -> None:
    who = await house.agent()
    paid = (await house.created(who)).body
    if change == {"status": paid["status"]}:
        change = {"status": "mempool"}
    forged = {**paid, **change, "payment": {**paid["payment"], **change.get("payment", {})}}
    found = check_receipt(forged, house.services.receipts.public_key)
    assert {item.rule for item in found.items} == {"answer"}


async def test_a_receipt_alone_says_nothing_of_short_secrets(house: House) -> None:
    who = await house.agent()
    await house.created(who)
    commands(house, stdout="no")
    first, second = [await ran(house, who, shell="login", env={"PIN": "7"}, stdin="MQ==") for _ in range(2)]
    names = ("command_sha256", "env_sha256", "stdin_sha256", "stdout", "stderr")
    said, again = first["receipt"]["statement"], second["receipt"]["statement"]
    assert all(said[name] != again[name] for name in names)
    guesses = [b'{"PIN":"7"}', b'{"shell":"login"}', b"1", b"no", b""]
    assert not {hashlib.sha256(guess).hexdigest() for guess in guesses} & set(re.findall("[0-9a-f]{64}", str(said)))
    assert first["receipt_salt"] not in str(first["receipt"])
    key = house.services.receipts.public_key
    for salt in (None, "", second["receipt_salt"], first["receipt_salt"] + "00", "x"):
        assert not check_receipt({**first, "receipt_salt": salt}, key).is_clean


async def test_a_receipt_has_three_parts_and_nothing_beside_them(house: House) -> None:
    who = await house.agent()
    await house.created(who)
    commands(house, stdout="out")
    body = await ran(house, who, shell="echo out")
    key, bare = house.services.receipts.public_key, body["receipt"]
    assert check_receipt(bare, key).is_clean
    for forged in (
        {**bare, "stdout": "FAKE", "exit_code": 1},
        {**bare, "receipt": bare},
        {**body, "receipt": {**bare, "stdout": "FAKE"}},
        {"statement": bare, "stdout": "FAKE", "exit_code": 1},
    ):
        assert {item.rule for item in check_receipt(forged, key).items} == {"format"}


@given(st.data())
def test_no_byte_of_a_receipt_can_be_changed(data: st.DataObject) -> None:
    statement = {"kind": "exec", "n": data.draw(st.integers(-(2**53) + 1, 2**53 - 1)), "text": data.draw(st.text())}
    raw = bytearray(json.dumps(SIGNER.sign(statement).model_dump()).encode())
    assert check_receipt(json.loads(raw), SIGNER.public_key).is_clean
    at, flip = data.draw(st.integers(0, len(raw) - 1)), data.draw(st.integers(1, 255))
    before = json.loads(raw)
    raw[at] ^= flip
    try:
        after = json.loads(raw)
    except ValueError:
        return
    if after != before:
        assert not check_receipt(after, SIGNER.public_key).is_clean


def test_keys_are_read_in_every_form_they_are_passed_on(tmp_path: Path) -> None:
    key = SIGNER.public_key
    pem = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )  # fmt: skip
    for content in (pem, key.encode() + b"\n", json.dumps({"public_key": key}).encode()):
        (tmp_path / "key").write_bytes(content)
        assert public_key_of(str(tmp_path / "key")) == key
    assert public_key_of(key) == key
    for bad in ("", "x" * 9, base64.b64encode(bytes(31)).decode()):
        with pytest.raises(NotAKey):
            public_key_of(bad)


async def test_the_command_line_says_whether_a_receipt_holds(tmp_path: Path) -> None:
    receipt = SIGNER.sign({"kind": "settlement", "payment_id": "pay_1"}).model_dump()
    file = tmp_path / "receipt.json"
    file.write_text(json.dumps(receipt))
    good = await satbox("verify", "receipt", str(file), "--key", SIGNER.public_key, home=tmp_path)
    assert (good.code, good.document["valid"]) == (0, True)
    other = ReceiptSigner(Ed25519PrivateKey.generate()).public_key
    bad = await satbox("verify", "receipt", "-", "--key", other, home=tmp_path, stdin=file.read_bytes())
    assert (bad.code, {f["rule"] for f in bad.document["findings"]}) == (1, {"key", "signature"})
    assert (await satbox("verify", "receipt", str(file), home=tmp_path)).code == 2
    assert (await satbox("verify", "receipt", "-", "--key", "?", home=tmp_path, stdin=b"{}")).code == 2
    assert (await satbox("verify", "receipt", "-", "--key", other, home=tmp_path, stdin=b"not json")).code == 2
