"""Hostile code inside a sandbox: each restriction is tried from within and has to refuse."""

import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from sandboxes.protocol import NodeUnavailable, RuntimeGone, StartRequest, StopRequest
from tests.sandboxes.conftest import Box
from tests.sandboxes.running_node import HAS_GVISOR, HAS_REAL_NODE, UID_BASE, RunningNode

pytestmark = [pytest.mark.sandbox, pytest.mark.asyncio(loop_scope="module")]

EPERM, EBADF, ENOSYS, EACCES, EROFS = 1, 9, 38, 13, 30


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=["bubblewrap", "gvisor"])
async def node(request: pytest.FixtureRequest) -> AsyncIterator[RunningNode]:
    if not HAS_REAL_NODE:
        pytest.skip("needs root and bubblewrap")
    if request.param == "gvisor" and not HAS_GVISOR:
        pytest.skip("needs runsc: tests/sandboxes/install")
    running = RunningNode({"driver": request.param})
    ready = await running.start()
    assert ready["ready"], ready
    yield running
    await running.close()


@pytest_asyncio.fixture(loop_scope="module")
async def box(node: RunningNode, runtime_ids: Iterator[str]) -> AsyncIterator[Box]:
    runtime = await node.client.start(StartRequest(next(runtime_ids), "SP-box", size_class="nano"))
    yield Box(node.client, runtime.runtime_id)
    await node.client.stop(StopRequest(runtime.runtime_id, snapshot=False))


@pytest.fixture
def is_gvisor(node: RunningNode) -> bool:
    """gVisor answers from a kernel of its own: what a tenant sees of ids and errors is that kernel's."""
    return node.settings["driver"] == "gvisor"


CALL = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(*a):
    r = libc.syscall(*a)
    return 0 if r >= 0 else ctypes.get_errno()
def call_fd(*a):
    return libc.syscall(*a)
"""


async def errno_of(box: Box, expression: str) -> int:
    result = await box.python(CALL + f"print({expression})")
    assert result["exit_code"] == 0, result
    return int(result["stdout"])


def uids_in_group(state: Path, slot: int) -> list[int]:
    """Host ids of the processes in a slot's cgroup, as either version has it."""
    parent = "satbox-" + hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:12]
    root, name = Path("/sys/fs/cgroup"), f"{parent}/slot-{slot}/cgroup.procs"
    pids = {pid for pattern in (name, f"*/{name}") for path in root.glob(pattern) for pid in path.read_text().split()}
    return [int(Path(f"/proc/{pid}/status").read_text().partition("\nUid:\t")[2].split()[0]) for pid in pids]


async def test_no_process_of_a_sandbox_is_host_root(box: Box, node: RunningNode) -> None:
    """From the host: whatever runs in the slot's cgroup has an id of the slot's block."""
    slot = next(item.slot for item in await node.client.runtimes() if item.runtime_id == box.runtime_id)
    uids = uids_in_group(node.state, slot)
    first, last = UID_BASE + slot * 65_536, UID_BASE + (slot + 1) * 65_536

    assert uids
    assert [uid for uid in uids if not first <= uid < last] == []


async def test_no_id_inside_is_host_root(box: Box, is_gvisor: bool) -> None:
    if is_gvisor:
        pytest.skip("gVisor's own ids: see test_no_process_of_a_sandbox_is_host_root")
    maps = (await box.run("cat /proc/self/uid_map /proc/self/gid_map"))["stdout"]
    rows = [tuple(map(int, line.split())) for line in maps.splitlines()]

    assert rows
    for _inside, outside, count in rows:
        assert outside >= 65_536
        assert outside + count < 1 << 32
    assert len([row for row in rows if row[2] == 1]) == 4


SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


