"""The genesis gate: real signatures of every kind, each way to fail by its own code, and the devnet's registry over HTTP."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gate.genesis import Challenger, verify_proof
from gate.genesis.bitcoin import CURVE_ORDER, parse_bitcoin_address, verify_bitcoin
from operations.errors import SatboxError
from satbox.agent.keystore import Agent, agent_of
from satbox.agent.signing import sign_bitcoin_message
from stacks import Network, PrivateKey
from stacks.sip018 import sign_structured
from tests.gate.gatehouse import DEPLOYMENT, Answer, House

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "bitcoin_messages.json").read_text())
SIGNED = [
    pytest.param(v, kind, scheme, id=f"{scheme}-{kind}-{v['network']}-{v['private_key'][:4]}")
    for v in VECTORS
    for scheme in ("bip137", "bip322")
    for kind in v[scheme]
]
NETWORKS = {"mainnet": Network.MAINNET, "testnet": Network.TESTNET}
REGISTRATION_TEXT = "Bitcoin will be the currency of AIs"


@pytest.fixture(scope="module")
def pair() -> Agent:
    return agent_of("genesis", PrivateKey(b"\x21" * 32), PrivateKey(b"\x22" * 32))


@pytest.fixture(scope="module")
def other() -> Agent:
    return agent_of("other", PrivateKey(b"\x31" * 32), PrivateKey(b"\x32" * 32))


def code_of(call: Any, *arguments: Any) -> str:
    with pytest.raises(SatboxError) as refused:
        call(*arguments)
    assert refused.value.funds_moved is False
    return refused.value.code


# Bitcoin


@pytest.mark.parametrize(("vector", "kind", "scheme"), SIGNED)
def test_every_kind_of_signature_and_address(vector: dict[str, Any], kind: str, scheme: str) -> None:
    address = parse_bitcoin_address(vector["addresses"][kind], NETWORKS[vector["network"]])
    signature = vector[scheme][kind]
    assert verify_bitcoin(address, vector["message"], signature) == scheme
    assert code_of(verify_bitcoin, address, vector["message"] + " ", signature) == "btc_signature_invalid"
    stranger = next(v for v in VECTORS if v["network"] == vector["network"] and v is not vector)
    theirs = parse_bitcoin_address(stranger["addresses"][kind], None)
    assert code_of(verify_bitcoin, theirs, vector["message"], signature) == "btc_signature_invalid"
    foreign = Network.TESTNET if vector["network"] == "mainnet" else Network.MAINNET
    assert code_of(parse_bitcoin_address, vector["addresses"][kind], foreign) == "btc_network_mismatch"


def test_high_s_is_named() -> None:
    vector = VECTORS[0]
    for kind, signature in vector["bip137"].items():
        raw = base64.b64decode(signature)
        s = CURVE_ORDER - int.from_bytes(raw[33:], "big")
        bent = bytes([raw[0] ^ 1]) + raw[1:33] + s.to_bytes(32, "big")
        address = parse_bitcoin_address(vector["addresses"][kind], None)
        assert (
            code_of(verify_bitcoin, address, vector["message"], base64.b64encode(bent).decode()) == "signature_high_s"
        )


def test_schemes_that_are_not_defined_for_an_address() -> None:
    vector = VECTORS[0]
    taproot = parse_bitcoin_address(vector["addresses"]["p2tr"], None)
    assert code_of(verify_bitcoin, taproot, vector["message"], vector["bip137"]["p2wpkh"]) == "btc_signature_invalid"
    legacy = parse_bitcoin_address(vector["addresses"]["p2pkh"], None)
    assert code_of(verify_bitcoin, legacy, vector["message"], vector["bip322"]["p2wpkh"]) == "btc_signature_invalid"


@pytest.mark.parametrize("signature", ["", "not base64!", "AAAA", base64.b64encode(bytes(65)).decode(), "A" * 1000])
def test_nonsense_signatures(signature: str) -> None:
    for kind in ("p2pkh", "p2sh_p2wpkh", "p2wpkh", "p2tr"):
        address = parse_bitcoin_address(VECTORS[0]["addresses"][kind], None)
        assert code_of(verify_bitcoin, address, "x", signature) == "btc_signature_invalid"


@pytest.mark.parametrize(
    "address",
    [
        "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3",  # p2wsh
        "bc1qgd7aemch3fxcgehv0ncyvm6n8ux4zqa2kjvdx9",  # checksum
        "bc1QGD7AEMCH3fxcgehv0ncyvm6n8ux4zqa2kjvdx8",  # mixed case
        "179s3yC4frUXeHSA2BxKigiG4nhi5NtCkG",
        "LVg2kJoFNg45Nbpy53h7Fe1wKyeXVRhMH9",  # another coin
        "satoshi@example.org",
        "bc1",
        "1" * 90,
    ],
)
def test_addresses_that_cannot_prove_themselves(address: str) -> None:
    assert code_of(parse_bitcoin_address, address, None) == "btc_address_unsupported"


# The whole proof, through the gate


async def challenged(house: House, agent: Agent, scope: str = "owner") -> dict[str, Any]:
    """A challenge, as the gate words it."""
    body = {"btc_address": agent.testnet.btc, "stx_address": agent.testnet.stx, "scope": scope}
    answer = await house.ask("POST", "/gate/challenge", json=body)
    assert answer.status == 200, answer.raw
    found: dict[str, Any] = answer.body
    return found


def signed(house: House, agent: Agent, challenge: dict[str, Any], *, untyped: bool = False) -> dict[str, str]:
    """Both signatures over a challenge."""
    claims = house.services.challenger.read(challenge["challenge"])
    message = claims.untyped_message() if untyped else claims.message()
    return {
        "challenge": challenge["challenge"],
        "btc_signature": sign_bitcoin_message(agent.bitcoin_key, challenge["text"]),
        "stx_signature": sign_structured(agent.stacks_key, house.services.challenger.domain(), message).hex(),
    }


async def prove(house: House, proof: dict[str, str]) -> Answer:
    return await house.ask("POST", "/gate/prove", json=proof)


async def register(house: House, agent: Agent, level: int = 2, btc: str | None = None) -> None:
    body = {"btcAddress": btc or agent.mainnet.btc, "stxAddress": agent.mainnet.stx, "level": level}
    await house.devnet_post("agents", body)


@pytest.mark.parametrize("untyped", [False, True])
async def test_a_registered_pair_gets_a_pass(house: House, pair: Agent, untyped: bool) -> None:
    await register(house, pair)
    answer = await prove(house, signed(house, pair, await challenged(house, pair), untyped=untyped))
    assert (answer.status, answer.body["address"], answer.body["level"]) == (200, pair.testnet.stx, 2)
    opened = await house.ask(
        "POST", "/sandbox/create", headers={"Authorization": f"Bearer {answer.body['token']}"}, json={}
    )
    assert opened.status == 402


async def test_a_proof_counts_once(house: House, pair: Agent) -> None:
    await register(house, pair)
    proof = signed(house, pair, await challenged(house, pair))
    assert (await prove(house, proof)).status == 200
    again = await prove(house, proof)
    assert (again.status, again.code) == (409, "challenge_replayed")


async def test_a_failed_proof_does_not_use_the_challenge_up(house: House, pair: Agent) -> None:
    await register(house, pair)
    proof = signed(house, pair, await challenged(house, pair))
    assert (await prove(house, proof | {"stx_signature": "00" * 65})).code == "stx_signature_invalid"
    assert (await prove(house, proof)).status == 200


async def test_a_challenge_expires(house: House, pair: Agent) -> None:
    await register(house, pair)
    proof = signed(house, pair, await challenged(house, pair))
    house.clock.ahead_ms += 301_000
    assert (await prove(house, proof)).code == "challenge_expired"


async def test_a_challenge_is_bound_to_deployment_network_key_and_kind(house: House, pair: Agent) -> None:
    await register(house, pair)
    key, now = house.services.operator_key, house.clock.now
    elsewhere = Challenger(key, deployment="elsewhere", network=Network.TESTNET, wall_seconds=now)
    mainnet = Challenger(key, deployment=DEPLOYMENT, network=Network.MAINNET, wall_seconds=now)
    stranger = Challenger(
        Ed25519PrivateKey.generate(), deployment=DEPLOYMENT, network=Network.TESTNET, wall_seconds=now
    )
    proof = signed(house, pair, await challenged(house, pair))
    for token in (
        elsewhere.issue(pair.testnet.btc, pair.testnet.stx, "owner").token,
        mainnet.issue(pair.mainnet.btc, pair.mainnet.stx, "owner").token,
        stranger.issue(pair.testnet.btc, pair.testnet.stx, "owner").token,
        house.services.passes.issue(pair.testnet.stx, pair.testnet.btc, 2, "owner", 0)[0],
        "x" * 40,
    ):
        assert (await prove(house, proof | {"challenge": token})).code == "challenge_invalid"


async def test_a_proof_for_another_network_or_scope_does_not_carry_over(house: House, pair: Agent) -> None:
    claims = house.services.challenger.read((await challenged(house, pair))["challenge"])
    domain = house.services.challenger.domain()
    for changed in (replace(claims, scope="exec"), replace(claims, nonce="0" * 32), replace(claims, expires_at=1)):
        btc = sign_bitcoin_message(pair.bitcoin_key, claims.text())
        stx = sign_structured(pair.stacks_key, domain, changed.message()).hex()
        assert code_of(verify_proof, claims, domain, btc, stx, Network.TESTNET) == "stx_signature_invalid"
        btc = sign_bitcoin_message(pair.bitcoin_key, changed.text())
        stx = sign_structured(pair.stacks_key, domain, claims.message()).hex()
        assert code_of(verify_proof, claims, domain, btc, stx, Network.TESTNET) == "btc_signature_invalid"
    foreign = Challenger(
        Ed25519PrivateKey.generate(), deployment=DEPLOYMENT, network=Network.MAINNET, wall_seconds=house.clock.now
    ).domain()
    btc = sign_bitcoin_message(pair.bitcoin_key, claims.text())
    stx = sign_structured(pair.stacks_key, foreign, claims.message()).hex()
    assert code_of(verify_proof, claims, domain, btc, stx, Network.TESTNET) == "stx_signature_invalid"


async def test_the_public_registration_text_proves_nothing(house: House, pair: Agent) -> None:
    await register(house, pair)
    proof = signed(house, pair, await challenged(house, pair))
    replayed = proof | {"btc_signature": sign_bitcoin_message(pair.bitcoin_key, REGISTRATION_TEXT)}
    assert (await prove(house, replayed)).code == "btc_signature_invalid"


async def test_each_signature_needs_its_own_key(house: House, pair: Agent, other: Agent) -> None:
    await register(house, pair)
    challenge = await challenged(house, pair)
    proof = signed(house, pair, challenge)
    wrong_btc = proof | {"btc_signature": sign_bitcoin_message(other.bitcoin_key, challenge["text"])}
    assert (await prove(house, wrong_btc)).code == "btc_signature_invalid"
    wrong_stx = proof | {"stx_signature": signed(house, other, challenge)["stx_signature"]}
    assert (await prove(house, wrong_stx)).code == "stx_signature_invalid"


async def test_a_high_s_stacks_signature_is_named(house: House, pair: Agent) -> None:
    await register(house, pair)
    proof = signed(house, pair, await challenged(house, pair))
    raw = bytes.fromhex(proof["stx_signature"])
    s = CURVE_ORDER - int.from_bytes(raw[32:64], "big")
    bent = raw[:32] + s.to_bytes(32, "big") + bytes([raw[64] ^ 1])
    assert (await prove(house, proof | {"stx_signature": bent.hex()})).code == "signature_high_s"


async def test_the_pair_must_be_registered_together_at_genesis(house: House, pair: Agent, other: Agent) -> None:
    proof = signed(house, pair, await challenged(house, pair))
    answer = await prove(house, proof)
    assert (answer.status, answer.code) == (403, "pair_not_registered")
    await register(house, pair, btc=other.mainnet.btc)
    house.clock.ahead_ms += 11_000  # a no is remembered for ten seconds
    assert (await prove(house, proof)).code == "pair_mismatch"


async def test_level_one_is_too_low(house: House, pair: Agent) -> None:
    await register(house, pair, level=1)
    answer = await prove(house, signed(house, pair, await challenged(house, pair)))
    assert (answer.status, answer.code) == (403, "level_too_low")
    assert answer.body["error"]["details"]["current_level"] == 1


@pytest.mark.parametrize("mode", ["503", "refuse"])
async def test_a_silent_registry_is_never_a_yes(house: House, pair: Agent, mode: str) -> None:
    await register(house, pair)
    proof = signed(house, pair, await challenged(house, pair))
    await house.fault("down", routes="aibtc", mode=mode)
    answer = await prove(house, proof)
    assert (answer.status, answer.code) == (503, "registry_unavailable")
    await house.heal()
    assert (await prove(house, proof)).status == 200, "the challenge was not used up"


async def test_the_registry_is_asked_once_a_minute(house: House, pair: Agent) -> None:
    await register(house, pair)
    assert (await prove(house, signed(house, pair, await challenged(house, pair)))).status == 200
    await house.fault("down", routes="aibtc")
    assert (await prove(house, signed(house, pair, await challenged(house, pair)))).status == 200
    house.clock.ahead_ms += 61_000
    late = await prove(house, signed(house, pair, await challenged(house, pair)))
    assert late.code == "registry_unavailable"


async def test_an_answer_in_pieces_is_read_whole_and_a_redirect_is_not_followed() -> None:
    import asyncio

    import aiohttp
    from aiohttp import web
    from aiohttp.test_utils import TestServer

    from gate.genesis import AgentRegistry

    vector = {"btcAddress": VECTORS[0]["addresses"]["p2wpkh"], "stxAddress": "SP000000000000000000002Q6VF78"}
    body = json.dumps({"registered": True, "level": 2, "levelName": "Genesis", "agent": vector}).encode()

    async def slow(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for n in range(0, len(body), 40):
            await response.write(body[n : n + 40])
            await asyncio.sleep(0.005)
        return response

    async def moved(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/slow/api/verify/x")

    async def endless(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"{" + b" " * 200_000 + b"}")

    app = web.Application()
    for name, handler in (("slow", slow), ("moved", moved), ("endless", endless)):
        app.router.add_get(f"/{name}/api/verify/{{address}}", handler)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        address = "SP000000000000000000002Q6VF78"
        registry = AgentRegistry(str(server.make_url("/slow")), session, lambda: 0.0)
        found = await registry.find(address)
        assert found is not None
        assert found.level == 2
        for name in ("moved", "endless"):
            registry = AgentRegistry(str(server.make_url(f"/{name}")), session, lambda: 0.0)
            with pytest.raises(SatboxError) as refused:
                await registry.find(address)
            assert refused.value.code == "registry_unavailable"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"btc_address": "bc1qgd7aemch3fxcgehv0ncyvm6n8ux4zqa2kjvdx8"}, "btc_network_mismatch"),
        ({"btc_address": "tb1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq"}, "btc_address_unsupported"),
        ({"stx_address": "SP2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKNRV9EJ7"}, "stx_network_mismatch"),
        ({"stx_address": "ST2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKNRV9EJ7"}, "stx_address_invalid"),
        ({"scope": "everything"}, "invalid_request"),
    ],
)
async def test_a_challenge_is_refused_for_what_could_never_be_proven(
    house: House, pair: Agent, change: dict[str, str], code: str
) -> None:
    body = {"btc_address": pair.testnet.btc, "stx_address": pair.testnet.stx} | change
    assert (await house.ask("POST", "/gate/challenge", json=body)).code == code
