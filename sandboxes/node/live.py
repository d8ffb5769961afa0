"""A runtime whose process tree exists in this node process."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial

from images import ImageDefinition
from sandboxes.egress.guest import HeaderSecret
from sandboxes.node.connection import GuestRefused
from sandboxes.node.contexts import Contexts
from sandboxes.node.driver import Running
from sandboxes.node.entrypoint import FROM_WORKSPACE, ImageStart
from sandboxes.node.machine import Machine
from sandboxes.node.metering import RuntimeMeters
from sandboxes.node.passed_files import PassedFiles
from sandboxes.node.processes import Process, Processes
from sandboxes.node.slots import Row
from sandboxes.node.supervisor_client import SupervisorClient
from sandboxes.node.usage_history import UsageHistory
from sandboxes.protocol import StartFileEnded


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
        self.contexts = Contexts(supervisor, clock_ms, self.oom_kills)
        self.history = UsageHistory()
        self.files = PassedFiles(machine.volume_path(row.slot), machine.file_threads)
        self.is_paused = False
        self.pause_changed_at_ms = row.healthy_at_ms or 0
        self.writable_at_ms = row.healthy_at_ms or 0
        self.stopping = False
        self.broken = False
        self.floods = False
        """It held more file locks than a sandbox may."""
        self.commands = 0
        self._machine = machine
        self._group = machine.group(row.slot)
        machine.storms.watch(self._group, machine.settings.size_classes[row.size_class].cpu_weight, self._is_busy)
        self._meters = RuntimeMeters(
            machine.settings.size_classes[row.size_class].memory_bytes, clock_ms(), self.usage()
        )
        self._image_start: ImageStart | None = None

    async def begin(
        self, definition: ImageDefinition, start_file_ended: Callable[[StartFileEnded], None] | None = None
    ) -> None:
        """Start what the image starts by itself, else the start file of a workspace that came back (`start_file_ended` is
        called when that fails for good). Raises StartFailed.
        """
        on_end: Callable[[Process], None] | None = None
        if start_file_ended is not None and definition.entrypoint is None:
            definition = definition.model_copy(update={"entrypoint": FROM_WORKSPACE})
            on_end = partial(self._report_start_file, start_file_ended)
        if definition.starts_something:
            self._image_start = ImageStart(definition, self.processes, self.supervisor, self.environment, on_end)
            await self._image_start.begin()

    def _report_start_file(self, report: Callable[[StartFileEnded], None], process: Process) -> None:
        how = process.ended.exit if process.ended is not None else None
        if how is not None and how.exit_code != 0 and not self.stopping:
            report(StartFileEnded(self.row.runtime_id, how.exit_code, how.signal, process.process_id))

    async def close(self) -> None:
        """End the runtime: restart nothing, wake the requests that wait for a process, close the supervisor's connection."""
        self._machine.storms.forget(self._group)
        if self._image_start is not None:
            await self._image_start.close()
        await self.contexts.close()
        await self.processes.close()
        await self.files.close()
        self._machine.egress.detach(self.row.runtime_id)
        self.supervisor.close()

    def _is_busy(self) -> bool:
        return self.commands > 0 or self.processes.running > 0

    @property
    def passes_files(self) -> bool:
        """Whether files can be passed out of this sandbox."""
        return "passed_sockets" not in self._machine.driver.unsupported

    @property
    def python(self) -> str:
        """The image's Python."""
        return self._machine.images[self.row.image].definition.python

    async def listening_ports(self) -> list[int]:
        """TCP ports somebody listens on inside."""
        with self._distrusting():
            return [port for port in await self.supervisor.listening_ports() if port != self._machine.egress.port]

    async def connect(self, port: int, seconds: float) -> socket.socket:
        """A connection to a server inside, whose bytes pass by the supervisor. Raises GuestRefused (`port_closed`)."""
        if port == self._machine.egress.port:  # the way out is not a way in
            raise GuestRefused("this port is the egress proxy's", code="port_closed")
        with self._distrusting():
            if "passed_sockets" in self._machine.driver.unsupported:
                return await self.supervisor.relay(port, seconds)
            return await self.supervisor.connect(port, seconds)

    def usage(self) -> dict[str, object]:
        """What the host saw this runtime use until now. `disk_bytes` is what its volume takes of the host's disk."""
        seen = self._machine.cgroups.usage(self._group)
        passed = self._machine.egress.usage(self.row.runtime_id)
        return {
            "cpu_us": seen.cpu_us,
            "memory_bytes": seen.memory_bytes,
            "memory_peak_bytes": seen.memory_peak_bytes,
            "disk_bytes": self._machine.volume_bytes(self.row.slot),
            "egress_in_bytes": passed.in_bytes,
            "egress_out_bytes": passed.out_bytes,
            "egress_refused": dict(passed.refused),
        }

    def sample(self, at_ms: int) -> None:
        """Remember what is used now."""
        usage = self.usage()
        self.history.add(at_ms, usage)
        self._meters.saw(at_ms, usage)

    def counts(self) -> dict[str, int]:
        """What it is billed by, until now."""
        return self._meters.counts(self.usage())

    def set_secrets(self, version: int, secrets: Sequence[HeaderSecret]) -> None:
        """Replace what the egress proxy adds to this runtime's requests, unless it has a newer version."""
        self._machine.egress.set_secrets(self.row.runtime_id, version, secrets)

    def oom_kills(self) -> int:
        """How often the host's cgroup has killed for memory in this runtime's slot."""
        return self._machine.oom_kills(self.row.slot)
