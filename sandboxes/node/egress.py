"""The node's side of egress: runs the proxy, gives it each runtime's listener, takes it away again, adds up what was used.

A listener is made inside the sandbox by its supervisor, on loopback, before anything of the tenant's runs there. The node
keeps the descriptor: when the proxy dies, a new one gets the same listeners, and connections made meanwhile have waited in
their queue. Secrets are held in memory only, for the same reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from pydantic import BaseModel

from sandboxes.egress import EgressSettings
from sandboxes.egress.guest import HeaderSecret
from sandboxes.egress.messages import MESSAGE_BYTES_MAX, Attach, Detach, Ready, Secret, Secrets, dump, from_proxy
from sandboxes.node.connection import ProtocolBroken
from sandboxes.node.driver import DriverError
from sandboxes.node.slots import Row
from sandboxes.node.supervisor_client import SupervisorClient
from sandboxes.protocol import SandboxError
from sandboxes.self_tokens import self_token
from sandboxes.size_classes import SizeClass

RESTART_SECONDS = (0.0, 0.2, 1.0, 5.0)
STEADY_SECONDS = 10.0
_KEPT_VARIABLES = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(frozen=True, slots=True)
class EgressUsage:
    """What one runtime sent out and fetched, and how often it was refused, by code. At most a second old."""

    in_bytes: int = 0
    out_bytes: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Attached:
    """A runtime's listener and secrets, its counters at dead proxies (`before`) and at this one (`now`)."""

    message: Attach
    listener: socket.socket
    secrets: tuple[HeaderSecret, ...] = ()
    version: int = -1
    before: EgressUsage = EgressUsage()
    now: EgressUsage = EgressUsage()

    def usage(self) -> EgressUsage:
        refused = {
            code: self.before.refused.get(code, 0) + self.now.refused.get(code, 0)
            for code in {*self.before.refused, *self.now.refused}
        }
        before, now = self.before, self.now
        return EgressUsage(before.in_bytes + now.in_bytes, before.out_bytes + now.out_bytes, refused)


LISTEN_SECONDS = 60.0  # asked for while the supervisor boots, which has a limit of its own


