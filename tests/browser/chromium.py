"""Chromium as the tests start it: Debian's own, with a new profile, and with nothing to say to any machine but this one."""

import shutil
from collections.abc import Generator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def executable() -> str | None:
    """Its path; ``None`` where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def missing() -> str:
    """Why no browser can be started here; ``""`` where one can."""
    return "" if executable() else "there is no Chromium: make setup-dev installs it as root on Debian (apt-get install chromium)"


@contextmanager
def launched() -> Generator[Browser]:
    """Start it.

    Playwright's loop counts as running on this thread for as long as this lasts: no coroutine can be tested beside it.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()
