"""A runtime whose process tree exists in this node process."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from images import ImageDefinition
from sandboxes.node.driver import Running
from sandboxes.node.entrypoint import ImageStart
from sandboxes.node.machine import Machine
from sandboxes.node.processes import Processes
from sandboxes.node.slots import Row
from sandboxes.node.supervisor_client import SupervisorClient


class Live:
    """What the node holds of one runtime. `distrusting` surrounds every conversation with its supervisor."""

    def __init__(
        self, row: Row, running: Running, supervisor: SupervisorClient, environment: dict[str, str], shell: str,
        machine: Machine, distrusting: Callable[[Live], AbstractContextManager[None]], clock_ms: Callable[[], int],
    ) -> None:  # fmt: skip
        self.row = row
        self.running = running
        self.supervisor = supervisor
        self.environment = environment
        self.shell = shell
        self._distrusting: Callable[[], AbstractContextManager[None]] = partial(distrusting, self)
        self.processes = Processes(supervisor, clock_ms, self.oom_kills, self._distrusting)
        self.is_paused = False
        self.pause_changed_at_ms = row.healthy_at_ms or 0
        self.stopping = False
        self.broken = False
        self.commands = 0
        self._machine = machine
        self._image_start: ImageStart | None = None

    async def begin(self, definition: ImageDefinition) -> None:
        """Start what the image starts by itself. Raises StartFailed."""
        if definition.starts_something:
            self._image_start = ImageStart(definition, self.processes, self.supervisor, self.environment)
            await self._image_start.begin()

    async def close(self) -> None:
        """The runtime is over: nothing is restarted, whoever waits for a process wakes, the supervisor is hung up on."""
        if self._image_start is not None:
            await self._image_start.close()
        await self.processes.close()
        self.supervisor.close()

    async def listening_ports(self) -> list[int]:
        """TCP ports somebody listens on inside."""
        with self._distrusting():
            return await self.supervisor.listening_ports()

    async def connect(self, port: int, seconds: float) -> socket.socket:
        """A connection to a server inside, whose bytes pass by the supervisor. Raises GuestRefused (`port_closed`)."""
        with self._distrusting():
            return await self.supervisor.connect(port, seconds)

    def oom_kills(self) -> int:
        """How often the host's cgroup has killed for memory in this runtime's slot."""
        return self._machine.oom_kills(self.row.slot)