class Egress:
    """Owns the proxy's process. `open` before use, `close` after."""

    def __init__(self, settings: EgressSettings, size_classes: Mapping[str, SizeClass]) -> None:
        self._settings = settings
        self._size_classes = size_classes
        path = settings.self_key_file
        self._self_key = bytes.fromhex(Path(path).read_text().strip()) if path is not None else b""
        self._attached: dict[str, _Attached] = {}
        self._channel: socket.socket | None = None
        self._outbox: deque[tuple[bytes, socket.socket | None]] = deque()
        self._keeping: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._is_told = False
        self.ready = asyncio.Event()
        url = f"http://127.0.0.1:{settings.port}"
        names = ("http_proxy", "https_proxy", "all_proxy")
        self._environment = {name: url for each in names for name in (each, each.upper())}
        self._environment |= dict.fromkeys(("no_proxy", "NO_PROXY"), "localhost,127.0.0.1,::1")

    @property
    def port(self) -> int | None:
        """Where the proxy listens inside; None when there is none."""
        return self._settings.port if self._settings.enabled else None

    @property
    def state(self) -> str:
        """`off`, `starting` or `ready`."""
        if not self._settings.enabled:
            return "off"
        return "ready" if self.ready.is_set() else "starting"

    def open(self) -> None:
        """Begin to run the proxy. Sandboxes may start before it is up: their connections wait."""
        if self._settings.enabled:
            self._keeping = asyncio.get_running_loop().create_task(self._keep())

    async def close(self) -> None:
        """End the proxy."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        for attached in self._attached.values():
            attached.listener.close()
        self._attached.clear()

    # Runtimes

    async def listen(self, control: socket.socket) -> socket.socket | None:
        """Make a listener in a sandbox nobody has used yet; None when egress is off, or this kind of sandbox has no way to
        pass one out. Raises DriverError when the supervisor is not ours any more.
        """
        if not self._settings.enabled:
            return None
        try:
            return await SupervisorClient(control).listen(self._settings.port, LISTEN_SECONDS)
        except ProtocolBroken as error:
            raise DriverError("the supervisor broke the protocol") from error
        except SandboxError as error:
            if not self._is_told:
                structlog.get_logger().warning("egress.no_listener", error=error.message[:200])
            self._is_told = True
            return None

    def attach(self, row: Row, listener: socket.socket | None) -> dict[str, str]:
        """Let a runtime out through its listener, which is ours from here on; what its commands need to know of it."""
        if listener is None:
            return {}
        limits = self._size_classes[row.size_class]
        message = Attach(
            runtime_id=row.runtime_id,
            allow=self._settings.allowed(row.address, row.size_class),
            ports=self._settings.ports,
            bytes_per_second=limits.egress_bytes_per_second,
            bytes_max=limits.egress_bytes_max,
            self_token=self_token(self._self_key, row.address, row.runtime_id) if self._self_key else "",
        )
        self._attached[row.runtime_id] = attached = _Attached(message, listener)
        self._hand_over(attached)
        return self._environment

    def detach(self, runtime_id: str) -> None:
        """Let it out no more: its connections are cut, its listener is closed on both sides."""
        attached = self._attached.pop(runtime_id, None)
        if attached is not None:
            attached.listener.close()
            self._send(Detach(runtime_id=runtime_id))

    def set_secrets(self, runtime_id: str, version: int, secrets: Sequence[HeaderSecret]) -> None:
        """Replace a runtime's header secrets, unless newer ones are there already. Nothing happens without a proxy."""
        attached = self._attached.get(runtime_id)
        if attached is None or version < attached.version:
            return
        attached.version, attached.secrets = version, tuple(secrets)
        self._send_secrets(attached)

    def usage(self, runtime_id: str) -> EgressUsage:
        """What a runtime has used until now."""
        attached = self._attached.get(runtime_id)
        return EgressUsage() if attached is None else attached.usage()

    # The channel

    def _hand_over(self, attached: _Attached) -> None:
        self._send(attached.message, attached.listener)
        if attached.secrets:
            self._send_secrets(attached)

    def _send_secrets(self, attached: _Attached) -> None:
        runtime_id = attached.message.runtime_id
        self._send(Secrets(runtime_id=runtime_id, count=len(attached.secrets)))
        for each in attached.secrets:
            self._send(
                Secret(
                    runtime_id=runtime_id,
                    alias=each.alias,
                    upstream=each.upstream,
                    header=each.header,
                    value=each.value,
                )
            )

    def _send(self, message: BaseModel, listener: socket.socket | None = None) -> None:
        """Send messages in order, as the proxy takes them. Without a proxy nothing is sent: the next one gets the whole state."""
        if self._channel is not None:
            self._outbox.append((dump(message), listener))
            if len(self._outbox) == 1:
                self._flush()

    def _flush(self) -> None:
        channel = self._channel
        if channel is None:
            return
        loop = asyncio.get_running_loop()
        while self._outbox:
            data, listener = self._outbox[0]
            try:
                if listener is None:
                    channel.send(data)
                elif listener.fileno() >= 0:  # closed meanwhile: there is nothing to serve
                    socket.send_fds(channel, [data], [listener.fileno()])
            except BlockingIOError:
                loop.add_writer(channel.fileno(), self._flush)
                return
            except OSError:
                self._outbox.clear()  # it has died; `_keep` finds out
                break
            self._outbox.popleft()
        loop.remove_writer(channel.fileno())

    # The process

    async def _keep(self) -> None:
        """Run a proxy, and another one whenever it dies."""
        loop, failures = asyncio.get_running_loop(), 0
        while True:
            begun = loop.time()
            try:
                await self._run_once()
            except OSError as error:
                structlog.get_logger().error("egress.not_started", error=str(error))
            failures = 1 if loop.time() - begun > STEADY_SECONDS else failures + 1
            structlog.get_logger().warning("egress.proxy_ended", failures=failures)
            await asyncio.sleep(RESTART_SECONDS[min(failures - 1, len(RESTART_SECONDS) - 1)])

    async def _run_once(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "operations.light", "sandboxes.egress", "--control-fd", str(theirs.fileno())),
                    *("--uid", str(self._settings.uid), "--settings-json", self._settings.model_dump_json()),
                    stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, pass_fds=(theirs.fileno(),),
                    env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ},
                )  # fmt: skip
            except BaseException:
                ours.close()
                raise
        self._channel = ours
        try:
            for attached in self._attached.values():
                self._hand_over(attached)
            await self._listen(ours)
        finally:
            self.ready.clear()
            self._channel = None
            self._outbox.clear()
            asyncio.get_running_loop().remove_writer(ours.fileno())
            ours.close()  # and with that the proxy ends, if it has not
            for attached in self._attached.values():
                attached.before, attached.now = attached.usage(), EgressUsage()
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def _listen(self, channel: socket.socket) -> None:
        """What the proxy tells, until it has ended."""
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(channel, MESSAGE_BYTES_MAX):
            try:
                message = from_proxy(data)
            except ValueError:
                structlog.get_logger().error("egress.proxy_not_understood")
                return
            if isinstance(message, Ready):
                self.ready.set()
            elif (attached := self._attached.get(message.runtime_id)) is not None:
                attached.now = EgressUsage(message.in_bytes, message.out_bytes, message.refused)
