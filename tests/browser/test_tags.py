"""Tags of runs: seen and changed on a run's page and in the list, chosen by, and compared."""

from collections.abc import Iterator

import axe
import pytest
from exhibits import ended, start
from playwright.sync_api import Page, expect
from visiting import Visitor

from kedge.testing.host import RunningHost


@pytest.fixture(scope="module")
def tagged(host: RunningHost) -> Iterator[list[str]]:
    """Two runs, of which the first has tags."""
    runs = [start(host, "failing", called=f"tagged {number}") for number in (1, 2)]
    yield [ended(host, run, "FAILED") for run in runs]
    for run in runs:
        host.client.delete(run)


def tags_of(host: RunningHost, run: str) -> dict[str, str]:
    return host.client.get(run).get("tags", {})


def test_tags_are_changed_on_the_page_of_a_run_without_javascript(visitor: Visitor, host: RunningHost, tagged: list[str]) -> None:
    host.client.tag(tagged[0], {"team": "a", "draft": ""})
    page = visitor.page(javascript=False)
    page.goto(f"/runs/{tagged[0]}")
    listed = page.get_by_role("list", name="Tags").get_by_role("listitem")
    expect(listed).to_have_count(2)
    page.get_by_role("button", name="Take the tag draft away").click()
    expect(page.get_by_role("status")).to_have_text("Tags changed.")
    expect(listed).to_have_count(1)
    page.get_by_text("Change tags").click()
    page.get_by_label("Tags", exact=True).and_(page.get_by_role("textbox")).fill("stage=dev, reviewed")
    page.get_by_role("button", name="Change", exact=True).click()
    expect(listed).to_have_count(3)
    assert tags_of(host, tagged[0]) == {"team": "a", "stage": "dev", "reviewed": ""}
    visitor.watch.expect_answer(f"/runs/{tagged[0]}/tags", 400)
    page.get_by_text("Change tags").click()
    page.get_by_label("Tags", exact=True).and_(page.get_by_role("textbox")).fill("kedge.dev/x=y")
    page.get_by_role("button", name="Change", exact=True).click()
    expect(page.get_by_text("tags.kedge.dev/x: cannot be set")).to_be_visible()
    listed.filter(has_text="team").get_by_role("link").click()
    expect(page.locator(f"#run-{tagged[0]}")).to_be_visible()
    expect(page.get_by_role("searchbox", name="Tags")).to_have_value("team=a")


def test_runs_are_chosen_by_their_tags(signed_in: Page, host: RunningHost, tagged: list[str]) -> None:
    host.client.tag(tagged[0], {"team": "a", "stage": "dev"})
    host.client.tag(tagged[1], {"team": "b", "stage": "dev"})
    first, second = (signed_in.locator(f"#run-{run}") for run in tagged)
    signed_in.goto("/runs?name=tagged")
    second.get_by_role("list", name="Tags").get_by_role("link", name="stage dev").click()
    expect(signed_in.get_by_role("searchbox", name="Tags")).to_have_value("stage=dev")
    expect(first).to_be_visible()
    second.get_by_role("link", name="team b").click()
    expect(first).to_have_count(0)
    expect(second).to_be_visible()
    assert "name=tagged" in signed_in.url, "what was chosen before stays chosen"
    signed_in.get_by_role("searchbox", name="Tags").fill("stage=dev, team!=b")
    signed_in.get_by_role("button", name="Show").click()
    expect(second).to_have_count(0)
    expect(first).to_be_visible()


def test_runs_that_are_ticked_are_tagged_together(signed_in: Page, host: RunningHost, tagged: list[str]) -> None:
    host.client.tag(tagged[0], {"old": "x"})
    signed_in.goto("/runs?name=tagged")
    signed_in.get_by_label("Choose all on this page").check()
    signed_in.get_by_text("Tag…").click()
    signed_in.get_by_label("Tags of the runs that are ticked").fill("both=yes, old-")
    signed_in.keyboard.press("Enter")
    expect(signed_in.get_by_role("status")).to_have_text("Tagged: 2 runs.")
    for run in tagged:
        found = tags_of(host, run)
        assert (found.get("both"), "old" in found) == ("yes", False)


def test_tags_are_compared(signed_in: Page, host: RunningHost, tagged: list[str]) -> None:
    for run, team in zip(tagged, "ab", strict=True):
        host.client.tag(run, {"team": team, "same": "1"} | ({"draft": ""} if team == "a" else {}))
    signed_in.goto(f"/compare?run={tagged[0]}&run={tagged[1]}")
    row = signed_in.get_by_role("row").filter(has=signed_in.get_by_role("rowheader", name="team", exact=True))
    expect(row).to_have_class("differs")
    expect(row.get_by_role("cell")).to_have_text(["a", "b"])
    row = signed_in.get_by_role("row").filter(has=signed_in.get_by_role("rowheader", name="draft", exact=True))
    expect(row).to_have_class("differs")
    expect(row.get_by_role("cell")).to_have_text(["(set)", "\u2013"])


@pytest.mark.usefixtures("checker")
def test_nothing_is_in_anybodys_way(visitor: Visitor, signed_in: Page, host: RunningHost, tagged: list[str]) -> None:
    long = {f"example.com/{'a-long-name-' * 4}x": f"{'a-value-' * 7}x", **{f"tag-{number}": str(number) for number in range(12)}}
    host.client.tag(tagged[0], long)
    signed_in.goto("/runs?name=tagged")
    expect(signed_in.get_by_text("more", exact=False).first).to_be_visible()
    assert not axe.grave_faults(signed_in)
    visitor.photograph(signed_in, "list")
    signed_in.goto(f"/runs/{tagged[0]}")
    signed_in.get_by_text("Change tags").click()
    assert not axe.grave_faults(signed_in)
    visitor.photograph(signed_in, "run")
    host.client.tag(tagged[0], dict.fromkeys(long))
