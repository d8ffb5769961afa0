"""What a command is asked to be, and the forked child that becomes it."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` costs a millisecond of enums
import errno
import os
import resource

from . import frames
from .tenant import become_tenant

ARGUMENTS_MAX = 2048
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
        self.processes_max = int(single.get("processes_max", b"0"))
        self.has_stdin = single.get("stdin") == b"1"
        if not self.arguments or len(self.arguments) > ARGUMENTS_MAX:
            raise RequestError("a command needs 1 to 2048 arguments")


def become_command(request: CommandRequest, tag: int, in_fd: int, out_fd: int, err_fd: int, report_fd: int) -> None:
    """In the forked child: become the tenant and turn into the command. Never returns."""
    code = START_FAILED_CODE
    try:
        os.setsid()
        os.dup2(in_fd, 0)
        os.dup2(out_fd, 1)
        os.dup2(err_fd, 2)
        with open("/proc/self/oom_score_adj", "wb", buffering=0) as score:
            score.write(b"1000")  # the kernel's first choice is the command, never the supervisor
        if request.processes_max:
            resource.setrlimit(resource.RLIMIT_NPROC, (request.processes_max, request.processes_max))
        _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
        _signal.signal(_signal.SIGXFSZ, _signal.SIG_DFL)
        become_tenant(tag)
        os.umask(0o022)
        os.closerange(3, report_fd)
        os.closerange(report_fd + 1, 4096)
        os.chdir(request.cwd)
        code = _execute(request)
    except OSError as error:
        _report(report_fd, error)
    os._exit(code)


def _execute(request: CommandRequest) -> int:
    program = request.arguments[0]
    folders = request.environment.get(b"PATH", b"/usr/local/bin:/usr/bin:/bin").split(b":")
    candidates = [program] if b"/" in program else [folder + b"/" + program for folder in folders if folder]
    last: OSError = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), program)
    for candidate in candidates:
        try:
            os.execve(candidate, request.arguments, request.environment)  # noqa: S606 - exactly what is meant
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            last = error
    os.write(2, b"satbox: " + program[:200] + b": " + os.strerror(last.errno or 0).encode() + b"\n")
    return START_FAILED_CODE if isinstance(last, FileNotFoundError) else NOT_EXECUTABLE_CODE


def _report(report_fd: int, error: OSError) -> None:
    text = f"{error.errno}:{error.strerror}:{error.filename!r}"
    os.write(report_fd, text.encode()[:512])
