"""Somebody who looks at the dashboard: opens pages in one theme or the other, wide or narrow, and takes pictures of them."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, BrowserContext, Page, StorageState, expect
from watching import Watch

Theme = Literal["light", "dark"]
WIDE, NARROW = 1280, 400  # pixels: a laptop's window, a telephone's
HEIGHT = 900
WAIT = 60_000.0  # milliseconds: the machine may be busy


@dataclass
class Visitor:
    """Opens pages that are watched.

    Attributes:
        browser: Where.
        host: The address that pages without one are of.
        watch: Keeps what goes wrong.
        session: What a browser keeps that is signed in.
        pictures: The folder of its pictures.
        patience: Milliseconds that a page has to do what is wanted.
    """

    browser: Browser
    host: str
    watch: Watch
    session: StorageState
    pictures: Path
    patience: float = WAIT
    contexts: list[BrowserContext] = field(default_factory=list[BrowserContext])

    def page(
        self, *, theme: Theme = "light", width: int = WIDE, javascript: bool = True, signed_in: bool = True, policy: bool = True
    ) -> Page:
        """An empty page of a new browser, with an empty cache.

        Args:
            theme: What its owner prefers.
            width: Pixels.
            javascript: Whether scripts run.
            signed_in: Whether it has been signed in.
            policy: Whether pages' Content-Security-Policy holds; without it a test may add scripts of its own.
        """
        context = self.browser.new_context(
            base_url=self.host,
            color_scheme=theme,
            viewport={"width": width, "height": HEIGHT},
            java_script_enabled=javascript,
            storage_state=self.session if signed_in else None,
            bypass_csp=not policy,
            reduced_motion="reduce",
        )
        context.set_default_timeout(self.patience)
        self.watch.follow(context)
        self.contexts.append(context)
        return context.new_page()

    def photograph(self, page: Page, name: str) -> None:
        """Take pictures of a page in both themes, wide and narrow, and hold that nothing of it sticks out of a window.

        Args:
            page: As it is now. It is wide and in its owner's theme again afterwards.
            name: Of the pictures.
        """
        try:
            for width in (WIDE, NARROW):
                page.set_viewport_size({"width": width, "height": HEIGHT})
                fits = expect(page.locator("html"), f"{page.url} is to fit into a window of {width} pixels")
                fits.to_have_js_property("scrollWidth", width, timeout=self.patience)
                for theme in ("light", "dark"):
                    page.emulate_media(color_scheme=theme)
                    self._picture(page, f"{name}-{theme}-{width}")
        finally:
            page.set_viewport_size({"width": WIDE, "height": HEIGHT})
            page.emulate_media(color_scheme="null")

    def leave(self, name: str) -> None:
        """Take a picture of each page as it is now, and close them.

        Args:
            name: Of the pictures; there may be several.
        """
        pages = [page for context in self.contexts for page in context.pages if page.url != "about:blank"]
        for number, page in enumerate(pages):
            self._picture(page, f"{name}-{number}" if number else name)
        for context in self.contexts:
            context.close()

    def _picture(self, page: Page, name: str) -> None:
        self.pictures.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=self.pictures / f"{re.sub(r'[^a-zA-Z0-9-]+', '-', name)[:80].strip('-')}.png", full_page=True)
