"""The child that turns into one sandbox's bubblewrap: volume, cgroup, slot uid, user namespace, exec.

The order is the point. Everything root has to do comes first; then the process becomes the slot's own host uid for good;
only then is the user namespace made, owned by that uid, so that no id in it is host 0. The parent (root) writes its map,
and further user namespaces below it are switched off before anything of the tenant's can run.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import resource
import sys
from typing import NoReturn, TypedDict

from . import kernel

CONTROL_FD, SECCOMP_FD, INFO_FD = 3, 4, 5
FAILED_CODE = 125
_STATE_OFFSET, _STATE_ERRORS = 1024 + 0x3A, 2  # s_state of ext4's superblock, EXT4_ERROR_FS
_CHECKERS = ("/usr/sbin/e2fsck", "/sbin/e2fsck", "/usr/bin/e2fsck", "/bin/e2fsck")
_LIMITS = {
    "nofile": resource.RLIMIT_NOFILE,
    "core": resource.RLIMIT_CORE,
    "nproc": resource.RLIMIT_NPROC,
    "memlock": resource.RLIMIT_MEMLOCK,
    "msgqueue": resource.RLIMIT_MSGQUEUE,
    "sigpending": resource.RLIMIT_SIGPENDING,
}


class Volume(TypedDict):
    """A workspace volume: made from `template` when `image` is not there yet. `spare` names what is kept ready: an empty
    one in the images' folder, mounted at a place of that name.
    """

    image: str
    template: str
    spare: str
    folder: str
    slot_uid: int
    tenant_uid: int


class LaunchRequest(TypedDict):
    """What one sandbox is made of. `argv` is bubblewrap's, with descriptors 3 (control), 4 (seccomp), 5 (info)."""

    volume: Volume
    cgroup_files: list[str]
    slot_uid: int
    argv: list[str]
    seccomp: str | None
    limits: dict[str, int]
    terminals: int  # how many may be open at once
    user_namespaces: int  # how many more may be made below the sandbox's own, before its init seals them


def mount_volume(volume: Volume) -> None:
    """Mount the volume's image at `<folder>/workspace`, making image and folders when they are missing."""
    folder, mountpoint = volume["folder"], volume["folder"] + "/workspace"
    os.makedirs(mountpoint, mode=0o700, exist_ok=True)
    os.chmod(folder, 0o700)
    os.chown(folder, volume["slot_uid"], volume["slot_uid"])
    if os.path.ismount(mountpoint):
        if not _is_read_only(mountpoint):
            return
        kernel.umount(mountpoint)
    if os.path.exists(volume["image"]):
        _repair(volume["image"])
        _mount_image(volume["image"], mountpoint)
    elif not _take_spare(volume, mountpoint):
        _copy_sparse(volume["template"], volume["image"])
        _mount_image(volume["image"], mountpoint)
    os.chown(mountpoint, volume["tenant_uid"], volume["tenant_uid"])
    # The supervisor may stand in it; nobody of other ids gets past the folder above.
    os.chmod(mountpoint, 0o711)  # noqa: S103


def _mount_image(image: str, mountpoint: str) -> None:
    device, path = kernel.attach_loop(image)
    try:
        kernel.mount(path, mountpoint, "ext4", kernel.MS_NOSUID | kernel.MS_NODEV, "noinit_itable")
    finally:
        os.close(device)
    try:
        os.rmdir(mountpoint + "/lost+found")
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTEMPTY):
            raise


def _is_read_only(mountpoint: str) -> bool:
    """Whether the kernel has made it so after an error. Not in statvfs(2) since Linux 6.14."""
    with open("/proc/self/mountinfo") as file:
        for line in file:
            before, _, after = line.partition(" - ")
            if before.split()[4] == mountpoint:
                return not {"ro", "emergency_ro", "shutdown"}.isdisjoint(after.split()[2].split(","))
    return False


def _repair(image: str) -> None:
    """Check a file system that the kernel has marked as faulty. Raises OSError when it stays so: the host may still be full."""
    with open(image, "rb") as file:
        file.seek(_STATE_OFFSET)
        if not int.from_bytes(file.read(2), "little") & _STATE_ERRORS:
            return
    program = next((path for path in _CHECKERS if os.path.exists(path)), _CHECKERS[0])
    pid = os.posix_spawn(program, [program, "-fy", image], {}, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
    _pid, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status) not in (0, 1):  # 1: repaired
        raise OSError(errno.EIO, "the volume can't be repaired now", image)


def _spare_paths(volume: Volume) -> tuple[str, str]:
    """Image and place of a spare volume."""
    folder = os.path.dirname(os.path.dirname(volume["folder"])) + "/spares"
    return f"{os.path.dirname(volume['image'])}/{volume['spare']}", f"{folder}/{volume['spare']}"


