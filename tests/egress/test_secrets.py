"""Headers added outside: the guest asks plainly, the other end hears the secret, the guest never does."""

import asyncio
import base64
import json
import ssl
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from sandboxes.egress.dialing import source_of
from sandboxes.egress.guest import HeaderSecret
from sandboxes.egress.redaction import run_chars_min
from tests.egress.certificates import make_tls
from tests.egress.test_forwarding import Origin, code
from tests.egress.world import PUBLIC, World, make_world

VALUE = "tok-3b1f9c-very-secret"
ALIAS = "api.satbox.internal"
ASK = f"GET http://{ALIAS}/v1/things?x=1 HTTP/1.1\r\nHost: whatever\r\nauthorization: Bearer mine\r\n\r\n"


async def make(
    tmp_path: Path,
    origin: Origin,
    *,
    name: str = "origin.test",
    allow: tuple[str, ...] = ("origin.test",),
    path: str = "",
) -> World:
    server, client, _authority = make_tls(tmp_path, name)
    world = await make_world(allow=allow, tls=client)
    port = await world.serve(origin, server)
    secret = HeaderSecret(ALIAS, f"https://origin.test:{port}{path}", "Authorization", f"Bearer {VALUE}")
    world.proxy.set_secrets("rt-1", [secret])
    return world


async def test_the_header_is_added_and_the_guest_s_own_is_not_sent(tmp_path: Path) -> None:
    origin = Origin()
    world = await make(tmp_path, origin)

    answer = await world.ask(ASK)

    assert answer.endswith(b"hello"), answer
    sent = origin.seen[0].decode()
    assert sent.startswith("GET /v1/things?x=1 HTTP/1.1\r\n")
    assert sent.lower().count("authorization:") == 1
    assert f"Authorization: Bearer {VALUE}\r\n" in sent
    assert "Host: origin.test:" in sent
    assert world.guest.meter.out_bytes > 0


async def test_an_echo_of_the_secret_in_the_head_is_taken_out(tmp_path: Path) -> None:
    echo = f"HTTP/1.1 200 Bearer {VALUE}\r\nX-Seen: Bearer {VALUE}!\r\nX-Bearer {VALUE}: 1\r\nContent-Length: 0\r\n\r\n"
    world = await make(tmp_path, Origin(echo.replace(f"X-Bearer {VALUE}: 1\r\n", "").encode()))

    answer = await world.ask(ASK)

    assert VALUE.encode() not in answer
    assert b"X-Seen: [redacted]!\r\n" in answer


async def test_a_redirect_to_itself_leads_to_the_alias(tmp_path: Path) -> None:
    origin = Origin()
    world = await make(tmp_path, origin, path="/base")
    upstream = world.guest.secrets[ALIAS].upstream
    for location, seen in {
        f"{upstream}/next": f"http://{ALIAS}/next", f"{upstream}": f"http://{ALIAS}", f"{upstream}evil": f"{upstream}evil",
        "https://other.test/": "https://other.test/", "/next": "/next",
    }.items():  # fmt: skip
        origin.answer = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
        answer = await world.ask(f"GET http://{ALIAS}/ HTTP/1.1\r\n\r\n")
        assert f"Location: {seen}\r\n".encode() in answer
    assert origin.seen[0].startswith(b"GET /base/ HTTP/1.1")


B64 = base64.b64encode
ECHOES = {
    "the template": f"Bearer {VALUE}", "its scheme in lower case": f"bearer {VALUE}", "bare": VALUE,
    "in upper case": VALUE.upper(),
    "in a cookie": f"key={VALUE}; Domain=x", "in a url": f"https://elsewhere.test/?token={VALUE}&x", "in quotes": f'a="{VALUE}"',
    "percent-encoded": "".join(f"%{ord(c):02X}" for c in VALUE), "twice": "".join(f"%25{ord(c):02x}" for c in VALUE),
    "in base64": B64(VALUE.encode()).decode(), "as a basic user": "Basic " + B64(f"{VALUE}:".encode()).decode(),
    "as a basic password": "Basic " + B64(f"x-access-token:{VALUE}".encode()).decode().rstrip("="),
    "the whole in base64": base64.urlsafe_b64encode(f"Bearer {VALUE}".encode()).decode(),
    "in json": '{"k":"' + "\\".join(VALUE) + '"}',
    "in json by code": "".join(f"\\u{ord(c):04x}" for c in VALUE), "in a log": "".join(f"\\x{ord(c):02X}" for c in VALUE),
    "in html": "".join(f"&#{ord(c)};" for c in VALUE), "in html, dashes only": VALUE.replace("-", "&#x2d;"),
}  # fmt: skip
PLACES = ["Set-Cookie", "Location", "WWW-Authenticate", "X-Echo", "Link", "ETag", "Content-Disposition", "Server"]


