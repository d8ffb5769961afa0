"""Where a sandbox may not go, however it asks, and requests that could mean two things."""

import asyncio
import json
from ipaddress import ip_address, ip_network

import pytest

from tests.egress.test_forwarding import Origin, code
from tests.egress.world import PUBLIC, make_world, settled

LOOPBACKS = [
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "0", "0.0.0.0", "127.0.0.1.",
    "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
    "[2001:0:7f00:1::]", "[::ffff:0:127.0.0.1]", "[2606:4700::5efe:7f00:1]", "[0:0:0:0:0:0:0:1]",
]  # fmt: skip
PRIVATE = [
    "10.0.0.1", "10.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "0xc0a80101", "169.254.169.254", "0xa9fea9fe",
    "2852039166", "0251.0376.0251.0376", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "224.0.0.1",
    "255.255.255.255", "240.0.0.1", "198.18.0.1", "[fd00:ec2::254]", "[fe80::1]", "[fc00::1]", "[ff02::1]",
    "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::1]", "[64:ff9b:1::a00:1]",
    "[2001:db8::1]", "[100::1]", "[5f00::1]", "[fec0::1]",
]  # fmt: skip
NOT_HOSTS = [
    "[fe80::1%25eth0]", "[fe80::1%eth0]", "1.2.3.4.5", "0x7f.0.0.0.1", "256.1.1.1", "1.2.3.0x", "a b", "a@b", "user:pw@host",
    "%31%32%37.0.0.1", "127.0.0.1\t", "[::1", "::1", "b\xfccher.test", "a..b", ".a", "-a.test", "a" * 64 + ".test",
    ("a" * 60 + ".") * 5, "", "[127.0.0.1]", "\\x", "127。0。0。1",
]  # fmt: skip


@pytest.mark.parametrize("host", LOOPBACKS + PRIVATE)
async def test_no_form_of_an_inner_address_is_reached(host: str) -> None:
    world = await make_world()

    tunnel = await world.ask(f"CONNECT {host}:443 HTTP/1.1\r\n\r\n")
    plain = await world.ask(f"GET http://{host}/ HTTP/1.1\r\nHost: x\r\n\r\n")

    for answer in (tunnel, plain):
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert code(answer) == "egress_private_address"
    assert world.names.asked == []
    assert world.guest.refused == {"egress_private_address": 2}


@pytest.mark.parametrize("host", NOT_HOSTS)
async def test_what_is_no_host_is_refused(host: str) -> None:
    world = await make_world()

    for request in (f"CONNECT {host}:443 HTTP/1.1\r\n\r\n", f"GET http://{host}/ HTTP/1.1\r\nHost: x\r\n\r\n"):
        answer = await world.ask(request.encode())
        assert code(answer) == "egress_bad_request"
    assert world.names.asked == []


@pytest.mark.parametrize(
    "inner", ["127.0.0.1", "169.254.169.254", "10.0.0.1", "::ffff:10.0.0.1", "fd00:ec2::254", "::1"]
)
async def test_a_name_that_leads_inside_is_refused_even_beside_good_addresses(inner: str) -> None:
    world = await make_world(answers={"evil.test": [[inner]], "mixed.test": [[str(PUBLIC), inner]]})

    for name in ("evil.test", "mixed.test", "EVIL.test", "evil.test."):
        answer = await world.ask(f"CONNECT {name}:443 HTTP/1.1\r\n\r\n")
        assert code(answer) == "egress_private_address"
        assert inner.encode() not in answer  # nothing to be learnt of the host's own network


