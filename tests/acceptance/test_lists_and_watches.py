"""Lists, watches and deletions as raw HTTP, on the embedded host and on a real API server: the same answers."""

import json
import secrets
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from hosts import HOSTS

from kedge.client import kubeconfig

pytestmark = pytest.mark.timeout(300, func_only=True)
TABLE, PARTIAL, PARTIAL_LIST = (
    f"application/json;as={kind};v=v1;g=meta.k8s.io" for kind in ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
)
MERGE = {"content-type": "application/merge-patch+json"}
FUTURE = 1_000_000


@dataclass(frozen=True)
class Server:
    """An API server, and a namespace of ours in it.

    Attributes:
        http: As its administrator.
        maps: The path of the namespace's ConfigMaps.
        embedded: Whether it is ours.
    """

    http: httpx.Client
    maps: str
    embedded: bool

    def make(self, name: str, labels: dict[str, str] | None = None, **more: Any) -> Any:
        made = self.http.post(self.maps, json=config_map(name, labels, **more))
        assert made.status_code == 201, made.text
        return made.json()

    def patch(self, name: str, change: Any) -> Any:
        done = self.http.patch(f"{self.maps}/{name}", json=change, headers=MERGE)
        assert done.status_code == 200, done.text
        return done.json()

    def listed(self, **params: str) -> Any:
        listed = self.http.get(self.maps, params=params)
        assert listed.status_code == 200, listed.text
        return listed.json()

    def refused(self, method: str = "GET", place: str = "", *, body: Any = None, **params: str) -> Any:
        """The ``Status`` of a request that fails."""
        answer = self.http.request(method, self.maps + place, params=params, json=body)
        assert answer.status_code >= 400, answer.text
        assert answer.json()["code"] == answer.status_code
        return answer.json()

    def watch(self, count: int, accept: str = "application/json", **params: str) -> list[Any]:
        """The first events of a watch."""
        with self.http.stream("GET", self.maps, params={"watch": "1", **params}, headers={"accept": accept}) as answer:
            assert answer.status_code == 200, answer.read()
            lines = answer.iter_lines()
            return [json.loads(next(lines)) for _ in range(count)]


