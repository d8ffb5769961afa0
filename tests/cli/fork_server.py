"""A process that has loaded the command line, and makes a process of it for each command.

What `satbox` takes a second to import is imported once for all tests of a worker.

    client  --  words, environment, folder, and the files 0, 1, 2 and `ended`  -->  server
    server  --  fork: that environment, those files, `satbox.cli.main.run()`
    server  --  the exit code, to `ended`
"""

import atexit
import contextlib
import importlib
import json
import os
import pkgutil
import selectors
import socket
import sys
import traceback
from collections.abc import Mapping, Sequence

REQUEST_BYTES_MAX = 180_000
FILES = 4
_STANDARD = 3


class ForkServer:
    """The client's end. One for a test process; `start` before the first command."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._pid = 0

    def run(self, words: Sequence[str], environment: Mapping[str, str], files: Sequence[int]) -> None:
        """Begin a command on these four files; they may be closed afterwards."""
        request = json.dumps([list(words), dict(environment), os.getcwd()]).encode()
        assert len(request) <= REQUEST_BYTES_MAX
        socket.send_fds(self._connected(), [request], list(files))

    def _connected(self) -> socket.socket:
        if self._socket is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * REQUEST_BYTES_MAX)
            with theirs:
                theirs.set_inheritable(True)
                command = [sys.executable, "-m", "tests.cli.fork_server", str(theirs.fileno())]
                self._pid = os.posix_spawn(sys.executable, command, dict(os.environ))
            self._socket = ours
            atexit.register(self._end)
        return self._socket

    def _end(self) -> None:
        assert self._socket is not None
        self._socket.close()
        os.waitpid(self._pid, 0)


def _serve(listener: socket.socket) -> None:
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is not listener:
                pid, ended = key.data
                selector.unregister(key.fileobj)
                os.close(int(key.fd))
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with contextlib.suppress(BrokenPipeError):  # nobody waits any more
                    os.write(ended, str(code).encode())
                os.close(ended)
                continue
            request, files, _, _ = socket.recv_fds(listener, REQUEST_BYTES_MAX, FILES)
            if not request:
                return
            pid = os.fork()
            if pid == 0:
                os._exit(_be_satbox(json.loads(request), files))
            for file in files[:_STANDARD]:
                os.close(file)
            selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, files[_STANDARD]))


def _be_satbox(request: tuple[list[str], dict[str, str], str], files: Sequence[int]) -> int:
    words, environment, folder = request
    for number, file in enumerate(files[:_STANDARD]):
        os.dup2(file, number)
    os.closerange(_STANDARD, max(files) + 1)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["satbox", *words]
    encoding, errors = sys.stdout.encoding, sys.stdout.errors
    sys.stdin = open(0, encoding=encoding, errors=sys.stdin.errors, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", 1 if os.isatty(1) else -1, encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding=encoding, errors="backslashreplace", closefd=False)  # noqa: SIM115
    from satbox.cli.main import run

    code = 0
    try:
        run()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    return code & 0xFF


def _load() -> None:
    """Whatever some verb imports, but for the service itself."""
    import satbox.cli

    for module in pkgutil.walk_packages(satbox.cli.__path__, "satbox.cli."):
        importlib.import_module(module.name)
    for name in (
        "bitcoinlib.encoding", "rich.console", "rich.live", "rich.table", "rich.text", "satbox.agent.keystore",
        "satbox.audit.home", "satbox.client", "satbox.client.purchase", "satbox.mcp_server",
    ):  # fmt: skip
        importlib.import_module(name)


if __name__ == "__main__":
    _load()
    _serve(socket.socket(fileno=int(sys.argv[1])))
