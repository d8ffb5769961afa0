"""The bubblewrap driver: the mount plan of a sandbox, and its launch through the spawner."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

import structlog

import sandboxes
from images import PreparedImage
from sandboxes.node.driver import ArchiveRefused, ArchiveReport, DriverError, Launch, Running, SlotPlace
from sandboxes.node.spawner_client import SpawnerClient, SpawnerGone
from sandboxes.protocol import NoCapacity
from sandboxes.size_classes import SizeClass
from sandboxes.spawner import archive
from sandboxes.spawner.tree import Root
from sandboxes.supervisor.tenant import TAG_COUNT, TAG_FIRST, TENANT_ID

GUEST_CODE = "/opt/satbox"
_STDERR_BYTES_MAX = 16_384
_REPORT_BYTES_MAX = 65_536
_EXAMPLES_MAX = 10
_EXAMPLE_CHARACTERS_MAX = 256
_HIDDEN = ("/proc/kcore", "/proc/keys", "/proc/kallsyms", "/proc/timer_list", "/proc/sched_debug", "/proc/key-users")
_PRESSURE = Path("/proc/pressure")
"""A process that may write there makes the whole kernel monitor for it. Ending that takes 12 ms a file, unkillably."""

_READ_ONLY = r"(?:\S+,)?(?:ro|emergency_ro|shutdown)(?:,|$)"
"""Options of a file system after an error: `emergency_ro` (Linux 6.14 and later), `ro` before."""


class BubblewrapDriver:
    """Namespaces and a read-only image by bubblewrap, as the slot's uid, in a prepared user namespace of two ids."""

    name = "bubblewrap"
    unsupported: Mapping[str, str] = {}
    _user_namespaces = 0
    _prepares_roots = True

    def __init__(
        self, state: Path, private_root: str, images: Mapping[str, PreparedImage], seccomp: bytes | None, seconds: float
    ) -> None:
        self._root = private_root
        self._state = state
        self._seccomp = seccomp
        self._start_seconds_max = seconds
        self._images = images
        self._program = shutil.which("bwrap") or ""
        self._binds: dict[str, str] = {}
        self._spawner: SpawnerClient | None = None

    async def open(self) -> None:
        """Copy the guest's code, start the spawner."""
        if not self._program:
            raise DriverError("bubblewrap is not installed")
        guest = self._state / "guest"
        pythons = {image.definition.python for image in self._images.values() if image.rootfs is None}
        await asyncio.to_thread(_install_guest, guest, pythons)
        if self._seccomp is not None:
            (self._state / "seccomp.bpf").write_bytes(self._seccomp)
        binds = {"guest": str(guest), **self._binds}
        for name, image in self._images.items():
            if image.rootfs is not None:
                binds[f"images/{name}/rootfs"] = str(image.rootfs)
            else:
                binds[f"images/{name}/etc"] = str(image.etc_folder)
        roots = {name: self._image_root(image) for name, image in self._images.items()} if self._prepares_roots else {}
        self._spawner = SpawnerClient(self._root, binds, roots, self._state / "spawner.log")
        try:
            await self._spawner.open()
        except SpawnerGone as error:
            raise DriverError(f"{error}: {_tail(self._state / 'spawner.log')}") from error

    async def close(self) -> None:
        """End the spawner, and with it everything it started."""
        if self._spawner is not None:
            await self._spawner.close()

    async def broken(self) -> None:
        """See `Driver.broken`: the spawner ended."""
        await self._client().gone.wait()

    async def launch(self, launch: Launch) -> Running:
        """See `Driver.launch`."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        stderr_r, stderr_w = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        place = launch.place
        body = {
            "launch": {
                "volume": self._volume(place),
                "cgroup_files": place.cgroup_files,
                "slot_uid": place.slot_uid,
                "argv": self._argv(launch),
                "seccomp": str(self._state / "seccomp.bpf") if self._seccomp is not None else None,
                "limits": self._rlimits(launch),
                "terminals": launch.terminals,
                "user_namespaces": self._user_namespaces,
            },
            **self._maps(place),
        }
        try:
            key, exited = self._client().request("launch", body, (theirs.fileno(), stderr_w))
        except (SpawnerGone, OSError, NoCapacity) as error:
            ours.close()
            os.close(stderr_r)
            if isinstance(error, NoCapacity):
                raise
            raise DriverError(str(error)) from error
        finally:
            theirs.close()
            os.close(stderr_w)
        running = Running(key, ours, exited)
        listening = asyncio.ensure_future(
            launch.listen(ours)
        )  # the question lies there when the supervisor first looks
        try:
            await self._until_ready(running)
            running.listener = await listening
        except BaseException as error:
            listening.cancel()
            for outcome in await asyncio.gather(listening, return_exceptions=True):
                if isinstance(outcome, socket.socket):
                    outcome.close()
            ours.close()
            await self.kill(running)
            words = _read_some(stderr_r).decode(errors="replace")[:500]
            structlog.get_logger().warning("driver.launch_failed", slot=place.slot, reason=str(error), stderr=words)
            raise
        finally:
            running.stderr = _read_some(stderr_r)
            os.close(stderr_r)
        return running

    async def _until_ready(self, running: Running) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._start_seconds_max):
                message = await loop.sock_recv(running.control, 64)
        except TimeoutError:
            raise DriverError("the supervisor did not answer in time") from None
        if message != b"ready":
            raise DriverError("the sandbox ended before its supervisor was ready")

    def _client(self) -> SpawnerClient:
        if self._spawner is None:
            raise DriverError("the driver is not open")
        return self._spawner

    async def kill(self, running: Running) -> None:
        """See `Driver.kill`."""
        if not running.exited.done():
            self._client().kill(running.key)
        await asyncio.wait([running.exited])

    def _folder(self, place: SlotPlace) -> str:
        return f"{self._root}/slots/{place.slot}"

    def _volume(self, place: SlotPlace) -> dict[str, object]:
        return {
            "image": place.volume_image,
            "template": place.volume_template,
            "spare": place.volume_spare,
            "folder": self._folder(place),
            "slot_uid": place.slot_uid,
            "tenant_uid": place.tenant_uid,
        }

    async def mount(self, place: SlotPlace) -> None:
        """See `Driver.mount`."""
        await self._child("mount", {"volume": self._volume(place)})

    async def unmount(self, place: SlotPlace) -> None:
        """See `Driver.unmount`."""
        await self._child("unmount", {"volume": self._volume(place)})

    def used_bytes(self, place: SlotPlace) -> int | None:
        """See `Driver.used_bytes`: seen through the spawner, in whose mount namespace it is."""
        try:
            found = os.statvfs(f"{self._client().proc}/root{self._folder(place)}/workspace")
        except (OSError, SpawnerGone):
            return None
        return (found.f_blocks - found.f_bfree) * found.f_frsize

    def read_only_slots(self) -> set[int]:
        """See `Driver.read_only_slots`."""
        try:
            text = Path(self._client().proc, "mountinfo").read_text()
        except (OSError, SpawnerGone):
            return set()
        return {
            int(slot)
            for slot in re.findall(
                rf" {re.escape(self._root)}/slots/(\d+)/workspace .* - \S+ \S+ {_READ_ONLY}", text, re.MULTILINE
            )
        }

    async def pack(self, place: SlotPlace, data_fd: int, limits: Mapping[str, int]) -> ArchiveReport:
        """See `Driver.pack`."""
        return await self._archive("pack", place, data_fd, limits)

    async def unpack(self, place: SlotPlace, data_fd: int, limits: Mapping[str, int]) -> ArchiveReport:
        """See `Driver.unpack`."""
        return await self._archive("unpack", place, data_fd, limits)

    async def _archive(
        self, operation: str, place: SlotPlace, data_fd: int, limits: Mapping[str, int]
    ) -> ArchiveReport:
        report_r, report_w = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        ids = {"slot_uid": place.slot_uid, "tenant_uid": place.tenant_uid}
        body = {"folder": self._folder(place) + "/workspace", **ids, **limits, **two_ids(place)}
        try:
            _key, exited = self._client().request(operation, body, (data_fd, report_w))
            os.close(data_fd)  # the child holds the only other end: its end is the stream's end
            code = os.waitstatus_to_exitcode(await exited)
            if code in (archive.UnsafeError.exit_code, archive.LimitError.exit_code):
                too_large = code == archive.LimitError.exit_code
                raise ArchiveRefused(_tail(self._state / "spawner.log"), too_large=too_large)
            if code != 0:
                raise DriverError(f"{operation} failed: {_tail(self._state / 'spawner.log')}")
            return _report(os.read(report_r, _REPORT_BYTES_MAX))
        finally:
            os.close(report_r)
            os.close(report_w)

    async def _child(self, operation: str, body: Mapping[str, object]) -> None:
        _key, exited = self._client().request(operation, body)
        if await exited != 0:
            raise DriverError(f"{operation} failed: {_tail(self._state / 'spawner.log')}")

    def with_overhead(self, limits: SizeClass) -> SizeClass:
        """See `Driver.with_overhead`: nothing to speak of."""
        return limits

    def _maps(self, place: SlotPlace) -> dict[str, str]:
        return two_ids(place)

    def _rlimits(self, launch: Launch) -> dict[str, int]:
        limits = launch.limits
        return {
            "nofile": limits.open_files,
            "core": 0,
            "nproc": launch.processes_rlimit,
            "memlock": min(limits.memory_bytes // 8, 64 << 20),
            "msgqueue": 1 << 20,
            "sigpending": 4 * limits.processes,
        }

    def _argv(self, launch: Launch) -> list[str]:
        image, limits = launch.image, launch.limits
        quarter = str(limits.scratch_bytes // 4)
        argv = [
            self._program,
            "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
            "--die-with-parent", "--as-pid-1", "--new-session", "--info-fd", "5", "--hostname", "sandbox", "--clearenv",
            "--cap-drop", "ALL",
            "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_KILL", "--cap-add", "CAP_SETPCAP",
            "--dev-bind", f"{self._root}/roots/{image.definition.name}", "/",
            "--dev-bind", f"{self._folder(launch.place)}/pts", "/dev/pts", "--proc", "/proc",
            "--perms", "1777", "--size", str(limits.scratch_bytes), "--tmpfs", "/tmp",  # noqa: S108 - paths inside
            "--perms", "1777", "--size", quarter, "--tmpfs", "/dev/shm",  # noqa: S108 - paths inside
            "--perms", "1777", "--size", quarter, "--tmpfs", "/run",
            "--bind", f"{self._folder(launch.place)}/workspace", "/workspace",
        ]  # fmt: skip
        for path in (*map(Path, _HIDDEN), *sorted(_PRESSURE.glob("*"))):
            if path.exists():
                argv += ["--ro-bind", "/dev/null", str(path)]
        if self._seccomp is not None:
            argv += ["--seccomp", "4"]
        boot = f"import sys; sys.path.insert(0, {GUEST_CODE!r}); from sandboxes.supervisor.main import main; main()"
        return [*argv, "--", image.definition.python, "-I", "-S", "-E", "-c", boot]

    def _image_root(self, image: PreparedImage) -> Root:
        """What the spawner makes a root of: a built file system, which has every place to mount on; or the host's /usr and
        the image's /etc, with the rest made there.
        """
        code = {GUEST_CODE.lstrip("/"): f"{self._root}/guest"}
        if image.rootfs is not None:
            return {"base": str(image.rootfs), "folders": [], "links": {}, "binds": code}
        return {
            "base": None,
            "folders": ["var", "home", "proc", "tmp", "run", "workspace"],
            "links": host_links(),
            "binds": {"usr": "/usr", "etc": f"{self._root}/images/{image.definition.name}/etc", **code},
        }


def host_links() -> dict[str, str]:
    """The links of a root over the host's /usr, by their relative paths."""
    links = {"var/tmp": "/tmp", "var/run": "/run"}  # noqa: S108 - paths inside
    for path in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        if Path("/", path).is_symlink():
            links[path] = os.readlink(Path("/", path))
    return links


