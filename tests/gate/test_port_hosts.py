"""Which host a request is for: a port's own, the gate's, or nobody's, however it is written."""

import re
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gate.proxy.heads import outward
from gate.wire.paths import Place
from gate.wire.port_origins import PortOrigins, default_host
from operations.errors import SatboxError
from stacks import Address, Network

HOST = "ports.test"
ORIGINS = PortOrigins.of("https://gate.test", HOST)
ADDRESS = "SP2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKNRV9EJ7"
LABEL = f"8000-{ADDRESS.lower()}"


@pytest.mark.parametrize(
    ("public_url", "host"),
    [
        ("http://127.0.0.1:4020", "localhost"), ("http://localhost:4020", "localhost"), ("http://[::1]:1", "localhost"),
        ("https://satbox.example/base", "satbox.example"), ("http://10.0.0.7:4020", ""), ("http://[2001:db8::1]", ""),
    ],
)  # fmt: skip
def test_ports_are_below_the_name_of_the_gate(public_url: str, host: str) -> None:
    assert default_host(public_url) == host


@given(
    st.sampled_from([1, 22]),
    st.binary(min_size=20, max_size=20),
    st.integers(1, 65_535),
    st.sampled_from(["", ":4020"]),
)
def test_every_port_of_every_address_has_one_origin(version: int, digest: bytes, port: int, end: str) -> None:
    network = Network.MAINNET if version == 22 else Network.TESTNET
    address = str(Address(network.single_sig_version, digest))
    origins = PortOrigins.of(f"http://127.0.0.1{end}", "localhost")
    origin = origins.url(address, port)
    assert origin is not None
    name = origin.removeprefix("http://")
    assert len(name.partition(".")[0]) <= 63
    assert origins.place([name], "/") == Place(address, port, origin)
    assert origins.place([name.upper()], "/") == Place(address, port, origin)


PIECES = st.sampled_from(
    [LABEL, "8000", "-", ADDRESS, ADDRESS.lower(), HOST, HOST.upper(), ".", "..", ":443", ":", ":0443", "@", "gate.test", "x",
     "0", "%2e", "%", "\u3002", "\uff0e", "\uff41", " ", "\t", "[", "]", "[::1]", "/", "\\", "#", "?", ",", "\x00", "\u0130"]
)  # fmt: skip
HOSTS = st.lists(PIECES, max_size=8).map("".join) | st.tuples(
    st.sampled_from(["", "a@", " ", ".", "x.", "gate.test."]), st.sampled_from([LABEL, LABEL.upper(), f"0{LABEL}", f"{LABEL}0"]),
    st.sampled_from([".", "..", "%2e", "\u3002", "-", ""]), st.sampled_from([HOST, HOST.upper(), f"{HOST}.", f"x{HOST}"]),
    st.sampled_from(["", ":443", ":", ":x", ":0", ":00443", ":99999", ".:443", " "]),
).map("".join)  # fmt: skip
EXACT = re.compile(rf"8000-{ADDRESS.lower()}\.{re.escape(HOST)}(:[1-9][0-9]{{0,4}})?")


@given(HOSTS)
@example(f"{LABEL}.{HOST}")
@example(f"{LABEL}.{HOST}.")
@example(f"user@{LABEL}.{HOST}")
@example(f"{LABEL}%2e{HOST}")
@example(f"{LABEL}.{HOST}:80:80")
def test_no_spelling_of_a_port_s_host_is_the_gate_s_and_only_one_is_the_port_s(host: str) -> None:
    try:
        place = ORIGINS.place([host], "/sandbox/create")
    except SatboxError:
        return
    if place is not None:
        assert EXACT.fullmatch(host.lower())
        assert place == Place(ADDRESS, 8000, f"https://{host.lower()}")
        return
    # What browsers, resolvers and proxies may make of it is not below the name that ports have.
    read = unquote(host).lower().translate({0x3002: ".", 0xFF0E: "."})
    for part in (read, read.rpartition("@")[2], read.partition("/")[0], read.partition("\\")[0]):
        bare = re.sub(r":[0-9]*$", "", part.strip()).strip(". ")
        assert not bare.endswith(f".{HOST}") or bare == "gate.test"


@pytest.mark.parametrize(
    ("hosts", "target"),
    [
        (["gate.test", f"{LABEL}.{HOST}"], "/"),
        ([f"{LABEL}.{HOST}", f"{LABEL}.{HOST}"], "/"),
        (["gate.test"], f"http://{LABEL}.{HOST}/"),
        ([f"{LABEL}.{HOST}"], "http://gate.test/"),
        ([f"{LABEL}.{HOST}"], f"http://gate.test@{LABEL}.{HOST}/"),
        ([f"www.{HOST}"], "/"),
        ([f"65536-{ADDRESS.lower()}.{HOST}"], "/"),
        ([f"08000-{ADDRESS.lower()}.{HOST}"], "/"),
        ([f"8000-{ADDRESS.lower()[:-1]}8.{HOST}"], "/"),
        ([f"a.{LABEL}.{HOST}"], "/"),
    ],
)
def test_what_could_be_two_hosts_or_looks_like_a_port_s_is_refused(hosts: list[str], target: str) -> None:
    with pytest.raises(SatboxError):
        ORIGINS.place(hosts, target)


@pytest.mark.parametrize(
    "cookie",
    ["satbox-port=1", " SATBOX-port =1", "__host-satbox-port=1", "=satbox-port=1", "satbox", "__Secure-satbox=1"],
)
def test_a_server_sets_no_cookie_that_would_pass_for_ours(cookie: str) -> None:
    place = Place("SP1", 80, "http://80-sp1.localhost")
    assert "Set-Cookie" not in outward([("Set-Cookie", f"{cookie}; Path=/")], "req_1", place)
