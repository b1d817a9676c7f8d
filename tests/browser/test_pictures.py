"""The pictures that the README shows: `make pictures` takes them and puts them into docs/images."""

from exhibits import Exhibits, ended, start
from playwright.sync_api import expect
from visiting import Visitor

from kedge.testing.host import RunningHost

SIZE = {"width": 1280, "height": 800}


def test_the_readme_shows_what_is_there(visitor: Visitor, host: RunningHost, exhibits: Exhibits) -> None:
    page = visitor.page()
    page.set_viewport_size(SIZE)  # pyright: ignore[reportArgumentType]

    def taken(name: str) -> None:
        visitor.pictures.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=visitor.pictures / f"readme-{name}.png")

    page.goto(f"/runs/{exhibits.flowers}?task=train")
    expect(page.get_by_role("link", name="Open as a page")).to_be_visible()
    taken("run")
    runs = [start(host, "flowers", {"rate": rate}, called=f"learning at {rate}") for rate in (0.1, 0.8)]
    page.goto("/compare?" + "&".join(f"run={ended(host, run, 'SUCCEEDED')}" for run in [exhibits.flowers, *runs]))
    expect(page.get_by_role("heading", level=1)).to_have_text("Compare 3 runs")
    taken("compare")
    (classes,) = [each for each in host.client.artifacts(exhibits.flowers) if each["name"] == "classes"]
    page.goto(f"/artifacts/{classes['artifact_id']}")
    expect(page.get_by_role("img", name="ROC").first).to_be_visible()
    page.get_by_role("heading", name="Preview").evaluate("heading => heading.scrollIntoView()")
    taken("artifact")
