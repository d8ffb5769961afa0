"""What is the gate's own never reaches a server inside, wherever in a request it is put and however it is spelt."""

import base64
import json
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.wallet.calls import Route
from actors.wallet.commands import Expose, SetRoutes
from gate.genesis import PassIssuer
from gate.identity.port_tokens import token_hash
from gate.identity.wake_links import new_token
from gate.proxy.credentials import Credentials
from gate.proxy.heads import narrowed, outward
from gate.wire.paths import Place
from operations.errors import SatboxError
from sandboxes.self_tokens import self_token
from tests.gate.gatehouse import BTC, OPERATOR_TOKEN, House
from tests.gate.test_smuggling import Loopback

ADDRESS = "SP2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKNRV9EJ7"
ORDER = base64.b64encode(
    json.dumps({"x402Version": 2, "payload": {"order": {}, "signature": "5a" * 65}}).encode()
).decode()


def gate_pass() -> str:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    issuer = PassIssuer(Ed25519PrivateKey.generate(), deployment="any", wall_seconds=lambda: 1e9)
    return issuer.issue(ADDRESS, BTC, 2, "owner", 0)[0]


SECRETS = {
    "the operator's token": OPERATOR_TOKEN,
    "a pass": gate_pass(),
    "an API key": "sb_ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM_" + "aB3-_" * 8 + "xyz",
    "a sandbox's token": self_token(b"key", "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM", "rt_1"),
    "a port token": "pt_" + "aB3-_" * 8 + "xyz",
    "a wake link": new_token(ADDRESS),
    "a spending order": ORDER,
}
OURS = Credentials.of([OPERATOR_TOKEN])


def escaped(text: str) -> str:
    return "".join(f"%{ord(character):02x}" for character in text)


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


SPELLINGS = st.sampled_from(
    [
        lambda text: text,
        escaped,
        lambda text: escaped(escaped(text)),
        lambda text: quote(text[:5]) + escaped(text[5:9]) + text[9:],
        in_base64,
        lambda text: in_base64(f"user:{text}"),
        lambda text: in_base64(f"{text}:"),
        lambda text: base64.urlsafe_b64encode(f"\x00\xff{text}".encode("latin-1")).decode().rstrip("="),
        lambda text: quote(in_base64(text)),
        lambda text: '"' + "\\".join(text) + '"',
        lambda text: text.encode().hex(),
        lambda text: text.encode().hex().upper(),
        lambda text: base64.b32encode(text.encode()).decode(),
        lambda text: base64.b32encode(f"u:{text}".encode()).decode().rstrip("=").lower(),
        lambda text: "".join(f"={ord(character):02X}" for character in text),
    ]
)
AROUND = st.text(st.sampled_from("ab= ,;\t.:&?/#x_-"), max_size=12)
HEADERS = st.sampled_from(
    ["Authorization", "Proxy-Thing", "Cookie", "Referer", "Sec-WebSocket-Protocol", "X-Api-Key", "User-Agent", "From",
     "Accept", "Link", "X-Satbox-Token", "Payment-Signature", "If-None-Match", "Origin"]
)  # fmt: skip
SCHEMES = st.sampled_from(
    ["", "Bearer ", "bearer\t", "BEARER  ", "Basic ", "Token token=", "pass.", "a=1; sid=", "satbox, pass."]
)


@st.composite
def placed(draw: st.DrawFn) -> tuple[str, list[tuple[str, str]], str]:
    """A secret, headers that hold it somewhere, a target that holds it somewhere in its query."""
    secret = draw(st.sampled_from(sorted(SECRETS.values())))
    spelt = draw(SPELLINGS)(secret)
    name, before, after = draw(HEADERS), draw(SCHEMES) + draw(AROUND), draw(AROUND)
    others = [("Authorization", "Bearer mine"), ("Accept", "*/*"), ("Cookie", "theme=dark")]
    headers = draw(st.permutations([*others, (name, before + spelt + " " + after)]))
    key = draw(st.sampled_from(["satbox_token", "%73atbox_token", "satbox%5Ftoken", "q", "pass", ""]))
    query = draw(st.permutations(["a=1", "b=%20", f"{key}={quote(before)}{quote(spelt, safe='%')}"]))
    return spelt, list(headers), "/x?" + "&".join(query)


@settings(max_examples=400)
@given(placed())
def test_no_placement_and_no_spelling_gets_through(case: tuple[str, list[tuple[str, str]], str]) -> None:
    spelt, headers, target = case
    left = OURS.stripped(headers)
    query = OURS.stripped_target(target)
    assert not any(spelt in value or OURS.are_in(value) for _, value in left)
    assert spelt not in query
    assert quote(spelt, safe="%") not in query
    assert not OURS.are_in(query)
    assert ("Accept", "*/*") in left
    assert ("Authorization", "Bearer mine") in left
    assert ("Cookie", "theme=dark") in left
    assert "a=1" in query
    assert "b=%20" in query


