"""Logs: one line per event on stderr, JSON when that is not a terminal. Tracebacks without local variables: those hold keys."""

import logging
import sys

import structlog


def configure(level: int = logging.WARNING) -> None:
    """Set up structlog and the standard library alike; called once at the start of a process."""
    is_terminal = sys.stderr.isatty()
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if is_terminal
        else structlog.processors.JSONRenderer()
    )
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if not is_terminal:
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # A sweep that is still waiting for a restarted actor makes the next one skip: expected, and no news.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