def config_map(name: str, labels: dict[str, str] | None = None, **more: Any) -> Any:
    meta = {"name": name, "labels": labels or {}, **more.pop("meta", {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, **more}


def names(listed: Any) -> list[str]:
    return [item["metadata"]["name"] for item in listed["items"]]


def version(obj: Any) -> int:
    return int(obj["metadata"]["resourceVersion"])


def seen(events: list[Any]) -> list[tuple[str, str, Any]]:
    return [(event["type"], event["object"]["metadata"]["name"], event["object"].get("data", {}).get("k")) for event in events]


@pytest.fixture(scope="module", params=HOSTS)
def api(request: pytest.FixtureRequest) -> Iterator[tuple[httpx.Client, bool]]:
    is_embedded = request.param == "embedded"
    path = request.getfixturevalue("kedge_host").host.kubeconfig if is_embedded else request.getfixturevalue("cluster").kubeconfig
    access = kubeconfig.load(Path(path))
    context = ssl.create_default_context(cadata=access.ca)
    headers = {"authorization": f"Bearer {access.token}"}
    with httpx.Client(base_url=access.server, verify=context, headers=headers, timeout=60) as http:
        yield http, is_embedded


@pytest.fixture
def server(api: tuple[httpx.Client, bool]) -> Iterator[Server]:
    http, is_embedded = api
    name = f"test-{secrets.token_hex(4)}"
    assert http.post("/api/v1/namespaces", json={"metadata": {"name": name}}).status_code == 201
    yield Server(http, f"/api/v1/namespaces/{name}/configmaps", is_embedded)
    http.delete(f"/api/v1/namespaces/{name}")


# ---- revisions of lists


def test_a_list_is_of_the_revision_that_is_asked_for(server: Server) -> None:
    versions = [version(server.make(f"c{number}", {"app": "a"})) for number in range(4)]
    app = {"labelSelector": "app"}
    exact = server.listed(resourceVersion=str(versions[1]), resourceVersionMatch="Exact", **app)
    assert (names(exact), version(exact)) == (["c0", "c1"], versions[1])
    for params in ({}, {"resourceVersionMatch": "NotOlderThan"}):
        listed = server.listed(resourceVersion=str(versions[1]), **params, **app)
        assert names(listed) == ["c0", "c1", "c2", "c3"]
        assert version(listed) >= versions[3]
    # A page without a match begins with just that revision.
    page = server.listed(resourceVersion=str(versions[2]), limit="2", **app)
    assert (names(page), version(page)) == (["c0", "c1"], versions[2])
    rest = server.listed(limit="9", **app, **{"continue": page["metadata"]["continue"]})
    assert (names(rest), version(rest)) == (["c2"], versions[2])
    for params in ({}, {"resourceVersionMatch": "NotOlderThan"}):
        assert names(server.listed(resourceVersion="0", **params, **app)) == ["c0", "c1", "c2", "c3"]


def test_pages_show_one_moment_and_say_how_much_is_left(server: Server) -> None:
    for number in range(5):
        server.make(f"c{number}", {"app": "a"})
    only = {"fieldSelector": "metadata.name!=kube-root-ca.crt"}  # which real clusters put into each namespace
    first = server.listed(limit="2")
    everything = len(server.listed()["items"])
    assert first["metadata"]["remainingItemCount"] == everything - 2
    server.make("c9")
    server.http.delete(f"{server.maps}/c4")
    server.patch("c3", {"data": {"k": "new"}})
    second = server.listed(limit="2", **{"continue": first["metadata"]["continue"]})
    assert (names(second), second["metadata"]["remainingItemCount"]) == (["c2", "c3"], everything - 4)
    assert version(second) == version(first)
    assert "data" not in second["items"][1]
    third = server.listed(**{"continue": second["metadata"]["continue"]})
    assert names(third)[0] == "c4"
    assert not {"continue", "remainingItemCount"} & third["metadata"].keys()
    # With a selector nobody knows how many are left.
    page = server.listed(limit="1", **only)
    assert "remainingItemCount" not in page["metadata"]
    assert page["metadata"]["continue"]


INVALID_LISTS = {
    "Exact of any": (
        {"resourceVersion": "0", "resourceVersionMatch": "Exact"},
        'resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
    ),
    "a match of nothing": (
        {"resourceVersionMatch": "Exact"},
        "resourceVersionMatch is forbidden unless resourceVersion is provided",
    ),
    "a match that is none": (
        {"resourceVersion": "1", "resourceVersionMatch": "About"},
        'Unsupported value: "About": supported values: "Exact", "NotOlderThan", ""',
    ),
    "initial events": ({"sendInitialEvents": "true"}, "sendInitialEvents is forbidden for list"),
    "a match of a watch": (
        {"watch": "1", "resourceVersion": "0", "resourceVersionMatch": "NotOlderThan"},
        "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
    ),
    "initial events without a match": (
        {"watch": "1", "sendInitialEvents": "true"},
        "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
    ),
    "initial events of a moment": (
        {"watch": "1", "sendInitialEvents": "true", "resourceVersion": "1", "resourceVersionMatch": "Exact"},
        'Unsupported value: "Exact": supported values: "NotOlderThan"',
    ),
}


@pytest.mark.parametrize("what", INVALID_LISTS)
def test_options_that_do_not_go_together_are_refused(what: str, server: Server) -> None:
    params, words = INVALID_LISTS[what]
    status = server.refused(**params)
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert (status["details"]["kind"], status["details"]["group"]) == ("ListOptions", "meta.k8s.io")
    assert status["message"].startswith('ListOptions.meta.k8s.io "" is invalid: ')
    assert words in status["message"]
    assert any(words in cause["message"] for cause in status["details"]["causes"])


def test_a_revision_that_is_yet_to_come_times_out(server: Server) -> None:
    server.make("c")
    ahead = str(version(server.listed()) + FUTURE)
    for place, params in (("", {}), ("", {"resourceVersionMatch": "Exact"}), ("/c", {})):
        status = server.refused(place=place, resourceVersion=ahead, **params)
        assert (status["code"], status["reason"]) == (504, "Timeout")
        assert f"Too large resource version: {ahead}, current: " in status["message"]
        assert status["details"]["retryAfterSeconds"] == 1
        assert status["details"]["causes"] == [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]


def test_what_is_no_revision_or_token_is_refused(server: Server) -> None:
    for params in ({"resourceVersion": "abc"}, {"resourceVersion": "-1"}):
        assert "invalid resource version" in server.refused(**params)["message"]
    assert "invalid continue token" in server.refused(limit="1", **{"continue": "x"})["message"]
    server.make("a")
    server.make("b")
    page = server.listed(limit="1")
    both = {"continue": page["metadata"]["continue"], "resourceVersion": page["metadata"]["resourceVersion"]}
    assert "specifying resource version is not allowed when using continue" in server.refused(**both)["message"]


# ---- watches


def test_a_watch_begins_with_what_there_is_or_with_what_comes_after_a_revision(server: Server) -> None:
    first = server.make("a", {"app": "a"})
    server.make("b", {"app": "a"}, data={"k": "1"})
    server.http.delete(f"{server.maps}/b")
    app = {"labelSelector": "app"}
    for params in ({}, {"resourceVersion": "0"}):
        assert seen(server.watch(1, **app, **params)) == [("ADDED", "a", None)]
    after = server.watch(2, resourceVersion=str(version(first)), **app)
    assert seen(after) == [("ADDED", "b", "1"), ("DELETED", "b", "1")]
    assert [version(event["object"]) for event in after] == sorted(version(event["object"]) for event in after)


@pytest.mark.parametrize(("said", "watches"), [("", True), ("yes", True), ("0", False), ("False", False), ("f", True)])
def test_what_is_neither_0_nor_false_is_a_yes(said: str, *, watches: bool, server: Server) -> None:
    answer = server.http.get(server.maps, params={"watch": said, "timeoutSeconds": "1"}).raise_for_status()
    first = json.loads(answer.text.splitlines()[0]) if answer.text else {"type": "nothing yet"}
    assert ("type" in first) is watches


@pytest.mark.parametrize("how", ["asked for", "without a revision", "with any revision"])
def test_a_watch_says_when_it_has_told_what_there_is(how: str, server: Server) -> None:
    made = [server.make(name, {"app": "a"}) for name in ("a", "b")]
    params = {
        "asked for": {
            "sendInitialEvents": "true",
            "resourceVersionMatch": "NotOlderThan",
            "resourceVersion": str(version(made[0])),
        },
        "without a revision": {},
        "with any revision": {"resourceVersion": "0"},
    }[how]
    *added, end = server.watch(3, labelSelector="app", allowWatchBookmarks="true", **params)
    assert seen(added) == [("ADDED", "a", None), ("ADDED", "b", None)]
    assert end["type"] == "BOOKMARK"
    assert end["object"]["metadata"].keys() == {"resourceVersion", "annotations"}
    assert end["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert version(end["object"]) >= version(made[1])


def test_a_watch_with_a_selector_tells_what_begins_and_ceases_to_match(server: Server) -> None:
    base = str(version(server.listed()))
    server.make("s", {"app": "sel"}, data={"k": "1"})
    server.patch("s", {"data": {"k": "2"}})
    ceased = server.patch("s", {"metadata": {"labels": {"app": "other"}}, "data": {"k": "3"}})
    server.patch("s", {"metadata": {"labels": {"app": "sel"}}, "data": {"k": "4"}})
    server.http.delete(f"{server.maps}/s")
    events = server.watch(5, resourceVersion=base, labelSelector="app=sel")
    assert seen(events) == [
        ("ADDED", "s", "1"),
        ("MODIFIED", "s", "2"),
        ("DELETED", "s", "2"),
        ("ADDED", "s", "4"),
        ("DELETED", "s", "4"),
    ]
    assert version(events[2]["object"]) == version(ceased)
    assert events[2]["object"]["metadata"]["labels"] == {"app": "sel"}
    by_name = server.watch(5, resourceVersion=base, fieldSelector="metadata.name=s")
    assert [event["type"] for event in by_name] == ["ADDED", "MODIFIED", "MODIFIED", "MODIFIED", "DELETED"]


def test_a_watch_prints_tables_and_metadata(server: Server) -> None:
    base = str(version(server.listed()))
    server.make("t", data={"k": "1"})
    server.patch("t", {"data": {"l": "2"}})
    params = {"resourceVersion": base, "fieldSelector": "metadata.name=t"}
    first, second = server.watch(2, TABLE, **params)
    assert [column["name"] for column in first["object"]["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert second["object"]["columnDefinitions"] is None
    assert [each["object"]["rows"][0]["cells"][:2] for each in (first, second)] == [["t", 1], ["t", 2]]
    assert [each["object"]["kind"] for each in server.watch(2, PARTIAL, **params)] == ["PartialObjectMetadata"] * 2
    initial = {"fieldSelector": "metadata.name=t", "allowWatchBookmarks": "true"}
    for accept in (TABLE, PARTIAL):
        _, end = server.watch(2, accept, **initial)
        (row,) = end["object"].get("rows", [{"object": end["object"]}])
        assert end["type"] == "BOOKMARK"
        assert row["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_metadata_of_a_list_is_no_metadata_of_an_object(server: Server) -> None:
    server.make("c")
    for place, accept, status in (("", PARTIAL, 406), ("", PARTIAL_LIST, 200), ("/c", PARTIAL_LIST, 406), ("/c", PARTIAL, 200)):
        answer = server.http.get(server.maps + place, headers={"accept": accept})
        assert answer.status_code == status
        assert status == 200 or answer.json()["reason"] == "NotAcceptable"


def test_watch_in_the_query_of_one_object_reads_it(server: Server) -> None:
    server.make("c")
    assert server.http.get(f"{server.maps}/c", params={"watch": "1"}).json()["metadata"]["name"] == "c"


def test_a_deprecated_kind_warns_with_every_answer(server: Server) -> None:
    told = '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"'
    path = server.maps.replace("configmaps", "endpoints")
    made = {"metadata": {"name": "e"}}
    answers = [server.http.post(path, json=made), *(server.http.get(path + place) for place in ("", "/e", "/absent"))]
    with server.http.stream("GET", path, params={"watch": "1"}) as watched:
        answers.append(watched)
    assert [(answer.status_code, answer.headers.get("warning")) for answer in answers] == [
        (code, told) for code in (201, 200, 200, 404, 200)
    ]
    assert "warning" not in server.http.get(server.maps).headers


# ---- deletions


def test_a_deletion_has_conditions(server: Server) -> None:
    made = server.make("c")
    for given, words in (
        ({"uid": "nope"}, f"the UID in the precondition (nope) does not match the UID in record ({made['metadata']['uid']})"),
        (
            {"resourceVersion": "5"},
            f"the ResourceVersion in the precondition (5) does not match the ResourceVersion in record ({version(made)})",
        ),
    ):
        status = server.refused("DELETE", "/c", body={"preconditions": given})
        assert (status["code"], status["reason"]) == (409, "Conflict")
        assert status["message"].startswith(f'Operation cannot be fulfilled on ConfigMap "c": {words}. ')
        assert status["details"] == {"name": "c", "kind": "ConfigMap"}
    meta = made["metadata"]
    done = server.http.request(
        "DELETE", f"{server.maps}/c", json={"preconditions": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}}
    )
    assert done.json() == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {"name": "c", "kind": "configmaps", "uid": meta["uid"]},
    }  # fmt: skip


INVALID_DELETIONS = {
    "both policies": (
        {"propagationPolicy": "Orphan", "orphanDependents": True},
        "orphanDependents and deletionPropagation cannot be both set",
    ),
    "a policy that is none": (
        {"propagationPolicy": "Bogus"},
        'Unsupported value: "Bogus": supported values: "Foreground", "Background", "Orphan", "nil"',
    ),
    "half a dry run": ({"dryRun": ["Some"]}, 'Unsupported value: ["Some"]: supported values: "All"'),
}


@pytest.mark.parametrize("what", INVALID_DELETIONS)
def test_a_deletion_that_makes_no_sense_is_refused(what: str, server: Server) -> None:
    server.make("c")
    body, words = INVALID_DELETIONS[what]
    status = server.refused("DELETE", "/c", body=body)
    assert (status["code"], status["reason"], status["details"]["kind"]) == (422, "Invalid", "DeleteOptions")
    assert words in status["message"]
    assert server.http.get(f"{server.maps}/c").status_code == 200


@pytest.mark.parametrize(
    ("how", "finalizer"),
    [
        ({"propagationPolicy": "Orphan"}, "orphan"),
        ({"orphanDependents": True}, "orphan"),
        ({"propagationPolicy": "Foreground"}, "foregroundDeletion"),
    ],
    ids=["Orphan", "orphanDependents", "Foreground"],
)
def test_a_policy_is_a_finalizer_for_a_while(how: Any, finalizer: str, server: Server) -> None:
    server.make("c", meta={"finalizers": ["example.com/held"]})
    marked = server.http.request("DELETE", f"{server.maps}/c", json=how).json()
    assert finalizer in marked["metadata"]["finalizers"]
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 0
    server.patch("c", {"metadata": {"finalizers": None}})


def test_what_is_being_deleted_stays_until_its_finalizers_are_gone(server: Server) -> None:
    server.make("c", meta={"finalizers": ["example.com/a", "example.com/b"]})
    marked = server.http.request("DELETE", f"{server.maps}/c").json()
    again = server.http.request("DELETE", f"{server.maps}/c").json()
    assert marked["metadata"]["deletionTimestamp"]
    assert version(again) == version(marked)
    status = server.refused("POST", body=config_map("c"))
    assert (status["code"], status["message"]) == (409, 'object is being deleted: configmaps "c" already exists')
    more = {"metadata": {"finalizers": ["example.com/a", "example.com/new"]}}
    refused = server.http.patch(f"{server.maps}/c", json=more, headers=MERGE)
    assert (refused.status_code, refused.json()["details"]["causes"][0]["field"]) == (422, "metadata.finalizers")
    server.patch("c", {"metadata": {"finalizers": ["example.com/b"]}})
    last = server.patch("c", {"metadata": {"finalizers": None}})
    assert "finalizers" not in last["metadata"]
    assert server.http.get(f"{server.maps}/c").status_code == 404


def test_a_collection_is_deleted_by_selectors_and_by_pages(server: Server) -> None:
    for number in range(4):
        server.make(f"d{number}", {"dc": "y"})
    server.make("other", {"dc": "n"})

    def delete(**params: str) -> Any:
        answer = server.http.request("DELETE", server.maps, params=params)
        assert answer.status_code == 200, answer.text
        assert answer.json()["kind"] == "ConfigMapList"
        return answer.json()

    assert names(delete(labelSelector="dc=y", dryRun="All")) == ["d0", "d1", "d2", "d3"]
    assert names(delete(fieldSelector="metadata.name=d0")) == ["d0"]
    page = delete(labelSelector="dc=y", limit="1")
    assert (names(page), bool(page["metadata"]["continue"])) == (["d1"], True)
    assert names(delete(labelSelector="dc=y")) == ["d2", "d3"]
    assert names(delete(labelSelector="dc=nothing")) == []
    assert names(server.listed(labelSelector="dc")) == ["other"]
    status = server.http.request("DELETE", server.maps, params={"labelSelector": "dc=n"}, json={"preconditions": {"uid": "x"}})
    assert status.status_code == 409


# ---- writes


def test_a_dry_run_of_every_verb_writes_nothing(server: Server) -> None:
    made = server.make("c", {"app": "a"}, data={"k": "1"})
    path, dry = f"{server.maps}/c", {"dryRun": "All"}
    base = version(server.listed())
    tried = server.http.post(server.maps, params=dry, json=config_map("new"))
    assert (tried.status_code, "resourceVersion" in tried.json()["metadata"]) == (201, False)
    named = server.http.post(server.maps, params=dry, json={"metadata": {"generateName": "new-"}})
    assert named.json()["metadata"]["name"].startswith("new-")
    taken = server.http.post(server.maps, params=dry, json=config_map("c"))
    assert (taken.status_code, taken.json()["reason"]) == (409, "AlreadyExists")
    put = server.http.put(path, params=dry, json=config_map("c", data={"k": "2"}))
    patched = server.http.patch(path, params=dry, json={"data": {"k": "3"}}, headers=MERGE)
    assert [each.json()["data"]["k"] for each in (put, patched)] == ["2", "3"]
    assert [version(each.json()) for each in (put, patched)] == [version(made)] * 2
    assert server.http.request("DELETE", path, params=dry).json()["status"] == "Success"
    assert names(server.http.request("DELETE", server.maps, params={**dry, "labelSelector": "app"}).json()) == ["c"]
    left = server.listed(labelSelector="app")
    assert [(item["data"], version(item)) for item in left["items"]] == [({"k": "1"}, version(made))]
    server.make("after")
    (event,) = server.watch(1, resourceVersion=str(base), fieldSelector="metadata.name!=kube-root-ca.crt")
    assert seen([event]) == [("ADDED", "after", None)]
    for method, place, kind in (("POST", "", "Create"), ("PUT", "/c", "Update"), ("DELETE", "/c", "Delete")):
        status = server.refused(method, place, body=None if method == "DELETE" else config_map("c"), dryRun="Some")
        assert (status["code"], status["details"]["kind"]) == (422, f"{kind}Options")
    assert 'Unsupported value: ["Some"]: supported values: "All"' in status["message"]


def test_a_write_names_what_it_replaces(server: Server) -> None:
    made = server.make("c")
    server.patch("c", {"data": {"k": "1"}})
    old = {"resourceVersion": made["metadata"]["resourceVersion"]}
    put = server.http.put(f"{server.maps}/c", json=config_map("c", meta=old))
    patched = server.http.patch(f"{server.maps}/c", json={"metadata": old}, headers=MERGE)
    words = (
        'Operation cannot be fulfilled on configmaps "c": the object has been modified; please apply your changes to the latest '
        "version and try again"
    )
    for answer in (put, patched):
        status = answer.json()
        assert (status["code"], status["reason"], status["message"]) == (409, "Conflict", words)
        assert status["details"] == {"name": "c", "kind": "configmaps"}
    other = server.http.put(f"{server.maps}/c", json=config_map("c", meta={"uid": "another"}))
    assert (other.status_code, "Precondition failed: UID in precondition: another" in other.json()["message"]) == (409, True)
