"""The spawner's loop: requests from the node in, exits of children out.

One SEQPACKET socket carries JSON; descriptors travel with `launch`, `pack` and `unpack`. Every request
that starts a child is answered once, by `{"event": "exited", "id", "status"}`; `launch` also by `{"event": "inner", ...}`
when bubblewrap has made the sandbox's init.
"""

from __future__ import annotations

import array
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from . import archive, kernel, launch
from .tree import prepare_tree

MESSAGE_BYTES_MAX = 1 << 17
REQUEST_DESCRIPTORS_MAX = 2
QUIET_SECONDS = 0.02  # a start in progress is over by then
SPARE = ""  # stands for a request that nobody has made


class Child:
    """A forked child, and for a sandbox the pid descriptor of its init."""

    def __init__(self, request_id: str, pid: int) -> None:
        self.request_id = request_id
        self.pid = pid
        self.inner_fd = -1
        self.info = b""
        self.dying = False
        self.volume: launch.Volume | None = None  # a sandbox's


class Spawner:
    """Forks, reaps, reports. Single-threaded; anything slow happens in a child."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.children: dict[int, Child] = {}
        self.poll = select.epoll()
        self.handlers: dict[int, Callable[[], None]] = {}
        self.wanted: dict[str, launch.Volume] = {}  # kinds of volumes that a start may have used up
        wake_r, wake_w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(wake_w, warn_on_full_buffer=False)
        self._wake = wake_r
        self.watch(wake_r, self._reap)
        self.watch(control.fileno(), self._on_request)

    def watch(self, fd: int, handler: Callable[[], None]) -> None:
        """Call `handler` whenever `fd` can be read."""
        self.poll.register(fd, select.EPOLLIN)
        self.handlers[fd] = handler

    def forget(self, fd: int) -> None:
        """Stop watching a descriptor and close it."""
        self.poll.unregister(fd)
        del self.handlers[fd]
        os.close(fd)

    def run(self) -> NoReturn:
        """Serve until the node hangs up."""
        self.send({"event": "ready"})
        while True:
            ready = self.poll.poll(QUIET_SECONDS if self.wanted else None)
            for fd, _events in ready:
                handler = self.handlers.get(fd)
                if handler is not None:
                    handler()
            if not ready:
                self._make_spare()

    def send(self, message: dict[str, object]) -> None:
        """Tell the node. Without a node there is nothing left to do here."""
        try:
            self.control.send(json.dumps(message).encode())
        except (BrokenPipeError, ConnectionResetError):
            os._exit(0)

    def _on_request(self) -> None:
        data, ancillary, _flags, _address = self.control.recvmsg(
            MESSAGE_BYTES_MAX, socket.CMSG_SPACE(4 * REQUEST_DESCRIPTORS_MAX), socket.MSG_CMSG_CLOEXEC
        )
        if not data:
            os._exit(0)  # the node is gone: leaving takes every sandbox and mount along
        descriptors = array.array("i")
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(payload[: len(payload) - len(payload) % 4])
        message: dict[str, Any] = json.loads(data)
        try:
            self._serve(message, tuple(descriptors))
        except OSError as error:
            self.send({"event": "exited", "id": message["id"], "status": 71 << 8, "message": str(error)})
        finally:
            for fd in descriptors:
                os.close(fd)

    def _serve(self, message: dict[str, Any], descriptors: tuple[int, ...]) -> None:
        operation, request_id = message["op"], message["id"]
        if operation == "launch":
            self._launch(request_id, message, (descriptors[0], descriptors[1]))
        elif operation == "kill":
            for child in self.children.values():
                if child.request_id == request_id:
                    child.dying = True
                    self._kill(child)
        elif operation == "mount":
            self._fork(request_id, lambda: launch.mount_volume(message["volume"]))
        elif operation == "unmount":
            self._fork(request_id, lambda: launch.unmount_volume(message["volume"]))
        elif operation == "pack":
            self._pack(request_id, message, (descriptors[0], descriptors[1]))
        elif operation == "unpack":
            self._fork(request_id, lambda: archive.unpack(message, descriptors[0], descriptors[1]))

    def _pack(self, request_id: str, message: dict[str, Any], descriptors: tuple[int, int]) -> None:
        spawner_pid = os.getpid()
        ready_r, ready_w = os.pipe2(os.O_CLOEXEC)
        go_r, go_w = os.pipe2(os.O_CLOEXEC)

        def work() -> None:
            os.close(go_w)
            archive.pack(message, *descriptors, lambda: launch.await_maps(spawner_pid, ready_w, go_r))

        child = self._fork(request_id, work)
        for fd in (ready_w, go_r):
            os.close(fd)
        self.watch(ready_r, lambda: self._on_userns(child, message, ready_r, go_w))

    def _fork(self, request_id: str, work: Callable[[], None]) -> Child:
        spawner_pid = os.getpid()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                self._leave_loop()
                kernel.die_with_parent(spawner_pid)
                work()
                code = 0
            except BaseException as error:  # noqa: BLE001 - a child may not return into this loop
                code = getattr(error, "exit_code", 1)
                sys.stderr.write(f"spawner child: {type(error).__name__}: {error}\n")
                sys.stderr.flush()
            finally:
                os._exit(code)
        child = self.children[pid] = Child(request_id, pid)
        return child

    def _make_spare(self) -> None:
        """Nothing has happened for a moment: have the next start's volume ready."""
        _name, volume = self.wanted.popitem()
        if not any(child.request_id == SPARE for child in self.children.values()):
            self._fork(SPARE, lambda: launch.make_spare(volume))
        else:
            self.wanted[volume["spare"]] = volume

    def _leave_loop(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def _launch(self, request_id: str, message: dict[str, Any], descriptors: tuple[int, int]) -> None:
        spawner_pid = os.getpid()
        info_r, info_w = os.pipe2(os.O_CLOEXEC)
        ready_r, ready_w = os.pipe2(os.O_CLOEXEC)
        go_r, go_w = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:
            self._leave_loop()
            launch.run(message["launch"], spawner_pid, descriptors, info_w, ready_w, go_r)
        for fd in (info_w, ready_w, go_r):
            os.close(fd)
        child = self.children[pid] = Child(request_id, pid)
        child.volume = message["launch"]["volume"]
        self.watch(ready_r, lambda: self._on_userns(child, message, ready_r, go_w))
        self.watch(info_r, lambda: self._on_info(child, info_r))

    def _on_userns(self, child: Child, message: dict[str, Any], ready_r: int, go_w: int) -> None:
        """The child has its user namespace: write its map (root may map two ids and many groups), let it continue."""
        try:
            if os.read(ready_r, 1) == b"u":
                for name in ("uid_map", "gid_map"):
                    with open(f"/proc/{child.pid}/{name}", "wb", buffering=0) as file:
                        file.write(message[name].encode())
                os.write(go_w, b"g")
        except OSError as error:
            sys.stderr.write(f"spawner: map of {child.pid}: {error}\n")
        finally:
            self.forget(ready_r)
            os.close(go_w)

    def _on_info(self, child: Child, info_r: int) -> None:
        data = os.read(info_r, 4096)
        child.info += data
        if data and not child.info.rstrip().endswith(b"}"):
            return  # bubblewrap writes its report in pieces
        self.forget(info_r)
        if not data or child.pid not in self.children:
            return
        inner_pid = int(json.loads(child.info)["child-pid"])
        try:
            child.inner_fd = os.pidfd_open(inner_pid)
        except ProcessLookupError:
            return
        self.send({"event": "inner", "id": child.request_id, "pid": inner_pid})
        if child.volume is not None:
            self.wanted[child.volume["spare"]] = child.volume
        if child.dying:
            self._kill(child)

    def _kill(self, child: Child) -> None:
        """End a sandbox by its init, so that bubblewrap's exit means that the whole pid namespace is gone."""
        try:
            if child.inner_fd >= 0:
                signal.pidfd_send_signal(child.inner_fd, signal.SIGKILL)
            else:
                os.kill(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def _reap(self) -> None:
        try:
            os.read(self._wake, 4096)
        except BlockingIOError:
            return
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self.children.pop(pid, None)
            if child is not None and child.request_id != SPARE:
                if child.inner_fd >= 0:
                    os.close(child.inner_fd)
                self.send({"event": "exited", "id": child.request_id, "status": status})


def main() -> None:
    """Entry point, with three arguments: the node's pid, settings as JSON, the descriptor of the control socket."""
    kernel.die_with_parent(int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    settings = json.loads(sys.argv[2])
    os.umask(0o022)
    prepare_tree(settings["root"], settings["binds"], settings["roots"])
    control_fd = int(sys.argv[3])
    os.set_inheritable(control_fd, False)
    Spawner(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, control_fd)).run()
