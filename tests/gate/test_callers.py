"""Who may do what: passes, scopes, revocation, the operator, and nobody in another's wallet."""

import asyncio
from typing import Any

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from operations.catalogue import REGISTRY
from operations.registry import Auth, Body
from tests.gate.gatehouse import DEPLOYMENT, OPERATOR_TOKEN, House

OPERATOR = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}
NAMED = [o for o in REGISTRY.values() if o.auth is Auth.OWNER and "address" in o.input.model_fields]
FIELDS: dict[str, Any] = {
    "path": "a", "to": "b", "process_id": "p_000000000000", "context_id": "c_000000000000", "rows": 24, "columns": 80,
    "port": 80, "code": "1", "name": "NAME", "digest": "0" * 64, "link_id": "wl_000000000000",
    "key_id": "key_000000000000", "url": "https://example.test/r.git",
}  # fmt: skip
"""A value for every field that an operation of an owner's may require."""
LEAST: dict[str, dict[str, Any]] = {
    "sandbox.exec": {"shell": "id"}, "processes.start": {"shell": "id"}, "secrets.set": {"value": "v"},
    "disputes.open": {"seq": 1, "reason": "r"},
}  # fmt: skip


async def call(house: House, name: str, headers: dict[str, str], **values: Any) -> Any:
    """One operation with the least it needs."""
    operation = REGISTRY[name]
    fields = operation.input.model_fields
    required = {n: field.examples[0] for n, field in fields.items() if field.examples}
    required |= {
        n: FIELDS[n] for n, field in fields.items() if field.is_required() and not field.examples and n in FIELDS
    }
    values = required | LEAST.get(name, {}) | values
    path = operation.path
    for field in operation.path_fields:
        path = path.replace(f"{{{field}}}", str(values.pop(field)))
    in_query = operation.method in ("GET", "DELETE") or operation.body is Body.UPLOAD
    sent: dict[str, Any] = {"params": values} if in_query else {"json": values}
    return await house.ask(operation.method, path, headers=headers, **sent)


@pytest.mark.parametrize("name", [o.name for o in NAMED])
async def test_no_pass_reaches_into_another_wallet(house: House, name: str) -> None:
    victim, thief = await house.agent(), await house.agent()
    await house.created(victim)
    before = house.state(victim)
    answer = await call(house, name, house.bearer(thief), address=victim.address)
    assert (answer.status, answer.code) == (403, "not_owner")
    for narrow in ("exec", "files", "extend"):
        assert (await call(house, name, house.bearer(thief, narrow), address=victim.address)).status == 403
    after = house.state(victim)
    assert (after.phase, after.accounts, after.runtime.runtime_id, after.pass_epoch) == (
        before.phase, before.accounts, before.runtime.runtime_id, before.pass_epoch,
    )  # fmt: skip


@pytest.mark.parametrize("scope", ["exec", "files", "extend"])
async def test_a_narrow_pass_opens_its_own_door_only(house: House, scope: str) -> None:
    who = await house.agent()
    for operation in REGISTRY.values():
        if operation.auth is Auth.OWNER and operation.scope != scope:
            answer = await call(house, operation.name, house.bearer(who, scope))
            assert (answer.status, answer.code) == (403, "scope_missing"), operation.name


async def test_only_the_operator_sets_rates(house: House) -> None:
    who = await house.agent()
    await house.created(who)
    body = {"address": who.address, "rate_usat_per_second": 0}
    assert (await house.ask("POST", "/operator/rate", who=who, json=body)).code == "operator_only"
    done = await house.ask("POST", "/operator/rate", headers=OPERATOR, json=body)
    assert (done.status, done.body["rate_usat_per_second"]) == (200, 0)
    almost = {"Authorization": f"Bearer {OPERATOR_TOKEN[:-1]}"}
    assert (await house.ask("POST", "/operator/rate", headers=almost, json=body)).code == "operator_only"
    unknown = body | {"address": (await house.agent()).address}
    assert (await house.ask("POST", "/operator/rate", headers=OPERATOR, json=unknown)).code == "wallet_not_found"


async def test_the_operator_may_look_and_stop_but_not_buy(house: House) -> None:
    who = await house.agent()
    await house.created(who)
    params = {"address": who.address}
    assert (await house.ask("GET", "/sandbox/ledger", headers=OPERATOR, params=params)).status == 200
    assert (await house.ask("POST", "/sandbox/create", headers=OPERATOR, json={})).code == "invalid_request"
    assert (await house.ask("GET", "/sandbox/status", headers=OPERATOR)).code == "invalid_request"
    stopped = await house.ask("POST", "/sandbox/reap", headers=OPERATOR, json=params)
    assert stopped.body["state"] == "reaped"


async def test_a_pass_expires(house: House) -> None:
    who = await house.agent()
    await house.created(who)
    bearer = house.bearer(who)
    house.clock.ahead_ms += 3_599_000
    assert (await house.ask("GET", "/sandbox/ledger", headers=bearer)).status == 200
    house.clock.ahead_ms += 2_000
    assert (await house.ask("GET", "/sandbox/ledger", headers=bearer)).code == "pass_expired"


