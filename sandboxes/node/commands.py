"""Commands over the node: from a JSON request to a collected result or a stream of events."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sandboxes.node.command_stream import CommandSpec, Exit, Output
from sandboxes.node.live import Live
from sandboxes.node.service import SandboxService
from sandboxes.protocol import BadRequest
from sandboxes.texts import Characters, text_or_base64
from sandboxes.wire import check_environment

ARGUMENT_BYTES_MAX = 128 * 1024
STDIN_BYTES_MAX = 8 << 20
TIMEOUT_SECONDS_DEFAULT = 120.0
TIMEOUT_SECONDS_MAX = 3600.0
OUTPUT_BYTES_DEFAULT = 1 << 20
OUTPUT_BYTES_UNBOUNDED = 1 << 50
"""For an answer that is streamed: nobody holds it."""
SIGKILL = 9


class ExecRequest(BaseModel):
    """Body of an exec: `argv`, or `shell` for one line given to the image's shell."""

    model_config = ConfigDict(extra="forbid")

    argv: list[str] | None = Field(default=None, min_length=1, max_length=1024)
    shell: str | None = None
    cwd: str = Field(default="/workspace", max_length=4096)
    env: dict[str, str] = Field(default_factory=dict)
    stdin: str | None = None
    timeout_seconds: float = Field(default=TIMEOUT_SECONDS_DEFAULT, gt=0, le=TIMEOUT_SECONDS_MAX)
    user: Literal["tenant"] = "tenant"
    output_limit_bytes: int | None = Field(default=OUTPUT_BYTES_DEFAULT, ge=0)
    """None: all of it; only for a stream."""


def command_spec(request: ExecRequest, live: Live, service: SandboxService) -> CommandSpec:
    """A checked request as what the supervisor runs. Raises BadRequest."""
    if (request.argv is None) == (request.shell is None):
        raise BadRequest("exactly one of argv and shell is needed")
    arguments = request.argv if request.argv is not None else [live.shell, "-c", request.shell or ""]
    if sum(len(argument) + 1 for argument in arguments) > ARGUMENT_BYTES_MAX or any("\0" in a for a in arguments):
        raise BadRequest(f"arguments hold up to {ARGUMENT_BYTES_MAX} bytes and no NUL")
    if "\0" in request.cwd:
        raise BadRequest("cwd holds a NUL")
    check_environment(request.env)
    stdin: bytes | None = None
    if request.stdin is not None:
        try:
            stdin = base64.b64decode(request.stdin, validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadRequest("stdin is not base64") from error
        if len(stdin) > STDIN_BYTES_MAX:
            raise BadRequest(f"stdin over {STDIN_BYTES_MAX} bytes; upload a file instead")
    return CommandSpec(
        arguments=arguments,
        environment={**live.environment, **request.env},
        cwd=request.cwd,
        stdin=stdin,
        timeout_seconds=request.timeout_seconds,
        limit_bytes=OUTPUT_BYTES_UNBOUNDED
        if request.output_limit_bytes is None
        else min(request.output_limit_bytes, service.settings.output_bytes_max),
    )


def in_background(
    spec: CommandSpec, timeout_seconds: float, output_bytes_max: int, terminal: tuple[int, int] | None
) -> CommandSpec:
    """The same command without a caller who waits: input stays open, output is kept by the node in a window."""
    return replace(
        spec, interactive=True, terminal=terminal, timeout_seconds=timeout_seconds, limit_bytes=output_bytes_max
    )


async def events(service: SandboxService, live: Live, spec: CommandSpec) -> AsyncIterator[dict[str, Any]]:
    """The command as events: `started`, `stdout` and `stderr`, and last, and only then a success, `exit`. No event ends inside
    of a character, but for what the command itself left incomplete.
    """
    oom_before = live.oom_kills()
    yield {"event": "started"}
    characters = Characters()
    with service.distrusting(live):
        async for item in live.supervisor.execute(spec):
            if isinstance(item, Output):
                for stream, data in characters.feed(item.stream, item.data):
                    yield {"event": stream, **text_or_base64("data", data)}
                continue
            result = outcome(item, live.oom_kills() > oom_before)
            for stream, data in characters.rest():
                if result["truncated"][f"{stream}_bytes_dropped"]:  # the limit fell inside of it
                    result["truncated"][f"{stream}_bytes_dropped"] += len(data)
                else:
                    yield {"event": stream, **text_or_base64("data", data)}
            yield {"event": "exit", **result}


def outcome(ended: Exit, oom_in_slot: bool) -> dict[str, Any]:
    """How a command ended. The memory verdict is the host's own counter; code, signal and usage are the supervisor's,
    which the tenant can't reach but which runs inside: `evidence` says so.
    """
    killed_for_memory = oom_in_slot and (ended.signal == SIGKILL or ended.exit_code == 128 + SIGKILL)
    return {
        "exit_code": ended.exit_code,
        "signal": ended.signal,
        "oom_killed": oom_in_slot,
        "timed_out": ended.timed_out,
        "start_error": ended.start_error or None,
        "truncated": {"stdout_bytes_dropped": ended.stdout_dropped, "stderr_bytes_dropped": ended.stderr_dropped},
        "cpu_ms": ended.cpu_us / 1000,
        "max_rss_bytes": ended.max_rss_bytes,
        "duration_ms": ended.duration_us / 1000,
        "evidence": "host" if killed_for_memory else "guest",
    }
