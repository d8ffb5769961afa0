"""The judgement over addresses, against the standard library's and a table of its own."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sandboxes.egress.addresses import (
    AddressCheck,
    OwnAddresses,
    host_addresses,
    is_routed_here,
    literal,
    plain,
    why_refused,
)

v4s = st.one_of(
    st.integers(0, 2**32 - 1),
    st.sampled_from(
        ["10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16"]
    ).flatmap(lambda text: st.integers(int(ip_network(text)[0]), int(ip_network(text)[-1]))),
).map(IPv4Address)
v6s = st.one_of(
    st.integers(0, 2**128 - 1),
    st.integers(0x2000 << 112, (0x4000 << 112) - 1),
    st.sampled_from(["::/64", "64:ff9b::/64", "2001::/16", "2002::/16", "fc00::/7", "fe80::/10", "ff00::/8"]).flatmap(
        lambda text: st.integers(int(ip_network(text)[0]), int(ip_network(text)[-1]))
    ),
).map(IPv6Address)
FORMS = {
    "mapped": lambda n: (0xFFFF << 32) | n,
    "compatible": lambda n: n,
    "translated": lambda n: (0xFFFF << 48) | n,
    "nat64": lambda n: (0x64FF9B << 96) | n,
    "6to4": lambda n: (0x2002 << 112) | (n << 80) | 1,
    "teredo server": lambda n: (0x20010000 << 96) | (n << 64),
    "teredo client": lambda n: (0x20010000 << 96) | (n ^ 0xFFFF_FFFF),
    "isatap": lambda n: (0x2606_4700 << 96) | (0x5EFE << 32) | n,
    "isatap, global": lambda n: (0x2606_4700 << 96) | (0x0200_5EFE << 32) | n,
}


@given(v4s)
@example(IPv4Address("0.0.0.0"))
@example(IPv4Address("255.255.255.255"))
@example(IPv4Address("168.63.129.16"))
def test_what_is_let_through_is_global_by_the_standard_library_too(address: IPv4Address) -> None:
    if why_refused(address) is None:
        assert address.is_global
        assert not any((address.is_multicast, address.is_reserved, address.is_link_local))
    elif address.is_global:  # we refuse more: multicast, 6to4 relays, what clouds use
        assert address.is_multicast or address in ip_network("192.88.99.0/24") or str(address) == "168.63.129.16" or (
            address in ip_network("192.0.0.0/24")
        )  # fmt: skip


@given(v6s)
@example(IPv6Address("2002:b00::"))
def test_so_is_ipv6(address: IPv6Address) -> None:
    if why_refused(address) is None and address not in ip_network("64:ff9b::/96") and plain(address) is address:
        assert address.is_global
        assert address in ip_network("2000::/3")
        assert not any((address.is_multicast, address.is_reserved, address.is_site_local, address.is_private))
        assert address.teredo is None


@given(v4s, st.sampled_from(sorted(FORMS)))
def test_no_wrapping_lets_a_refused_address_through(inner: IPv4Address, form: str) -> None:
    wrapped = IPv6Address(FORMS[form](int(inner)))

    if why_refused(inner) is not None or form.startswith("teredo") or form in ("compatible", "translated"):
        assert why_refused(wrapped) is not None


@given(v4s, st.sampled_from(["d", "x", "o", "parts", "short", "octal parts", "hex parts"]))
def test_every_way_to_write_an_address_is_read_as_that_address(address: IPv4Address, how: str) -> None:
    number = int(address)
    a, b, c, d = address.packed
    text = {
        "d": f"{number}", "x": f"0x{number:x}", "o": f"0{number:o}", "parts": str(address), "short": f"{a}.{number & 0xFFFFFF}",
        "octal parts": f"0{a:o}.0{b:o}.0{c:o}.0{d:o}", "hex parts": f"0x{a:X}.0x{b:x}.0x{c:x}.0x{d:x}",
    }[how]  # fmt: skip

    assert literal(text) == address


@given(st.text(alphabet="0123456789abcdefx.-_", max_size=20))
def test_a_name_never_ends_in_a_number(text: str) -> None:
    try:
        found = literal(text)
    except ValueError:
        return
    if found is None:
        last = text.rstrip(".").rpartition(".")[2]
        assert not re.fullmatch(r"[0-9]+|0[xX].*", last)


@pytest.mark.parametrize(
    "text",
    ["1.1.1.1", "8.8.8.8", "140.82.121.4", "2606:4700::1111", "2a00:1450::1", "64:ff9b::808:808", "::ffff:8.8.8.8"],
)
def test_public_addresses_are_let_through(text: str) -> None:
    assert why_refused(ip_address(text)) is None


def test_a_zone_is_refused() -> None:
    assert why_refused(ip_address("2606:4700::1%eth0")) is not None


def test_this_host_s_addresses_are_found_in_the_kernel_s_tables() -> None:
    found = host_addresses()

    assert IPv4Address("127.0.0.1") in found
    if Path("/proc/net/if_inet6").exists():
        assert IPv6Address("::1") in found


def test_the_routing_table_knows_what_leads_back_here() -> None:
    for address in host_addresses():
        if why_refused(address) is None or address == IPv4Address("127.0.0.1"):
            assert is_routed_here(address)
    assert not is_routed_here(IPv4Address("9.9.9.9"))


def test_own_addresses_are_read_again() -> None:
    now, reads = 0.0, [frozenset({ip_address("9.9.9.9")}), frozenset({ip_address("8.8.8.8")})]
    own = OwnAddresses(lambda: now, 10.0, read=lambda: reads[0], routed_here=lambda _address: False)
    check = AddressCheck(own)

    assert check.why_refused(ip_address("9.9.9.9")) == "this host"
    assert check.why_refused(ip_address("8.8.8.8")) is None
    reads.pop(0)
    now = 10.0
    assert check.why_refused(ip_address("9.9.9.9")) is None
    assert check.why_refused(ip_address("8.8.8.8")) == "this host"
    assert check.why_refused(ip_address("::ffff:8.8.8.8")) == "this host"
