"""Code contexts in a real sandbox: variables that stay, results of every kind, and kernels that misbehave."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from sandboxes.node.command_stream import Output
from sandboxes.node.contexts import HELD_BYTES_MAX, LINE_BYTES_MAX, ContextDied, Kernel
from sandboxes.protocol import SandboxError, StartRequest
from tests.images.built import store_with
from tests.sandboxes.conftest import Box
from tests.sandboxes.running_node import HAS_REAL_NODE, KeptNodes

pytestmark = [pytest.mark.sandbox, pytest.mark.skipif(not HAS_REAL_NODE, reason="needs root and bubblewrap")]


@pytest.fixture
async def notebook(runtime_ids: Iterator[str], kept_nodes: KeptNodes) -> AsyncIterator["Notebook"]:
    node = await kept_nodes.take({"image_store": str(await asyncio.to_thread(store_with, "python"))})
    runtime = await node.client.start(StartRequest(next(runtime_ids), "SP1", size_class="small", image="python"))
    made = await node.client.contexts.create(runtime.runtime_id)
    yield Notebook(Box(node.client, runtime.runtime_id), made["context_id"])
    await kept_nodes.give_back(node)


class Notebook:
    """One context."""

    def __init__(self, box: Box, context_id: str) -> None:
        self.box = box
        self.context_id = context_id

    async def run(self, code: str, **options: Any) -> list[dict[str, Any]]:
        events = self.box.client.contexts.run(self.box.runtime_id, self.context_id, code, **options)
        return [event async for event in events]


async def test_variables_stay_and_results_come_as_values(notebook: Notebook) -> None:
    await notebook.run("x = 20")
    events = await notebook.run("import sys\nprint('out')\nprint('err', file=sys.stderr)\nx + 1")

    by_kind = {event["event"]: event for event in events}
    assert by_kind["stdout"]["data"] == "out\n"
    assert by_kind["stderr"]["data"] == "err\n"
    assert by_kind["result"]["data"] == {"text/plain": "21"}
    assert events[-1] == {"event": "done", "timed_out": False, "truncated": False, "execution_count": 2}


async def test_json_and_images_are_shown(notebook: Notebook) -> None:
    events = await notebook.run(
        "from IPython.display import JSON, Image, display\n"
        "display(JSON({'a': [1, 2]}))\n"
        "display(Image(data=b'\\x89PNG\\r\\n\\x1a\\n' + bytes(20), format='png'))"
    )

    shown = [event["data"] for event in events if event["event"] == "display"]
    assert shown[0]["application/json"] == {"a": [1, 2]}
    assert shown[1]["image/png"].startswith("iVBORw0KGgo")


async def test_an_exception_is_told_and_the_context_lives(notebook: Notebook) -> None:
    events = await notebook.run("1 / 0")
    after = await notebook.run("40 + 2")

    failed = next(event for event in events if event["event"] == "error")
    assert (failed["name"], failed["value"]) == ("ZeroDivisionError", "division by zero")
    assert any(event.get("data") == {"text/plain": "42"} for event in after)


async def test_what_takes_too_long_is_interrupted_and_variables_stay(notebook: Notebook) -> None:
    await notebook.run("kept = 'here'")
    events = await notebook.run("import time\ntime.sleep(1000)", timeout_seconds=0.5)
    after = await notebook.run("kept")

    assert events[-1]["timed_out"]
    assert "KeyboardInterrupt" in [event.get("name") for event in events]
    assert any(event.get("data") == {"text/plain": "'here'"} for event in after)


async def test_code_that_will_not_stop_loses_its_kernel(notebook: Notebook) -> None:
    stubborn = "import time\nwhile True:\n  try:\n    time.sleep(1000)\n  except KeyboardInterrupt:\n    pass"

    with pytest.raises(SandboxError) as died:
        await notebook.run(stubborn, timeout_seconds=0.5)

    assert died.value.code == "context_died"
    assert await notebook.box.client.contexts.all(notebook.box.runtime_id) == []
    assert (await notebook.box.run("true"))["exit_code"] == 0


async def test_a_kernel_that_kills_itself_is_told(notebook: Notebook) -> None:
    with pytest.raises(SandboxError) as died:
        await notebook.run("import os\nos.kill(os.getpid(), 9)")

    assert died.value.code == "context_died"


async def test_one_run_at_a_time(notebook: Notebook) -> None:
    first = notebook.box.client.contexts.run(
        notebook.box.runtime_id, notebook.context_id, "import time\nprint(1, flush=True)\ntime.sleep(30)"
    )
    assert (await anext(first))["event"] == "stdout"

    with pytest.raises(SandboxError) as busy:
        await notebook.run("2")
    await notebook.box.client.contexts.interrupt(notebook.box.runtime_id, notebook.context_id)
    rest = [event async for event in first]

    assert busy.value.code == "context_busy"
    assert rest[-1]["event"] == "done"


LIES = {
    "no JSON": [b"not json\n"],
    "JSON of another kind": [b"[1, 2]\n", b'"text"\n'],
    "a line without an end": [bytes(1 << 20)] * 7,
    "JSON that nests": [b"[" * 100_000 + b"\n"],
    "bytes that are no text": [b'{"event": "\xff\xfe"}\n'],
}


class LyingStream:
    """A bridge in a tenant's hands."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces
        self.closed = False
        self.told = asyncio.Event()

    async def output(self) -> AsyncIterator[Output]:
        yield Output("stdout", b'{"event": "ready"}\n')
        await self.told.wait()
        for piece in self.pieces:
            yield Output("stdout", piece)
        await asyncio.Event().wait()

    async def write(self, data: bytes) -> None:
        """Nobody reads it, and yet it answers."""
        self.told.set()

    def close(self) -> None:
        self.closed = True

    kill = close


