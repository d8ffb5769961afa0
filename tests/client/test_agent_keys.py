"""Keys on disk, and what they sign."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gate.genesis.bitcoin import parse_bitcoin_address, verify_bitcoin
from operations.errors import SatboxError
from satbox.agent.keystore import Keystore, agent_of
from satbox.agent.private_file import write_private
from satbox.agent.signing import sign_bitcoin_message
from stacks import Network, PrivateKey


def test_keys_are_kept_private_and_read_back(tmp_path: Path) -> None:
    keystore = Keystore(tmp_path)
    made = keystore.create("alice")
    assert keystore.path("alice").stat().st_mode & 0o777 == 0o600
    assert keystore.path("alice").parent.stat().st_mode & 0o777 == 0o700
    assert keystore.load("alice") == made
    assert keystore.names() == ["alice"]
    assert made.mainnet.stx.startswith("SP")
    assert made.testnet.stx.startswith("ST")
    assert made.mainnet.btc.startswith("bc1q")
    assert made.testnet.btc.startswith("tb1q")
    assert made.stacks_key != made.bitcoin_key


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    keystore = Keystore(tmp_path)
    made = keystore.create("alice")
    for again in (lambda: keystore.create("alice"), lambda: keystore.save(made)):
        with pytest.raises(SatboxError) as caught:
            again()
        assert caught.value.code == "already_exists"
    assert keystore.load("alice") == made
    assert [path.name for path in keystore.path("alice").parent.iterdir()] == ["alice.json"]


def test_keys_that_others_can_read_are_refused(tmp_path: Path) -> None:
    keystore = Keystore(tmp_path)
    keystore.create("alice")
    keystore.path("alice").chmod(0o644)
    with pytest.raises(SatboxError, match="chmod 600"):
        keystore.load("alice")


def _change(path: Path, **changes: Any) -> None:
    write_private(path, json.dumps(json.loads(path.read_text()) | changes).encode(), overwrite=True)


@pytest.mark.parametrize(
    "changes", [{"version": 2}, {"stacks_private_key": "11" * 32}, {"bitcoin_private_key": "zz"}, {"addresses": {}}]
)
def test_a_changed_key_file_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    keystore = Keystore(tmp_path)
    keystore.create("alice")
    _change(keystore.path("alice"), **changes)
    with pytest.raises(SatboxError, match="not an agent's key file"):
        keystore.load("alice")


@pytest.mark.parametrize("name", ["", "../x", "a/b", "A", "x" * 65, ".hidden"])
def test_a_name_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(SatboxError, match="name"):
        Keystore(tmp_path).path(name)


def test_secrets_are_not_in_the_repr(tmp_path: Path) -> None:
    made = Keystore(tmp_path).create("alice")
    for key in (made.stacks_key, made.bitcoin_key):
        assert key.secret.hex() not in repr(made)
        assert repr(key.secret) not in repr(made)


@settings(max_examples=30, deadline=None)
@given(secret=st.integers(1, 2**255), text=st.text(min_size=1, max_size=300))
def test_bitcoin_signatures_verify_at_the_gate(secret: int, text: str) -> None:
    key = PrivateKey(secret.to_bytes(32, "big"))
    address = agent_of("x", key, key).testnet.btc
    signature = sign_bitcoin_message(key, text)
    assert 39 <= base64.b64decode(signature)[0] <= 42
    assert verify_bitcoin(parse_bitcoin_address(address, Network.TESTNET), text, signature) == "bip137"


def test_mainnet_bitcoin_signatures_verify_as_well() -> None:
    key = PrivateKey(bytes(31) + b"\x07")
    address = parse_bitcoin_address(agent_of("x", key, key).mainnet.btc, Network.MAINNET)
    assert verify_bitcoin(address, "hello", sign_bitcoin_message(key, "hello")) == "bip137"
    with pytest.raises(SatboxError):
        verify_bitcoin(address, "hello", sign_bitcoin_message(PrivateKey(bytes(31) + b"\x08"), "hello"))
