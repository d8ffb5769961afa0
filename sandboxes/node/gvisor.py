"""The gVisor driver: runsc inside bubblewrap inside the slot's user namespace.

The host's kernel sees no system call of a tenant's: gVisor's own kernel (the sentry) answers them, behind the same filter
as elsewhere, which the supervisor loads. Everything around it is the bubblewrap driver's: the slot's uid, the namespaces,
the volume, the cgroup, the spawner and its kill. So a sentry that is broken out of ends in what the other driver's tenant
starts in, less that filter, which runsc could not work under; it brings its own.

The supervisor's channel is runsc's standard input: a socket pair without a name, as in the other driver. gVisor takes in
descriptors sent over it, which is all that a request needs. It lets none out: connections to ports are carried by the
supervisor, and what needs a listener outside is refused by name.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from images import PreparedImage
from sandboxes.node.bubblewrap import GUEST_CODE, BubblewrapDriver, host_links, two_ids
from sandboxes.node.driver import DriverError, Launch, SlotPlace
from sandboxes.size_classes import SizeClass
from sandboxes.supervisor.tenant import TAG_COUNT, TAG_FIRST

NOBODY_ID = 65_534
_ROOTFS, _BUNDLE = "/rootfs", "/bundle"
_MOUNT_POINTS = ("proc", "dev", "sys", "tmp", "run", "workspace")
_MEMORY_OVERHEAD_BYTES = 96 << 20
_PROCESSES_OVERHEAD = 160
_HOST_DESCRIPTORS = 16_384
_CAPABILITIES = ["CAP_SETUID", "CAP_SETGID", "CAP_KILL", "CAP_SETPCAP"]
_FILTER = "seccomp.bpf"
_BOOT = (
    "import os; os.dup2(0, 3); n = os.open('/dev/null', os.O_RDWR); os.dup2(n, 0); os.dup2(n, 1); os.close(n); "
    f"import sys; sys.path.insert(0, {GUEST_CODE!r}); "
)
_LOAD_FILTER = f"from sandboxes.supervisor.filtering import load_filter; load_filter('{GUEST_CODE}/{_FILTER}'); "
_SERVE = "from sandboxes.supervisor.main import main; main()"

UNSUPPORTED = {
    "passed_sockets": "a socket of gVisor's own network can't be passed out: connections to ports go through the supervisor",
    "egress": "a listener of gVisor's own network can't be passed out to the proxy",
    "oom_survival": "memory is counted around gVisor as a whole: a tenant that uses it up loses the sandbox (oom_killed)",
    "process_limit": "gVisor has no limit of its own on processes: past the cgroup's the sandbox is lost",
    "no_automount": "Debian's build refuses AT_NO_AUTOMOUNT, which `ls` of coreutils 9 sets: it ends with Invalid argument",
}


class GVisorDriver(BubblewrapDriver):
    """See the module. Takes the same arguments as `BubblewrapDriver`; the filter is loaded by the supervisor, inside."""

    name = "gvisor"
    unsupported: Mapping[str, str] = UNSUPPORTED
    _prepares_roots = False
    _user_namespaces = 1  # the sentry's own, in which it is nobody

    def __init__(
        self, state: Path, private_root: str, images: Mapping[str, PreparedImage], seccomp: bytes | None, seconds: float
    ) -> None:
        super().__init__(state, private_root, images, None, seconds)
        self._filter = seccomp
        self._runsc = shutil.which("runsc") or ""
        self._bundles = state / "bundles"
        self._binds = {"bundles": str(self._bundles)}

    async def open(self) -> None:
        """See `Driver.open`."""
        if not self._runsc.startswith("/usr/"):
            raise DriverError("runsc is not installed below /usr: apt-get install runsc")
        self._bundles.mkdir(exist_ok=True)
        self._bundles.chmod(0o711)
        await super().open()
        if self._filter is not None:
            (self._state / "guest" / _FILTER).write_bytes(self._filter)

    def with_overhead(self, limits: SizeClass) -> SizeClass:
        """See `Driver.with_overhead`: the sentry, the gofer and their threads."""
        return limits.model_copy(
            update={
                "memory_bytes": limits.memory_bytes + _MEMORY_OVERHEAD_BYTES,
                "processes": 2 * limits.processes + _PROCESSES_OVERHEAD,
            }
        )

    def _maps(self, place: SlotPlace) -> dict[str, str]:
        """Beside root and tenant, the nobody that the sentry becomes."""
        extra = f"{NOBODY_ID} {place.slot_uid + NOBODY_ID} 1\n"
        groups = f"{TAG_FIRST} {place.slot_uid + TAG_FIRST} {TAG_COUNT}\n"
        uids = two_ids(place)["uid_map"]
        return {"uid_map": uids + extra, "gid_map": uids + groups + extra}

    def _rlimits(self, launch: Launch) -> dict[str, int]:
        """For runsc; the guest's own are in the bundle."""
        return {"nofile": _HOST_DESCRIPTORS, "core": 0, "msgqueue": 1 << 20}

    def _argv(self, launch: Launch) -> list[str]:
        folder = self._bundles / f"slot-{launch.place.slot}"
        folder.mkdir(mode=0o755, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(_bundle(launch, filtered=self._filter is not None)))
        image = launch.image
        argv = [
            self._program,
            "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
            "--die-with-parent", "--as-pid-1", "--new-session", "--info-fd", "5", "--hostname", "sandbox", "--clearenv",
            "--cap-add", "ALL",
            "--ro-bind", "/usr", "/usr",
            *(word for path in ("bin", "lib", "lib64") for word in ("--symlink", f"usr/{path}", f"/{path}")),
            "--proc", "/proc", "--dev-bind", f"{self._root}/dev", "/dev",
            "--dev-bind", f"{self._folder(launch.place)}/pts", "/dev/pts", "--tmpfs", "/dev/shm",  # noqa: S108 - paths inside
            "--tmpfs", "/tmp", "--tmpfs", "/run", "--dir", "/etc",  # noqa: S108 - paths inside
            "--dir", _ROOTFS, *self._rootfs_argv(image),
        ]  # fmt: skip
        argv += [
            "--ro-bind", f"{self._root}/guest", "/guest",
            "--ro-bind", f"{self._root}/bundles/slot-{launch.place.slot}", _BUNDLE,
            "--bind", f"{self._folder(launch.place)}/workspace", "/workspace",
            "--remount-ro", "/",
        ]  # fmt: skip
        runsc = [
            self._runsc, "--platform=ptrace", "--network=none", "--ignore-cgroups", "--host-uds=none", "--root=/run/runsc",
            "run", f"--bundle={_BUNDLE}", f"slot-{launch.place.slot}",
        ]  # fmt: skip
        return [*argv, "--", "/usr/bin/sh", "-c", 'exec "$@" <&3 3>&- 4>&- 5>&-', "sh", *runsc]

    def _rootfs_argv(self, image: PreparedImage) -> list[str]:
        """The guest's root, folder by folder: runsc makes the whole read-only once more, which the kernel refuses for a
        mount whose other flags it may not change.
        """
        places = [word for path in _MOUNT_POINTS for word in ("--dir", f"{_ROOTFS}/{path}")]
        if image.rootfs is None:
            folder = f"{self._root}/images/{image.definition.name}"
            host = ["--ro-bind", "/usr", f"{_ROOTFS}/usr", "--ro-bind", f"{folder}/etc", f"{_ROOTFS}/etc"]
            host += ["--dir", f"{_ROOTFS}/var", "--dir", f"{_ROOTFS}/home"]
            links = [word for path, to in host_links().items() for word in ("--symlink", to, f"{_ROOTFS}/{path}")]
            return [*host, *links, *places, "--dir", f"{_ROOTFS}{GUEST_CODE}"]
        argv, source = [], f"{self._root}/images/{image.definition.name}/rootfs"
        for entry in sorted(image.rootfs.iterdir()):
            if entry.is_symlink():
                argv += ["--symlink", os.readlink(entry), f"{_ROOTFS}/{entry.name}"]
            elif entry.is_dir() and entry.name not in _MOUNT_POINTS:
                argv += ["--ro-bind", f"{source}/{entry.name}", f"{_ROOTFS}/{entry.name}"]
        return [*argv, *places]