async def test_the_tenant_has_no_capability_and_no_way_to_one(box: Box, is_gvisor: bool) -> None:
    status = (await box.run("cat /proc/self/status"))["stdout"]

    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    # gVisor lists neither ambient capabilities nor the flag in the status file; the flag itself can be asked for.
    assert {int(fields[name], 16) for name in SETS[: 4 if is_gvisor else 5]} == {0}
    no_new_privs = await box.python("import ctypes; print(ctypes.CDLL(None).prctl(39, 0, 0, 0, 0))")
    assert no_new_privs["stdout"] == "1\n"
    assert fields["Seccomp"] == "2"
    assert fields["Uid"].split() == ["1000"] * 4


async def test_becoming_another_id_is_refused(box: Box) -> None:
    for attempt in (
        "os.setuid(0)",
        "os.setresuid(0,0,0)",
        "os.setgroups([])",
        "os.setgid(0)",
        "os.setresuid(65534,65534,65534)",
    ):
        assert (await box.python(f"import os; {attempt}"))["exit_code"] == 1


@pytest.mark.parametrize(
    "path",
    [
        "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/vm/overcommit_memory",
        "/proc/sys/user/max_user_namespaces", "/proc/sys/net/ipv4/ip_forward", "/proc/sysrq-trigger",
        "/proc/sys/kernel/modprobe", "/proc/sys/fs/binfmt_misc/register", "/proc/self/uid_map", "/proc/1/oom_score_adj",
        "/etc/passwd", "/usr/bin/x", "/x", "/opt/satbox/x", "/dev/x", "/sys/x", "/var/x", "/home/x",
    ],
)  # fmt: skip
async def test_writes_outside_are_refused(box: Box, path: str) -> None:
    result = await box.run(f"echo x > {path}")

    assert result["exit_code"] != 0
    assert re.search(
        "Permission denied|Read-only|No such file|nonexistent|not permitted|Directory|I.O error|Invalid argument",
        result["stderr"],
    )


async def test_setid_files_give_nothing(box: Box, is_gvisor: bool) -> None:
    script = (
        "cp /usr/bin/id ./id && chmod 6755 id && ./id -u; "
        "python3 -c 'import os; s = os.stat(\"id\"); print(s.st_uid, s.st_gid)'; (su -c id 2>&1 || true) | tail -1"
    )
    result = await box.run(script)

    assert result["stdout"].splitlines()[:2] == ["1000", "1000 1000"]
    assert "uid=0" not in result["stdout"]
    if not is_gvisor:  # which does not list the flag; what holds there is no-new-privs
        mounts = (await box.run("cat /proc/self/mounts"))["stdout"].splitlines()
        assert [line for line in mounts if "nosuid" not in line] == []


PUBLIC_IN_GVISOR = ("/proc/1/environ", "/proc/1/fd", "/proc/1/maps")
"""Of its own first process, which is not the host's; what its descriptors lead to is tried below."""


async def test_nothing_of_the_host_can_be_read(box: Box, node: RunningNode, is_gvisor: bool) -> None:
    for path in ("/etc/shadow", "/root", str(node.state), str(node.socket), "/var/lib", "/proc/1/environ", "/proc/1/root",
                 "/proc/1/cwd/", "/proc/1/mem", "/proc/1/fd", "/proc/1/maps", "/proc/kcore", "/sys/fs/cgroup", "/dev/sda",
                 "/dev/loop0", "/dev/mem", "/dev/kmsg", "/dev/vda"):  # fmt: skip
        if is_gvisor and path in PUBLIC_IN_GVISOR:
            continue
        if is_gvisor and path == "/sys/fs/cgroup":  # an empty folder of its own
            assert (await box.python(f"import os; print(os.listdir({path!r}))"))["stdout"] == "[]\n"
            continue
        result = await box.run(
            ["python3", "-c", f"import os; p={path!r}; os.listdir(p) if os.path.isdir(p) else open(p).read(1)"]
        )
        assert result["exit_code"] == 1, path
    environment = (await box.run("env"))["stdout"]
    assert "SATBOX" not in environment
    everyone = (await box.run(["ps", "-eo", "pid="]))["stdout"].split()
    assert len(everyone) < 10


