"""A real Chromium without a window, and the demo's server in a process of its own, for the tests of pages."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
DRIVER = shutil.which("chromedriver")
DESKTOP = (1100, 850)
PHONE = (390, 844)
# Nothing that a test does not ask for: no first run, no updates, no requests of its own.
_QUIET = """
    --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run
    --disable-background-networking --disable-component-update --disable-sync
""".split()


@contextmanager
def chromium() -> Iterator:
    """Start a browser, driven by selenium."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        for argument in (*_QUIET, f"--user-data-dir={profile}"):
            options.add_argument(argument)
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
        try:
            yield driver
        finally:
            driver.quit()


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """One browser a session; a test gives it the size and the colours it wants, with look."""
    with chromium() as driver:
        yield driver


def look(driver, size: tuple[int, int] = DESKTOP, scheme: str = "light") -> None:
    """Give the page a size in pixels, and the reader's preference for light or dark."""
    width, height = size
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def until(driver, condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until a condition holds."""
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.support.ui import WebDriverWait

    # A page that is answered puts elements in the place of those that were just found.
    waiting = WebDriverWait(driver, seconds, 0.05, ignored_exceptions=[StaleElementReferenceException])
    waiting.until(lambda _: condition())


@contextmanager
def served(model: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run `demo --web`; gives the address that it prints, and the process."""
    command = [sys.executable, "-m", "electra_convert", "demo", str(model), "--web", *options]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, process.communicate()
        try:
            yield address, process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()  # or leaving the context would wait for ever
                raise
