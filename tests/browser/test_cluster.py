"""The pages of nodes, events and objects, in a browser."""

import re
from typing import Any

import axe
import httpx
import pytest
from exhibits import Exhibits
from playwright.sync_api import Dialog, Page, expect
from visiting import Theme, Visitor
from watching import Watch

from kedge.testing.host import RunningHost

OBJECTS = "/cluster/objects/core/v1"


def asked(host: RunningHost, method: str, path: str, body: Any = None) -> Any:
    """What the Kubernetes API answers its owner."""
    headers = {"Authorization": f"Bearer {host.host.token}"}
    answer = httpx.request(method, f"{host.host.http}/api/v1/{path}", headers=headers, json=body, timeout=60, trust_env=False)
    assert answer.is_success, answer.text
    return answer.json()


def made(host: RunningHost, plural: str, name: str, **fields: object) -> str:
    """Make an object in the default namespace; the address of its page."""
    asked(host, "POST", f"namespaces/default/{plural}", {"metadata": {"name": name}, **fields})
    return f"{OBJECTS}/{plural}/default/{name}"


@pytest.mark.usefixtures("checker")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_first_page_shows_nodes_kinds_and_what_was_said(visitor: Visitor, host: RunningHost, theme: Theme) -> None:
    about = {"kind": "Pod", "namespace": "default", "name": "thirsty"}
    said = {"involvedObject": about, "reason": "Evicted", "message": f"It was {theme}.", "type": "Warning"}
    made(host, "events", f"thirsty.{theme}", **said)
    page = visitor.page(theme=theme)
    page.goto("/cluster")
    node = page.get_by_role("row").filter(has_text="this-machine")
    expect(node.get_by_text("ready", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="PersistentVolumeClaim")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text=f"It was {theme}.").get_by_role("link", name="thirsty")).to_be_visible()
    assert axe.grave_faults(page) == []
    visitor.photograph(page, "cluster")


@pytest.mark.usefixtures("checker")
def test_a_pod_leads_to_its_run_and_to_its_log(visitor: Visitor, host: RunningHost, exhibits: Exhibits) -> None:
    page = visitor.page()
    page.goto(f"{OBJECTS}/pods?labels=kedge.dev/run={exhibits.retrying}")
    page.get_by_role("row").nth(1).get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Pod in default")
    assert axe.grave_faults(page) == []
    visitor.photograph(page, "pod")
    address = page.get_by_role("link", name="Its run").get_attribute("href")
    assert address == f"/runs/{exhibits.retrying}"
    log = page.get_by_role("link", name="Log of main").get_attribute("href")
    assert log is not None
    assert page.request.get(log).headers["content-type"].startswith("text/plain")


def test_a_list_is_narrowed_by_namespace_and_labels_and_says_what_is_wrong_with_them(signed_in: Page, host: RunningHost) -> None:
    made(host, "configmaps", "red")
    signed_in.goto(f"{OBJECTS}/configmaps")
    expect(signed_in.get_by_role("link", name="red", exact=True)).to_be_visible()
    signed_in.get_by_label("Namespace").fill("kube-system")
    signed_in.get_by_role("button", name="Filter").click()
    expect(signed_in.get_by_role("link", name="red", exact=True)).to_have_count(0)
    signed_in.get_by_label("Labels").fill("a in (")
    signed_in.get_by_role("button", name="Filter").click()
    expect(signed_in.get_by_role("alert")).to_be_visible()
    expect(signed_in.get_by_label("Labels")).to_have_value("a in (")


@pytest.mark.usefixtures("checker")
def test_what_the_api_refuses_is_shown_at_its_line_and_nothing_is_lost(visitor: Visitor, host: RunningHost, watch: Watch) -> None:
    page = visitor.page()
    address = made(host, "configmaps", "edited", data={"size": "1"})
    page.goto(address)
    page.get_by_role("link", name="Edit").click()
    expect(page).to_have_url(address + "/edit")
    page.wait_for_load_state()
    text = page.get_by_role("textbox")
    wrong = re.sub(r"size: '1'", "size: 3", text.input_value())
    text.fill(wrong)
    watch.expect_answer(address + "/edit", 400)
    page.get_by_role("button", name="Save").click()
    told = "json: cannot unmarshal number into Go struct field ConfigMap.data of type string"
    expect(page.get_by_role("alert")).to_contain_text(told)
    expect(text).to_have_value(wrong)
    assert axe.grave_faults(page) == []
    visitor.photograph(page, "refused")
    page.get_by_role("button", name=re.compile("^line ")).click()
    at = "document.activeElement.value.slice(document.activeElement.selectionStart).split('\\n')[0]"
    assert page.evaluate(at) == "data:"
    text.fill(wrong.replace("size: 3", "size: '3'"))
    page.get_by_role("button", name="Check only").click()
    expect(page.get_by_role("status")).to_have_text("The API would take it.")
    assert asked(host, "GET", "namespaces/default/configmaps/edited")["data"] == {"size": "1"}
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("Saved.")
    assert asked(host, "GET", "namespaces/default/configmaps/edited")["data"] == {"size": "3"}


def test_somebody_elses_change_is_not_written_over(signed_in: Page, host: RunningHost, watch: Watch) -> None:
    address = made(host, "configmaps", "contested", data={"whose": "nobody's"})
    signed_in.goto(address + "/edit")
    mine = signed_in.get_by_role("textbox").input_value().replace("nobody''s", "mine")
    theirs = asked(host, "GET", "namespaces/default/configmaps/contested")
    asked(host, "PUT", "namespaces/default/configmaps/contested", {**theirs, "data": {"whose": "theirs"}})
    signed_in.get_by_role("textbox").fill(mine)
    watch.expect_answer(address + "/edit", 409)
    signed_in.get_by_role("button", name="Save").click()
    expect(signed_in.get_by_role("alert")).to_contain_text("modified")
    expect(signed_in.get_by_role("textbox")).to_have_value(mine)
    assert asked(host, "GET", "namespaces/default/configmaps/contested")["data"] == {"whose": "theirs"}


def test_deleting_asks_first(signed_in: Page, host: RunningHost) -> None:
    signed_in.goto(made(host, "configmaps", "doomed"))
    said: list[str] = []

    def no(dialog: Dialog) -> None:
        said.append(dialog.message)
        dialog.dismiss()

    signed_in.once("dialog", no)
    signed_in.get_by_role("button", name="Delete").click()
    assert said == ["Delete ConfigMap doomed?"]
    assert asked(host, "GET", "namespaces/default/configmaps/doomed")
    signed_in.once("dialog", lambda dialog: dialog.accept())
    signed_in.get_by_role("button", name="Delete").click()
    expect(signed_in.get_by_role("status")).to_contain_text("doomed is deleted")
    expect(signed_in.get_by_role("link", name="doomed", exact=True)).to_have_count(0)


def test_a_secret_is_shown_when_it_is_asked_for(signed_in: Page, host: RunningHost) -> None:
    signed_in.goto(made(host, "secrets", "hush", stringData={"word": "sesame"}))
    shown = signed_in.get_by_label("The object as YAML")
    expect(shown).not_to_contain_text("c2VzYW1l")
    signed_in.get_by_role("link", name="Show all of it").click()
    expect(shown).to_contain_text("c2VzYW1l")


def test_an_object_that_is_not_there_says_so(signed_in: Page, watch: Watch) -> None:
    watch.expect_answer(f"{OBJECTS}/pods/default/nobody", 404)
    signed_in.goto(f"{OBJECTS}/pods/default/nobody")
    expect(signed_in.get_by_role("alert")).to_contain_text('pods "nobody" not found')