TAKEN = """
import errno, os, stat
for folder, folders, names in os.walk("/proc"):
    if folder == "/proc":
        folders[:] = [name for name in folders if not name.isdigit() and name not in ("self", "thread-self")]
    for name in names:
        path = os.path.join(folder, name)
        try:
            if stat.S_ISCHR(os.stat(path).st_mode):
                continue  # covered by /dev/null
            opened = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        except OSError:
            continue
        try:
            os.write(opened, b"some 500000 2000000")
            print(path)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EACCES):
                print(path, error)
        os.close(opened)
"""


async def test_no_file_of_the_whole_kernel_takes_anything(box: Box) -> None:
    """What watches for pressure takes words from anybody; 80,000 of them kept a sandbox from ending for more than a minute."""
    result = await box.python(TAKEN)
    assert (result["exit_code"], result["stdout"]) == (0, ""), result


OPTIONS = (
    CALL
    + """
import errno, socket, struct
ours = {family: socket.socket(family, socket.SOCK_DGRAM) for family in (socket.AF_INET, socket.AF_INET6)}
group4, group6 = socket.inet_aton("224.9.9.9") + socket.inet_aton("127.0.0.1"), bytes([255, 2]) + bytes(14) + struct.pack("I", 1)
one = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
program = struct.pack("HxxxxxxQ", 1, ctypes.addressof(one))
for family, level, option, value in (
    (socket.AF_INET, 1, 26, program), (socket.AF_INET, 1, 51, program), (socket.AF_INET, 0, 35, group4),
    (socket.AF_INET6, 41, 20, group6),
):
    for high in (0, 1 << 32):  # the kernel does not look at the upper half
        for way in ((high | level, option), (level, high | option)):
            text = ctypes.create_string_buffer(value)
            said = call(54, ours[family].fileno(), ctypes.c_uint64(way[0]), ctypes.c_uint64(way[1]), text, len(value))
            print(level, option, errno.errorcode.get(said, said))
stream = socket.socket()
for level, option, value in (
    (socket.SOL_SOCKET, socket.SO_REUSEADDR, 1), (socket.SOL_SOCKET, socket.SO_REUSEPORT, 1),
    (socket.SOL_SOCKET, socket.SO_SNDBUF, 65536), (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0)),
    (socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 1, 0)), (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 9), (socket.IPPROTO_IP, socket.IP_TTL, 9),
):
    stream.setsockopt(level, option, value)
ours[socket.AF_INET6].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
"""
)


async def test_socket_options_whose_memory_nobody_counts_are_refused_and_no_others(box: Box, is_gvisor: bool) -> None:
    result = await box.python(OPTIONS)
    assert result["exit_code"] == 0, result["stderr"]
    if not is_gvisor:  # in whose own kernel all memory is counted
        assert {line.split()[2] for line in result["stdout"].splitlines()} == {"EPERM"}, result["stdout"]


DESCRIPTORS = """
import os
found = []
for number in range(64):
    for mode in (os.O_RDONLY, os.O_WRONLY):
        path = f"/proc/1/fd/{number}"
        try:
            descriptor = os.open(path, mode | os.O_NONBLOCK)
        except OSError:
            continue
        if os.fstat(descriptor).st_rdev != os.stat("/dev/null").st_rdev and not os.readlink(path).startswith("host:"):
            found.append((number, mode, os.readlink(path)))
print(found)
"""