@pytest.mark.parametrize("echo", ECHOES)
async def test_no_spelling_of_the_secret_comes_back_in_a_head(tmp_path: Path, echo: str) -> None:
    said = ECHOES[echo]
    fields = "".join(f"{name}: {said}\r\nX-Kept: 1\r\n" for name in PLACES)
    chunks = f"1\r\nh\r\n0\r\nX-Trailer: {said}\r\n\r\n"
    head = f"HTTP/1.1 200 {said}\r\n{fields}X-{VALUE}: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    world = await make(tmp_path, Origin(f"HTTP/1.1 103 {said}\r\nLink: {said}\r\n\r\n{head}{chunks}".encode()))

    answer = (await world.ask(ASK)).decode("latin-1")

    assert answer.startswith("HTTP/1.1 200 ")
    assert answer.endswith("h\r\n0\r\n\r\n")
    assert answer.count("X-Kept: 1") == len(PLACES)
    for spelling in (said, VALUE, VALUE.upper()):
        assert spelling.casefold() not in answer.casefold()


SCHEMES = st.sampled_from(["Bearer {}", "token {}", "{}", "Token token={}", 'Digest a="b", key="{}"', "ApiKey id:{}"])
SECRETS = st.text(st.sampled_from("abcXYZ0189._~+/-"), min_size=8, max_size=60)


def quoted_printable(text: str) -> str:
    return "".join(f"={ord(c):02X}" for c in text)


def base32(text: str) -> str:
    return base64.b32encode(text.encode()).decode()


ENCODED: list[Callable[[str], str]] = [
    lambda t: t.encode().hex(), lambda t: t.encode().hex().upper(), lambda t: t.encode().hex(":"), lambda t: t.encode().hex(" "),
    lambda t: "f" + t.encode().hex(), lambda t: "=" + t.encode().hex() + "0", base32, lambda t: base32(t).rstrip("=").lower(),
    lambda t: base32("u:" + t), quoted_printable, lambda t: quoted_printable(t).lower(),
    lambda t: "".join(c if c.isalnum() else f"={ord(c):02X}" for c in t), lambda t: "=?utf-8?Q?" + quoted_printable(t) + "?=",
    lambda t: "".join(f"%{ord(c):02x}" if n % 2 else c for n, c in enumerate(t)),
    lambda t: "".join(f"%u00{ord(c):02X}" for c in t),
    lambda t: B64(t.encode().hex().encode()).decode(), lambda t: B64(base32(t).encode()).decode(),
]  # fmt: skip
AROUND = st.text(st.sampled_from('ab= ;,%/"x'), max_size=10)
WAYS = st.sampled_from(
    [str, str.lower, str.upper, lambda t: B64(t.encode()).decode(), lambda t: B64(f"u:{t}".encode()).decode(),
     lambda t: "".join(f"%{ord(c):02x}" for c in t), lambda t: B64(f"{t}:".encode()).decode().rstrip("=")]
)  # fmt: skip


@settings(max_examples=300)
@given(SCHEMES, SECRETS, WAYS, AROUND, AROUND)
def test_wherever_it_stands_it_is_taken_out(
    scheme: str, secret: str, way: Callable[[str], str], before: str, after: str
) -> None:
    whole = scheme.format(secret)
    redactor = HeaderSecret(ALIAS, "https://a.test", "X", whole).redactor
    for each in (whole, secret):
        assert way(each) not in redactor(f"{before} {way(each)} {after}")


@settings(max_examples=300)
@given(SCHEMES, SECRETS, st.sampled_from([str, str.upper, *ENCODED]), st.data(), AROUND, AROUND)
def test_no_half_of_it_in_any_encoding_comes_back(
    scheme: str, secret: str, way: Callable[[str], str], data: st.DataObject, before: str, after: str
) -> None:
    """A part of it in a row, as an echo that drops the last character or the first half."""
    redactor = HeaderSecret(ALIAS, "https://a.test", "X", scheme.format(secret)).redactor
    size = data.draw(st.integers(run_chars_min(len(secret)), len(secret)))
    at = data.draw(st.integers(0, len(secret) - size))
    said = way(secret[at : at + size])
    assert said not in redactor(f"{before} {said} {after}")


