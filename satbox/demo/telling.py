"""The demo's output: a line per step while it runs, and a record of each step for machines."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TextIO

from rich.console import Console


class StepFailedError(Exception):
    """Something did not happen as the story says."""


@dataclass
class Step:
    """One step: what happened, as facts."""

    name: str
    ok: bool = False
    ms: float = 0.0
    detail: dict[str, Any] = field(default_factory=dict)


class Teller:
    """Collects steps, and prints them when it is given somewhere to print."""

    def __init__(self, out: TextIO | None) -> None:
        self.console = Console(file=out, quiet=out is None, highlight=False, soft_wrap=True)
        self.steps: list[Step] = []

    @asynccontextmanager
    async def step(self, name: str) -> AsyncIterator["Step"]:
        """Run one step; a failure is recorded and ends the story."""
        step = Step(name)
        self.steps.append(step)
        self.console.print(f"\n[bold]{len(self.steps)}. {name}[/bold]")
        began = time.perf_counter()
        try:
            yield step
            step.ok = True
        except Exception as error:
            step.detail["error"] = f"{type(error).__name__}: {error}"
            self.console.print(f"   [red]✗ {step.detail['error']}[/red]")
            raise StepFailedError(name) from error
        finally:
            step.ms = round((time.perf_counter() - began) * 1000, 1)

    def say(self, line: str) -> None:
        """A line under the current step."""
        self.console.print(f"   {line}", markup=False)

    def note(self, line: str, **facts: Any) -> None:
        """A line, and the facts behind it."""
        self.say(line)
        self.steps[-1].detail.update(facts)


def expect(condition: bool, what: str) -> None:
    """Stop the demo unless this is true."""
    if not condition:
        raise StepFailedError(what)


def sats(usat: int) -> str:
    """Micro-sats as sats, exactly.

    >>> sats(1_500_000)
    '1.500000'
    """
    sign = "-" if usat < 0 else ""
    return f"{sign}{abs(usat) // 1_000_000}.{abs(usat) % 1_000_000:06d}"
