"""Changes below a folder as they happen, by inotify, inside a file worker (`files`), as the tenant."""

from __future__ import annotations

import _socket
import ctypes
import os
import select
import struct

from . import frames
from .paths import path_of

FOLDERS_MAX = 2_000
EVENTS_MAX = 256
_HEADER = struct.Struct("iIII")
_BUFFER_BYTES = 1 << 16
_CREATE, _DELETE, _MODIFY, _CLOSE_WRITE, _ATTRIB = 0x100, 0x200, 0x2, 0x8, 0x4
_MOVED_FROM, _MOVED_TO, _DELETE_SELF, _IGNORED, _OVERFLOW = 0x40, 0x80, 0x400, 0x8000, 0x4000
_IS_FOLDER, _ONLY_FOLDERS, _DONT_FOLLOW = 0x4000_0000, 0x0100_0000, 0x0200_0000
_MASK = _CREATE | _DELETE | _CLOSE_WRITE | _ATTRIB | _MOVED_FROM | _MOVED_TO | _DELETE_SELF
_WORDS = (
    (_CREATE, b"created"), (_DELETE, b"deleted"), (_CLOSE_WRITE, b"written"), (_ATTRIB, b"changed"),
    (_MOVED_FROM, b"moved_from"), (_MOVED_TO, b"moved_to"), (_DELETE_SELF, b"deleted"),
)  # fmt: skip


class Watch:
    """One inotify instance, and which folder each of its watches stands for."""

    def __init__(self, top: bytes, recursive: bool) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = int(self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self._top = top = os.path.normpath(top)
        self._recursive = recursive
        self._folders: dict[int, bytes] = {}
        self.is_partial = False
        self._found: list[frames.Fields] = []  # what was in new folders before they were watched
        self._add(top)
        if not self._folders:
            raise OSError(ctypes.get_errno(), "inotify_add_watch")
        self._found.clear()

    def _add(self, folder: bytes) -> None:
        """Watch a folder and all in it; note what is there already, since of that no event comes."""
        waiting = [folder]
        while waiting:
            path = waiting.pop()
            if not self._watch(path):
                self._found.append([("event", b"overflow"), ("path", path), ("type", b"directory")])
                self.is_partial = True
                continue
            if not self._recursive:
                return
            try:
                with os.scandir(path) as entries:
                    for entry in entries:
                        is_folder = entry.is_dir(follow_symlinks=False)
                        kind = b"directory" if is_folder else b"file"
                        self._found.append([("event", b"created"), ("path", entry.path), ("type", kind)])
                        if is_folder:
                            waiting.append(entry.path)
            except OSError:
                continue  # gone, or not the tenant's to read; then the watch had failed

    def _watch(self, folder: bytes) -> bool:
        if len(self._folders) >= FOLDERS_MAX:
            return False
        descriptor = self._libc.inotify_add_watch(self.fd, folder, _MASK | _ONLY_FOLDERS | _DONT_FOLLOW)
        if descriptor >= 0:
            self._folders[descriptor] = folder
            return True
        return not os.path.lexists(folder)  # one that is gone lacks nothing

    def _forget(self, folder: bytes) -> None:
        """A folder has moved: what happens in it is of another path, or of none here."""
        inside = folder + b"/"
        for descriptor, path in list(self._folders.items()):
            if path == folder or path.startswith(inside):
                del self._folders[descriptor]
                self._libc.inotify_rm_watch(self.fd, descriptor)

    def read(self) -> list[frames.Fields]:
        """What has happened since the last look."""
        data = os.read(self.fd, _BUFFER_BYTES)
        found: list[frames.Fields] = []
        at = 0
        while at < len(data):
            descriptor, mask, _cookie, size = _HEADER.unpack_from(data, at)
            name = data[at + _HEADER.size : at + _HEADER.size + size].rstrip(b"\0")
            at += _HEADER.size + size
            if mask & _OVERFLOW:
                found.append([("event", b"overflow"), ("path", self._top)])
                continue
            if mask & _IGNORED:
                self._folders.pop(descriptor, None)
                continue
            folder = self._folders.get(descriptor)
            if folder is None:
                continue
            if not name:  # of the folder itself; of any but the top its parent tells the same
                if folder != self._top:
                    continue
                mask |= _IS_FOLDER
            path = os.path.join(folder, name) if name else folder
            word = next((word for bit, word in _WORDS if mask & bit), b"changed")
            kind = b"directory" if mask & _IS_FOLDER else b"file"
            found.append([("event", word), ("path", path), ("type", kind)])
            if self._recursive and mask & _IS_FOLDER:
                if mask & _MOVED_FROM:
                    self._forget(path)
                elif mask & (_CREATE | _MOVED_TO):
                    self._add(path)
                    found += self._found
                    self._found.clear()
        return found


def serve(connection: _socket.socket, fields: dict[str, bytes]) -> None:
    """Send each change as one DATA frame, until the node hangs up."""
    watch = Watch(path_of(fields.get("path", b"")), fields.get("recursive") == b"1")
    partial = b"1" if watch.is_partial else b"0"
    connection.sendall(frames.pack(frames.STARTED, frames.pack_fields([("partial", partial)])))
    poll = select.poll()
    poll.register(watch.fd, select.POLLIN)
    poll.register(connection.fileno(), select.POLLRDHUP | select.POLLIN)
    while True:
        ready = dict(poll.poll())
        if connection.fileno() in ready:
            return
        changes = watch.read()
        for at in range(0, len(changes), EVENTS_MAX):
            batch = [frames.pack(frames.DATA, frames.pack_fields(change)) for change in changes[at : at + EVENTS_MAX]]
            connection.sendall(b"".join(batch))
