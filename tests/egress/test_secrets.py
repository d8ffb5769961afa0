"""Headers added outside: the guest asks plainly, the other end hears the secret, the guest never does."""

import asyncio
import json
import ssl
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
import structlog

from sandboxes.egress.dialing import source_of
from sandboxes.egress.guest import HeaderSecret
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


@pytest.mark.parametrize(
    "path", ["/../admin", "/a/../../admin", "/%2e%2e/admin", "/..%2fadmin", "/.", "//x", "/a\\b", "/%5c..", "/a/.."]
)
async def test_no_path_leads_out_of_the_one_that_was_given(tmp_path: Path, path: str) -> None:
    origin = Origin()
    world = await make(tmp_path, origin, path="/base")

    assert code(await world.ask(f"GET http://{ALIAS}{path} HTTP/1.1\r\n\r\n")) == "egress_bad_request"
    assert origin.seen == []


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