def _take_spare(volume: Volume, mountpoint: str) -> bool:
    """Make the spare volume this one's, if there is one. The rename decides who gets it."""
    image, place = _spare_paths(volume)
    try:
        os.rename(image, volume["image"])
    except FileNotFoundError:
        return False
    kernel.mount(place, mountpoint, "none", kernel.MS_MOVE)
    with contextlib.suppress(OSError):
        os.utime(mountpoint)  # the kernel notices with the first write that the host's disk was full since it was made
    if _is_read_only(mountpoint):
        kernel.umount(mountpoint)
        os.unlink(volume["image"])
        return False
    return True


def make_spare(volume: Volume) -> None:
    """Have an empty volume mounted for the next one of this kind that is wanted. The image gets its name last."""
    image, place = _spare_paths(volume)
    os.makedirs(place, mode=0o700, exist_ok=True)
    if os.path.exists(image):
        return
    if os.path.ismount(place):  # of a start that was cut short
        kernel.umount(place)
    unfinished = image + ".unfinished"
    _copy_sparse(volume["template"], unfinished)
    _mount_image(unfinished, place)
    os.rename(unfinished, image)


def unmount_volume(volume: Volume) -> None:
    """Unmount, if mounted; the loop device frees itself. The terminals go along."""
    for mountpoint in (volume["folder"] + "/workspace", volume["folder"] + "/pts"):
        if os.path.ismount(mountpoint):
            kernel.umount(mountpoint)


def mount_terminals(folder: str, most: int) -> None:
    """A devpts of the sandbox's own at `<folder>/pts`, empty, with a limit: bubblewrap's has none, and the kernel's count of
    terminals (kernel.pty.max) is one for the whole machine.
    """
    mountpoint = folder + "/pts"
    os.makedirs(mountpoint, mode=0o755, exist_ok=True)
    if os.path.ismount(mountpoint):
        kernel.umount(mountpoint, kernel.MNT_DETACH)
    options = f"newinstance,ptmxmode=0666,mode=0620,max={most}"
    kernel.mount("devpts", mountpoint, "devpts", kernel.MS_NOSUID | kernel.MS_NOEXEC, options)


def _copy_sparse(source: str, target: str) -> None:
    """Copy only what is data; the rest stays a hole. The rename comes last, so a half copy is never taken for a volume."""
    temporary = target + ".new"
    read_fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    write_fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    size = os.fstat(read_fd).st_size
    os.ftruncate(write_fd, size)
    at = 0
    while at < size:
        try:
            start = os.lseek(read_fd, at, os.SEEK_DATA)
        except OSError:  # ENXIO: holes to the end
            break
        at = os.lseek(read_fd, start, os.SEEK_HOLE)
        os.pwrite(write_fd, os.pread(read_fd, at - start, start), start)
    os.close(read_fd)
    os.close(write_fd)
    os.rename(temporary, target)


def await_maps(spawner_pid: int, ready: int, go: int) -> None:
    """In a child that has made its user namespace: wait for the spawner, as root, to write the maps."""
    kernel.die_with_parent(spawner_pid)  # a change of credentials clears it
    os.write(ready, b"u")
    if os.read(go, 1) != b"g":
        raise PermissionError("the user namespace got no map")


def run(
    request: LaunchRequest, spawner_pid: int, descriptors: tuple[int, int], info_fd: int, ready_fd: int, go_fd: int
) -> NoReturn:
    """In the forked child: become the sandbox. What goes wrong is written to the sandbox's stderr pipe."""
    try:
        control, stderr = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 32) for fd in descriptors)
        os.dup2(stderr, 2)
        os.setsid()
        kernel.die_with_parent(spawner_pid)
        _launch(request, spawner_pid, control, info_fd, ready_fd, go_fd)
    except BaseException as error:  # noqa: BLE001 - a child may not return into the spawner's loop
        sys.stderr.write(json.dumps({"launch": f"{type(error).__name__}: {error}"}))
        sys.stderr.flush()
    finally:
        os._exit(FAILED_CODE)


def _launch(request: LaunchRequest, spawner_pid: int, control: int, info: int, ready: int, go: int) -> None:
    mount_volume(request["volume"])
    mount_terminals(request["volume"]["folder"], request["terminals"])
    for path in request["cgroup_files"]:
        with open(path, "wb", buffering=0) as file:
            file.write(b"0")  # itself
    seccomp = -1
    if request["seccomp"] is not None:
        seccomp = os.open(request["seccomp"], os.O_RDONLY | os.O_CLOEXEC)
    for name, value in request["limits"].items():
        _soft, hard = resource.getrlimit(_LIMITS[name])
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(_LIMITS[name], (value, value))
    kernel.become(request["slot_uid"])
    kernel.unshare(kernel.CLONE_NEWUSER)
    await_maps(spawner_pid, ready, go)
    with open("/proc/sys/user/max_user_namespaces", "w") as limit:
        limit.write(str(request["user_namespaces"]))
    kept = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 32) if fd >= 0 else -1 for fd in (control, seccomp, info)]
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.dup2(null, 1)
    for target, fd in zip((CONTROL_FD, SECCOMP_FD, INFO_FD), kept, strict=True):
        if fd >= 0:
            os.dup2(fd, target)
    os.execve(request["argv"][0], request["argv"], {})  # noqa: S606 - exactly what is meant
