"""Attacks on memory, against a gate in this process and a real node: what both grow by stays under a stated bound."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from actors.wallet.commands import Deposit
from sandboxes.protocol import StartRequest, StopRequest
from tests.gate.gatehouse import House, Who, gatehouse
from tests.sandboxes.running_node import HAS_REAL_NODE, RunningNode

pytestmark = [pytest.mark.sandbox, pytest.mark.skipif(not HAS_REAL_NODE, reason="needs root and bubblewrap")]
GATE_BYTES_MAX = 400 << 20
"""Growth that is allowed: a wallet's budget with its overdraft is 96 MiB; the rest is for the client, which is here too."""
NODE_BYTES_MAX = 150 << 20
STATEMENT_BYTES_MAX = 100 << 20
"""However long the journal is: statements are written to files, entry by entry."""
MIB = 1 << 20


def _memory(pid: int, name: str) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith(name))


class Growth:
    """How much more memory a process took at its most since this was made."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # proc(5): resets VmHWM
        self._before = _memory(pid, "VmRSS")

    @property
    def bytes(self) -> int:
        return _memory(self._pid, "VmHWM") - self._before


@contextlib.asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[tuple[House, Who, str]]:
    """A gate whose node is a real one for commands and files; fails when either grows too much."""
    node = RunningNode()
    await node.start()
    try:
        runtime = await node.client.start(StartRequest("rt_soak", "SP-soak", size_class="small"))
        async with gatehouse(folder) as house:
            who = await house.agent()
            await house.created(who)

            def at_node(name: str) -> Callable[..., Awaitable[Any]]:
                real = getattr(node.client, name)
                return lambda _runtime_id, *given, **options: real(runtime.runtime_id, *given, **options)

            for name in ("exec_bytes", "list_files"):
                setattr(house.node, name, at_node(name))
            assert node.process is not None
            growths = Growth(os.getpid()), Growth(node.process.pid)
            yield house, who, runtime.runtime_id
            gate, inner = (growth.bytes for growth in growths)
            print(f"the gate grew by {gate // MIB} MiB, the node by {inner // MIB} MiB")
            assert (gate < GATE_BYTES_MAX, inner < NODE_BYTES_MAX) == (True, True), (gate // MIB, inner // MIB)
        await node.client.stop(StopRequest(runtime.runtime_id, snapshot=False))
    finally:
        await node.close()


async def _drained(house: House, who: Who, method: str, path: str, **options: Any) -> tuple[int, int, bytes]:
    """(status, size, last bytes) of an answer that is not kept."""
    async with house.client.request(method, path, headers=house.bearer(who), **options) as answer:
        size, tail = 0, b""
        async for piece in answer.content.iter_chunked(1 << 16):
            size, tail = size + len(piece), (tail + piece)[-2_000:]
        return answer.status, size, tail


async def _served(house: House, who: Who, path: str) -> tuple[int, int, bytes]:
    """The same, asked for again as long as the wallet is too busy to answer: a slow machine is no finding."""
    while (answer := await _drained(house, who, "GET", path))[0] == 503:
        continue
    return answer


AT_ONCE = [8, pytest.param(48, marks=pytest.mark.nightly)]


@pytest.mark.parametrize("at_once", AT_ONCE)
async def test_parallel_commands_of_16_mib_that_are_no_text(tmp_path: Path, at_once: int) -> None:
    command = {"shell": "head -c 16777216 /dev/zero | tr '\\0' '\\377'", "output_limit_bytes": 16 * MIB}
    async with watched(tmp_path) as (house, who, _), asyncio.timeout(500):
        answers = await asyncio.gather(
            *(_drained(house, who, "POST", "/sandbox/exec", json=command) for _ in range(at_once))
        )
        for status, size, tail in answers:
            assert status == 200
            if b'"exit_code":0' not in tail:
                continue  # so many at once are more processes than the sandbox may have
            whole = b'"stdout_bytes_dropped":0' in tail
            assert whole == (size > 16 * MIB * 4 // 3), ("whole, or it says what is missing", size, tail)
        assert any(b'"stdout_bytes_dropped":0' in tail for _, _, tail in answers)


@pytest.mark.parametrize("at_once", AT_ONCE)
async def test_parallel_listings_of_long_links(tmp_path: Path, at_once: int) -> None:
    async with watched(tmp_path) as (house, who, _), asyncio.timeout(500):
        made = await house.node.exec_bytes(  # type: ignore[attr-defined]
            "", ["python3", "-c", "import os\nfor n in range(3000): os.symlink('x' * 4000, f'{n:0200}')"]
        )
        assert made[0]["exit_code"] == 0, made
        answers = await asyncio.gather(
            *(_drained(house, who, "GET", "/sandbox/files/list", params={"path": "/workspace"}) for _ in range(at_once))
        )
        assert {status for status, _, _ in answers} <= {200, 503}
        assert any(status == 200 and b'"truncated":true' in tail for status, _, tail in answers)


async def test_a_listing_of_names_that_grow_sixfold_is_cut_and_not_refused(tmp_path: Path) -> None:
    """Control characters are six bytes each in JSON: counted as one they came to more than a caller may hold, for good."""
    async with watched(tmp_path) as (house, who, _), asyncio.timeout(500):
        made = await house.node.exec_bytes(  # type: ignore[attr-defined]
            "", ["python3", "-c", "for n in range(9000): open(f'{n:05}' + chr(1) * 240, 'w').close()"]
        )
        assert made[0]["exit_code"] == 0, made
        status, size, tail = await _drained(house, who, "GET", "/sandbox/files/list", params={"path": "/workspace"})
        assert (status, b'"truncated":true' in tail) == (200, True), (size, tail[-200:])


async def test_many_large_heads(tmp_path: Path) -> None:
    async with watched(tmp_path) as (house, _who, _), asyncio.timeout(500):
        head = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 60_000) for n in range(120))
        writers = []
        for _ in range(60):
            _reader, writer = await asyncio.open_connection(house.client.host, house.client.port)
            writers.append(writer)
            with contextlib.suppress(ConnectionError):
                writer.write(head[:200_000])
                await writer.drain()
        assert (await house.ask("GET", "/health")).status == 200
        for writer in writers:
            writer.close()


@pytest.mark.parametrize("entries", [2_000, pytest.param(40_000, marks=pytest.mark.nightly)])
async def test_statements_of_a_long_journal(tmp_path: Path, entries: int) -> None:
    """As many at once as one wallet may have, in every form, with pages of the ledger beside them."""
    async with gatehouse(tmp_path, statement_rows_max=entries + 10) as house:
        who = await house.agent()
        for first in range(0, entries, 1_000):
            deposits = (Deposit(f"pay_{first + n}", who.address, 1, "tx", "sBTC", wakes=False) for n in range(1_000))
            await asyncio.gather(*(house.services.system.ask(who.address, deposit) for deposit in deposits))
        growth = Growth(os.getpid())
        for form in ("json", "csv", "sqlite"):
            files = (_served(house, who, f"/sandbox/ledger/statement?format={form}") for _ in range(2))
            pages = (_served(house, who, f"/sandbox/ledger?limit=100&after={n * 100}") for n in range(8))
            answers = await asyncio.gather(*files, *pages)
            assert {status for status, _, _ in answers} == {200}
            assert min(size for _, size, _ in answers[:2]) > entries * 50, "whole"
        print(f"the gate and its wallet grew by {growth.bytes // MIB} MiB")
        assert growth.bytes < STATEMENT_BYTES_MAX
