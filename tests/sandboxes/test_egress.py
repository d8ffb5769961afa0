"""The way out of a real sandbox, tried by hostile code from inside it."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandboxes.client import NodeClient
from sandboxes.egress.addresses import host_addresses
from sandboxes.egress.settings import EGRESS_UID
from sandboxes.protocol import SandboxError, StartRequest, StopRequest
from tests.sandboxes.conftest import Box
from tests.sandboxes.running_node import HAS_REAL_NODE, RunningNode, until

pytestmark = pytest.mark.sandbox

ALIAS, PROXY_PORT = "gate.satbox.internal", 3128
ASK = """
import socket, sys
def ask(data, wait=10):
    s = socket.create_connection(("127.0.0.1", 3128), wait); s.settimeout(wait)
    s.sendall(data.encode("latin-1"))
    got = b""
    try:
        while piece := s.recv(65536): got += piece
    except OSError as e: got += repr(e).encode()
    return got.decode("latin-1")
"""


class Inner:
    """A service of the operator's on this host's loopback."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.url = ""
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.seen.append(head)
            size = int(head.partition(b" /")[2].partition(b" ")[0].rpartition(b"/")[2] or b"5")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"inner"[:size].ljust(size, b"."))
            await writer.drain()
        writer.close()

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()


@pytest.fixture
async def inner() -> AsyncIterator[Inner]:
    service = Inner()
    await service.open()
    yield service
    await service.close()


@pytest.fixture
async def open_node(inner: Inner) -> AsyncIterator[RunningNode]:
    """A node that lets everything public out, so that only the checks of addresses are left."""
    if not HAS_REAL_NODE:
        pytest.skip("needs root and bubblewrap")
    egress = {
        "allow": ["*"], "ports": [80, 443, inner.port], "internal": {ALIAS: inner.url},
        "names": {
            "loopback.test": ["127.0.0.1"], "metadata.test": ["169.254.169.254"], "mapped.test": ["::ffff:10.0.0.1"],
            "mixed.test": ["9.9.9.9", "127.0.0.1"],
        },
        "connections_per_sandbox_max": 32,
    }  # fmt: skip
    running = RunningNode({"egress": egress})
    ready = await running.start()
    assert ready["ready"], ready
    yield running
    await running.close()


@pytest.fixture
async def guest(open_node: RunningNode, runtime_ids: Iterator[str]) -> AsyncIterator[Box]:
    runtime = await open_node.client.start(StartRequest(next(runtime_ids), "SP-egress", size_class="nano"))
    yield Box(open_node.client, runtime.runtime_id)
    await open_node.client.stop(StopRequest(runtime.runtime_id, snapshot=False))


async def asked(box: Box, request: str) -> str:
    result = await box.python(ASK + f"sys.stdout.write(ask({request!r}))")
    assert result["exit_code"] == 0, result
    return str(result["stdout"])


async def refused(box: Box, target: str) -> str:
    answer = await asked(box, f"CONNECT {target} HTTP/1.1\r\n\r\n")
    return str(json.loads(answer.partition("\r\n\r\n")[2])["error"]["code"])


async def usage_of(box: Box, field: str) -> Any:
    return (await box.client.usage(box.runtime_id))[field]