def test_how_much_in_a_row_is_taken_out() -> None:
    assert [run_chars_min(length) for length in (8, 9, 15, 16, 17, 22, 30, 32, 33, 400)] == [
        7, 8, 8, 8, 9, 11, 15, 16, 16, 16,
    ]  # fmt: skip
    redactor = HeaderSecret(ALIAS, "https://a.test", "X", f"Bearer {VALUE}").redactor
    assert redactor(f"x {VALUE[:-1]} y {VALUE[1:]} z") == "x [redacted] y [redacted] z"
    assert redactor(f"key={VALUE[:11]}, {VALUE[11:]}") == "key=[redacted], [redacted]"
    assert (
        redactor(f"ends in {VALUE[-4:]}, begins with {VALUE[:10]}") == f"ends in {VALUE[-4:]}, begins with {VALUE[:10]}"
    )


@pytest.mark.parametrize(
    "field",
    [
        "application/json; charset=utf-8", "Mon, 30 Nov 2026 21:00:00 GMT", 'W/"5f2a-18b0c3d4e5f60718293a4b5c6d7e8f90"',
        "max-age=31536000; includeSubDomains; preload",
        "sid=eyJhbGciOiJIUzI1NiJ9.e30.ZRrHA1JJJW8opsbCGfG_HACGpVUMN_a9IL7pAx_Zmeo",
        "default-src 'self'; script-src 'nonce-4AEemGb0xJptoIGFP3Nd' https://a.example?x=12&y=34&z=%20%5B",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "ORSXG5BAORSXG5BAORSXG5BAORSXG5BA",
        "a=12; b=34; c=56; d=78; e=9a",
    ],
)  # fmt: skip
def test_usual_headers_are_left_alone(field: str) -> None:
    assert HeaderSecret(ALIAS, "https://a.test", "X", f"Bearer {VALUE}").redactor(field) == field


def test_long_secrets_and_long_headers_take_no_time() -> None:
    """The owner of a secret may be its upstream, too: the proxy is everybody's. Bounded by what is looked at, not by a clock."""
    looked = 0

    class Counted(set[str]):
        def __contains__(self, run: object) -> bool:
            nonlocal looked
            looked += 1
            return super().__contains__(run)

    redactor = HeaderSecret(ALIAS, "https://a.test", "X", "Bearer " + "a" * 4_000 + " " + "b" * 500).redactor
    redactor._runs_of = {size: Counted(runs) for size, runs in redactor._runs_of.items()}
    text = "a" * 60_000
    assert set(redactor(text).split("[redacted]")) == {""}
    assert looked <= 20 * len(text)


def test_a_basic_secret_s_name_and_password_are_taken_out() -> None:
    redactor = HeaderSecret(ALIAS, "https://a.test", "X", "Basic " + B64(b"robot:pass-word").decode()).redactor
    assert redactor("hello robot:pass-word") == "hello [redacted]"
    assert redactor("pw=pass-word;") == "pw=[redacted];"


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60))
def test_an_answer_without_it_is_left_as_it_is(text: str) -> None:
    redactor = HeaderSecret(ALIAS, "https://a.test", "X", f"Bearer {VALUE}").redactor
    fields = [("Server", text), ("X-Bearer", "Bearer realm=x"), ("ETag", B64(text.encode()).decode())]
    assert redactor.fields(fields) == fields
    assert HeaderSecret(ALIAS, "https://a.test", "X", "v").redactor.fields([("Server", "vv"), *fields][:1]) == [
        ("Server", "vv")
    ]


@pytest.mark.parametrize(
    "ask",
    ["TRACE / HTTP/1.1", "TRACK / HTTP/1.1", "trace / HTTP/1.1", "POST / HTTP/1.1\r\nX-HTTP-Method-Override: TRACE"],
)
async def test_nobody_is_asked_to_repeat_what_a_secret_was_added_to(tmp_path: Path, ask: str) -> None:
    origin = Origin()
    world = await make(tmp_path, origin)

    assert code(await world.ask(ask.replace(" /", f" http://{ALIAS}/", 1) + "\r\n\r\n")) == "egress_denied"
    assert origin.seen == []


@pytest.mark.parametrize("name", ["X-Original-URL", "X-Rewrite-URL"])
async def test_no_header_names_another_path(tmp_path: Path, name: str) -> None:
    origin = Origin()
    world = await make(tmp_path, origin, path="/base")
    await world.ask(f"GET http://{ALIAS}/ HTTP/1.1\r\n{name}: /admin\r\n\r\n")
    assert b"/admin" not in origin.seen[0]