def _bundle(launch: Launch, *, filtered: bool) -> dict[str, object]:
    """The OCI runtime configuration (runtime-spec 1.0) of one sandbox."""
    limits, quarter = launch.limits, launch.limits.scratch_bytes // 4
    capabilities = dict.fromkeys(("bounding", "effective", "permitted"), _CAPABILITIES)
    scratch = ["nosuid", "nodev", "mode=1777"]

    def tmpfs(destination: str, size_bytes: int) -> dict[str, object]:
        options = [*scratch, f"size={size_bytes}"]
        return {"destination": destination, "type": "tmpfs", "source": "tmpfs", "options": options}

    return {
        "ociVersion": "1.0.0",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": [
                launch.image.definition.python,
                "-I",
                "-S",
                "-E",
                "-c",
                _BOOT + (_LOAD_FILTER if filtered else "") + _SERVE,
            ],
            "env": [],
            "cwd": "/",
            "capabilities": capabilities,
            "noNewPrivileges": True,
            "rlimits": [
                {"type": "RLIMIT_NOFILE", "hard": limits.open_files, "soft": limits.open_files},
                {"type": "RLIMIT_CORE", "hard": 0, "soft": 0},
            ],
        },
        "root": {"path": _ROOTFS, "readonly": True},
        "hostname": "sandbox",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            tmpfs("/tmp", limits.scratch_bytes),  # noqa: S108 - a path inside
            tmpfs("/dev/shm", quarter),  # noqa: S108 - a path inside
            tmpfs("/run", quarter),
            {"destination": GUEST_CODE, "type": "bind", "source": "/guest", "options": ["ro", "nosuid", "nodev"]},
            {"destination": "/workspace", "type": "bind", "source": "/workspace", "options": ["nosuid", "nodev"]},
        ],
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")]},
    }
