"""In CI a test may be skipped only if ``tests/skips.txt`` names it; any other skip fails the run."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

LIST = Path(__file__).parents[1] / "skips.txt"


@dataclass(eq=False)
class NamedSkips:
    """A plugin of pytest. Under xdist it works where the reports of all workers arrive.

    Args:
        allowed: Patterns of test ids with patterns of reasons.
    """

    allowed: list[tuple[str, str]]
    unnamed: dict[str, str] = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test, or its set-up, was skipped."""
        if report.skipped and not hasattr(report, "wasxfail"):
            self._look_up(report.nodeid, report.longrepr)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A whole module was skipped."""
        if report.skipped:
            self._look_up(f"{report.nodeid}::", report.longrepr)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run that nothing else has failed."""
        if self.unnamed and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Name them."""
        if self.unnamed:
            terminalreporter.section("skipped, and not named in tests/skips.txt", red=True)
            for test, reason in sorted(self.unnamed.items()):
                terminalreporter.line(f"{test} | {reason}")

    def _look_up(self, test: str, longrepr: Any) -> None:
        reason = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
        reason = reason.removeprefix("Skipped: ")
        if not any(fnmatchcase(test, tests) and fnmatchcase(reason, reasons) for tests, reasons in self.allowed):
            self.unnamed[test] = reason


def read_skips(path: Path) -> list[tuple[str, str]]:
    """The patterns of a list."""
    lines = path.read_text(encoding="utf-8").splitlines()
    parts = [line.partition("|") for line in lines if line.strip() and not line.startswith("#")]
    return [(test.strip(), reason.strip()) for test, _, reason in parts]


def in_ci() -> bool:
    """Whether this is a run of continuous integration, in the process that collects the reports."""
    return os.environ.get("CI") == "true" and "PYTEST_XDIST_WORKER" not in os.environ
