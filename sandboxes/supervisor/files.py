"""File work, done in a forked child that has become the tenant.

Nothing here checks where a path leads: links lead where the tenant itself may go and no further, because the kernel sees
the tenant. The one thing that is the supervisor's rather than the tenant's is the child's own /proc entry, so nothing
under /proc is served.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` costs a millisecond of enums
import _socket
import errno
import os
import stat
import time

from . import entries, frames
from .bodies import CHUNK_BYTES, BodyTooLargeError, body, exactly, send_body
from .paths import FileError, path_of
from .tenant import SIGKILL, become_tenant

TYPE_CHECKING = False
if TYPE_CHECKING:
    import resource
    from collections.abc import Callable

WORK_SECONDS_MAX = 3600
PEER_SILENCE_SECONDS = 300
ENTRIES_MAX = 10_000
LIST_BYTES_MAX = 4 << 20  # links lead up to 4 KiB far
_PLAIN = bytes(byte for byte in range(0x20, 0x7F) if byte not in b'"\\')
_ESCAPED_BYTES = 6  # of what is not plain, as JSON has it behind us
_CODES = {
    errno.ENOENT: b"not_found",
    errno.EACCES: b"permission_denied",
    errno.EPERM: b"permission_denied",
    errno.EROFS: b"permission_denied",
    errno.EEXIST: b"already_exists",
    errno.ENOTEMPTY: b"not_empty",
    errno.EISDIR: b"is_directory",
    errno.ENOTDIR: b"not_directory",
    errno.ENOSPC: b"no_space",
    errno.EDQUOT: b"no_space",
    errno.ENAMETOOLONG: b"bad_path",
    errno.ELOOP: b"bad_path",
    errno.EINVAL: b"bad_path",
}


class Worker:
    """A child doing one file request; it owns the connection from the fork on."""

    def __init__(self, connection: _socket.socket, fields: frames.Fields, tag: int) -> None:
        self.deadline = time.monotonic() + WORK_SECONDS_MAX
        self.pid = os.fork()
        if self.pid == 0:
            _child(connection, dict(fields), tag)
        connection.close()

    def expire(self) -> None:
        """Far too long: end it."""
        self.deadline = 0.0
        try:
            os.kill(self.pid, SIGKILL)
        except ProcessLookupError:
            return

    def on_exit(self, status: int, usage: resource.struct_rusage) -> None:
        """The node saw the answer, or its absence, on the connection."""


def _child(connection: _socket.socket, fields: dict[str, bytes], tag: int) -> None:
    code = 1
    try:
        os.setsid()
        _signal.set_wakeup_fd(-1)
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
        fd = connection.fileno()
        os.closerange(3, fd)
        os.closerange(fd + 1, 4096)
        serving = _serving(fields["op"])
        become_tenant(tag)
        os.umask(0o022)
        connection.setblocking(True)
        for option in (_socket.SO_RCVTIMEO, _socket.SO_SNDTIMEO):
            connection.setsockopt(_socket.SOL_SOCKET, option, PEER_SILENCE_SECONDS.to_bytes(8, "little") + bytes(8))
        serving(connection, fields)
        code = 0
    except (FileError, BodyTooLargeError, OSError, frames.FrameError, ValueError) as error:
        _send_error(connection, error, fields.get("path", b""))
    finally:
        os._exit(code)


def _serving(operation: bytes) -> Callable[[_socket.socket, dict[str, bytes]], None]:
    """What serves an operation. Imported while still the supervisor: our code is not the tenant's to read."""
    if operation in (b"pack", b"unpack"):
        from . import archives

        return archives.serve
    if operation == b"watch":
        from . import watch

        return watch.serve
    return serve


def _send_error(connection: _socket.socket, error: Exception, path: bytes) -> None:
    if isinstance(error, FileError):
        code, message = error.code, str(error)
    elif isinstance(error, BodyTooLargeError):
        code, message = b"too_large", str(error)
    elif isinstance(error, OSError):
        code = _CODES.get(error.errno or 0, b"io_error")
        message = error.strerror or "input/output error"
        inner = b"" if error.filename is None else os.fsencode(error.filename)
        if inner.startswith(os.path.join(b"/workspace", path).rstrip(b"/") + b"/"):  # of a folder: what in it
            message = f"{os.fsdecode(inner[-300:])}: {message}"
    else:
        code, message = b"bad_request", str(error)
    fields = [("code", code), ("message", message.encode("utf-8", "surrogateescape")[:500])]
    try:
        connection.sendall(frames.pack(frames.ERROR, frames.pack_fields(fields)))
        while connection.recv(CHUNK_BYTES):  # a body still coming would reset the answer away if left unread
            continue
    except OSError:
        return


def serve(connection: _socket.socket, fields: dict[str, bytes]) -> None:
    """Do one request and answer it."""
    operation = fields["op"].decode("ascii", "replace")
    path = path_of(fields.get("path", b""))
    if operation == "read":
        passing = fields.get("pass") == b"1"
        _read(connection, path, int(fields.get("offset", b"0")), int(fields.get("length", b"-1")), passing)
    elif operation == "write":
        passing = fields.get("pass") == b"1"
        _write(connection, path, int(fields["limit_bytes"]), int(fields.get("mode", b"-1")), passing)
    elif operation == "list":
        _list(connection, path)
    elif operation == "stat":
        _answer(connection, _describe(path, os.path.basename(path), os.lstat(path)))
    elif operation == "mkdir":
        os.makedirs(path, exist_ok=fields.get("parents") == b"1")
        _answer(connection, [])
    elif operation == "move":
        entries.move(path, path_of(fields.get("target", b"")), fields.get("overwrite") == b"1")
        _answer(connection, [])
    elif operation == "delete":
        entries.delete(path, fields.get("recursive") == b"1")
        _answer(connection, [])
    else:
        raise FileError(b"bad_request", "no such operation")


