"""The suite's own plugins: what is skipped unexpectedly fails a run, and what is not slow imports no framework."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def tried(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs tests with the plugins in a folder of their own."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))

    def run(tests: str, *options: str, alone: bool = False) -> pytest.RunResult:
        pytester.makepyfile(f"import subprocess, sys, pytest\n{tests}")
        start = pytester.runpytest_subprocess if alone else pytester.runpytest_inprocess
        return start("-p", "support.order", "-p", "support.skips", "-v", *options)

    return run


def skipped(*reasons: str) -> str:
    return f"@pytest.mark.parametrize('reason', {reasons})\ndef test_this(reason):\n    pytest.skip(reason)"


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "worker"])
def test_a_skip_that_is_not_expected_fails_the_run_and_is_named(tried: Run, workers: tuple[str, ...]):
    ran = tried(skipped("root may write anywhere", "no browser is installed"), "--no-unexpected-skips", *workers)
    assert ran.ret == pytest.ExitCode.TESTS_FAILED
    ran.stdout.fnmatch_lines(["*skipped, and should not have been*", "*: no browser is installed", "*2 skipped*"])
    ran.stdout.no_fnmatch_line("*: root may write anywhere")


@pytest.mark.parametrize("options", [["--no-unexpected-skips"], []], ids=["expected", "not asked for"])
def test_other_skips_fail_nothing(tried: Run, options: list[str]):
    reason = "root may write anywhere" if options else "no browser is installed"
    assert tried(skipped(reason), *options).ret == pytest.ExitCode.OK


def test_a_module_that_is_skipped_fails_the_run(tried: Run):
    ran = tried("def test_this(): pass\npytest.importorskip('nothing_of_this_name')", "--no-unexpected-skips")
    assert ran.ret != pytest.ExitCode.OK
    ran.stdout.fnmatch_lines(["*: could not import 'nothing_of_this_name'*"])


BLOCKED = """
from importlib.util import find_spec

@pytest.mark.slow
def test_slow():
    assert find_spec("jax") is None

def test_here():
    with pytest.raises(ImportError, match="jax is blocked: a test that needs a framework is marked slow"):
        import jax

def test_in_another_process():
    done = subprocess.run([sys.executable, "-c", "import jax"], capture_output=True, text=True)
    assert "jax is blocked" in done.stderr
"""


def test_only_slow_tests_can_import_frameworks_and_they_come_last(tried: Run):
    """In a process where nothing was imported or blocked before, with a framework that is not installed."""
    ran = tried(BLOCKED, alone=True)
    ran.assert_outcomes(passed=3)
    ran.stdout.fnmatch_lines(["*test_here PASSED*", "*test_in_another_process PASSED*", "*test_slow PASSED*"])