async def test_commands_are_told_of_the_proxy_and_reach_an_alias(guest: Box, inner: Inner) -> None:
    environment = str((await guest.run("env"))["stdout"])
    curl = await guest.run(["curl", "-sS", f"http://{ALIAS}/sandbox/5"])

    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"):
        assert f"{name}=http://127.0.0.1:{PROXY_PORT}\n" in environment
    assert "NO_PROXY=localhost,127.0.0.1,::1\n" in environment
    assert curl["stdout"] == "inner", curl
    assert inner.seen[0].startswith(b"GET /sandbox/5 HTTP/1.1\r\n")
    assert f"Host: {ALIAS}\r\n".encode() in inner.seen[0]
    assert await usage_of(guest, "egress_in_bytes") == 0  # the operator's own costs nothing


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("tcp", "s.socket(2, 1).connect((host, port))"),
        ("udp", "s.socket(2, 2).sendto(b'x', (host, port))"),
        ("raw", "s.socket(2, 3, 1)"),
        ("packet", "s.socket(17, 3, 0x0300)"),
        ("netlink route", "k = s.socket(16, 3, 0); k.bind((0, 0)); import struct; "
         "k.send(struct.pack('=IHHII', 28, 24, 0x605, 1, 0) + b'\\x02' + bytes(11)); r = k.recv(4096); "
         "e = struct.unpack('=i', r[16:20])[0]; 1 / 0 if r[4] == 2 and e < 0 else None"),
        ("vsock", "s.socket(40, 1, 0).connect((2, 1024))"),
    ],
)  # fmt: skip
async def test_there_is_no_other_way_out(guest: Box, inner: Inner, kind: str, source: str) -> None:
    addresses = [(str(address), inner.port) for address in host_addresses() if address.version == 4]
    targets = [*addresses, ("9.9.9.9", 53), ("169.254.169.254", 80), ("10.0.0.1", 80), ("192.168.1.1", 80)]
    for host, port in targets if "host" in source else [("", 0)]:
        attempt = f"import socket as s; s.setdefaulttimeout(2); host, port = {host!r}, {port}; {source}"
        result = await guest.python(attempt)
        # On its own loopback a sandbox may send what nobody receives.
        if not (kind == "udp" and host.startswith("127.")):
            assert result["exit_code"] == 1, (host, result)
    assert inner.seen == []


async def test_there_is_no_ipv6_way_out_and_no_name_server(guest: Box) -> None:
    for source in (
        "s.socket(10, 1).connect(('2606:4700:4700::1111', 443))",
        "s.socket(10, 1).connect(('fd00:ec2::254', 80))",
        "s.getaddrinfo('example.org', 80)",
        "s.socket(2, 2).sendto(b'x', ('127.0.0.53', 53)) and 1 / (len(open('/etc/resolv.conf').read().split('nameserver')) - 1)",
    ):
        assert (await guest.python(f"import socket as s; s.setdefaulttimeout(2); {source}"))["exit_code"] == 1, source


async def test_abstract_unix_sockets_of_the_host_are_not_there(guest: Box) -> None:
    name = f"satbox-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0" + name)
        server.listen(1)
        attempt = await guest.python(f"import socket; socket.socket(socket.AF_UNIX).connect('\\0{name}')")

    assert "Connection refused" in str(attempt["stderr"])


async def test_through_the_proxy_nothing_inner_is_reached(guest: Box, inner: Inner) -> None:
    """The service listens on every port tried: only the refusal keeps it from being reached."""
    for host in ("127.0.0.1", "0x7f000001", "2130706433", "127.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "localhost",
                 "169.254.169.254", "[fd00:ec2::254]", "100.100.100.200", "10.0.0.1", "192.168.0.1", "172.17.0.1",
                 "loopback.test", "metadata.test", "mapped.test", "mixed.test"):  # fmt: skip
        assert await refused(guest, f"{host}:{inner.port}") in ("egress_private_address", "egress_unresolvable"), host
    for address in host_addresses():
        host = f"[{address}]" if address.version == 6 else str(address)
        assert await refused(guest, f"{host}:{inner.port}") == "egress_private_address", host
    assert inner.seen == []


async def test_an_alias_is_plain_http_and_nothing_else(guest: Box, inner: Inner) -> None:
    for target in (f"{ALIAS}:80", f"{ALIAS}:443", f"{ALIAS}:{inner.port}", "other.satbox.internal:80", "9.9.9.9:22"):
        assert await refused(guest, target) == "egress_denied", target
    answer = await asked(guest, f"GET http://{ALIAS}:{inner.port}/ HTTP/1.1\r\nHost: x\r\n\r\n")
    assert "egress_denied" in answer
    assert inner.seen == []


