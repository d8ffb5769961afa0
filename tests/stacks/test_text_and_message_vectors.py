import pytest

from stacks.c32 import Address
from stacks.clarity import StringAscii, Tuple, deserialize, serialize, to_text
from stacks.errors import WrongSigner
from stacks.hashes import sha256
from stacks.keys import PrivateKey, PublicKey, recover_vrs
from stacks.message import message_hash, recover_message, sign_message, verify_message
from stacks.network import Network
from stacks.sip018 import domain, recover_structured, sign_structured, structured_hash
from tests.stacks.stacks_vectors import load, parse_clarity

ADDRESSES, MESSAGES, STRUCTURED = load("stacks_addresses"), load("stacks_messages"), load("sip018")
KEY_A = "edf9aee84d9b7abc145504dde6726c64f369d37ee34ded868fabd876c26570bc01"
KEY_S = "753b7cc01a1a2e86221266a154af739463fce51219d97e4f856cd7200c3bd2a601"


@pytest.mark.parametrize("vector", ADDRESSES)
def test_address_of_a_key(vector: dict[str, str]) -> None:
    key = PrivateKey.from_hex(vector["private_key"])
    plain = PrivateKey.from_hex(vector["private_key"], compressed=False)

    assert key.public_key.data.hex() == vector["public_key_compressed"]
    assert plain.public_key.data.hex() == vector["public_key_uncompressed"]
    assert str(key.address(Network.MAINNET)) == vector["mainnet"]
    assert str(key.address(Network.TESTNET)) == vector["testnet"]
    assert str(plain.address(Network.MAINNET)) == vector["mainnet_uncompressed"]
    assert key.public_key.hash160.hex() == vector["hash160"]
    assert Address.parse(vector["mainnet"]).hash160.hex() == vector["hash160"]
    assert Address.parse(vector["mainnet"]).to_network(Network.TESTNET) == Address.parse(vector["testnet"])
    assert key.public_key.encoded(compressed=False) == plain.public_key


@pytest.mark.parametrize(
    ("version", "hash160", "text"),
    [
        (22, "15c31b8c1c11c515e244b75806bac48d1399c775", "SPAW66WC3G8WA5F28JVNG1NTRJ6H76E7EN5H6QQD"),
        (26, "15c31b8c1c11c515e244b75806bac48d1399c775", "STAW66WC3G8WA5F28JVNG1NTRJ6H76E7EMHDBMBN"),
        (22, "00" * 20, "SP000000000000000000002Q6VF78"),
        (26, "00" * 20, "ST000000000000000000002AMW42H"),
        (20, "00" * 20, "SM0000000000000000000062QV6X"),
        (21, "00" * 20, "SN000000000000000000003YDHWKJ"),
    ],
)
def test_address_text(version: int, hash160: str, text: str) -> None:
    address = Address(version, bytes.fromhex(hash160))

    assert str(address) == text
    assert Address.parse(text) == address


@pytest.mark.parametrize("vector", MESSAGES)
def test_plain_message(vector: dict[str, str]) -> None:
    key, message = PrivateKey.from_hex(vector["private_key"]), vector["message"]

    assert message_hash(message).hex() == vector["hash"]
    assert sign_message(key, message).hex() == vector["signature_rsv"]
    assert key.sign_vrs(message_hash(message)).hex() == vector["signature_vrs"]
    assert recover_vrs(message_hash(message), vector["signature_vrs"]) == key.public_key
    assert verify_message(message, vector["signature_rsv"], Address.parse(vector["address"])) == key.public_key


@pytest.mark.parametrize(
    ("message", "digest", "signature"),
    [
        (
            "Hello World",
            "953a54a2525205a2272ec27770ede65f6687a1e20725203f3198674c10b28f73",
            "78c66280688bba8cb2967fbe79cd281614d49d8c363bf327094627f28327aed61a8a92d74918155ee44108322e3d91e0"
            "8d7871b80a1ef15acca8c34c10e6f88d00",
        ),
        (
            "Bitcoin will be the currency of AIs",
            "dbe1440f576324e5a4ee0162019f9b3df7f3dfb7c15d6862c2667a0798415391",
            "1851ebad6b73e0b4b8899831adbfd27ca629ad02a61d5ff5ab5fca3bc999964404a13a7c2ea01d29b6e379a0c9dc1980"
            "c42b39880e784f86bbdaa36a83b2277d00",
        ),
        (
            "",
            "89da565bd5b575c8d3b4370ce0b5965eb43e51d4434680cfe72c9420f8e790b4",
            "762ba82c408a272780fbbadf86dcb2357e59d90eaf1424e1b2e97ee3103d45d744e0464b117614fa5b6b450bfc5f1648"
            "d4eae1cf97aa0067f99ef4f5efbe4cbf00",
        ),
    ],
)
def test_plain_message_of_key_a(message: str, digest: str, signature: str) -> None:
    assert message_hash(message).hex() == digest
    assert sign_message(PrivateKey.from_hex(KEY_A), message).hex() == signature


