"""Background processes, terminals and ports of a real sandbox."""

import asyncio
import json

import pytest
from aiohttp import WSMsgType

from sandboxes.node import processes
from sandboxes.protocol import BadRequest, RuntimeGone, SandboxError, StopRequest
from tests.sandboxes.conftest import Box

pytestmark = [pytest.mark.sandbox, pytest.mark.shared_node]

SERVER = "python3 -m http.server 8080 --bind 127.0.0.1 --directory /workspace"


async def text(box: Box, process_id: str, after: int = 0) -> str:
    content = await box.client.processes.logs(box.runtime_id, process_id, after=after)
    return "".join(item["data"] for item in content["items"])


async def test_a_process_outlives_its_request_and_is_listed(box: Box) -> None:
    started = await box.client.processes.start(box.runtime_id, "echo one; read line; echo got $line; exit 3")
    listed = await box.client.processes.all(box.runtime_id)
    await box.client.processes.write(box.runtime_id, started["process_id"], b"two\n")

    ended = await box.client.processes.wait(box.runtime_id, started["process_id"], until="exit")

    assert [(item["process_id"], item["state"]) for item in listed] == [(started["process_id"], "running")]
    assert (ended["met"], ended["state"], ended["exit_code"]) == (True, "exited", 3)
    assert await text(box, started["process_id"]) == "one\ngot two\n"


async def test_waiting_for_text_gives_the_cursor_behind_it(box: Box) -> None:
    process = await box.client.processes.start(box.runtime_id, "echo starting; echo ready on 80; echo more; sleep 1000")

    met = await box.client.processes.wait(box.runtime_id, process["process_id"], until="text", text="ready")
    missed = await box.client.processes.wait(
        box.runtime_id, process["process_id"], until="text", text="never", timeout_seconds=0.2
    )

    assert met["met"]
    assert (await text(box, process["process_id"], met["cursor"])).startswith(" on 80\n")
    assert not missed["met"]
    assert missed["state"] == "running"


async def test_waiting_for_text_ends_with_the_process(box: Box) -> None:
    process = await box.client.processes.start(box.runtime_id, ["true"])

    answer = await box.client.processes.wait(box.runtime_id, process["process_id"], until="text", text="never")

    assert (answer["met"], answer["state"]) == (False, "exited")


async def test_a_server_inside_is_waited_for_and_reached(box: Box) -> None:
    await box.client.write_file(box.runtime_id, "page.txt", b"from inside")
    process = await box.client.processes.start(box.runtime_id, SERVER)
    answer = await box.client.processes.wait(box.runtime_id, process["process_id"], until="port", port=8080)

    peer = await box.client.processes.connect(box.runtime_id, 8080)
    reader, writer = await asyncio.open_connection(sock=peer)
    writer.write(b"GET /page.txt HTTP/1.0\r\n\r\n")
    response = await reader.read()
    writer.close()

    assert answer["met"]
    assert await box.client.processes.ports(box.runtime_id) == [8080]
    assert response.endswith(b"from inside")


async def test_a_port_nobody_listens_on_is_said(box: Box) -> None:
    with pytest.raises(SandboxError) as refused:
        await box.client.processes.connect(box.runtime_id, 81)

    assert refused.value.code == "port_closed"


async def test_ports_of_a_sandbox_that_is_gone(box: Box) -> None:
    with pytest.raises(RuntimeGone):
        await box.client.processes.connect("rt-never", 80)


async def test_an_ipv6_only_server_is_reached(box: Box) -> None:
    source = (
        "import socket,time\ns=socket.create_server(('::1',9000),family=socket.AF_INET6)\nc,_=s.accept();c.send(b'six')"
    )
    process = await box.client.processes.start(box.runtime_id, ["python3", "-c", source])
    answer = await box.client.processes.wait(
        box.runtime_id, process["process_id"], until="port", port=9000, timeout_seconds=10
    )

    peer = await box.client.processes.connect(box.runtime_id, 9000)
    reader, writer = await asyncio.open_connection(sock=peer)

    assert answer["met"]
    assert await reader.read() == b"six"
    writer.close()


async def test_signals_reach_the_group_and_are_told(box: Box) -> None:
    process = await box.client.processes.start(
        box.runtime_id, "trap 'echo hup' HUP; echo set; while :; do sleep 0.05; done"
    )
    await box.client.processes.wait(box.runtime_id, process["process_id"], until="text", text="set")
    await box.client.processes.signal(box.runtime_id, process["process_id"], "HUP")
    heard = await box.client.processes.wait(box.runtime_id, process["process_id"], until="text", text="hup")
    await box.client.processes.signal(box.runtime_id, process["process_id"], "SIGKILL")
    ended = await box.client.processes.wait(box.runtime_id, process["process_id"], until="exit")

    assert heard["met"]
    assert (ended["exit_code"], ended["signal"]) == (None, 9)
    with pytest.raises(SandboxError, match="has ended"):
        await box.client.processes.signal(box.runtime_id, process["process_id"], "TERM")
    with pytest.raises(BadRequest, match="no signal"):
        await box.client.processes.signal(box.runtime_id, process["process_id"], "NONSENSE")