async def test_smuggled_and_odd_requests_do_not_reach_the_gate(guest: Box, inner: Inner) -> None:
    target = f"POST http://{ALIAS}/ HTTP/1.1\r\n"
    for fields in ("Content-Length: 3\r\nContent-Length: 4\r\n", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
                   "Host: a\r\nHost: b\r\n", "X : 1\r\n", "X: 1\r\n y\r\n"):  # fmt: skip
        assert "egress_bad_request" in await asked(guest, f"{target}{fields}\r\n0\r\n\r\n")
    assert inner.seen == []
    first = f"POST http://{ALIAS}/5 HTTP/1.1\r\nHost: evil\r\nContent-Length: 0\r\n\r\n"
    smuggled = f"{first}GET http://{ALIAS}/admin HTTP/1.1\r\n\r\n"
    assert (await asked(guest, smuggled)).count("200 OK") == 1
    assert [head.split(b"\r\n")[0] for head in inner.seen] == [b"POST /5 HTTP/1.1"]
    assert b"evil" not in inner.seen[0]


async def test_a_flood_of_connections_costs_a_neighbour_nothing(
    open_node: RunningNode, guest: Box, inner: Inner, runtime_ids: Iterator[str]
) -> None:
    other = (await open_node.client.start(StartRequest(next(runtime_ids), "SP-other", size_class="nano"))).runtime_id
    flood = """
import socket, time
held = []
for _ in range(10000):
    s = socket.socket(); s.setblocking(False); s.connect_ex(("127.0.0.1", 3128))
    held.append(s)
    if len(held) > 3000: held.pop(0).close()
print("up", flush=True)
time.sleep(60)
"""
    flooding = await open_node.client.processes.start(guest.runtime_id, ["python3", "-c", flood])
    met = await open_node.client.processes.wait(
        guest.runtime_id, flooding["process_id"], until="text", text="up", timeout_seconds=30
    )
    result = await open_node.client.exec(other, ["curl", "-sS", "-m", "10", f"http://{ALIAS}/5"])

    assert met["met"]
    assert result["stdout"] == "inner"
    assert float(result["duration_ms"]) < 5000
    await open_node.client.stop(StopRequest(other, snapshot=False))


async def told(box: Box, count: int) -> None:
    """Wait until the node has been told of so many refusals: the proxy does once a second."""
    async with asyncio.timeout(120):
        while (await usage_of(box, "egress_refused")).get("egress_private_address", 0) < count:
            await asyncio.sleep(0.05)