PLAIN = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80)


@given(PLAIN, st.binary(max_size=200))
def test_what_is_not_ours_is_left_as_it_is(text: str, data: bytes) -> None:
    jwt = ".".join(
        base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (b'{"alg":"HS256"}', b'{"sub":"me"}', data)
    )
    values = [jwt, f"Bearer {jwt}", in_base64(f"user:{text}"), data.hex(), base64.b64encode(data).decode(), "pt_short"]
    headers = [("Authorization", value) for value in values] + [("Cookie", "a=1;b=2")]
    assert OURS.stripped(headers) == headers
    target = "/a%2Fb/?x=/y&&z=%41&=;" + quote(text)
    assert OURS.stripped_target(target) == target


@pytest.mark.parametrize("secret", SECRETS)
def test_one_in_the_path_is_refused(secret: str) -> None:
    for spelt in (SECRETS[secret], escaped(SECRETS[secret])):
        with pytest.raises(SatboxError, match="invalid_request"):
            OURS.stripped_target(f"/a/{spelt.replace('/', '_')}/b?x")


@pytest.mark.parametrize(
    "attribute",
    ["Domain=gate.test", "Domain =gate.test", " domain\t= .gate.test", "DOMAIN", "Path=/", "path =/", "Evil=1"],
)
def test_a_cookie_stays_below_its_port(attribute: str) -> None:
    cookie = f"a=1; {attribute}; HttpOnly; Max-Age=3; {attribute}"
    assert narrowed(cookie, Place("SP1", 80)) == "a=1; HttpOnly; Max-Age=3; Path=/sandbox/proxy/SP1/80"


@pytest.mark.parametrize("name", ["WWW-Authenticate", "www-authenticate"])
def test_a_challenge_is_shown_to_programs_and_to_no_browser(name: str) -> None:
    headers = outward(
        [(name, 'Basic realm="gate"'), (name, "Bearer"), ("Sec-Session-Registration", "x")], "req_1", Place("SP1", 80)
    )
    assert "WWW-Authenticate" not in headers
    assert "Sec-Session-Registration" not in headers
    assert headers.getall("X-Inner-WWW-Authenticate") == ['Basic realm="gate"', "Bearer"]


async def test_through_the_gate_nothing_of_ours_arrives(house: House) -> None:
    """Over a socket: by a caller with a port token, by one with a pass, by a stranger, as a request and as a websocket."""
    got: list[str] = []

    async def note(request: web.BaseRequest) -> web.StreamResponse:
        got.append(request.path_qs + repr(request.raw_headers))
        if "Upgrade" not in request.headers:
            return web.Response()
        socket = web.WebSocketResponse(protocols=["chat", "satbox"])
        await socket.prepare(request)
        await socket.close()
        return socket

    runner = web.ServerRunner(web.Server(note))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    house.node.processes = Loopback()  # type: ignore[attr-defined]
    seller = await house.agent()
    await house.created(seller)
    token = SECRETS["a port token"]
    ends = house.clock.wall_ms() + 60_000
    for command in (SetRoutes((Route(port, "/*"),)), Expose(port, token_hash(token), ends)):
        house.services.views.put(await house.services.system.ask(seller.address, command))
    own = house.bearer(seller)["Authorization"].removeprefix("Bearer ")
    secrets = [*SECRETS.values(), own, in_base64(f"x:{own}")]
    place = f"/sandbox/proxy/{seller.address}/{port}/x"
    ways: list[tuple[str, dict[str, str]]] = [
        (place, {}), (place, {"X-Satbox-Token": token}), (f"{place}?satbox_token={token}&k=1", {}),
        (f"{place}?%73atbox_token={token}&k=1", {}), (place, {"Authorization": f"Bearer {own}"}),
    ]  # fmt: skip
    for url, given_headers in ways:
        for secret in secrets:
            headers: Any = [
                *given_headers.items(),
                ("Authorization", f"Bearer\t{secret}"),
                ("Referer", f"http://x/?satbox_token={secret}"),
            ]
            headers += [("Cookie", f"a=1; t={secret}"), ("X-Other", secret)]
            answer = await house.client.request("GET", url, headers=headers)
            assert answer.status == 200, await answer.text()
    async with house.client.ws_connect(
        place, headers={"X-Satbox-Token": token}, protocols=["satbox", f"pass.{own}", "chat"]
    ) as socket:
        assert socket.protocol in ("chat", "satbox")
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
    assert len(got) == len(ways) * len(secrets) + 1
    assert not [secret for secret in secrets for each in got if secret in each]
    assert all("a=1" in each for each in got[:-1])
    await runner.cleanup()