async def test_the_supervisor_can_not_be_signalled_traced_or_reached(box: Box) -> None:
    assert (await box.python("import os; os.kill(1, 9)"))["stderr"].strip().endswith("Operation not permitted")
    assert await errno_of(box, "call(101, 16, 1, 0, 0)") == EPERM  # ptrace(PTRACE_ATTACH)
    assert await errno_of(box, "call(310, 1, 0, 0, 0, 0, 0)") == EPERM  # process_vm_readv
    assert await errno_of(box, "call(438, call_fd(434, 1, 0), 3, 0)") in (EPERM, EBADF)  # pidfd_getfd
    assert (await box.python("import signal,os; signal.pidfd_send_signal(os.pidfd_open(1), 9)"))["exit_code"] == 1
    places = "/tmp /run /dev /workspace /opt /var /etc"
    assert (await box.run(f"find {places} -type s 2>/dev/null | wc -l"))["stdout"].strip() == "0"
    opened = await box.python(DESCRIPTORS)
    assert (opened["stdout"], opened["exit_code"]) == ("[]\n", 0)
    assert (await box.run(["echo", "still here"]))["stdout"] == "still here\n"


async def test_the_supervisor_s_own_rights_are_few(box: Box, is_gvisor: bool) -> None:
    status = (await box.run("cat /proc/1/status"))["stdout"]
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)

    assert int(fields["CapPrm"], 16) == int(fields["CapEff"], 16) == 0xE0
    assert int(fields["CapBnd"], 16) == int(fields["CapInh"], 16) == 0
    assert is_gvisor or int(fields["CapAmb"], 16) == 0
    assert fields["Seccomp"] == "2"


async def test_there_is_no_network_but_the_loopback(box: Box) -> None:
    script = """
import socket
def tried(family, kind, address):
    try:
        s = socket.socket(family, kind); s.settimeout(2)
        (s.connect if kind == socket.SOCK_STREAM else lambda a: s.sendto(b'x', a))(address)
        return 'reached'
    except OSError as error:
        return 'refused'
print([name for _, name in socket.if_nameindex()])
for address in ('1.1.1.1', '169.254.169.254', '10.0.0.1', '192.168.0.1', '172.17.0.1'):
    print(tried(socket.AF_INET, socket.SOCK_STREAM, (address, 80)), tried(socket.AF_INET, socket.SOCK_DGRAM, (address, 53)))
print(tried(socket.AF_INET6, socket.SOCK_STREAM, ('2606:4700:4700::1111', 80)))
for family, kind in ((socket.AF_PACKET, socket.SOCK_RAW), (socket.AF_INET, socket.SOCK_RAW), (40, 1), (38, 5), (16, 3)):
    try:
        socket.socket(family, kind, 15 if family == 16 else 1 if kind == 3 else 0).bind((0, 0) if family == 16 else None)
        print('made', family)
    except (OSError, TypeError):
        print('refused')
"""
    result = await box.python(script)

    assert result["stdout"].splitlines()[0] == "['lo']"
    assert "reached" not in result["stdout"]


async def test_abstract_sockets_of_the_host_are_out_of_reach(box: Box) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0satbox-hostile-test")
        listener.listen()
        result = await box.python("import socket; socket.socket(socket.AF_UNIX).connect('\\0satbox-hostile-test')")

    assert "ConnectionRefusedError" in result["stderr"]


@pytest.mark.parametrize(
    "flag", [0x10000000, 0x20000, 0x20000000, 0x40000000, 0x8000000, 0x4000000, 0x2000000], ids=hex
)
async def test_no_new_namespace(box: Box, flag: int) -> None:
    assert await errno_of(box, f"call(272, {flag})") == EPERM  # unshare
    assert await errno_of(box, f"call(56, {flag | 17}, 0, 0, 0, 0)") == EPERM  # clone
    assert await errno_of(box, "call(435, b'\\0' * 88, 88)") == ENOSYS  # clone3


