"""The gate's edges: limits, odd bytes, wrong methods, preflights, documents, and one envelope for every refusal."""

import asyncio
import gzip
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gate.actions import ACTIONS
from gate.front.discovery import PROXY_PATH, llms_txt, openapi
from operations.catalogue import REGISTRY
from operations.errors import ERRORS
from operations.registry import Auth, Body
from tests.gate.gatehouse import OPERATOR_TOKEN, House

OPERATOR = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}


async def raw(house: House, request: bytes, *, then: bytes = b"") -> bytes:
    """Bytes to the gate's socket and all that comes back."""
    host, port = house.client.host, house.client.port
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(request)
    await writer.drain()
    if then:
        writer.write(then)
    async with asyncio.timeout(120):
        answer = await reader.read(1 << 20)
    writer.close()
    return answer


def envelope(answer: bytes) -> tuple[int, str]:
    """Status and code of a raw error answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    document = json.loads(body)
    assert set(document) == {"error", "request_id"}
    return int(head.split()[1]), document["error"]["code"]


async def test_unknown_routes_and_wrong_methods(house: House) -> None:
    assert (await house.ask("GET", "/nothing/here")).code == "not_found"
    wrong = await house.ask("GET", "/sandbox/create")
    assert (wrong.status, wrong.code, wrong.headers["Allow"]) == (405, "method_not_allowed", "POST")
    assert (await house.ask("GET", "/sandbox/../../etc/passwd")).status == 404
    assert (await house.ask("GET", "/payment-status/..%2f..%2fetc")).status in (400, 404)


async def test_a_preflight_allows_what_browsers_need(house: House) -> None:
    asked = {"Origin": "https://any.example", "Access-Control-Request-Method": "POST"}
    answer = await house.ask("OPTIONS", "/sandbox/create", headers=asked)
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (204, "*")
    assert "payment-signature" in answer.headers["Access-Control-Allow-Headers"]
    refusal = await house.ask("POST", "/sandbox/create", headers={"Origin": "https://any.example"})
    assert refusal.headers["Access-Control-Allow-Origin"] == "*"
    assert "payment-required" in refusal.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in refusal.headers


@pytest.mark.parametrize("name", list(REGISTRY))
async def test_every_operation_is_reachable_and_guarded(house: House, name: str) -> None:
    operation = REGISTRY[name]
    path = re.sub(r"{\w+}", "pay_none", operation.path)
    answer = await house.ask(operation.method, path)
    if operation.auth is Auth.NONE:
        assert answer.status != 405
        assert answer.status == 200 or answer.code in ("invalid_request", *operation.errors)
    else:
        if operation.is_on_chain:  # what it costs is shown to anybody
            assert answer.status == 402
        else:
            assert (answer.status, answer.code) == (401, "pass_missing")
        for nonsense in ("Bearer nonsense", "Basic dXNlcjpwYXNz", "Bearer ", "Bearer " + "x" * 9000):
            refused = await house.ask(operation.method, path, headers={"Authorization": nonsense})
            assert refused.code in ("pass_invalid", "pass_missing", "operator_only")


def test_openapi_describes_every_operation() -> None:
    document = openapi()
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    proxied = {entry for entry in described if entry[1] == PROXY_PATH}
    assert described - proxied == {(o.method, o.path) for o in REGISTRY.values()}
    assert set(ACTIONS) == set(REGISTRY)
    references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert references <= set(document["components"]["schemas"])
    ids = [m["operationId"] for methods in document["paths"].values() for m in methods.values()]
    assert len(ids) == len(set(ids))
    for path, methods in document["paths"].items():
        for method in methods.values():
            named = {p["name"] for p in method["parameters"] if p["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path))
            assert any(status.startswith("2") for status in method["responses"])


def test_openapi_tells_of_ranges_and_of_servers_inside() -> None:
    paths = openapi()["paths"]
    read = paths["/sandbox/files"]["get"]
    assert "Range" in {p["name"] for p in read["parameters"] if p["in"] == "header"}
    assert {"200", "206", "416"} <= set(read["responses"])
    assert "206" not in paths["/sandbox/files/archive"]["get"]["responses"]

    for method, described in paths[PROXY_PATH].items():
        named = {(p["in"], p["name"]) for p in described["parameters"]}
        assert {("query", "satbox_token"), ("header", "X-Satbox-Token")} <= named
        assert ("requestBody" in described) == (method in ("post", "put", "patch"))


async def test_the_documents_are_served(house: House) -> None:
    served = await house.ask("GET", "/openapi.json")
    assert served.body == json.loads(json.dumps(openapi()))
    text = (await house.ask("GET", "/llms.txt")).raw.decode()
    assert text == llms_txt(house.services.settings)
    assert "in sBTC or STX," in text, "only what is offered on this network"
    assert all(code in text for code in ERRORS)


async def test_health_and_metrics(house: House) -> None:
    await house.created(await house.agent())
    health = await house.ask("GET", "/health")
    assert health.body["status"] == "ok", health.body
    metrics = (await house.ask("GET", "/metrics")).raw.decode()
    assert 'satbox_requests_total{code="ok",operation="sandbox.create"} 1.0' in metrics
    assert 'satbox_wallets{host="local",state="alive"} 1.0' in metrics


# Hostile bytes


async def test_what_is_no_http_is_told_so_in_our_words(house: House) -> None:
    assert envelope(await raw(house, b"GARBAGE\r\n\r\n")) == (400, "invalid_request")
    assert envelope(await raw(house, b"GET / HTTP/1.1\r\nHost: x\r\nBad header\r\n\r\n")) == (400, "invalid_request")
    long = b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + b"x" * 70_000 + b"\r\n\r\n"
    assert envelope(await raw(house, long)) == (431, "headers_too_large")
    assert envelope(await raw(house, b"GET /?" + b"q" * 70_000 + b" HTTP/1.1\r\n\r\n"))[0] in (414, 431)


@pytest.mark.parametrize("line", [b"POST /free", b"POST /sandbox/proxy/ST1/80/x"])
async def test_an_upgrade_with_a_body_is_the_last_request_of_its_connection(house: House, line: bytes) -> None:
    """Else what was sent behind it would wait for ever."""
    reader, writer = await asyncio.open_connection(house.client.host, house.client.port)
    writer.write(line + b" HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 3\r\n\r\nabc")
    writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(120):
        answer = await reader.read()  # to the end of the connection
    writer.close()
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"\r\nConnection: close\r\n" in answer


async def test_bytes_that_are_no_text_in_headers(house: House) -> None:
    for header in (b"Authorization: Bearer \xff\xfe", b"payment-signature: \xff", b"X-PAYMENT-TOKEN-TYPE: \xff\xff"):
        sent = b"POST /sandbox/create HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n"
        status, _ = envelope(await raw(house, sent + header + b"\r\n\r\n"))
        assert 400 <= status < 500


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"[]",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"\xff\xfe\xfa",
        b'{"sats": ' + b"9" * 5_000 + b"}",
        b'{"sats": NaN}',
        b'{"sats": 1e400}',
        b'{"image": "\\ud800"}',
        b'{"environment": {"\\ud800": "\\udfff"}}',
        b'{"environment": {"A\\u0000B": "x"}}',
        b'{"environment": {"A=B": "x"}}',
        b'{"environment": {"": "x"}}',
        b'{"__proto__": {}}',
    ],
)
async def test_odd_bodies_are_refused(house: House, body: bytes) -> None:
    who = await house.agent()
    answer = await house.ask("POST", "/sandbox/create", who=who, data=body)
    assert (answer.status, answer.code, answer.funds_moved) == (400, "invalid_request", False)


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"-1", b"1e999", b'"soon"'])
async def test_odd_numbers_are_refused(house: House, value: bytes) -> None:
    who = await house.agent()
    await house.created(who)
    body = b'{"shell": "true", "timeout_seconds": ' + value + b"}"
    assert (await house.ask("POST", "/sandbox/exec", who=who, data=body)).code == "invalid_request"


async def test_a_huge_environment_is_refused_before_it_is_kept(house: House) -> None:
    who = await house.agent()
    body = {"environment": {f"V{n}": "x" * 60_000 for n in range(15)}}
    answer = await house.ask("POST", "/sandbox/create", who=who, json=body)
    assert answer.code == "invalid_request"


async def test_huge_bodies_stop_at_the_limit(house: House) -> None:
    who = await house.agent()
    bearer = house.bearer(who)["Authorization"].encode()
    head = b"POST /sandbox/create HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: " + bearer + b"\r\n"
    announced = head + b"Content-Length: 99999999999\r\n\r\n"
    assert envelope(await raw(house, announced)) == (413, "body_too_large")
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    endless = head + b"Transfer-Encoding: chunked\r\n\r\n"
    assert envelope(await raw(house, endless, then=chunk * 70)) == (413, "body_too_large")


async def test_a_compressed_body_counts_as_what_it_unpacks_to(house: House) -> None:
    who = await house.agent()
    bomb = gzip.compress(b" " * (64 << 20))
    assert len(bomb) < 100_000
    answer = await house.ask("POST", "/sandbox/create", who=who, data=bomb, headers={"Content-Encoding": "gzip"})
    assert answer.status in (400, 413)
    broken = await house.ask("POST", "/sandbox/create", who=who, data=b"not gzip", headers={"Content-Encoding": "gzip"})
    assert (broken.status, broken.code) == (400, "invalid_request")


async def test_a_body_that_never_comes_is_given_up(house: House) -> None:
    object.__setattr__(house.services.settings, "body_seconds_max", 0.2)
    bearer = house.bearer(await house.agent())["Authorization"].encode()
    head = b"POST /sandbox/create HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: " + bearer + b"\r\n"
    status, code = envelope(await raw(house, head + b"Content-Length: 20\r\n\r\n{"))
    assert (status, code) == (400, "invalid_request")


async def test_a_caller_cannot_write_headers_of_ours(house: House) -> None:
    who = await house.agent()
    for path in ("/sandbox/files?path=a%0d%0aSet-Cookie:%20x", "/sandbox/create?tokenType=a%0d%0aX-Evil:%20x"):
        for method in ("GET", "POST"):
            answer = await house.ask(method, path, who=who)
            assert not {"Set-Cookie", "X-Evil"} & set(answer.headers)


odd_text = st.text(max_size=40)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | odd_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(odd_text, inner, max_size=4),
    max_leaves=10,
)


@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_no_request_gets_an_internal_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whatever is sent to whichever operation by an owner: never a 5xx that is a bug, never a word of our insides."""
    from tests.gate.gatehouse import gatehouse

    guarded = [o for o in REGISTRY.values() if o.name not in ("sandbox.exec",) and not o.name.startswith("files.")]
    requests = data.draw(
        st.lists(
            st.tuples(
                st.sampled_from(guarded),
                st.dictionaries(
                    st.sampled_from(["address", "sats", "after", "limit", "fresh", "x"]), odd_text, max_size=3
                ),
                st.dictionaries(
                    st.sampled_from(["address", "sats", "seconds", "challenge", "btc_address", "stx_address", "scope"]),
                    json_values,
                    max_size=4,
                ),
            ),
            min_size=10,
            max_size=10,
        )
    )

    async def attack() -> None:
        async with gatehouse(tmp_path_factory.mktemp("house")) as house:
            who = await house.agent()
            for operation, query, body in requests:
                path = re.sub(r"{\w+}", "pay_x", operation.path)
                sent: dict[str, Any] = {"params": {k: v.encode("utf-8", "replace").decode() for k, v in query.items()}}
                if operation.method in ("POST", "PUT"):
                    sent["data"] = json.dumps(body)
                answer = await house.ask(operation.method, path, who=who, **sent)
                assert answer.status < 500, (operation.name, query, body, answer.raw)
                assert b"Traceback" not in answer.raw
                assert os.fsencode(Path(__file__).parents[2]) not in answer.raw
                assert b".py" not in answer.raw or operation.body is Body.TEXT

    asyncio.run(attack())


@given(text=st.text(max_size=100))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_stream_event_is_one_event_whatever_it_says(text: str) -> None:
    from gate.reach.streams import sse

    lines = sse({"event": "stdout", "data": text}).decode().split("\n")
    assert (lines[0], lines[2:]) == ("event: stdout", ["", ""])
    assert json.loads(lines[1].removeprefix("data: ")) == {"event": "stdout", "data": text}
