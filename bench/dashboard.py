"""The page of a large run in Chromium: when it is painted, how large it is, how smoothly it moves; and the list of many runs.

The runs are real, and their tasks come from the cache. A page is loaded several times and the median counts; the first load of a
run, for which nothing is laid out yet, is a row of its own. What a first paint takes on an empty page is its floor.
"""

import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, Page
from rest import fill
from steps import submit

from kedge import dsl
from kedge.db.database import open_sqlite
from kedge.testing.host import RunningHost, running_host

sys.path.append(str(Path(__file__).parents[1] / "tests" / "browser"))
from chromium import launched  # of the tests
from measuring import elements, first_paint

LOADS = 5
ASKED = 20
IMAGE = f"python:{sys.version_info.major}.{sys.version_info.minor}"
# As fast as the browser draws, each a little further: what a hand does that drags, and then what a wheel does.
MOVED = """async () => {
  const box = document.querySelector('.graph-window'), middle = box.getBoundingClientRect();
  const x = middle.left + middle.width / 2, y = middle.top + middle.height / 2;
  const tell = (kind, at, more) => box.dispatchEvent(new (kind === 'wheel' ? WheelEvent : PointerEvent)(kind,
    { bubbles: true, cancelable: true, pointerId: 1, clientX: at, clientY: y, ...more }));
  const frames = async (count, each) => {
    const begun = await new Promise(requestAnimationFrame);
    let last = begun;
    for (let number = 0; number < count; number++) { each(number); last = await new Promise(requestAnimationFrame); }
    return 1000 * count / (last - begun);
  };
  const zoomed = await frames(60, (number) => tell('wheel', x, { ctrlKey: true, deltaY: number < 30 ? 20 : -20 }));
  tell('pointerdown', x, {});
  const panned = await frames(90, (number) => tell('pointermove', x + 150 * Math.sin(number / 9), {}));
  tell('pointerup', x, {});
  return [panned, zoomed];
}"""


@dsl.component(base_image=IMAGE)
def add(number: int, after: int = 0) -> int:  # noqa: ARG001  # an arrow of the graph
    """One parameter in, one out."""
    return number + 1


@dsl.pipeline(name="wide")
def few() -> None:
    """What the cache then knows."""
    end = add(number=1, after=add(number=1).output)
    add(number=1, after=end.output)


@dsl.pipeline(name="wide")
def wide() -> None:
    """Five hundred side by side, after one, before one."""
    first = add(number=1)
    last = add(number=1, after=2)
    for _ in range(498):
        last.after(add(number=1, after=first.output))


@dsl.pipeline(name="wide")
def nested_part() -> None:
    """Ten, of which each waits for one before."""
    last = add(number=1)
    for _ in range(9):
        last = add(number=1, after=last.output)


@dsl.pipeline(name="wide")
def nested() -> None:
    """Two hundred pipelines of ten."""
    for _ in range(200):
        nested_part()


@dsl.pipeline(name="wide")
def looped() -> None:
    """Two thousand turns of a loop."""
    with dsl.ParallelFor(list(range(2000))):
        add(number=1, after=2)


def load(browser: Browser, state: Any, address: str) -> tuple[Page, float]:
    """A page of a new browser window, and milliseconds until something of it was seen."""
    context = browser.new_context(
        base_url=address.partition("/runs")[0], storage_state=state, viewport={"width": 1280, "height": 900}
    )
    page = context.new_page()
    page.goto(address)
    return page, first_paint(page)


def measured(browser: Browser, state: Any, address: str, name: str, paint: int) -> list[dict[str, Any]]:
    """The rows of one run."""
    page, cold = load(browser, state, address)
    count = elements(page)
    panned, zoomed = page.evaluate(MOVED)
    page.context.close()
    paints: list[float] = []
    for _ in range(LOADS):
        page, value = load(browser, state, address)
        paints.append(value)
        page.context.close()
    floor = None
    rows = [
        (f"{name}, first paint", statistics.median(paints), "ms", paint, False),
        (f"{name}, first paint of the first load", cold, "ms", None, False),
        (f"{name}, elements", count, "", 3000, False),
        (f"{name}, frames while dragged", panned, "1/s", 30, True),
        (f"{name}, frames while enlarged", zoomed, "1/s", 30, True),
    ]
    return [{"name": n, "value": v, "unit": u, "limit": limit, "floor": floor, "more": more} for n, v, u, limit, more in rows]


def signed_in(browser: Browser, host: RunningHost) -> Any:
    """What a browser keeps that has signed in."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(host.cli("open", "--print", check=True).stdout.strip())
    kept = context.storage_state()
    context.close()
    return kept


def listed(browser: Browser, count: int, limit: int | None) -> list[dict[str, Any]]:
    """The rows of a list of runs. The floor is what the API takes for the same runs as JSON."""
    with running_host(start=False) as host:
        database = open_sqlite(host.home / "history.db")
        fill(database, count)
        database.close()
        host.start()
        kept = signed_in(browser, host)["cookies"]
        token = {"Authorization": f"Bearer {host.host.token}"}
        with httpx.Client(
            base_url=host.host.http, cookies={one["name"]: one["value"] for one in kept}, trust_env=False, timeout=60
        ) as http:
            floor = answered(http, "/apis/v2beta1/runs?page_size=50", token)
            pages = {"": "/runs", ", with a tag of half of them": "/runs?tags=team%3Da"}
            return [
                {
                    "name": f"50 of {count:,} runs{name}",
                    "value": answered(http, path, {}),
                    "unit": "ms",
                    "limit": limit,
                    "floor": floor,
                }
                for name, path in pages.items()
            ]


def answered(http: httpx.Client, path: str, headers: dict[str, str]) -> float:
    """Milliseconds until the whole answer is there, the median of many."""
    taken: list[float] = []
    for _ in range(ASKED):
        before = time.perf_counter()
        answer = http.get(path, headers=headers)
        taken.append((time.perf_counter() - before) * 1000)
        assert answer.status_code == 200, answer.text
    return statistics.median(taken)


def run() -> list[dict[str, Any]]:
    """Measure."""
    found: list[dict[str, Any]] = []
    with running_host() as host, launched() as browser:
        submit(host, few)
        state = signed_in(browser, host)
        shapes = {
            "500 side by side": (wide, 500),
            "2,000 in 200 pipelines": (nested, 1000),
            "2,000 turns of a loop": (looped, 1000),
        }
        for name, (pipeline, paint) in shapes.items():
            done = submit(host, pipeline)
            assert done["state"] == "SUCCEEDED", done
            found += measured(browser, state, f"{host.host.http}/runs/{done['run_id']}", name, paint)
    with launched() as browser:
        found += listed(browser, 10_000, 100)
        found += listed(browser, 100_000, None)
    found.append({"name": "load of the machine meanwhile", "value": os.getloadavg()[0], "unit": "", "limit": None, "floor": None})
    return found