async def test_killing_ends_daemons_too(box: Box) -> None:
    daemon = "import os,time\nif os.fork() == 0:\n os.setsid()\n if os.fork() == 0: time.sleep(1000)\n os._exit(0)\nos.wait()\n"
    process = await box.client.processes.start(
        box.runtime_id, ["python3", "-c", daemon + "print('up', flush=True); time.sleep(1000)"]
    )
    await box.client.processes.wait(box.runtime_id, process["process_id"], until="text", text="up")

    ended = await box.client.processes.kill(box.runtime_id, process["process_id"])
    left = await box.run("ps -eo args= | grep -c '[s]leep(1000)'")

    assert ended["signal"] == 9
    assert left["stdout"] == "0\n"
    with pytest.raises(SandboxError) as unknown:
        await box.client.processes.get(box.runtime_id, process["process_id"])
    assert unknown.value.code == "process_not_found"


async def test_a_flood_leaves_a_window_and_says_what_is_gone(box: Box) -> None:
    process = await box.client.processes.start(box.runtime_id, "head -c 3000000 /dev/zero | tr '\\0' x; echo end")
    await box.client.processes.wait(box.runtime_id, process["process_id"], until="exit")

    content = await box.client.processes.logs(box.runtime_id, process["process_id"])

    assert content["log_end"] == 3_000_004
    assert content["lost_bytes"] == 3_000_004 - (1 << 20)
    assert content["items"][-1]["data"].endswith("end\n")


async def test_following_goes_on_until_the_end(box: Box) -> None:
    process = await box.client.processes.start(box.runtime_id, "echo out; echo err >&2; exit 7")

    events = [event async for event in box.client.processes.follow(box.runtime_id, process["process_id"])]

    assert {event["event"]: event.get("data") for event in events[:-1]} == {"stdout": "out\n", "stderr": "err\n"}
    assert (events[-1]["event"], events[-1]["exit_code"]) == ("exit", 7)


async def test_a_timeout_ends_a_process(box: Box) -> None:
    process = await box.client.processes.start(box.runtime_id, ["sleep", "1000"], timeout_seconds=0.2)

    ended = await box.client.processes.wait(box.runtime_id, process["process_id"], until="exit")

    assert (ended["timed_out"], ended["signal"]) == (True, 9)


async def test_too_many_processes_are_refused_and_ended_ones_make_room(box: Box) -> None:
    started = [await box.client.processes.start(box.runtime_id, ["true"]) for _ in range(70)]
    for process in started[-3:]:
        await box.client.processes.wait(box.runtime_id, process["process_id"], until="exit")

    listed = await box.client.processes.all(box.runtime_id)

    assert len(listed) <= 64
    assert listed[-1]["process_id"] == started[-1]["process_id"]


async def test_processes_end_with_their_runtime(box: Box) -> None:
    process = await box.client.processes.start(box.runtime_id, "echo up; sleep 1000")
    following = box.client.processes.follow(box.runtime_id, process["process_id"])
    first = await anext(following)

    await box.client.stop(StopRequest(box.runtime_id, snapshot=False))

    assert first["data"] == "up\n"
    assert [event["state"] async for event in following] == ["lost"]
    with pytest.raises(RuntimeGone):
        await box.client.processes.all(box.runtime_id)


# Terminals


async def shell(box: Box, rows: int = 24, columns: int = 80) -> str:
    size = {"rows": rows, "columns": columns}
    process = await box.client.processes.start(box.runtime_id, ["sh", "-i"], terminal=size, env={"PS1": "$ "})
    return str(process["process_id"])


async def test_a_shell_has_a_terminal_of_its_own(box: Box) -> None:
    process_id = await shell(box, 40, 100)
    await box.client.processes.write(
        box.runtime_id, process_id, b"stty size; tty; stat -c %u $(tty); echo pid $$; echo do''ne\n"
    )
    await box.client.processes.wait(box.runtime_id, process_id, until="text", text="done")

    seen = await text(box, process_id)

    assert "40 100\r\n/dev/pts/0\r\n1000\r\n" in seen


