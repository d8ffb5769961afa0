"""What requests hold in memory is bounded, for one wallet and for all, and what does not fit says so."""

import asyncio
import base64
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.actions.contexts import _within_budget, collected
from gate.reach.exec_answer import SHORT_BYTES, SLICE_BYTES, pieces
from gate.wire.byte_budget import ByteBudget
from operations.commands import ExecResult, delivered
from operations.errors import SatboxError
from tests.gate.gatehouse import gatehouse


async def test_a_wallet_has_its_share_and_all_have_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gate.wire.byte_budget.OVERDRAFT_BYTES", 0)
    budget = ByteBudget(total=100, per_owner=60, wait_seconds=0)
    with budget.lease("a") as first, budget.lease("a") as second, budget.lease("b") as other:
        assert await first.grow(50)
        assert not await second.grow(20)
        assert await second.grow(10)
        assert not await other.grow(41)
        assert await other.grow(40)
        assert budget.held_bytes == 100
    assert budget.held_bytes == 0


async def test_who_waits_gets_what_is_given_back() -> None:
    budget = ByteBudget(total=100, per_owner=100, wait_seconds=10)
    first, second = budget.lease("a"), budget.lease("b")
    with second as later:
        with first as earlier:
            assert await earlier.grow(100)
            waiting = asyncio.ensure_future(later.grow(100))
            await asyncio.sleep(0)
            assert not waiting.done()
        assert await waiting
    assert budget.held_bytes == 0


async def test_those_that_hold_it_all_do_not_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gate.wire.byte_budget.OVERDRAFT_BYTES", 50)
    budget = ByteBudget(total=1_000, per_owner=100, wait_seconds=10)
    most = 0

    async def use() -> bool:
        nonlocal most
        with budget.lease("a") as lease:
            for _ in range(10):
                if not await lease.grow(5):
                    return False
                most = max(most, budget.held_bytes)
                await asyncio.sleep(0)
            return True

    async with asyncio.timeout(120):
        assert all(await asyncio.gather(*(use() for _ in range(8))))
    assert most <= 150


async def test_without_room_it_is_overloaded_and_may_come_again() -> None:
    with ByteBudget(total=10, per_owner=10, wait_seconds=0).lease("a") as lease:
        with pytest.raises(SatboxError) as refusal:
            await lease.need(11)
        assert (refusal.value.code, refusal.value.retry_after) == ("overloaded", 1)


@pytest.mark.parametrize(
    ("stdout", "stderr"),
    [
        (b"\xff" * (SHORT_BYTES + 5), b""),
        ('\u00e4"\\\n\u20ac\U0001f600'.encode() * 60_000, b"err"),
        (b"\0\x01 " * SLICE_BYTES, b"\x80" * 7),
        (("x" * (SLICE_BYTES - 1) + "\u20ac" + "y" * SLICE_BYTES).encode(), "\u20ac".encode()[:2]),
    ],
)
def test_a_long_answer_in_slices_is_the_model(stdout: bytes, stderr: bytes) -> None:
    result = ExecResult(exit_code=0, truncated={"stdout_bytes_dropped": 3})
    output = {"stdout": bytearray(stdout), "stderr": bytearray(stderr)}

    read = ExecResult.model_validate_json(b"".join(pieces(result, output)))

    assert (delivered(read, "stdout"), delivered(read, "stderr")) == (stdout, stderr)
    assert (read.exit_code, read.truncated) == (0, {"stdout_bytes_dropped": 3})
    assert not (read.stdout and read.stdout_base64), "text or base64, never both"


@given(st.binary(max_size=64), st.integers(1, 20))
def test_any_bytes_in_slices(data: bytes, times: int) -> None:
    output = {"stdout": bytearray(data * times), "stderr": bytearray()}
    read = ExecResult.model_validate_json(b"".join(pieces(ExecResult(), output)))
    assert delivered(read, "stdout") == data * times


def test_a_long_answer_is_held_once() -> None:
    output = {"stdout": bytearray(b"\xff") * (16 << 20), "stderr": bytearray()}
    tracemalloc.start()
    total = sum(len(piece) for piece in pieces(ExecResult(), output))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total > 16 << 20
    assert peak < 4 << 20


async def test_a_run_that_does_not_fit_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    done = {"event": "done", "timed_out": False, "truncated": False, "execution_count": 1}

    async def said():  # type: ignore[no-untyped-def]
        for _ in range(10):
            yield {"event": "stdout", "data": "x" * 1000}
        yield done

    monkeypatch.setattr("gate.wire.byte_budget.OVERDRAFT_BYTES", 0)
    budget = ByteBudget(total=10_000, per_owner=10_000, wait_seconds=0)
    with budget.lease("a") as lease:
        result = collected(*await _within_budget(said(), lease))
    assert (0 < len(result.stdout) < 10_000, result.truncated) == (True, True)
    with ByteBudget().lease("a") as lease:
        assert collected(*await _within_budget(said(), lease)).truncated is False


async def test_bodies_are_counted_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gate.wire.byte_budget.OVERDRAFT_BYTES", 0)
    async with gatehouse(tmp_path, held_bytes_per_caller_max=100_000) as house:
        body = json.dumps({"address": "x", "padding": base64.b64encode(bytes(60_000)).decode()})
        sent = asyncio.ensure_future(house.ask("POST", "/gate/challenge", data=body))
        answer = await sent
        assert (answer.status, answer.code) == (503, "overloaded")
        small = await house.ask("POST", "/gate/challenge", data=json.dumps({"address": "x"}))
        assert small.code == "invalid_request"
