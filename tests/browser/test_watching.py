"""The rig itself: whatever is wrong with a page is a fault, and what a test wants is none."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import axe
import pytest
from playwright.sync_api import Browser, expect
from visiting import Visitor
from watching import Watch

PAGE = """<!doctype html><html lang="en"><head><title>{title}</title><link rel="icon" href="data:,"></head>
<body><main><h1>Page</h1>{body}</main></body></html>"""
POLICY = "default-src 'none'; script-src 'self'; img-src 'self' data: http:"
BODIES = {
    "good": "",
    "missing": '<img alt="a picture" src="/nowhere.png">',
    "elsewhere": '<img alt="a picture" src="http://127.0.0.2:9/x.png">',
    "inline-style": '<p style="color: red">text</p>',
    "inline-script": "<script>document.title = 'taken'</script>",
    "throwing": '<script src="/throw.js"></script>',
    "complaining": '<script src="/complain.js"></script>',
    "unlabelled": '<input type="text">',
    "wide": "<pre>" + "x" * 2000 + "</pre>",
}
SCRIPTS = {"/throw.js": "throw new Error('thrown')", "/complain.js": "console.warn('complaint')"}


class Pages(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
        """Nothing."""

    def do_GET(self) -> None:  # the library's name
        body = SCRIPTS.get(self.path) or (
            PAGE.format(title="Page", body=BODIES[name]) if (name := self.path[1:]) in BODIES else ""
        )
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "text/javascript" if self.path in SCRIPTS else "text/html")
        self.send_header("Content-Security-Policy", POLICY)
        self.end_headers()
        self.wfile.write(body.encode())


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def stranger(browser: Browser, address: str, tmp_path: Path) -> Visitor:
    return Visitor(browser, address, Watch(address), {}, tmp_path)


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ("good", []),
        ("missing", ["/nowhere.png: 404"]),
        ("elsewhere", ["another place than the host", "net::ERR"]),
        ("inline-style", ["inline style violates"]),
        ("inline-script", ["inline script violates"]),
        ("throwing", ["thrown"]),
        ("complaining", ["complaint"]),
    ],
)
def test_what_is_wrong_with_a_page_is_a_fault(stranger: Visitor, page: str, says: list[str]) -> None:
    opened = stranger.page(signed_in=False)
    opened.goto(f"/{page}")
    expect(opened).to_have_title("Page")
    stranger.leave(page)
    faults = stranger.watch.faults()
    assert len(faults) == len(says), faults
    assert not [part for part, fault in zip(says, faults, strict=True) if part not in fault], faults
    assert (stranger.pictures / f"{page}.png").read_bytes().startswith(b"\x89PNG")


def test_what_a_test_wants_is_no_fault_and_its_absence_is(stranger: Visitor) -> None:
    stranger.watch.expect_answer("/nowhere.png", 404)
    stranger.watch.expect_message("complaint")
    assert stranger.watch.faults() == ["/nowhere.png did not answer 404", "the console did not say 'complaint'"]
    page = stranger.page(signed_in=False)
    page.goto("/missing")
    page.goto("/complaining")
    stranger.leave("wanted")
    assert stranger.watch.faults() == []


@pytest.mark.usefixtures("checker")
def test_a_field_without_a_label_is_a_grave_fault(stranger: Visitor) -> None:
    page = stranger.page(signed_in=False)
    page.goto("/good")
    assert axe.grave_faults(page) == []
    page.goto("/unlabelled")
    assert [fault.split(":")[0] for fault in axe.grave_faults(page)] == ["critical, label"]


def test_a_page_that_sticks_out_of_its_window_is_found(stranger: Visitor) -> None:
    stranger.patience = 2000
    page = stranger.page(signed_in=False)
    page.goto("/wide")
    with pytest.raises(AssertionError, match="is to fit into a window of 1280 pixels"):
        stranger.photograph(page, "wide")
