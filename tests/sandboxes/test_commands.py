"""Commands in a real sandbox: the truth about how they end, and nothing left of them."""

import asyncio
import contextlib

import pytest

from sandboxes.holding import HOLD
from sandboxes.protocol import BadRequest, NodeUnavailable, RuntimeGone, StopRequest
from tests.sandboxes.conftest import Box
from tests.sandboxes.running_node import RunningNode, until

pytestmark = [pytest.mark.sandbox, pytest.mark.shared_node]


async def test_a_command_s_output_and_code_come_back(box: Box) -> None:
    result = await box.run(["python3", "-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"])

    assert (result["exit_code"], result["signal"], result["timed_out"]) == (3, None, False)
    assert (result["stdout"], result["stderr"]) == ("out\n", "err\n")
    assert result["cpu_ms"] > 0
    assert result["max_rss_bytes"] > 1 << 20
    assert result["truncated"] == {"stdout_bytes_dropped": 0, "stderr_bytes_dropped": 0}


async def test_shell_lines_environment_and_folder(box: Box) -> None:
    result = await box.run("echo $A; pwd | tr a-z A-Z; id -un", env={"A": "x y"}, cwd="/tmp")

    assert result["stdout"] == "x y\n/TMP\ntenant\n"


async def test_stdin_reaches_the_command(box: Box) -> None:
    data = bytes(range(256)) * 4000

    result = await box.run("sha256sum; wc -c < /dev/null", stdin=data)

    import hashlib

    assert result["stdout"].split()[0] == hashlib.sha256(data).hexdigest()


async def test_a_command_that_ignores_its_stdin_still_ends(box: Box) -> None:
    result = await box.run(["true"], stdin=b"x" * 3_000_000)

    assert result["exit_code"] == 0


async def test_a_signal_is_not_an_exit_code(box: Box) -> None:
    result = await box.run("kill -SEGV $$")

    assert (result["exit_code"], result["signal"]) == (None, 11)


async def test_a_missing_program_says_so(box: Box) -> None:
    result = await box.run(["no-such-program"])

    assert result["exit_code"] == 127
    assert "No such file" in result["stderr"]


async def test_bytes_that_are_no_text_come_in_base64(box: Box) -> None:
    result = await box.run(r"printf '\377\000'")

    assert (result["stdout_base64"], result["stdout"]) == ("/wA=", "")


async def test_python_is_python3_in_the_host_s_own_image(box: Box) -> None:
    result = await box.run("python -c 'import sys; print(sys.version_info[0])' && python3 -c 'print(1)'")
    assert (result["exit_code"], result["stdout"]) == (0, "3\n1\n"), result
    venv = await box.run(
        "python -m venv --without-pip v && v/bin/python -c 'import sys; print(sys.prefix)'", timeout_seconds=60
    )
    assert venv["stdout"] == "/workspace/v\n", venv


async def test_a_limit_inside_of_a_character_cuts_before_it(box: Box) -> None:
    result = await box.run("printf 'aäöü'", output_limit_bytes=4)

    assert (result["stdout"], result["truncated"]["stdout_bytes_dropped"]) == ("aä", 4)  # type: ignore[index]
    assert "stdout_base64" not in result


async def test_a_stream_has_all_of_it_and_no_character_in_two(box: Box) -> None:
    command = "python3 -c \"print('€' * 1000000, end='')\""
    events = [e async for e in box.client.exec_stream(box.runtime_id, command, output_limit_bytes=None)]

    said = [event for event in events if event["event"] == "stdout"]
    assert not [event for event in said if "data_base64" in event]
    assert "".join(event["data"] for event in said) == "€" * 1_000_000
    assert events[-1]["truncated"] == {"stdout_bytes_dropped": 0, "stderr_bytes_dropped": 0}


