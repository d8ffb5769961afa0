"""What a command is asked to be, and the forked child that becomes it."""

from __future__ import annotations

import _posixsubprocess
import _signal  # type: ignore[import-not-found]  # `signal` costs a millisecond of enums
import errno
import os

from . import frames
from .tenant import TENANT_ID, become_tenant

ARGUMENTS_MAX = 2048
WORKSPACE = b"/workspace"  # the supervisor's own folder
START_FAILED_CODE = 127
NOT_EXECUTABLE_CODE = 126


class RequestError(Exception):
    """The node asked for something that can't be done; the message goes back."""


class CommandRequest:
    """A checked `exec` request."""

    def __init__(self, fields: frames.Fields) -> None:
        self.arguments = [value for name, value in fields if name == "arg"]
        self.environment = dict(value.partition(b"=")[::2] for name, value in fields if name == "env")
        single = dict(fields)
        self.cwd = single.get("cwd", b"/workspace")
        self.timeout_ms = int(single.get("timeout_ms", b"0"))
        self.limit_bytes = int(single.get("limit_bytes", b"0"))
        self.has_stdin = single.get("stdin") == b"1"
        rows, _, columns = single.get("terminal", b"").partition(b"x")
        self.terminal = (int(rows), int(columns)) if rows else None
        if not self.arguments or len(self.arguments) > ARGUMENTS_MAX:
            raise RequestError("a command needs 1 to 2048 arguments")


def start(
    request: CommandRequest, tag: int, in_fd: int, out_fd: int, err_fd: int, report_fd: int, report_read_fd: int
) -> int:
    """Fork a child that becomes the tenant and then the command; its pid.

    In the supervisor's own folder the child's part is the C code behind `subprocess`, which copies a hundred pages less of
    the supervisor than Python would; it changes the folder as the supervisor, so any other folder is left to Python. What
    can't be started goes to `report_fd`. The process limit is inherited from the launch.
    """
    _score(b"1000")  # inherited by the child: the kernel's first choice is the command, never the supervisor
    try:
        if request.cwd != WORKSPACE or request.terminal:
            pid = os.fork()
            if pid == 0:
                _become_command(request, tag, in_fd, out_fd, err_fd, report_fd)
            return pid
        environment = [name + b"=" + value for name, value in request.environment.items()]
        return _posixsubprocess.fork_exec(
            request.arguments, _candidates(request), True, (report_fd,), None, environment,  # type: ignore[arg-type]
            in_fd, -1, -1, out_fd, -1, err_fd, report_read_fd, report_fd,
            True, True, -1, TENANT_ID, [tag], TENANT_ID, 0o022, None, False,  # type: ignore[arg-type]
        )  # fmt: skip
    finally:
        _score(b"0")


def _score(value: bytes) -> None:
    # Opened for each command: under gVisor a tenant can open the descriptors that are open here.
    fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value)
    finally:
        os.close(fd)


def refusal(report: bytes, request: CommandRequest) -> tuple[bytes, int] | None:
    """The C code's report of a program it could not start: what a shell would print, and its exit code."""
    kind, _, rest = report.partition(b":")
    if kind != b"OSError":
        return None
    number = int(rest.partition(b":")[0], 16)
    return _words(request, number)


def _words(request: CommandRequest, number: int) -> tuple[bytes, int]:
    text = b"satbox: " + request.arguments[0][:200] + b": " + os.strerror(number).encode() + b"\n"
    return text, START_FAILED_CODE if number in (errno.ENOENT, errno.ENOTDIR) else NOT_EXECUTABLE_CODE


def _candidates(request: CommandRequest) -> list[bytes]:
    program = request.arguments[0]
    folders = request.environment.get(b"PATH", b"/usr/local/bin:/usr/bin:/bin").split(b":")
    return [program] if b"/" in program else [folder + b"/" + program for folder in folders if folder]


def _become_command(request: CommandRequest, tag: int, in_fd: int, out_fd: int, err_fd: int, report_fd: int) -> None:
    """In the forked child: become the tenant and turn into the command. Never returns."""
    code = START_FAILED_CODE
    try:
        os.setsid()
        os.dup2(in_fd, 0)
        os.dup2(out_fd, 1)
        os.dup2(err_fd, 2)
        if request.terminal:
            from . import terminal

            terminal.take(0)
        _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
        _signal.signal(_signal.SIGXFSZ, _signal.SIG_DFL)
        become_tenant(tag)
        os.umask(0o022)
        os.closerange(3, report_fd)
        os.closerange(report_fd + 1, 4096)
        code = _enter(request) or _execute(request)
    except OSError as error:
        _report(report_fd, error)
    os._exit(code)


def _enter(request: CommandRequest) -> int:
    """Go to the command's folder; says why on its stderr, and gives its exit code, when that can't be."""
    try:
        os.chdir(request.cwd)
    except OSError as error:
        os.write(2, b"satbox: " + request.cwd[:200] + b": " + os.strerror(error.errno or errno.EIO).encode() + b"\n")
        return START_FAILED_CODE
    return 0


def _execute(request: CommandRequest) -> int:
    last = errno.ENOENT
    for candidate in _candidates(request):
        try:
            os.execve(candidate, request.arguments, request.environment)  # noqa: S606 - exactly what is meant
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            last = error.errno or errno.EIO
    text, code = _words(request, last)
    os.write(2, text)
    return code


def _report(report_fd: int, error: OSError) -> None:
    text = f"{error.errno}:{error.strerror}:{error.filename!r}"
    os.write(report_fd, text.encode()[:512])