def test_message_by_another_key_is_refused() -> None:
    signature = sign_message(PrivateKey.from_hex(KEY_A), "hello")
    with pytest.raises(WrongSigner):
        verify_message("hello", signature, PrivateKey.from_hex(KEY_S).address(Network.MAINNET))


def test_long_messages_use_a_longer_length() -> None:
    key = PrivateKey.from_hex(KEY_A)
    for length in (252, 253, 65_535, 65_536):
        assert recover_message("x" * length, sign_message(key, "x" * length)) == key.public_key


@pytest.mark.parametrize("vector", STRUCTURED)
def test_sip018(vector: dict[str, object]) -> None:
    key = PrivateKey.from_hex(str(vector["private_key"]))
    message = parse_clarity(str(vector["message_pretty"]))
    raw_domain = deserialize(bytes.fromhex(str(vector["domain_clarity_hex"])))
    assert isinstance(raw_domain, Tuple)
    name, version = raw_domain.get("name"), raw_domain.get("version")
    assert isinstance(name, StringAscii)
    assert isinstance(version, StringAscii)
    network = Network.from_chain_id(int(str(vector["chain_id"])))
    here = domain(name.text, version.text, network.chain_id)

    assert to_text(message) == vector["message_pretty"]
    assert serialize(message).hex() == vector["message_clarity_hex"]
    assert deserialize(bytes.fromhex(str(vector["message_clarity_hex"]))) == message
    assert serialize(here).hex() == vector["domain_clarity_hex"]
    assert sha256(serialize(here)).hex() == vector["domain_hash"]
    assert sha256(serialize(message)).hex() == vector["message_hash"]
    assert sha256(bytes.fromhex(str(vector["encoded_hex"]))).hex() == vector["signed_hash"]
    assert structured_hash(here, message).hex() == vector["signed_hash"]
    assert sign_structured(key, here, message).hex() == vector["signature_rsv"]
    recovered = recover_structured(here, message, str(vector["signature_rsv"]))
    assert recovered == PublicKey(bytes.fromhex(str(vector["public_key"])))
    assert str(recovered.address(network)) == vector["address"]


def test_sip018_official_vectors() -> None:
    app, hello = domain("Test App", "1.0.0", 1), StringAscii("Hello World")

    assert sha256(serialize(hello)).hex() == "5297eef9765c466d945ad1cb2c81b30b9fed6c165575dc9226e9edf78b8cd9e8"
    assert (
        sha256(serialize(StringAscii(""))).hex() == "3c8f1b104592e3ebb2b2602b3979a27e77f586fb4c655369fa4eccb6d545a0f8"
    )
    assert sha256(serialize(app)).hex() == "2538b5dc06c5ae2f11549261d7ae174d9f77a55a92b00f330884695497be5065"
    assert structured_hash(app, hello).hex() == "1bfdab6d4158313ce34073fbb8d6b0fc32c154d439def12247a0f44bb2225259"
    assert sign_structured(PrivateKey.from_hex(KEY_S), app, hello).hex() == (
        "8b94e45701d857c9f1d1d70e8b2ca076045dae4920fb0160be0642a68cd78de072ab527b5c5277a593baeb2a8b657c216b99f7ab"
        "b5d14af35b4bf12ba6460ba401"
    )


def test_sip018_relay_auth() -> None:
    message = parse_clarity('(tuple (action "relay") (nonce u1708099200000) (expiry u1708099500000))')
    relay = domain("x402-sponsor-relay", "1", 2147483648)

    assert structured_hash(relay, message).hex() == "2944f20c8146dfaa727feb7100be62a938c36c0cd5fea6890fb423d1de71c405"
    assert sign_structured(PrivateKey.from_hex(KEY_A), relay, message).hex() == (
        "a81979d04b8cca5df8a2f3e8cee71efc74fccf086ba72eff19fa256a868a66ad45b98c4f62b9155d0d1c1173d6d7df771761cbc0"
        "b470cb29f817f36ce778755a01"
    )


def test_sip018_registration() -> None:
    message = parse_clarity(
        '(tuple (action "register") (btc-address "bc1q9vza2e8x573nczrlzms0wvx3gsqjx7vavgkx0l") '
        '(stx-address "SPAW66WC3G8WA5F28JVNG1NTRJ6H76E7EN5H6QQD") (timestamp u1760000000))'
    )
    site = domain("agentslovebitcoin.com", "1", 1)

    assert structured_hash(site, message).hex() == "a428706a8ad66281bceb3ad30f12a70ff0ba1404c72177fb8c19f6b3f669929d"
    assert sign_structured(PrivateKey.from_hex(KEY_A), site, message).hex() == (
        "23c080994067472b3d25e1acd3cba1d9b44dbc0fcd8100ad89ff463d9ab2d3ee3f325b079c5bb96c382f86322faae906461c4a46"
        "dde6e3cebc830492159dd83101"
    )