async def test_what_a_caller_has_no_room_for_is_dropped_and_counted(box: Box) -> None:
    budget = 300_000

    async def hold(size: int) -> bool:
        nonlocal budget
        if size > budget:
            return False
        budget -= size
        return True

    token = HOLD.set(hold)
    try:
        result, output = await box.client.exec_bytes(
            box.runtime_id, "head -c 1000000 /dev/zero", output_limit_bytes=1 << 20
        )
    finally:
        HOLD.reset(token)

    dropped = result["truncated"]["stdout_bytes_dropped"]
    assert 0 < len(output["stdout"]) <= 300_000
    assert len(output["stdout"]) + dropped == 1_000_000


async def test_output_past_the_limit_is_counted(box: Box) -> None:
    result = await box.run("head -c 1000000 /dev/zero; head -c 500 /dev/zero >&2", output_limit_bytes=1000)

    assert len(result["stdout"]) == 1000
    assert result["truncated"] == {"stdout_bytes_dropped": 999_000, "stderr_bytes_dropped": 0}
    assert result["exit_code"] == 0


async def test_a_timeout_kills_the_whole_tree_also_daemons(box: Box) -> None:
    daemon = "import os,time\nif os.fork() == 0:\n os.setsid()\n if os.fork() == 0: time.sleep(1000)\n os._exit(0)\nos.wait()\n"

    result = await box.python(daemon + "time.sleep(1000)", timeout_seconds=1.0)
    left = await box.run(["ps", "-eo", "user=,args="])

    assert result["timed_out"]
    assert result["signal"] == 9
    assert "time.sleep" not in left["stdout"]


async def test_background_children_outlive_a_finished_command(box: Box) -> None:
    result = await box.run("sleep 1000 & echo started")
    left = await box.run(["ps", "-eo", "args="])

    assert result["stdout"] == "started\n"
    assert result["duration_ms"] < 1000
    assert "sleep 1000" in left["stdout"]


async def test_a_caller_who_leaves_takes_the_command_with_it(box: Box) -> None:
    stream = box.client.exec_stream(box.runtime_id, "echo go; sleep 1000 & sleep 1000")
    async for event in stream:
        if event["event"] == "stdout":
            break
    await stream.aclose()  # type: ignore[attr-defined]

    async def gone() -> bool:
        return "sleep" not in (await box.run(["ps", "-eo", "args="]))["stdout"]

    async with asyncio.timeout(120):
        while not await gone():
            await asyncio.sleep(0.01)


async def test_a_stream_ends_with_exit(box: Box) -> None:
    events = [event async for event in box.client.exec_stream(box.runtime_id, "echo a; echo b >&2; exit 4")]

    assert events[0]["event"] == "started"
    assert {event["event"]: event.get("data") for event in events[1:-1]} == {"stdout": "a\n", "stderr": "b\n"}
    assert (events[-1]["event"], events[-1]["exit_code"]) == ("exit", 4)


async def test_a_stream_cut_by_the_end_of_the_sandbox_is_no_success(box: Box) -> None:
    async def use() -> None:
        async for event in box.client.exec_stream(box.runtime_id, "echo go; sleep 1000"):
            if event["event"] == "stdout":
                stopping.set()

    stopping = asyncio.Event()
    using = asyncio.ensure_future(use())
    await stopping.wait()
    await box.client.stop(StopRequest(box.runtime_id, snapshot=False))

    with pytest.raises(NodeUnavailable):
        await using


async def test_a_stopped_runtime_is_gone(box: Box) -> None:
    await box.client.stop(StopRequest(box.runtime_id, snapshot=False))

    with pytest.raises(RuntimeGone) as gone:
        await box.run("true")
    with pytest.raises(RuntimeGone):
        await box.client.read_file(box.runtime_id, "x")

    assert gone.value.code == "runtime_gone"


async def test_memory_over_the_limit_is_oom_killed_and_the_supervisor_lives(box: Box) -> None:
    result = await box.python("x = b'x' * (1 << 30)")
    after = await box.run(["echo", "alive"])

    assert result["oom_killed"]
    assert result["signal"] == 9
    assert result["evidence"] == "host"
    assert after["stdout"] == "alive\n"
    assert not after["oom_killed"]