def _answer(connection: _socket.socket, fields: frames.Fields) -> None:
    connection.sendall(frames.pack(frames.RESULT, frames.pack_fields(fields)))


def _refuse_proc(fd: int) -> None:
    if os.readlink(f"/proc/self/fd/{fd}").startswith("/proc/"):
        raise FileError(b"permission_denied", "files under /proc are not served; read them with a command")


def _describe(path: bytes, name: bytes, info: os.stat_result) -> frames.Fields:
    kinds = {stat.S_IFREG: b"file", stat.S_IFDIR: b"directory", stat.S_IFLNK: b"link"}
    kind = kinds.get(stat.S_IFMT(info.st_mode), b"other")
    fields: frames.Fields = [
        ("name", name),
        ("type", kind),
        ("size", str(info.st_size).encode()),
        ("mode", str(stat.S_IMODE(info.st_mode)).encode()),
        ("mtime_ms", str(info.st_mtime_ns // 1_000_000).encode()),
    ]
    if kind == b"link":
        try:
            fields.append(("target", os.readlink(path)))
        except OSError:
            fields.append(("target", b""))
    return fields


def _start(connection: _socket.socket, fields: frames.Fields, fd: int) -> bool:
    """Say that it begins. A file of the workspace goes along, open: its bytes are then the node's to move."""
    frame = frames.pack(frames.STARTED, frames.pack_fields(fields))
    if fd < 0 or os.fstat(fd).st_dev != os.stat(b"/workspace").st_dev:
        connection.sendall(frame)
        return False
    connection.sendmsg([frame], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fd.to_bytes(4, "little"))])
    return True


def _read(connection: _socket.socket, path: bytes, offset: int, length: int, passing: bool) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    _refuse_proc(fd)
    info = os.fstat(fd)
    if stat.S_ISDIR(info.st_mode):
        raise FileError(b"is_directory", "the path is a directory")
    if not stat.S_ISREG(info.st_mode):
        raise FileError(b"not_regular", "the path is not a regular file")
    if _start(connection, _describe(path, os.path.basename(path), info), fd if passing else -1):
        return
    left = max(0, info.st_size - offset)
    os.lseek(fd, offset, os.SEEK_SET)
    try:
        send_body(connection, fd, left if length < 0 else min(left, length))
    except OSError:
        os._exit(1)  # past the start of a body, a stream cut short is the only error that can't be taken for content


def _write(connection: _socket.socket, path: bytes, limit_bytes: int, mode: int, passing: bool) -> None:
    """Replace a file as a whole. Its mode stays what it was unless one is given; missing folders above it are made."""
    path = os.path.realpath(path)
    if os.path.isdir(path):
        raise FileError(b"is_directory", "the path is a directory")
    if path.startswith(b"/proc/"):
        raise FileError(b"permission_denied", "files under /proc are not served")
    temporary = os.path.join(os.path.dirname(path), b".satbox-upload-%d" % os.getpid())
    made = entries.missing_folders(path)
    try:
        for folder in made:
            os.mkdir(folder)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        if _start(connection, [], fd if passing else -1):
            _await_end(connection)
            size = os.fstat(fd).st_size
        else:
            size = _receive(connection, fd, limit_bytes)
        os.fchmod(fd, (mode if mode >= 0 else _mode_of(path)) & 0o777)
        os.close(fd)
        os.rename(temporary, path)
    except BaseException:
        _take_away(temporary, made)
        raise
    _answer(connection, [("size", str(size).encode())])


def _mode_of(path: bytes) -> int:
    try:
        return stat.S_IMODE(os.lstat(path).st_mode)
    except FileNotFoundError:
        return 0o644


def _take_away(temporary: bytes, made: list[bytes]) -> None:
    for remove, path in [(os.unlink, temporary), *((os.rmdir, folder) for folder in reversed(made))]:
        try:
            remove(path)
        except OSError:
            continue  # it was not made, or somebody uses it by now


def _receive(connection: _socket.socket, fd: int, limit_bytes: int) -> int:
    """Write the DATA frames up to END into `fd`; a connection that ends before END is an error."""
    total = 0
    for data in body(connection, limit_bytes):
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        total += len(data)
    return total


def _await_end(connection: _socket.socket) -> None:
    """The node writes meanwhile. A connection that ends before END is an error."""
    if exactly(connection, frames.HEADER_BYTES) != frames.pack(frames.END):
        raise frames.FrameError("not the end of a body")


def _list(connection: _socket.socket, path: bytes) -> None:
    batch: list[bytes] = []
    truncated = b"0"
    size = 0
    with os.scandir(path) as found:
        for count, entry in enumerate(found):
            if count >= ENTRIES_MAX or size >= LIST_BYTES_MAX:
                truncated = b"1"
                break
            try:
                info = entry.stat(follow_symlinks=False)
            except OSError:
                continue  # gone since it was listed
            batch.append(frames.pack(frames.DATA, frames.pack_fields(_describe(entry.path, entry.name, info))))
            size += len(batch[-1]) + (_ESCAPED_BYTES - 1) * len(batch[-1].translate(None, _PLAIN))
            if len(batch) >= 256:
                connection.sendall(b"".join(batch))
                batch.clear()
    batch.append(frames.pack(frames.END, frames.pack_fields([("truncated", truncated)])))
    connection.sendall(b"".join(batch))