REFUSED = {
    "keyctl": "250, 0, 0, 0, 0, 0", "add_key": "248, b'user', b'x', b'y', 1, -1", "request_key": "249, b'user', b'x', 0, 0",
    "bpf": "321, 0, 0, 0", "userfaultfd": "323, 0",
    "io_uring_setup": "425, 8, b'\\0' * 120", "io_uring_enter": "426, 0, 0, 0, 0, 0",
    "perf_event_open": "298, b'\\0' * 112, 0, -1, -1, 0", "mount": "165, b'x', b'/tmp', b'tmpfs', 0, 0",
    "umount2": "166, b'/workspace', 2", "pivot_root": "155, b'/', b'/'", "chroot": "161, b'/tmp'", "setns": "308, 0, 0",
    "fsopen": "430, b'tmpfs', 0", "open_tree": "428, -100, b'/', 1", "move_mount": "429, -100, b'/', -100, b'/', 0",
    "mount_setattr": "442, -100, b'/', 0, 0, 0", "init_module": "175, 0, 0, b''", "finit_module": "313, 0, b'', 0",
    "delete_module": "176, b'x', 0", "kexec_load": "246, 0, 0, 0, 0", "reboot": "169, 0xfee1dead, 672274793, 0, 0",
    "clock_settime": "227, 0, b'\\0' * 16", "settimeofday": "164, 0, 0", "adjtimex": "159, b'\\0' * 208",
    "swapon": "167, b'/x', 0", "acct": "163, 0", "syslog": "103, 3, 0, 0", "sethostname": "170, b'x', 1",
    "open_by_handle_at": "304, -100, b'\\0' * 16, 0", "ptrace_traceme": "101, 0, 0, 0, 0", "iopl": "172, 3",
    "quotactl": "179, 0, 0, 0, 0", "process_madvise": "440, 0, 0, 0, 0, 0", "memfd_secret": "447, 0",
}  # fmt: skip


async def test_dangerous_system_calls_are_refused(box: Box) -> None:
    source = CALL + "".join(f"print({name!r}, call({arguments}))\n" for name, arguments in REFUSED.items())

    result = await box.python(source)

    answers = dict(line.split() for line in result["stdout"].splitlines())
    assert answers.keys() == REFUSED.keys(), result
    assert {name: code for name, code in answers.items() if int(code) not in (EPERM, ENOSYS)} == {}


async def test_the_limit_of_processes_can_be_read_and_not_lowered(box: Box) -> None:
    none, upper_half = "b'\\0' * 16", "(1 << 32)"  # the kernel looks at the lower half of the number

    assert await errno_of(box, f"call(302, 0, 6, {none}, 0)") == EPERM  # prlimit64, RLIMIT_NPROC
    assert await errno_of(box, f"call(302, 0, {upper_half} + 6, {none}, 0)") == EPERM
    assert await errno_of(box, f"call(160, 6, {none})") == EPERM  # setrlimit
    assert await errno_of(box, f"call(302, 0, 6, 0, {none})") == 0
    assert await errno_of(box, f"call(302, 0, 4, {none}, 0)") == 0  # RLIMIT_CORE


async def test_device_nodes_can_not_be_made(box: Box) -> None:
    assert (await box.run("mknod d c 1 1"))["exit_code"] != 0
    assert (await box.run("mknod d b 254 0"))["exit_code"] != 0


async def test_a_fork_bomb_stays_in_its_box(box: Box, node: RunningNode, is_gvisor: bool) -> None:
    bomb = "import os\nwhile True:\n try:\n  os.fork()\n except OSError: pass\n"

    if is_gvisor:  # "process_limit" is not offered: the bomb costs its own sandbox, and nobody else's
        with pytest.raises((NodeUnavailable, RuntimeGone)):
            await box.python(bomb, timeout_seconds=20)
        other = await node.client.start(StartRequest(f"beside-{box.runtime_id}", "SP-other", size_class="nano"))
        assert (await node.client.exec(other.runtime_id, ["echo", "alive"]))["stdout"] == "alive\n"
        await node.client.stop(StopRequest(other.runtime_id, snapshot=False))
        return

    result = await box.python(bomb, timeout_seconds=2)
    after = await box.run(["echo", "alive"])

    assert result["timed_out"]
    assert after["stdout"] == "alive\n"