def proxy_of(node: RunningNode) -> int:
    assert node.process is not None
    children = Path(f"/proc/{node.process.pid}/task/{node.process.pid}/children").read_text().split()
    (found,) = [pid for pid in children if b"sandboxes.egress" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return int(found)


def status_of(pid: int) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


def environment_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


async def test_the_proxy_has_no_right_and_an_id_of_its_own(open_node: RunningNode, guest: Box) -> None:
    await refused(guest, "127.0.0.1:80")  # it is up
    pid = proxy_of(open_node)
    status, environment = status_of(pid), environment_of(pid)

    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["Uid"].split() == [str(EGRESS_UID)] * 4
    assert status["Groups"].strip() == ""
    assert status["NoNewPrivs"].strip() == "1"
    assert open_node.state.stat().st_mode & 0o077 == 0  # so that this id reads nothing of the node's
    assert b"SATBOX" not in environment


async def until_state(node: RunningNode, state: str) -> None:
    async with asyncio.timeout(120):
        while (await node.client.doctor())["egress"] != state:
            await asyncio.sleep(0.005)


async def test_a_killed_proxy_lets_nothing_through_and_comes_back(
    open_node: RunningNode, guest: Box, inner: Inner
) -> None:
    assert (await guest.run(["curl", "-sS", f"http://{ALIAS}/5"]))["stdout"] == "inner"
    await refused(guest, "127.0.0.1:80")
    await told(guest, 1)
    first = proxy_of(open_node)
    os.kill(first, signal.SIGKILL)

    await until_state(open_node, "starting")
    result = await guest.run(["curl", "-sS", "-m", "20", f"http://{ALIAS}/5"])  # waits in the listener's queue
    assert result["stdout"] == "inner", result
    await until_state(open_node, "ready")
    assert proxy_of(open_node) != first
    assert await refused(guest, "127.0.0.1:80") == "egress_private_address"
    await told(guest, 2)  # what was counted before is not lost


async def test_nothing_is_left_of_a_stopped_sandbox(
    open_node: RunningNode, inner: Inner, runtime_ids: Iterator[str]
) -> None:
    runtime_id = (await open_node.client.start(StartRequest(next(runtime_ids), "SP", size_class="nano"))).runtime_id
    box = Box(open_node.client, runtime_id)
    hold = "import socket, time; s = socket.create_connection(('127.0.0.1', 3128)); print('held', flush=True); time.sleep(99)"
    held = await open_node.client.processes.start(runtime_id, ["python3", "-c", hold])
    await open_node.client.processes.wait(runtime_id, held["process_id"], until="text", text="held")
    await refused(box, "127.0.0.1:80")
    proxy = Path(f"/proc/{proxy_of(open_node)}/fd")
    during = len(os.listdir(proxy))

    await open_node.client.stop(StopRequest(runtime_id, snapshot=False))

    await until(lambda: len(os.listdir(proxy)) <= during - 2)  # listener and connection
    with pytest.raises(SandboxError):
        await open_node.client.usage(runtime_id)


async def test_the_way_out_is_not_a_way_in(open_node: RunningNode, guest: Box) -> None:
    await refused(guest, "127.0.0.1:80")

    assert await open_node.client.processes.ports(guest.runtime_id) == []
    with pytest.raises(SandboxError) as caught:
        await open_node.client.processes.connect(guest.runtime_id, PROXY_PORT)
    assert caught.value.code == "port_closed"
    taken = await guest.python(
        "import socket; s = socket.socket(); s.setsockopt(1, 15, 1); s.bind(('127.0.0.1', 3128)); s.listen()"
    )
    assert "Address already in use" in str(taken["stderr"])


async def test_a_fresh_node_lets_nothing_out(node: RunningNode, box: Box) -> None:
    assert await refused(box, "9.9.9.9:443") == "egress_denied"
    assert await refused(box, f"{ALIAS}:80") == "egress_denied"


async def test_without_egress_there_is_not_even_a_proxy(runtime_ids: Iterator[str]) -> None:
    if not HAS_REAL_NODE:
        pytest.skip("needs root and bubblewrap")
    running = RunningNode({"egress": {"enabled": False}})
    assert (await running.start())["ready"]
    runtime = await running.client.start(StartRequest(next(runtime_ids), "SP", size_class="nano"))
    result = await running.client.exec(runtime.runtime_id, "env; cat /proc/net/tcp")

    assert (await running.client.doctor())["egress"] == "off"
    assert not re.search(r"^(https?|all|no)_proxy=", str(result["stdout"]).lower(), re.MULTILINE)
    assert str(result["stdout"]).count(" 0A ") == 0
    await running.close()


async def test_a_warm_sandbox_has_its_way_out(inner: Inner, runtime_ids: Iterator[str]) -> None:
    if not HAS_REAL_NODE:
        pytest.skip("needs root and bubblewrap")
    running = RunningNode({"egress": {"internal": {ALIAS: inner.url}}, "pool": {"nano": 1}})
    assert (await running.start())["ready"]
    client: NodeClient = running.client
    async with asyncio.timeout(120):
        while not (await client.doctor())["warm"]["nano"]:
            await asyncio.sleep(0.02)
    runtime_id = (await client.start(StartRequest(next(runtime_ids), "SP", size_class="nano"))).runtime_id

    assert (await client.exec(runtime_id, ["curl", "-sS", f"http://{ALIAS}/5"]))["stdout"] == "inner"
    seen = await client.usage(runtime_id)
    assert seen["disk_bytes"] > 0
    assert seen["memory_bytes"] is None or seen["memory_bytes"] > 0
    await running.close()


async def test_a_neighbour_s_servers_are_not_reached(
    open_node: RunningNode, guest: Box, runtime_ids: Iterator[str]
) -> None:
    other = (await open_node.client.start(StartRequest(next(runtime_ids), "SP-other", size_class="nano"))).runtime_id
    server = await open_node.client.processes.start(other, ["python3", "-m", "http.server", "8000"])
    waited = await open_node.client.processes.wait(
        other, server["process_id"], until="port", port=8000, timeout_seconds=10
    )

    directly = await guest.python("import socket; socket.create_connection(('127.0.0.1', 8000), 2)")
    by_proxy = await guest.run(
        ["curl", "-sS", "-m", "5", "--noproxy", "", "-x", "http://127.0.0.1:3128", "http://127.0.0.1:8000/"]
    )

    assert waited["met"]
    assert "Connection refused" in str(directly["stderr"])
    assert "egress_denied" in str(by_proxy["stdout"])  # not even a port that is allowed
    assert await refused(guest, "127.0.0.1:80") == "egress_private_address"
    await open_node.client.stop(StopRequest(other, snapshot=False))


async def test_header_secrets_are_added_outside_and_survive_the_proxy(
    open_node: RunningNode, guest: Box, inner: Inner
) -> None:
    def secret(value: str) -> list[dict[str, str]]:
        return [{"alias": "api.satbox.internal", "upstream": f"http://{ALIAS}", "header": "X-Key", "value": value}]

    async def sent() -> bytes:
        result = await guest.run(["curl", "-sS", "-m", "20", "-H", "X-Key: mine", "http://api.satbox.internal/5"])
        assert result["stdout"] == "inner", result
        return inner.seen[-1].partition(b"X-Key: ")[2].partition(b"\r\n")[0]

    set_secrets = open_node.client.set_secrets
    await set_secrets(guest.runtime_id, 2, secret("two"))
    assert await sent() == b"two"
    await set_secrets(guest.runtime_id, 1, secret("one"))  # by a gate that has not heard of the change
    assert await sent() == b"two"
    await until_state(open_node, "ready")
    os.kill(proxy_of(open_node), signal.SIGKILL)
    await until_state(open_node, "starting")
    assert await sent() == b"two"
    await set_secrets(guest.runtime_id, 3, [])
    assert "egress_denied" in str((await guest.run(["curl", "-sS", "http://api.satbox.internal/"]))["stdout"])
    with pytest.raises(SandboxError) as caught:
        await set_secrets(guest.runtime_id, 4, secret("s3cret\r\nX: 1"))
    assert (caught.value.code, "s3cret" in caught.value.message) == ("bad_request", False)
    everything = await guest.run("env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'")
    assert "two" not in str(everything["stdout"])


async def test_many_large_secrets_reach_the_proxy_in_order(open_node: RunningNode, guest: Box, inner: Inner) -> None:
    """More than the channel holds at once: the node sends as the proxy takes them."""
    secrets = [
        {
            "alias": f"a{number}.satbox.internal",
            "upstream": f"http://{ALIAS}",
            "header": "X-Key",
            "value": f"{number}" * 10_000,
        }
        for number in range(64)
    ]

    await open_node.client.set_secrets(guest.runtime_id, 1, secrets)

    async with asyncio.timeout(120):
        while "inner" not in str((await guest.run(["curl", "-sS", "http://a63.satbox.internal/5"]))["stdout"]):
            await asyncio.sleep(0.05)
    assert inner.seen[-1].count(b"63") >= 10_000