@pytest.mark.parametrize(
    "path",
    ["/../admin", "/a/../../admin", "/%2e%2e/admin", "/..%2fadmin", "/.", "//x", "/a\\b", "/%5c..", "/a/..",
     "/..;/admin", "/..;a=b/admin", "/%2e%2e;/admin", "/%252e%252e/admin", "/%25252e./admin", "/%%32%65./admin", "/.%252e/x",
     "/a%252f..%252fb", "/%c0%ae%c0%ae/x", "/%e0%80%ae./x", "/%ef%bc%8e%ef%bc%8e/x", "/..%00/x", "/.%09./x", "/..%20/x",
     "/%u002e%u002e/x", "/.../x", "/a;/../x", "/%e2%80%a5/x", "/a%255c..%255cb"],
)  # fmt: skip
async def test_no_path_leads_out_of_the_one_that_was_given(tmp_path: Path, path: str) -> None:
    origin = Origin()
    world = await make(tmp_path, origin, path="/base")

    assert code(await world.ask(f"GET http://{ALIAS}{path} HTTP/1.1\r\n\r\n")) == "egress_bad_request"
    assert origin.seen == []


@pytest.mark.parametrize(
    "path", ["/", "/a.b/..c/d..", "/a%20b/%C3%A4", "/v1/x;y=1", "/a%2Bb/100%25", "/.well-known/x", "/a/"]
)
async def test_a_path_that_stays_below_goes_as_it_is(tmp_path: Path, path: str) -> None:
    origin = Origin()
    world = await make(tmp_path, origin, path="/base")

    await world.ask(f"GET http://{ALIAS}{path} HTTP/1.1\r\n\r\n")
    assert origin.seen[0].startswith(f"GET /base{path} HTTP/1.1".encode())


async def test_a_certificate_for_somebody_else_gets_no_secret(tmp_path: Path) -> None:
    origin = Origin()
    world = await make(tmp_path, origin, name="impostor.test")

    assert code(await world.ask(ASK)) == "egress_unreachable"
    assert origin.seen == []


async def test_a_certificate_of_an_unknown_authority_gets_no_secret(tmp_path: Path) -> None:
    origin = Origin()
    server, _client, _authority = make_tls(tmp_path, "origin.test")
    world = await make_world(tls=ssl.create_default_context())
    port = await world.serve(origin, server)
    world.proxy.set_secrets("rt-1", [HeaderSecret(ALIAS, f"https://origin.test:{port}", "X-Key", VALUE)])

    assert code(await world.ask(ASK)) == "egress_unreachable"
    assert origin.seen == []


async def test_a_secret_opens_no_way_that_is_not_allowed(tmp_path: Path) -> None:
    """An owner chooses the upstream: the operator's list and the address check hold for it all the same."""
    origin = Origin()
    world = await make(tmp_path, origin, allow=("elsewhere.test",))
    assert code(await world.ask(ASK)) == "egress_denied"

    world = await make_world()
    for upstream in ("https://127.0.0.1:9", "https://169.254.169.254", "https://[::1]"):
        world.proxy.set_secrets("rt-1", [HeaderSecret(ALIAS, upstream, "X-Key", VALUE)])
        assert code(await world.ask(ASK)) == "egress_private_address"
    world.proxy.set_secrets("rt-1", [HeaderSecret(ALIAS, "http://origin.test", "X-Key", VALUE)])
    assert code(await world.ask(ASK)) == "egress_denied"
    assert origin.seen == []


