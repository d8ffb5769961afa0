"""Layers that hide behind others, each tried alone: the system call filter, and the ids of neighbouring slots."""

import json
import os
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import sandboxes.node.seccomp
from sandboxes.node.seccomp import compile_filter
from sandboxes.protocol import StartRequest, StopRequest
from tests.sandboxes.running_node import HAS_REAL_NODE, UID_BASE, RunningNode
from tests.sandboxes.test_crash import children_of
from tests.sandboxes.test_hostile import CALL, ENOSYS, EPERM, REFUSED

pytestmark = pytest.mark.sandbox

NAMESPACES = {"unshare_user": "272, 0x10000000", "unshare_mount": "272, 0x20000", "clone3": "435, b'\\0' * 88, 88"}
TRIED = REFUSED | NAMESPACES
# Calls that get past the kernel's own checks for a process with every capability of its own user namespace.
OTHERWISE_ALLOWED = {"keyctl", "add_key", "mount", "chroot", "sethostname", "ptrace_traceme", "unshare_mount"}


def answers(filtered: bool) -> tuple[dict[str, int], str]:
    """Errno of each call, and the process's seccomp mode, with every capability of a user namespace and nothing else."""
    source = CALL + "import json\nmode = open('/proc/self/status').read().partition('Seccomp:\\t')[2][0]\nfound = {}\n"
    for name, arguments in TRIED.items():
        source += (
            f"r, w = os.pipe()\nif os.fork() == 0:\n os.write(w, bytes([call({arguments})])); os._exit(0)\n"
            f"os.wait(); os.close(w); found[{name!r}] = (os.read(r, 1) or b'\\xff')[0]; os.close(r)\n"
        )
    source += "print(json.dumps([found, mode]))"
    command = [
        "bwrap", "--unshare-all", "--uid", "0", "--gid", "0", "--cap-add", "ALL", "--ro-bind", "/usr", "/usr",
        "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64",
        "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--dir", "/workspace",
    ]  # fmt: skip
    descriptor = os.memfd_create("filter")
    os.write(descriptor, compile_filter())
    os.lseek(descriptor, 0, os.SEEK_SET)
    if filtered:
        command += ["--seccomp", str(descriptor)]
    try:
        done = subprocess.run(
            [*command, "--", "/usr/bin/python3", "-c", source], pass_fds=(descriptor,), user=UID_BASE + 7,
            group=UID_BASE + 7, extra_groups=[], cwd="/", capture_output=True, check=False, timeout=60,
        )  # fmt: skip
    finally:
        os.close(descriptor)
    assert done.returncode == 0, done.stderr
    found, mode = json.loads(done.stdout)
    return found, mode


@pytest.mark.skipif(not HAS_REAL_NODE, reason="needs root and bubblewrap")
def test_the_filter_alone_refuses_what_the_kernel_would_do() -> None:
    lists = tomllib.loads(Path(sandboxes.node.seccomp.__file__).with_name("seccomp.toml").read_text())

    without, mode_without = answers(filtered=False)
    within, mode_within = answers(filtered=True)

    assert (mode_without, mode_within) == ("0", "2")
    by_name = {name: EPERM for name in REFUSED if name in lists["refuse"]} | {
        "ptrace_traceme": EPERM, "unshare_user": EPERM, "unshare_mount": EPERM, "clone3": ENOSYS,
    }  # fmt: skip
    assert within == {name: by_name.get(name, ENOSYS) for name in TRIED}
    assert {name for name in OTHERWISE_ALLOWED if without[name] in (EPERM, ENOSYS)} == set()


async def test_a_neighbour_s_ids_enter_neither_slot_nor_workspace(
    node: RunningNode, runtime_ids: Iterator[str]
) -> None:
    """Looked at from the spawner's mount namespace, where the volumes are, as the ids of slot 0 and of its neighbour."""
    assert shutil.which("nsenter")
    started = [
        await node.client.start(StartRequest(next(runtime_ids), f"SP{number}", size_class="nano")) for number in (1, 2)
    ]
    await node.client.write_file(started[0].runtime_id, "secret", b"x", mode=0o666)
    assert node.process is not None
    spawner = children_of(node.process.pid)[0]  # the egress proxy is started after it

    def can(uid: int, path: str) -> bool:
        command = ["nsenter", "-t", str(spawner), "-m", "--", "setpriv", "--reuid", str(uid), "--regid", str(uid),
                   "--clear-groups", "ls", path]  # fmt: skip
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    folder = f"/mnt/slots/{started[0].slot}"
    own, other = (UID_BASE + runtime.slot * 65_536 for runtime in started)
    own_may = (can(own, folder), can(own + 1000, folder))
    others_may = [
        can(uid, path)
        for uid in (other, other + 1000, UID_BASE - 1, 65_534)
        for path in (folder, f"{folder}/workspace", f"{folder}/workspace/secret", str(node.state / "volumes"))
    ]
    for runtime in started:
        await node.client.stop(StopRequest(runtime.runtime_id, snapshot=False))

    assert own_may == (True, False)
    assert not any(others_may)