async def test_a_disk_and_inode_bomb_stay_in_their_box(box: Box, is_gvisor: bool) -> None:
    disk = await box.run("head -c 2G /dev/zero > f; wc -c < f; rm f", timeout_seconds=60)
    if is_gvisor:  # the volume is the same one; ten thousand files through gVisor take half a minute
        assert int(disk["stdout"]) < 256 << 20
        assert "No space" in disk["stderr"]
        return
    inodes = await box.python(
        "i = 0\ntry:\n while True: open(f'f{i}', 'w').close(); i += 1\nexcept OSError as e: print(i, e.errno)"
    )
    scratch = await box.run(
        "for d in /tmp /dev/shm /run; do head -c 2G /dev/zero > $d/f; rm $d/f; done; true", timeout_seconds=60
    )
    after = await box.run(["echo", "alive"])

    assert int(disk["stdout"]) < 256 << 20
    assert "No space" in disk["stderr"]
    count, code = map(int, inodes["stdout"].split())
    assert (count < 16_384, code) == (True, 28)
    assert scratch["stderr"].count("No space") == 3
    assert after["stdout"] == "alive\n"


async def test_a_descriptor_bomb_is_bounded(box: Box) -> None:
    result = await box.python(
        "import os\nn = 0\ntry:\n while True: os.dup(0); n += 1\nexcept OSError as e: print(n, e.errno)"
    )

    assert int(result["stdout"].split()[0]) < 4096


TERMINALS = """
import os
held = []
try:
    while True:
        held.append(os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY))
except OSError as error:
    print(len(held), error.errno, flush=True)
input()
"""
ENOSPC, TERMINALS_MAX = 28, 64


def terminals_of_the_host() -> int:
    return int(Path("/proc/sys/kernel/pty/nr").read_text())


async def test_a_terminal_bomb_stays_in_its_box(box: Box, node: RunningNode, is_gvisor: bool) -> None:
    """The kernel counts terminals for the whole machine: a sandbox gets a few of its own. gVisor's are none of the host's."""
    processes, before = node.client.processes, terminals_of_the_host()
    bomb = await processes.start(box.runtime_id, ["python3", "-c", TERMINALS])
    await processes.wait(box.runtime_id, bomb["process_id"], until="text", text="\n")
    taken = terminals_of_the_host() - before
    held, code = map(int, (await processes.logs(box.runtime_id, bomb["process_id"]))["items"][0]["data"].split())

    assert taken <= TERMINALS_MAX
    if not is_gvisor:
        assert (0 < held <= TERMINALS_MAX, code) == (True, ENOSPC)
        await processes.kill(box.runtime_id, bomb["process_id"])
    shell = await processes.start(box.runtime_id, ["tty"], terminal={})
    ended = await processes.wait(box.runtime_id, shell["process_id"], until="exit")
    assert ended["exit_code"] == 0


async def test_sandboxes_do_not_see_each_other(node: RunningNode, is_gvisor: bool) -> None:
    one = (await node.client.start(StartRequest("one", "SP1", size_class="nano"))).runtime_id
    two = (await node.client.start(StartRequest("two", "SP2", size_class="nano"))).runtime_id
    await node.client.write_file(one, "secret", b"x", mode=0o777)
    uids = {(await node.client.exec(rid, "cat /proc/self/uid_map"))["stdout"] for rid in (one, two)}
    seen = await node.client.exec(two, "python3 -c 'import os; print(os.listdir())'; ipcs -a | wc -l; ps -e | wc -l")

    assert len(uids) == (1 if is_gvisor else 2)
    assert "secret" not in seen["stdout"]
    for rid in (one, two):
        await node.client.stop(StopRequest(rid, snapshot=False))
