"""A pytest plugin: with --no-unexpected-skips, a test that is skipped for want of something fails the run."""

from __future__ import annotations

import pytest

# What no machine can mend, and what a machine without a network has to do without.
EXPECTED = ("root may read everything", "root may write anywhere", "npm's registry is not reachable")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    help_text = "fail where a test is skipped, unless no machine could run it"
    parser.addoption("--no-unexpected-skips", action="store_true", help=help_text)


class Skips:
    """Collects the reasons of tests that were skipped, of all workers."""

    def __init__(self) -> None:
        self.unexpected: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that was skipped."""
        self.note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a module that was skipped."""
        self.note(report)

    def note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        """Keep the reason, unless it is expected."""
        if report.skipped and isinstance(report.longrepr, tuple):
            reason = report.longrepr[2].removeprefix("Skipped: ")
            if reason not in EXPECTED:
                self.unexpected.append(f"{report.nodeid}: {reason}")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Let the run fail."""
        if self.unexpected and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say which tests should have run."""
        if self.unexpected:
            terminalreporter.section("skipped, and should not have been", red=True)
            for line in self.unexpected:
                terminalreporter.line(line)


def pytest_configure(config: pytest.Config) -> None:
    """Watch where the results of all workers come together."""
    if config.getoption("no_unexpected_skips") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Skips())
