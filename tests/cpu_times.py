"""`pytest --cpu`: CPU seconds by file, of the tests and of every process that they started and waited for."""

import os
from collections import Counter
from collections.abc import Generator

import pytest

ROWS = 40
PROPERTY = "cpu_seconds"


def _cpu_seconds() -> float:
    return sum(os.times()[:4])


class CpuTimes:
    """Counts in the process that runs a test, and adds up in the one that reports: with xdist those are two."""

    def __init__(self) -> None:
        self._by_file: Counter[str] = Counter()
        self._counted = _cpu_seconds()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """What was used since the last report: also what fixtures of a file or a session cost."""
        report = yield
        now = _cpu_seconds()
        report.user_properties.append((PROPERTY, now - self._counted))
        self._counted = now
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add up."""
        name, seconds = report.user_properties[-1]
        if name == PROPERTY and isinstance(seconds, float):
            self._by_file[report.nodeid.partition("::")[0]] += seconds

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The files that used most."""
        terminalreporter.section(f"CPU seconds: {sum(self._by_file.values()):.1f} in all")
        for name, seconds in self._by_file.most_common(ROWS):
            terminalreporter.write_line(f"{seconds:8.1f}  {name}")
