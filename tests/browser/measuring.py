"""What pages cost: bytes over the wire, the time until something is seen, elements, memory."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Page

PLOTLY = "plotly.min.js"  # has a budget of its own: it is loaded where there is a plot, and kept by the browser for good


@dataclass
class Weight:
    """Bytes that came over the wire, headers too.

    Attributes:
        by_address: For each address; what is still coming, such as events, is not in it.
    """

    by_address: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def total(self) -> int:
        """Of all but Plotly."""
        return sum(count for address, count in self.by_address.items() if not address.endswith(PLOTLY))


@contextmanager
def weighed(page: Page) -> Generator[Weight]:
    """Weigh what a page loads meanwhile. A page that is new has nothing in its cache."""
    found = Weight()
    addresses: dict[str, str] = {}
    session = page.context.new_cdp_session(page)

    def begun(event: dict[str, Any]) -> None:
        addresses[event["requestId"]] = event["request"]["url"]

    def ended(event: dict[str, Any]) -> None:
        address = addresses.get(event["requestId"], "")
        found.by_address[address] = found.by_address.get(address, 0) + int(event["encodedDataLength"])

    session.on("Network.requestWillBeSent", begun)
    session.on("Network.loadingFinished", ended)
    session.send("Network.enable")
    yield found
    session.detach()


def first_paint(page: Page) -> float:
    """Milliseconds from the beginning of the navigation to the first text or picture that was painted."""
    return page.evaluate(
        """() => new Promise((found) => new PerformanceObserver((list) => {
            for (const entry of list.getEntriesByName('first-contentful-paint')) found(entry.startTime);
        }).observe({type: 'paint', buffered: true}))"""
    )


def elements(page: Page) -> int:
    """How many elements the document has."""
    return page.evaluate("() => document.getElementsByTagName('*').length")


def heap(page: Page) -> int:
    """Bytes of memory that the page's scripts hold, after what nobody needs was given back."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    found: dict[str, Any] = session.send("Runtime.getHeapUsage")
    session.detach()
    return int(found["usedSize"])