async def test_requests_over_a_limit_are_refused(box: Box) -> None:
    for options in ({"env": {"A=B": "x"}}, {"timeout_seconds": 0}, {"env": {"A": "x" * 70_000}}, {"user": "root"}):
        with pytest.raises(BadRequest):
            await box.run("true", **options)
    with pytest.raises(BadRequest):
        await box.run(["a\0b"])


async def test_many_commands_at_once(box: Box) -> None:
    results = await asyncio.gather(*(box.run(f"echo {number}") for number in range(20)))

    assert [result["stdout"] for result in results] == [f"{number}\n" for number in range(20)]


async def test_pre_stop_hook_and_sigterm_come_before_the_kill(box: Box) -> None:
    hook = "mkdir -p .satbox; printf '#!/bin/sh\\necho bye > /workspace/hook\\n' > .satbox/pre-stop; chmod +x .satbox/pre-stop"
    trap = "trap 'echo term > /workspace/term; exit 0' TERM; touch /workspace/armed; while :; do sleep 0.01; done"
    await box.run(hook)
    running = asyncio.ensure_future(box.run(trap))
    async with asyncio.timeout(120):
        while (await box.run("test -e armed"))["exit_code"] != 0:
            await asyncio.sleep(0)

    stopped = await box.client.stop(StopRequest(box.runtime_id, snapshot=True, pre_stop_seconds=5))
    with contextlib.suppress(NodeUnavailable, RuntimeGone):
        await running
    from sandboxes.protocol import StartRequest

    again = f"{box.runtime_id}-again"
    await box.client.start(StartRequest(again, "SP-box", size_class="nano", snapshot_digest=stopped.snapshot_digest))
    result = await box.client.exec(again, "cat hook term")
    await box.client.stop(StopRequest(again, snapshot=False))

    assert result["stdout"] == "bye\nterm\n"
    await until(lambda: True)


async def test_a_line_goes_to_the_image_s_shell(box: Box) -> None:
    assert (await box.run("echo ${BASH_VERSION:+bash}; a=(1 2); echo ${a[1]}"))["stdout"] == "bash\n2\n"


async def test_a_pre_stop_that_fails_is_logged_and_holds_nothing_up(box: Box, node: RunningNode) -> None:
    await box.run("mkdir .satbox; printf '#!/bin/sh\\nsleep 1000\\n' > .satbox/pre-stop; chmod +x .satbox/pre-stop")

    stopped = await box.client.stop(StopRequest(box.runtime_id, snapshot=False, pre_stop_seconds=0.2))
    log = (node.folder / "node.log").read_text()

    assert stopped.reason == "stopped"
    assert "runtime.pre_stop_failed" in log
    assert box.runtime_id in log


async def test_a_folder_that_is_not_there_is_named(box: Box) -> None:
    result = await box.run(["true"], cwd="/nowhere")

    assert result["exit_code"] == 127
    assert result["stderr"] == "satbox: /nowhere: No such file or directory\n"


async def test_what_build_tools_make_can_be_run_where_they_make_it(box: Box) -> None:
    """Go, cargo, pip and npm put programs below HOME, TMPDIR and the project, and run them there: no such place is noexec."""
    script = r"""
import os, shutil, subprocess, tempfile
home, scratch = os.path.expanduser("~"), tempfile.gettempdir()
for folder in (
    home + "/go/bin", home + "/.cache/go-build/0a", home + "/.cargo/bin", home + "/.cargo/registry/src", home + "/.local/bin",
    scratch + "/go-build1/b001/exe", scratch + "/rustc1", "/workspace/target/debug", "/workspace/node_modules/.bin",
):
    os.makedirs(folder, exist_ok=True)
    made = shutil.copy("/usr/bin/true", folder + "/made")
    subprocess.run([made], check=True)
print("all")
"""
    result = await box.python(script)

    assert (result["stdout"], result["stderr"]) == ("all\n", "")