async def test_control_c_interrupts_and_end_of_input_ends(box: Box) -> None:
    process_id = await shell(box)
    await box.client.processes.write(box.runtime_id, process_id, b"sh -c 'echo sle''eping; exec sleep 1000'\n")
    await box.client.processes.wait(box.runtime_id, process_id, until="text", text="sleeping")
    await box.client.processes.write(box.runtime_id, process_id, b"\x03")
    await box.client.processes.write(box.runtime_id, process_id, b"echo st''ill\n")
    still = await box.client.processes.wait(box.runtime_id, process_id, until="text", text="still")
    await box.client.processes.write(box.runtime_id, process_id, b"", end=True)
    ended = await box.client.processes.wait(box.runtime_id, process_id, until="exit")

    assert still["met"]
    assert ended["exit_code"] is not None


async def test_a_resize_is_heard(box: Box) -> None:
    source = (
        "import os,signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGWINCH})\n"
        "print('set', flush=True)\nwhile signal.sigwait({signal.SIGWINCH}): print(os.get_terminal_size(), flush=True)"
    )
    process = await box.client.processes.start(box.runtime_id, ["python3", "-c", source], terminal={})
    await box.client.processes.wait(box.runtime_id, process["process_id"], until="text", text="set")

    await box.client.processes.resize(box.runtime_id, process["process_id"], 50, 132)
    heard = await box.client.processes.wait(
        box.runtime_id, process["process_id"], until="text", text="columns=132, lines=50"
    )

    assert heard["met"]


async def test_attaching_again_carries_on(box: Box) -> None:
    process_id = await shell(box)
    first = await box.client.processes.attach(box.runtime_id, process_id)
    await first.send_bytes(b"echo o''ne\n")
    seen = b""
    while b"one" not in seen:
        message = await first.receive(timeout=10)
        assert message.type == WSMsgType.BINARY
        seen += message.data[1:]
    await first.close()

    second = await box.client.processes.attach(box.runtime_id, process_id)
    await second.send_bytes(b"exit 5\n")
    binary, control = b"", []
    async for message in second:
        if message.type == WSMsgType.BINARY:
            binary += message.data[1:]
        else:
            control.append(json.loads(message.data))

    assert b"one" in binary
    assert (control[-1]["event"], control[-1]["exit_code"]) == ("exit", 5)


async def test_opening_a_terminal_leaves_the_supervisor_out_of_reach(box: Box) -> None:
    process_id = await shell(box)

    result = await box.run("cat /proc/1/environ /proc/1/maps; kill -0 1; ls -l /proc/1/fd; head -c1 /proc/1/mem")
    await box.client.processes.get(box.runtime_id, process_id)

    assert result["stdout"] == ""
    assert result["stderr"].count("ermission denied") >= 4 or result["stderr"].count("not permitted") >= 1


async def test_a_supervisor_is_never_signalled_by_a_number_it_can_t_send(box: Box) -> None:
    process = await box.client.processes.start(box.runtime_id, ["sleep", "1000"])
    for _ in range(20):
        await box.client.processes.signal(box.runtime_id, process["process_id"], "CONT")

    assert (await box.run(["true"]))["exit_code"] == 0


async def test_a_process_that_nobody_attends_hangs_up_with_all_it_started(box: Box) -> None:
    """As a page's terminal is: never attached to, or left by its only viewer."""
    never = await box.client.processes.start(box.runtime_id, "exec sleep 1000", unattended_seconds=0.1)
    left = await box.client.processes.start(box.runtime_id, "exec sleep 1000", unattended_seconds=600)
    first = await box.client.processes.attach(box.runtime_id, left["process_id"])
    second = await box.client.processes.attach(box.runtime_id, left["process_id"])
    await first.close()

    ended = await box.client.processes.wait(box.runtime_id, never["process_id"], until="exit", timeout_seconds=120)
    assert (ended["met"], ended["signal"]) == (True, 1)
    assert (await box.client.processes.get(box.runtime_id, left["process_id"]))["state"] == "running"
    await second.close()


async def test_who_is_attached_stops_the_clock_and_who_ignores_the_hang_up_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Stream:
        def __init__(self) -> None:
            self.signalled: list[int] = []
            self.killed = asyncio.Event()

        def signal(self, number: int) -> None:
            self.signalled.append(number)

        def kill(self) -> None:
            self.killed.set()

    monkeypatch.setattr(processes, "HANG_UP_SECONDS", 0.01)
    stream = Stream()
    process = processes.Process("p_1", None, stream, 1, 0, unattended_seconds=0.01)  # type: ignore[arg-type]
    with process.attended():
        with process.attended():
            assert process._ending is None
        assert process._ending is None, "one of two is still there"
    assert process._ending is not None
    await asyncio.wait_for(stream.killed.wait(), 60)
    assert stream.signalled == [1]
    forever = processes.Process("p_2", None, Stream(), 1, 0)  # type: ignore[arg-type]
    with forever.attended():
        pass
    assert forever._ending is None, "satbox shell finds it again"