async def test_the_address_that_was_checked_is_the_one_connected_to() -> None:
    """DNS rebinding: a second question would be answered with loopback, where somebody listens on the same port."""
    world = await make_world(answers={"rebind.test": [[str(PUBLIC)], ["127.0.0.1"]]})
    origin, inner = Origin(), Origin(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret")
    port = await world.serve(origin)
    trap = await asyncio.start_server(inner, "127.0.0.1", port)

    first = await world.ask(f"GET http://rebind.test:{port}/ HTTP/1.1\r\nHost: x\r\n\r\n")
    second = await world.ask(f"GET http://rebind.test:{port}/ HTTP/1.1\r\nHost: x\r\n\r\n")

    assert first.endswith(b"hello")
    assert code(second) == "egress_private_address"
    assert world.names.asked == ["rebind.test"] * 2
    assert inner.seen == []
    trap.close()


async def test_this_host_s_own_public_addresses_are_refused() -> None:
    world = await make_world(
        own=frozenset({ip_address("9.9.9.9"), ip_address("2606:4700::1")}), refuse=[ip_network("8.8.8.0/24")]
    )

    for host in ("9.9.9.9", "[::ffff:9.9.9.9]", "[2002:909:909::1]", "[64:ff9b::909:909]", "[2606:4700::1]", "8.8.8.8",
                 "[::ffff:8.8.8.8]"):  # fmt: skip
        assert code(await world.ask(f"CONNECT {host}:443 HTTP/1.1\r\n\r\n")) == "egress_private_address"


async def test_only_what_is_allowed_is_reached() -> None:
    world = await make_world(
        allow=["exact.test", "*.wide.test", "odd.test:8443", "127.7.7.7"], ports=(80, 443),
        answers={name: [["0.0.0.0"]] for name in ("exact.test", "a.wide.test", "b.a.wide.test", "odd.test")},
    )  # fmt: skip
    reaches, denied = "egress_private_address", "egress_denied"
    for host, expected in {
        "exact.test:443": reaches, "EXACT.test.:80": reaches, "a.wide.test:443": reaches, "b.a.wide.test:80": reaches,
        "odd.test:8443": reaches, "exact.test:22": denied, "exact.test:25": denied, "odd.test:443": denied,
        "wide.test:443": denied, "evilwide.test:443": denied, "exact.test.evil:443": denied, "other.test:443": denied,
        "9.9.9.9:443": denied, "127.7.7.8:443": denied, "127.7.7.7:81": denied, "gate.satbox.internal:443": denied,
    }.items():  # fmt: skip
        assert code(await world.ask(f"CONNECT {host} HTTP/1.1\r\n\r\n")) == expected, host


async def test_a_fresh_install_lets_nothing_out_and_asks_no_name_server() -> None:
    world = await make_world(allow=[])

    for host in ("origin.test:443", "9.9.9.9:443", "127.0.0.1:443"):
        assert code(await world.ask(f"CONNECT {host} HTTP/1.1\r\n\r\n")) == "egress_denied"
    assert world.names.asked == []


async def test_a_name_nobody_knows_is_told_so() -> None:
    world = await make_world()

    answer = await world.ask("CONNECT nobody.test:443 HTTP/1.1\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 502 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "egress_unresolvable"


async def test_nobody_there_is_told_so() -> None:
    world = await make_world()
    port = await world.serve(Origin())
    world.servers[0].close()

    assert code(await world.ask(f"CONNECT origin.test:{port} HTTP/1.1\r\n\r\n")) == "egress_unreachable"


CL, TE = "Content-Length: 4\r\n", "Transfer-Encoding: chunked\r\n"
SMUGGLED = {
    "two lengths": CL + "Content-Length: 5\r\n", "the same length twice": CL + CL,
    "a list of lengths": "Content-Length: 4, 4\r\n",
    "a signed length": "Content-Length: +4\r\n", "a length in hex": "Content-Length: 0x4\r\n", "no length": "Content-Length:\r\n",
    "a length and chunks": CL + TE, "chunks and a length": TE + CL, "chunks twice": TE + TE,
    "another coding": "Transfer-Encoding: gzip, chunked\r\n", "identity": "Transfer-Encoding: identity\r\n",
    "chunks, obscured": "Transfer-Encoding: xchunked\r\n", "a space before the colon": "Content-Length : 4\r\n",
    "a folded line": "X: 1\r\n " + CL, "a bare newline": "X: 1\n" + CL, "a bare return": "X: 1\r" + CL, "a NUL": "X: \0\r\n",
    "a line without a colon": "GET / HTTP/1.1\r\n", "two hosts": "Host: a\r\nHost: b\r\n", "a name of spaces": " : x\r\n",
    "a tab in a name": "X\t: 1\r\n", "an empty name": ": 1\r\n",
}  # fmt: skip


@pytest.mark.parametrize("kind", SMUGGLED)
async def test_a_request_that_could_mean_two_things_is_refused_before_anyone_else_sees_it(kind: str) -> None:
    world, origin = await make_world(), Origin()
    port = await world.serve(origin)

    answer = await world.ask(f"POST http://origin.test:{port}/ HTTP/1.1\r\n{SMUGGLED[kind]}\r\n0\r\n\r\n")

    assert code(answer) == "egress_bad_request"
    assert origin.seen == []


@pytest.mark.parametrize(
    "line",
    [
        "GET / HTTP/1.1", "GET origin.test HTTP/1.1", "GET https://origin.test/ HTTP/1.1", "GET ftp://origin.test/ HTTP/1.1",
        "GET http://origin.test/ HTTP/2.0", "GET http://origin.test/", "GET  http://origin.test/ HTTP/1.1", "* HTTP/1.1",
        "GET http:origin.test/ HTTP/1.1", "GET http://origin.test/#x HTTP/1.1", "CONNECT origin.test HTTP/1.1",
        "CONNECT http://origin.test:80/ HTTP/1.1", "CONNECT origin.test:443/ HTTP/1.1", "CONNECT origin.test:0 HTTP/1.1",
        "CONNECT origin.test:65536 HTTP/1.1", "CONNECT origin.test:-1 HTTP/1.1", "CONNECT origin.test:4e2 HTTP/1.1",
        "GET http://origin.test:80:80/ HTTP/1.1", "GET http://origin.test:٤٤٣/ HTTP/1.1", "G\tT http://origin.test/ HTTP/1.1",
        "GET http:///etc HTTP/1.1", "GET http://?x HTTP/1.1", "\x16\x03\x01\x02", "", "PRI * HTTP/2.0",
    ],
)  # fmt: skip
async def test_what_is_no_request_to_a_proxy_is_refused(line: str) -> None:
    world = await make_world()

    assert code(await world.ask(line.encode() + b"\r\n\r\n")) == "egress_bad_request"
    assert world.names.asked == []


@pytest.mark.parametrize(
    "chunks", ["g\r\nabc\r\n", "-1\r\n", "3\r\nabcd\r\n0\r\n\r\n", "1" * 40 + "\r\n", "\r\n", "3\nabc\n0\n\n"]
)
async def test_a_malformed_chunk_ends_the_request(chunks: str) -> None:
    world = await make_world()
    got = bytearray()

    async def listen(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        got.extend(await reader.read(-1))

    port = await world.serve(listen)

    answer = await world.ask(f"POST http://origin.test:{port}/ HTTP/1.1\r\n{TE}\r\n{chunks}", end=True)

    assert code(answer) == "egress_bad_request"
    assert not got.endswith(b"0\r\n\r\n")


async def test_a_second_request_on_the_same_connection_is_not_served() -> None:
    world, origin = await make_world(), Origin()
    port = await world.serve(origin)
    one = f"GET http://origin.test:{port}/one HTTP/1.1\r\nHost: x\r\n\r\n"

    answer = await world.ask(one + one.replace("one", "two"))

    assert answer.count(b"HTTP/1.1 200") == 1
    assert len(origin.seen) == 1
    assert b"two" not in origin.seen[0]
    await settled(world)


async def test_a_tunnel_has_no_body() -> None:
    world = await make_world()

    assert code(await world.ask(f"CONNECT origin.test:443 HTTP/1.1\r\n{CL}\r\nabcd")) == "egress_bad_request"