def two_ids(place: SlotPlace) -> dict[str, str]:
    """The user namespace of a slot: its root, the tenant, and the groups that mark commands."""
    two = f"0 {place.slot_uid} 1\n{TENANT_ID} {place.tenant_uid} 1\n"
    return {"uid_map": two, "gid_map": two + f"{TAG_FIRST} {place.slot_uid + TAG_FIRST} {TAG_COUNT}\n"}


def _report(text: bytes) -> ArchiveReport:
    """An archiver's last word. It has read a tenant's files, so it is not believed to be in form."""
    try:
        content = json.loads(text)
        examples = tuple(str(example)[:_EXAMPLE_CHARACTERS_MAX] for example in content["examples"][:_EXAMPLES_MAX])
        return ArchiveReport(int(content["entries"]), int(content["bytes"]), int(content["skipped"]), examples)
    except (ValueError, KeyError, TypeError) as error:
        raise DriverError("the archiver's report can't be read") from error


def _install_guest(folder: Path, pythons: set[str]) -> None:
    """Copy what runs inside and compile it with the guest's own Python, so that no start has to."""
    package = folder / "sandboxes"
    shutil.rmtree(folder, ignore_errors=True)
    (package / "supervisor").mkdir(parents=True)
    source = Path(sandboxes.__file__).parent
    shutil.copyfile(source / "__init__.py", package / "__init__.py")
    for path in sorted((source / "supervisor").glob("*.py")):
        shutil.copyfile(path, package / "supervisor" / path.name)
    for python in sorted(pythons):
        code = f"import compileall; compileall.compile_dir({str(folder)!r}, quiet=1)"
        subprocess.run([python, "-I", "-S", "-E", "-c", code], check=True, timeout=60)


def _tail(path: Path) -> str:
    try:
        return path.read_bytes()[-400:].decode(errors="replace").strip()
    except OSError:
        return ""


def _read_some(fd: int) -> bytes:
    try:
        return os.read(fd, _STDERR_BYTES_MAX)
    except BlockingIOError:
        return b""
