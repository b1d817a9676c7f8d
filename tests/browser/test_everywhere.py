"""Every page that links lead to, from home on: no fault, nothing grave in anybody's way, light, and whole in a narrow window."""

from collections import deque
from collections.abc import Iterator
from urllib.parse import urlsplit

import axe
import pytest
from exhibits import Exhibits
from measuring import weighed
from playwright.sync_api import Page
from starlette.routing import compile_path
from visiting import Visitor

from kedge.dashboard.app import PARTS, SECTIONS
from kedge.dashboard.page import Section

MOST_BYTES = 300_000  # of a page with all that it loads, without Plotly
EACH = 2  # pages of an address like `/runs/{run}`
ROUTES = [route for routes in (*(section.routes for section in SECTIONS), *PARTS) for route in routes]
ADDRESSES = {route.path: compile_path(route.path)[0] for route in ROUTES if route.method == "GET"}


def address(path: str) -> str:
    """The address that a path is one of; ``""`` where it is none of a page."""
    return next((found for found, pattern in ADDRESSES.items() if pattern.match(path)), "")


def pages(page: Page, *first: str) -> Iterator[str]:
    """Paths of pages, each when `page` shows it; from these on, by links."""
    due, seen = deque(first), set(first)
    left = dict.fromkeys(ADDRESSES, EACH)
    while due:
        path = due.popleft()
        kind = address(urlsplit(path).path)
        if not left.get(kind) or not is_page(page, path):
            continue
        left[kind] -= 1
        page.goto(path)
        yield path
        found: list[str] = page.evaluate(
            """() => [...document.querySelectorAll('a[href]:not([download])')].filter((link) => link.origin === location.origin)
                .map((link) => link.pathname + link.search)"""
        )
        due.extend(each for each in dict.fromkeys(found) if each not in seen)
        seen.update(found)


def is_page(page: Page, path: str) -> bool:
    """Whether a path leads to something to look at: not to a file, and not to a Pod that is gone while what it said is not."""
    answer = page.request.get(path)
    return answer.ok and "text/html" in answer.headers.get("content-type", "") and "content-disposition" not in answer.headers


@pytest.mark.usefixtures("checker")
@pytest.mark.timeout(600)
def test_every_page_is_whole_light_and_in_nobodys_way(visitor: Visitor, signed_in: Page, exhibits: Exhibits) -> None:
    visitor.watch.let_frames_try()
    wrong: list[str] = []
    seen: set[str] = set()
    runs = (f"/runs/{exhibits.flowers}", f"/runs/{exhibits.failing}")
    for path in pages(signed_in, "/", *(section.path for section in SECTIONS), *runs):
        kind = address(urlsplit(path).path)
        if kind not in seen:
            seen.add(kind)
            visitor.photograph(signed_in, kind.strip("/") or "home")
            signed_in.emulate_media(color_scheme="dark")
            wrong += [f"{path}, dark: {fault}" for fault in axe.grave_faults(signed_in)]
            signed_in.emulate_media(color_scheme="light")
        wrong += [f"{path}: {fault}" for fault in axe.grave_faults(signed_in)]
    assert not wrong, "\n".join(wrong)
    assert {*(section.path for section in SECTIONS), *map(address, runs)} <= seen


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.name)
def test_a_section_is_light(visitor: Visitor, exhibits: Exhibits, section: Section) -> None:
    page = visitor.page()
    with weighed(page) as weight:
        page.goto(section.path)
    assert 0 < weight.total <= MOST_BYTES, weight
