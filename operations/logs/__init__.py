"""Logs: one configuration for every process. One line per event on stderr, JSON when that is not a terminal.

A line that cannot be written is dropped and counted (`operations.logs.stream`): nothing fails because its log is full.
Tracebacks come without local variables, which hold keys and tenants' environments. structlog prints them, on stdout, wherever it
was not configured: every entry point and every Ray actor calls `configure` first.
"""

import io
import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO, cast

import structlog

from operations.logs.stream import LogStream
from operations.plain_text import harmless


def configure(level: int = logging.WARNING) -> None:
    """Set up structlog and the standard library alike; called once at the start of a process."""
    stream = LogStream(_descriptor())
    is_terminal = stream.isatty()
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=_plain_traceback)
        if is_terminal
        else structlog.processors.JSONRenderer()
    )
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    processors.append(_harmless_values if is_terminal else structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", stream)),
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_HarmlessFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
    # A sweep that is still waiting for a restarted actor makes the next one skip: expected, and no news.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)


def _descriptor() -> int:
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # none, closed, or no file
        return 2


def _harmless_values(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What tenants and peers wrote commands no operator's terminal; the renderer's own colours come later."""
    return {name: harmless(value) if isinstance(value, str) else value for name, value in event.items()}


def _plain_traceback(stream: TextIO, problem: structlog.typing.ExcInfo) -> None:
    text = io.StringIO()
    structlog.dev.plain_traceback(text, problem)
    stream.write(harmless(text.getvalue()))


class _HarmlessFormatter(logging.Formatter):
    """Lines of the standard library's loggers, in which others' words stand too."""

    def format(self, record: logging.LogRecord) -> str:
        """As ever, with control characters shown."""
        return harmless(super().format(record))