async def test_a_secret_for_the_operator_s_own_service_goes_plainly() -> None:
    origin = Origin()
    server = await asyncio.start_server(origin, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    world = await make_world(allow=[], internal={"echo.satbox.internal": f"http://127.0.0.1:{port}/base"})
    world.proxy.set_secrets("rt-1", [HeaderSecret(ALIAS, "http://echo.satbox.internal", "X-Key", VALUE)])

    answer = await world.ask(ASK)

    assert answer.endswith(b"hello")
    assert origin.seen[0].startswith(b"GET /base/v1/things?x=1 HTTP/1.1")
    assert f"X-Key: {VALUE}\r\n".encode() in origin.seen[0]
    assert world.guest.meter.out_bytes == 0
    server.close()


async def test_each_sandbox_comes_to_the_operator_s_service_from_an_address_of_its_own() -> None:
    peers: list[str] = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        peers.append(writer.get_extra_info("peername")[0])
        writer.close()

    server = await asyncio.start_server(note, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    for runtime_id in ("rt-1", "rt-2", "rt-1"):
        world = await make_world(internal={"gate.satbox.internal": url})
        world.guest.runtime_id = runtime_id
        await world.ask("GET http://gate.satbox.internal/ HTTP/1.1\r\n\r\n")

    assert peers == [str(source_of(each)) for each in ("rt-1", "rt-2", "rt-1")]
    assert len(set(peers)) == 2
    assert all(ip_address(peer) in ip_network("127.64.0.0/10") for peer in peers)
    server.close()


async def test_an_owner_can_not_take_the_operator_s_alias() -> None:
    world = await make_world(internal={"gate.satbox.internal": "http://127.0.0.1:9"})
    world.proxy.set_secrets("rt-1", [HeaderSecret("gate.satbox.internal", f"https://{PUBLIC}", "X-Key", VALUE)])

    assert world.guest.secrets == {}


async def test_an_alias_is_asked_plainly_and_by_its_owner_only(tmp_path: Path) -> None:
    world = await make(tmp_path, Origin())
    other = await make_world()

    assert code(await world.ask(f"CONNECT {ALIAS}:443 HTTP/1.1\r\n\r\n")) == "egress_denied"
    assert code(await world.ask(f"GET http://{ALIAS}:8080/ HTTP/1.1\r\n\r\n")) == "egress_denied"
    assert code(await other.ask(ASK)) == "egress_denied"
    world.proxy.set_secrets("rt-1", [])
    assert code(await world.ask(ASK)) == "egress_denied"


@pytest.mark.parametrize(
    "fields",
    [
        ("no.alias", "https://a.test", "X", "v"), ("A.satbox.internal", "https://a.test", "X", "v"),
        (ALIAS, "ftp://a.test", "X", "v"), (ALIAS, "https://u:p@a.test", "X", "v"), (ALIAS, "https://a.test?x", "X", "v"),
        (ALIAS, "https://", "X", "v"), (ALIAS, "https://a.test", "X Y", "v"), (ALIAS, "https://a.test", "Host", "v"),
        (ALIAS, "https://a.test", "Transfer-Encoding", "v"), (ALIAS, "https://a.test", "X", "a\r\nB: c"),
        (ALIAS, "https://a.test", "X", ""), (ALIAS, "https://a.test", "X", "v "), (ALIAS, "https://a.test", "X", "€"),
    ],
)  # fmt: skip
def test_what_would_break_a_request_is_no_header_secret(fields: tuple[str, str, str, str]) -> None:
    with pytest.raises(ValueError, match=r"not\b|can't") as caught:
        HeaderSecret(*fields)
    assert fields[3] in ("", "v") or fields[3] not in str(caught.value)


async def test_no_log_has_the_secret(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        world = await make(tmp_path, Origin(b"rubbish " + VALUE.encode() + b"\r\n\r\n"))
        answer = await world.ask(ASK)

    assert code(answer) == "egress_bad_answer"
    assert VALUE not in repr(world.guest)
    assert VALUE not in json.dumps(logs)
    assert len(logs) == 1


async def test_the_gate_hears_for_whom_a_sandbox_calls_and_the_sandbox_does_not() -> None:
    heads: list[str] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        heads.append(head)
        said = next((line for line in head.splitlines() if line.lower().startswith("authorization")), "none")
        writer.write(f"HTTP/1.1 200 OK\r\nX-Said: {said}\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    alias, other = "gate.satbox.internal", "chain.satbox.internal"
    world = await make_world(internal={alias: url, other: url}, self_alias=alias)
    world.guest.self_token = "sbself_ST000_rt_1_" + "ab" * 32

    shown = await world.ask(f"GET http://{alias}/self HTTP/1.1\r\n\r\n")
    for own in ("authorization: Bearer mine", "Payment-Signature: e30="):
        await world.ask(f"GET http://{alias}/self HTTP/1.1\r\n{own}\r\n\r\n")
    await world.ask(f"GET http://{other}/self HTTP/1.1\r\n\r\n")
    denied = await world.ask(f"TRACE http://{alias}/self HTTP/1.1\r\n\r\n")

    assert f"Authorization: Bearer {world.guest.self_token}" in heads[0]
    assert b"ab" * 32 not in shown
    assert all("sbself_" not in head for head in heads[1:])
    assert len(heads) == 4
    assert b"egress_denied" in denied
    server.close()
