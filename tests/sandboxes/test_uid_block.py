"""Two nodes of one machine never share a uid."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sandboxes.node.settings import NodeSettings
from sandboxes.node.uid_block import UidBlock
from sandboxes.node.uid_choice import claim_uids
from sandboxes.protocol import StartRequest
from tests.sandboxes.running_node import UID_BASE, RunningNode


def test_blocks_that_touch_live_together_and_blocks_that_overlap_do_not(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first = UidBlock(path, 1000, 100, 0)
    beside = UidBlock(path, 1100, 100, 0)

    over = [UidBlock(path, start, count, 0) for start, count in ((1000, 100), (1199, 1), (900, 101), (0, 1 << 32))]

    assert (first.problem, beside.problem) == (None, None)
    assert all("another node" in (block.problem or "") for block in over)
    for block in (first, beside, *over):
        block.release()


def test_a_released_block_is_free_whatever_else_was_tried(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first = UidBlock(path, 1000, 100, 0)
    UidBlock(path, 1000, 100, 0).release()
    held = UidBlock(path, 1000, 100, 0).problem
    first.release()

    assert held is not None
    assert UidBlock(path, 1000, 100, 0).problem is None


def test_the_end_of_a_process_frees_its_block(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    source = (
        "import sys,time; from pathlib import Path; from sandboxes.node.uid_block import UidBlock;"
        f"block = UidBlock(Path({str(path)!r}), 1000, 100, 0); print('held', flush=True); time.sleep(1000)"
    )
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, cwd=os.getcwd()) as process:
        assert process.stdout is not None
        process.stdout.readline()
        while_it_lives = UidBlock(path, 1000, 100, 0).problem
        process.send_signal(signal.SIGKILL)
        process.wait()

    assert while_it_lives is not None
    assert UidBlock(path, 1000, 100, 0).problem is None


def test_a_place_that_can_not_be_locked_is_a_problem() -> None:
    assert "can't be opened" in (UidBlock(Path("/proc/nowhere/lock"), 1000, 100, 0).problem or "")


@pytest.mark.sandbox
async def test_a_second_node_over_the_same_uids_stays_down(node: RunningNode) -> None:
    second = RunningNode({"uid_lock_seconds_max": 0.0, "slot_uid_base": UID_BASE + 65_536})

    answer = await second.start()
    await second.end(signal.SIGTERM)
    checks = {check["name"]: check["status"] for check in (await node.client.doctor())["checks"]}

    assert not answer["ready"]
    assert "uid_block_unshared: another node" in str(answer["error"])
    assert checks["uid_block_unshared"] == "ok"


@pytest.mark.sandbox
async def test_two_nodes_with_the_same_settings_run_at_once_and_keep_their_uids(tmp_path: Path) -> None:
    settings = {"uid_lock": str(tmp_path / "lock"), "uid_lock_seconds_max": 0.0}
    first, second = RunningNode(settings), RunningNode(settings)
    for node in (first, second):  # by the default base, which tests with a base of their own stay away from
        del node.settings["slot_uid_base"]
    answers = [await node.start() for node in (first, second)]
    assert [answer["ready"] for answer in answers] == [True, True], answers
    for k, node in enumerate((first, second)):
        await node.client.start(StartRequest(f"rt-{k}", "SP1", size_class="nano"))
    bases = [int((node.state / "uid_base").read_text()) for node in (first, second)]

    await first.end(signal.SIGTERM)  # now its block is free, and the second keeps its own all the same
    await second.end(signal.SIGTERM)
    assert (await second.start())["ready"]
    assert int((second.state / "uid_base").read_text()) == bases[1]
    await second.close()
    await first.close()
    assert len(set(bases)) == 2
    assert abs(bases[0] - bases[1]) >= 0x0100_0000


def test_a_remembered_block_that_is_taken_is_kept_for_its_volumes_and_else_given_up(tmp_path: Path) -> None:
    settings = NodeSettings(uid_lock=tmp_path / "lock", uid_lock_seconds_max=0.0)
    (tmp_path / "volumes").mkdir()
    block, chosen = claim_uids(settings, tmp_path)
    (tmp_path / "volumes" / "slot-0.ext4").touch()

    held, same = claim_uids(settings, tmp_path)
    (tmp_path / "volumes" / "slot-0.ext4").unlink()
    free, other = claim_uids(settings, tmp_path)
    named = NodeSettings(uid_lock=tmp_path / "lock", uid_lock_seconds_max=0.0, slot_uid_base=chosen.slot_uid_base)
    refused, _ = claim_uids(named, tmp_path)

    assert block.problem is None
    assert same.slot_uid_base == chosen.slot_uid_base
    assert "node.slot_uid_base" in (held.problem or "")
    assert free.problem is None
    assert other.slot_uid_base != chosen.slot_uid_base
    assert "node.slot_uid_base" in (refused.problem or "")
    for one in (block, held, free, refused):
        one.release()