async def test_a_revoked_pass_is_dead_within_a_second(house: House) -> None:
    who = await house.agent()
    await house.created(who)
    old = house.bearer(who)
    revoked = await house.ask("POST", "/gate/revoke", headers=old)
    assert revoked.body["pass_epoch"] == 1
    for method, path in (("GET", "/sandbox/status"), ("GET", "/sandbox/ledger"), ("POST", "/gate/revoke")):
        assert (await house.ask(method, path, headers=old)).code == "pass_revoked"
    assert (await house.ask("GET", "/sandbox/status", headers=house.bearer(who, epoch=1))).status == 200


@pytest.mark.parametrize("forge", ["none", "other key", "challenge", "quote", "deployment", "hs256"])
async def test_forged_passes(house: House, forge: str) -> None:
    who = await house.agent()
    token = house.bearer(who)["Authorization"].removeprefix("Bearer ")
    said = jwt.decode(token, options={"verify_signature": False})
    key = house.services.operator_key
    if forge == "none":
        token = jwt.encode(said, None, algorithm="none")
    elif forge == "other key":
        token = jwt.encode(said, Ed25519PrivateKey.generate(), algorithm="EdDSA")
    elif forge == "challenge":
        token = jwt.encode(said | {"typ": "challenge"}, key, algorithm="EdDSA")
    elif forge == "quote":
        token = (await house.services.oracle.quote("STX", 1)).token
    elif forge == "deployment":
        token = jwt.encode(said | {"aud": "another"}, key, algorithm="EdDSA")
    else:
        secret = house.services.receipts.public_key.encode()
        token = jwt.encode(said, secret, algorithm="HS256")
    assert said["aud"] == DEPLOYMENT
    answer = await house.ask("GET", "/sandbox/ledger", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status, answer.code) == (401, "pass_invalid")


async def test_looking_makes_no_files(house: House) -> None:
    who = await house.agent()
    for n in range(20):
        address = f"ST{n:040d}"
        assert (
            await house.ask("GET", "/sandbox/status", who=who, params={"address": address})
        ).code == "wallet_not_found"
    assert not list(house.transport.host._settings.folder.glob("*/*"))


@pytest.mark.parametrize("address", ["../../etc/passwd", "ST", "ST" + "A" * 60, "st" + "a" * 38, "ST\0" + "A" * 38, ""])
async def test_odd_addresses_go_nowhere(house: House, address: str) -> None:
    who = await house.agent()
    answer = await house.ask("GET", "/sandbox/status", who=who, params={"address": address})
    assert answer.code == "invalid_request"


# Streams


async def test_events_page_and_stream(house: House) -> None:
    who = await house.agent()
    await house.created(who)
    page = (await house.ask("GET", "/sandbox/events", who=who, params={"limit": 2})).body
    assert [item["seq"] for item in page["items"]] == [1, 2]
    assert page["has_more"]
    rest = (await house.ask("GET", "/sandbox/events", who=who, params={"after": page["next_cursor"]})).body
    assert not rest["has_more"]
    headers = {**house.bearer(who), "Accept": "text/event-stream", "Last-Event-ID": str(page["next_cursor"])}
    async with house.client.get("/sandbox/events", headers=headers) as stream:
        assert stream.content_type == "text/event-stream"
        first = await stream.content.readline()
        assert first == b"id: %d\n" % (page["next_cursor"] + 1)
        await house.ask("POST", "/sandbox/reap", who=who, json={})
        async with asyncio.timeout(120):
            while b'"type": "reaped"' not in await stream.content.readline():
                pass


async def test_one_wallet_cannot_take_all_streams(house: House) -> None:
    who, other = await house.agent(), await house.agent()
    await house.created(who)
    await house.created(other)
    headers = {**house.bearer(who), "Accept": "text/event-stream"}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        url = house.client.make_url("/sandbox/events")
        opened = [await session.get(url, headers=headers) for _ in range(70)]
        refused = [answer for answer in opened if answer.status == 429]
        assert len(opened) - len(refused) == house.services.settings.requests_per_wallet_max
        assert refused[0].headers["Retry-After"] == "1"
        mine = await house.ask("GET", "/sandbox/ledger", who=who)
        assert (mine.status, mine.code) == (429, "rate_limited")
        assert (await house.ask("GET", "/sandbox/status", who=who)).status == 200
        assert (await house.ask("GET", "/sandbox/ledger", who=other)).status == 200
        assert (await house.ask("POST", "/sandbox/pause", who=who)).status == 200, "what costs can be ended"
        for answer in opened:
            answer.close()
    await house.ask("POST", "/sandbox/reap", headers=OPERATOR, json={"address": who.address})  # wakes every stream
    async with asyncio.timeout(120):
        while (await house.ask("GET", "/sandbox/ledger", who=who)).status == 429:
            await asyncio.sleep(0.05)
