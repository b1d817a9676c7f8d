"""The dashboard's pages of a host's objects; a laptop's hub shows those of the cluster that it works against."""

import re
from collections.abc import Iterator

import httpx
import pytest

from kedge.cli.open import sign_in_link
from kedge.testing.host import RunningHost

TEXT = """\
apiVersion: v1
kind: Namespace
metadata:
  name: default
nonsense: 1
"""


@pytest.fixture
def pages(either_host: RunningHost) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=either_host.host.http, follow_redirects=True, timeout=60, trust_env=False) as browser:
        assert browser.get(sign_in_link(either_host.host)).status_code == 200
        yield browser


def form_token(page: str) -> str:
    (found,) = re.findall(r'<meta name="form-token" content="(\w+)">', page)
    return found


def test_they_show_nodes_and_kinds(pages: httpx.Client) -> None:
    page = pages.get("/cluster").text
    assert "/cluster/objects/core/v1/pods" in page
    assert "/cluster/objects/core/v1/nodes/-/" in page
    assert "ready" in page


def test_home_tells_how_the_host_and_its_nodes_are_and_what_is_stored(pages: httpx.Client) -> None:
    page = pages.get("/").text
    for said in (
        "Database: history",
        "Artifacts of runs",
        "up for",
        "process ",
        "CPUs requested",
        "/cluster/objects/core/v1/nodes/-/",
    ):
        assert said in page


def test_an_object_is_edited_with_the_apis_own_verdict(pages: httpx.Client) -> None:
    address = "/cluster/objects/core/v1/namespaces/-/default"
    before = pages.get(address).text
    assert "kubernetes.io/metadata.name" in before
    token = form_token(pages.get(address + "/edit").text)
    refused = pages.post(address + "/edit", data={"form_token": token, "do": "save", "text": TEXT})
    assert refused.status_code in {400, 422}
    assert "Nothing was changed" in refused.text
    assert "nonsense: 1" in refused.text
    checked = pages.post(
        address + "/edit",
        data={"form_token": token, "do": "check", "text": TEXT.replace("nonsense: 1", "spec: {finalizers: [kubernetes]}")},
    )
    assert "The API would take it." in checked.text
    assert "kubernetes.io/metadata.name" in pages.get(address).text


def test_a_change_without_the_token_of_a_form_is_refused(pages: httpx.Client) -> None:
    refused = pages.post("/cluster/objects/core/v1/namespaces/-/default/delete", data={"form_token": "guessed"})
    assert refused.status_code == 403
    assert pages.get("/cluster/objects/core/v1/namespaces/-/default").status_code == 200