@pytest.mark.parametrize("lie", LIES)
async def test_a_bridge_that_lies_ends_its_context(lie: str) -> None:
    stream = LyingStream(LIES[lie])
    context = Kernel("c_1", stream, 0)  # type: ignore[arg-type]
    reading = asyncio.ensure_future(context.read())
    await context.until_ready()

    with pytest.raises(ContextDied):
        async for _event in context.run("1", 60):
            pass

    assert stream.closed
    reading.cancel()


async def test_a_kernel_killed_for_memory_says_so() -> None:
    kills = iter([0])
    context = Kernel("c_1", LyingStream([]), 0, lambda: next(kills, 1))  # type: ignore[arg-type]
    context.kill()

    with pytest.raises(ContextDied, match="out of memory"):
        await anext(context.run("1", 60))


@pytest.mark.nightly
async def test_a_kernel_that_takes_all_memory_says_so_in_a_real_sandbox(notebook: Notebook) -> None:
    with pytest.raises(SandboxError, match="out of memory") as died:
        await notebook.run("taken = [b'x' * (64 << 20) for _ in range(256)]", timeout_seconds=60)
    assert died.value.code == "context_died"
    assert (await notebook.box.run(["echo", "still here"]))["stdout"] == "still here\n"


async def test_lines_are_held_as_bytes_within_a_bound_and_dropped_between_runs() -> None:
    line = b'{"event": "stdout", "id": 1, "a": [' + b"[]," * 400_000 + b"[]]}\n"
    stream = LyingStream([line] * 50)
    context = Kernel("c_1", stream, 0)  # type: ignore[arg-type]
    reading = asyncio.ensure_future(context.read())
    await context.until_ready()
    run = context.run("1", 60)
    await anext(run)
    for _ in range(200):
        await asyncio.sleep(0)
    held = context._held_bytes
    await run.aclose()
    for _ in range(200):
        await asyncio.sleep(0)

    assert HELD_BYTES_MAX < held <= HELD_BYTES_MAX + LINE_BYTES_MAX
    assert context._held_bytes == 0
    reading.cancel()


async def test_events_of_no_run_and_of_no_kind_are_dropped() -> None:
    lines = [
        b'{"event": "stdout", "id": 9, "data": "x"}\n',
        b'{"event": "exit", "id": 1}\n',
        b'{"event": "done", "id": 1}\n',
    ]
    context = Kernel("c_1", LyingStream(lines), 0)  # type: ignore[arg-type]
    reading = asyncio.ensure_future(context.read())
    await context.until_ready()

    events = [event async for event in context.run("1", 60)]

    assert [event["event"] for event in events] == ["done"]
    reading.cancel()


async def test_much_output_is_cut(notebook: Notebook) -> None:
    events = await notebook.run("for _ in range(60): print('x' * 1_000_000)")

    assert events[-1]["truncated"]
    assert sum(len(event.get("data", "")) for event in events) < 40_000_000


async def test_an_image_without_a_kernel_says_so(box: Box) -> None:
    with pytest.raises(SandboxError) as refused:
        await box.client.contexts.create(box.runtime_id)

    assert refused.value.code == "context_unavailable"
    assert "no IPython kernel" in refused.value.message
