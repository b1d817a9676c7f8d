"""The verbs in process: what a controller sees."""

from typing import Any

import pytest

from kedge import errors
from kedge.client.types import WatchEvent
from kedge.kube.core import CONFIG_MAP, LEASE, NAMESPACE, NODE, POD, SECRET, SERVICE_ACCOUNT
from kedge.kube.kinds import Kind, Obj
from kedge.kube.reviews import TOKEN_REVIEW
from kedge.server.api import Api
from kedge.server.core import Admission
from kedge.store.memory import MemoryLog
from kedge.testing.clock import FakeClock, FakeIds


def test_a_created_object_has_what_the_server_gives(api: Api, make_pod: Any) -> None:
    created = api.create(POD, make_pod())
    meta = created["metadata"]
    assert (created["apiVersion"], created["kind"]) == ("v1", "Pod")
    assert meta["creationTimestamp"] == "2026-01-01T00:00:00Z"
    assert meta["uid"]
    assert meta["generation"] == 1
    assert meta["resourceVersion"].isdecimal()
    assert created["status"] == {"phase": "Pending"}
    assert api.get(POD, "p", "default") == created


def test_what_was_given_is_not_changed(api: Api, make_pod: Any) -> None:
    given = make_pod()
    api.create(POD, given)
    assert given == make_pod()


def test_a_name_is_generated(api: Api) -> None:
    created = api.create(CONFIG_MAP, {"metadata": {"generateName": "run-", "namespace": "default"}})
    assert created["metadata"]["name"].startswith("run-")
    assert len(created["metadata"]["name"]) == len("run-") + 5


def test_a_namespace_is_default_when_none_is_said(api: Api) -> None:
    assert api.create(CONFIG_MAP, {"metadata": {"name": "c"}})["metadata"]["namespace"] == "default"


@pytest.mark.parametrize(
    ("obj", "error", "message"),
    [
        (
            {"metadata": {"namespace": "default"}},
            errors.Invalid,
            "metadata.name: Required value: name or generateName is required",
        ),
        (
            {"metadata": {"name": "A"}},
            errors.Invalid,
            'metadata.name: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of',
        ),
        ({"metadata": {"name": "a", "namespace": "x"}}, errors.NotFound, 'namespaces "x" not found'),
        ({"metadata": {"name": "a", "resourceVersion": "1"}}, errors.BadRequest, "must not be set on an object to be created"),
        (
            {"metadata": {"name": "a", "labels": {"b": "c d"}}},
            errors.Invalid,
            'metadata.labels: Invalid value: "c d": a valid label must be an empty string or',
        ),
        ({"metadata": {"name": "a", "labels": {"b": 1}}}, errors.BadRequest, "ObjectMeta.metadata.labels of type string"),
        ({"metadata": {"name": "a", "finalizers": ["x y"]}}, errors.Invalid, "metadata.finalizers"),
        ({"metadata": []}, errors.BadRequest, "ConfigMap.metadata of type v1.ObjectMeta"),
        ({"metadata": {"name": "a"}, "kind": "Secret"}, errors.BadRequest, "converting (v1.Secret) to (core.ConfigMap)"),
        ({"metadata": {"name": "a"}, "data": {"x": 1}}, errors.BadRequest, "cannot unmarshal number into Go struct"),
        ({"metadata": {"name": "a"}, "data": "x"}, errors.BadRequest, "ConfigMap.data of type map[string]string"),
        (
            {"metadata": {"name": "a", "annotations": {"a": "x" * 300_000}}},
            errors.Invalid,
            "metadata.annotations: Too long: may not be more than 262144 bytes",
        ),
        (
            {"metadata": {"name": "a", "ownerReferences": [{"kind": "Pod"}]}},
            errors.Invalid,
            'metadata.ownerReferences.apiVersion: Invalid value: "": version must not be empty',
        ),
        ({"metadata": {"name": "a"}, "data": {"x": object()}}, errors.BadRequest, "the object is not JSON"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_wrong_object_is_refused(api: Api, obj: Obj, error: type[errors.ApiError], message: str) -> None:
    with pytest.raises(error) as caught:
        api.create(CONFIG_MAP, obj)
    assert message in caught.value.message


def test_a_second_of_one_name_is_refused(api: Api, make_pod: Any) -> None:
    api.create(POD, make_pod())
    with pytest.raises(errors.AlreadyExists, match='pods "p" already exists'):
        api.create(POD, make_pod())


def test_an_object_that_is_not_there(api: Api) -> None:
    with pytest.raises(errors.NotFound, match='pods "p" not found'):
        api.get(POD, "p", "default")


def test_an_update_replaces_and_keeps_what_is_the_servers(api: Api, make_config_map: Any) -> None:
    created = api.create(CONFIG_MAP, make_config_map(a="1"))
    meta = {**created["metadata"], "creationTimestamp": None, "labels": {"x": "y"}}
    updated = api.update(CONFIG_MAP, {**created, "metadata": meta, "data": {"a": "2"}})
    assert updated["data"] == {"a": "2"}
    assert updated["metadata"]["uid"] == created["metadata"]["uid"]
    assert updated["metadata"]["creationTimestamp"] == created["metadata"]["creationTimestamp"]
    assert int(updated["metadata"]["resourceVersion"]) > int(created["metadata"]["resourceVersion"])


def test_the_second_of_two_writers_is_refused(api: Api, make_config_map: Any) -> None:
    created = api.create(CONFIG_MAP, make_config_map(a="1"))
    api.update(CONFIG_MAP, {**created, "data": {"a": "2"}})
    with pytest.raises(errors.Conflict, match="please apply your changes to the latest version"):
        api.update(CONFIG_MAP, {**created, "data": {"a": "3"}})


def test_an_update_that_changes_nothing_writes_nothing(api: Api, make_config_map: Any) -> None:
    created = api.create(CONFIG_MAP, make_config_map(a="1"))
    assert api.update(CONFIG_MAP, created) == created


def test_a_kind_of_a_group_is_updated_with_its_version_only(api: Api) -> None:
    api.create(LEASE, {"metadata": {"name": "l"}, "spec": {"holderIdentity": "a"}})
    with pytest.raises(errors.Invalid, match=r"metadata\.resourceVersion: Invalid value: 0: must be specified for an update"):
        api.update(LEASE, {"metadata": {"name": "l", "namespace": "default"}})


def test_status_and_the_rest_are_written_apart(api: Api, widget: Kind) -> None:
    created = api.create(widget, {"metadata": {"name": "w"}, "spec": {"size": 1}, "status": {"ready": True}})
    assert "status" not in created
    after = api.update(widget, {**created, "spec": {"size": 2}, "status": {"ready": True}}, subresource="status")
    assert (after["spec"], after["status"], after["metadata"]["generation"]) == ({"size": 1}, {"ready": True}, 1)
    after = api.update(widget, {**after, "spec": {"size": 2}, "status": {"ready": False}})
    assert (after["spec"], after["status"], after["metadata"]["generation"]) == ({"size": 2}, {"ready": True}, 2)


@pytest.mark.parametrize(
    ("how", "change", "data"),
    [
        ("merge", {"data": {"a": None, "b": "2"}}, {"b": "2"}),
        ("json", [{"op": "replace", "path": "/data/a", "value": "2"}], {"a": "2"}),
        ("strategic", {"data": {"b": "2"}}, {"a": "1", "b": "2"}),
    ],
)
def test_patches(api: Api, make_config_map: Any, how: Any, change: Any, data: Any) -> None:
    api.create(CONFIG_MAP, make_config_map(a="1"))
    assert api.patch(CONFIG_MAP, "c", "default", change, type=how)["data"] == data


def test_a_patch_may_name_the_version_it_is_for(api: Api, make_config_map: Any) -> None:
    api.create(CONFIG_MAP, make_config_map(a="1"))
    with pytest.raises(errors.Conflict):
        api.patch(CONFIG_MAP, "c", "default", {"metadata": {"resourceVersion": "1"}, "data": {"a": "2"}})


def test_a_strategic_patch_needs_merge_keys(api: Api, widget: Kind) -> None:
    api.create(widget, {"metadata": {"name": "w"}})
    with pytest.raises(errors.UnsupportedMediaType, match="take no strategic merge patch"):
        api.patch(widget, "w", "default", {"spec": {}}, type="strategic")


def test_an_immutable_config_map_stays(api: Api, make_config_map: Any) -> None:
    api.create(CONFIG_MAP, {**make_config_map(a="1"), "immutable": True})
    with pytest.raises(errors.Invalid, match="data: Forbidden: field is immutable when `immutable` is set"):
        api.patch(CONFIG_MAP, "c", "default", {"data": {"a": "2"}})


def test_the_plain_text_of_a_secret_is_encoded(api: Api) -> None:
    created = api.create(SECRET, {"metadata": {"name": "s"}, "stringData": {"a": "b"}})
    assert created["data"] == {"a": "Yg=="}
    assert "stringData" not in created


def test_pages_of_one_list_show_one_moment(api: Api, make_config_map: Any) -> None:
    for number in range(5):
        api.create(CONFIG_MAP, make_config_map(f"c{number}"))
    first = api.list(CONFIG_MAP, "default", limit=2)
    api.delete(CONFIG_MAP, "c3", "default")
    api.create(CONFIG_MAP, make_config_map("c9"))
    names = [each["metadata"]["name"] for each in first.items]
    page = first
    while page.continue_:
        page = api.list(CONFIG_MAP, "default", limit=2, continue_=page.continue_)
        assert page.resource_version == first.resource_version
        names += [each["metadata"]["name"] for each in page.items]
    assert names == ["c0", "c1", "c2", "c3", "c4"]


def test_a_page_with_a_selector_is_full(api: Api, make_config_map: Any) -> None:
    for number in range(6):
        labels = {"even": "yes"} if number % 2 == 0 else {}
        api.create(CONFIG_MAP, {"metadata": {"name": f"c{number}", "labels": labels}})
    page = api.list(CONFIG_MAP, labels="even", limit=2)
    assert [each["metadata"]["name"] for each in page.items] == ["c0", "c2"]
    rest = api.list(CONFIG_MAP, labels="even", limit=2, continue_=page.continue_)
    assert [each["metadata"]["name"] for each in rest.items] == ["c4"]


def test_a_list_is_cut_by_fields(api: Api, make_pod: Any) -> None:
    api.create(POD, make_pod("a", nodeName="here"))
    api.create(POD, make_pod("b"))
    assert [each["metadata"]["name"] for each in api.list(POD, fields="spec.nodeName=here").items] == ["a"]
    with pytest.raises(errors.BadRequest, match=r"field label not supported: spec\.colour"):
        api.list(POD, fields="spec.colour=red")


def test_a_watch_tells_of_each_change_once(api: Api, make_config_map: Any) -> None:
    seen: list[WatchEvent] = []
    start = api.list(CONFIG_MAP).resource_version
    created = api.create(CONFIG_MAP, make_config_map(a="1"))
    end = api.subscribe(CONFIG_MAP, None, seen.append, resource_version=start)
    api.update(CONFIG_MAP, {**created, "data": {"a": "2"}})
    api.delete(CONFIG_MAP, "c", "default")
    end()
    api.create(CONFIG_MAP, make_config_map(a="3"))
    assert [event.type for event in seen] == ["ADDED", "MODIFIED", "DELETED"]
    versions = [int(event.object["metadata"]["resourceVersion"]) for event in seen]
    assert versions == sorted(set(versions))


def test_a_watch_that_begins_inside_another_is_told_once(api: Api, make_config_map: Any) -> None:
    outer: list[WatchEvent] = []
    inner: list[WatchEvent] = []

    def begin(event: WatchEvent) -> None:
        if not outer:
            api.create(CONFIG_MAP, make_config_map("second"))
            api.subscribe(CONFIG_MAP, None, inner.append, resource_version="0")
        outer.append(event)

    api.subscribe(CONFIG_MAP, None, begin, resource_version="2")
    api.create(CONFIG_MAP, make_config_map("first"))
    assert [event.object["metadata"]["name"] for event in outer] == ["first", "second"]
    assert [event.object["metadata"]["name"] for event in inner] == ["first", "second"]


def test_an_object_that_ceases_to_match_is_deleted_for_the_watcher(api: Api) -> None:
    seen: list[WatchEvent] = []
    api.subscribe(CONFIG_MAP, "default", seen.append, resource_version="2", labels="on=yes")
    for labels in ({}, {"on": "yes"}, {"on": "yes", "x": "y"}, {"on": "no"}, {"on": "yes"}):
        name = {"metadata": {"name": "c", "namespace": "default", "labels": labels}}
        if labels:
            api.patch(CONFIG_MAP, "c", "default", name)
        else:
            api.create(CONFIG_MAP, name)
    api.delete(CONFIG_MAP, "c", "default")
    assert [event.type for event in seen] == ["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"]
    assert seen[2].object["metadata"]["labels"] == {"on": "yes", "x": "y"}


def test_a_watch_from_too_far_back_is_gone(api: Api, make_config_map: Any) -> None:
    api.create(CONFIG_MAP, make_config_map())
    api.core.store.compact(api.core.store.current())
    with pytest.raises(errors.Gone):
        api.subscribe(CONFIG_MAP, None, lambda _: None, resource_version="1")
    with pytest.raises(errors.Gone):
        api.subscribe(CONFIG_MAP, None, lambda _: None, resource_version="x")


def test_an_object_with_a_finalizer_waits(api: Api, make_config_map: Any) -> None:
    obj = make_config_map()
    obj["metadata"]["finalizers"] = ["kedge.dev/tracking"]
    api.create(CONFIG_MAP, obj)
    marked = api.delete(CONFIG_MAP, "c", "default")
    assert marked is not None
    assert marked["metadata"]["deletionTimestamp"]
    with pytest.raises(errors.Invalid, match=r'found new finalizers \[\]string\{"kedge.dev/other"\}'):
        api.patch(CONFIG_MAP, "c", "default", {"metadata": {"finalizers": ["kedge.dev/tracking", "kedge.dev/other"]}})
    seen: list[WatchEvent] = []
    api.subscribe(CONFIG_MAP, None, seen.append, resource_version=marked["metadata"]["resourceVersion"])
    api.patch(CONFIG_MAP, "c", "default", {"metadata": {"finalizers": None}})
    assert [event.type for event in seen] == ["DELETED"]
    with pytest.raises(errors.NotFound):
        api.get(CONFIG_MAP, "c", "default")


@pytest.mark.parametrize(("propagation", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")])
def test_how_what_is_owned_goes_is_left_to_the_collector(
    api: Api, make_config_map: Any, propagation: Any, finalizer: str
) -> None:
    api.create(CONFIG_MAP, make_config_map())
    marked = api.delete(CONFIG_MAP, "c", "default", propagation=propagation)
    assert marked is not None
    assert marked["metadata"]["finalizers"] == [finalizer]


def test_a_delete_may_name_the_object_it_means(api: Api, make_config_map: Any) -> None:
    created = api.create(CONFIG_MAP, make_config_map())
    with pytest.raises(errors.Conflict, match=r"the UID in the precondition \(other\) does not match"):
        api.delete(CONFIG_MAP, "c", "default", uid="other")
    assert api.delete(CONFIG_MAP, "c", "default", uid=created["metadata"]["uid"]) is None


def test_a_generated_name_that_is_taken_is_generated_anew(
    api: Api, make_config_map: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    suffixes = iter(["aaaaa", "aaaaa", "aaaaa", "bbbbb", *["bbbbb"] * 8])
    monkeypatch.setattr(type(api.core.ids), "suffix", lambda _ids, _length: next(suffixes))
    unnamed = {**make_config_map(), "metadata": {"generateName": "c-"}}
    assert [api.create(CONFIG_MAP, unnamed)["metadata"]["name"] for _ in range(2)] == ["c-aaaaa", "c-bbbbb"]
    with pytest.raises(errors.AlreadyExists, match='configmaps "c-bbbbb" already exists'):
        api.create(CONFIG_MAP, unnamed)
    assert list(suffixes) == []


def test_a_pod_on_a_node_has_time_to_end(api: Api, make_pod: Any) -> None:
    api.create(POD, make_pod(nodeName="here", terminationGracePeriodSeconds=10))
    marked = api.delete(POD, "p", "default")
    assert marked is not None
    assert marked["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:10Z"
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 10
    assert api.delete(POD, "p", "default") == marked
    shorter = api.delete(POD, "p", "default", grace_period=5)
    assert shorter is not None
    assert shorter["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:05Z"
    assert api.delete(POD, "p", "default", grace_period=0) is None


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_ended_goes_at_once(api: Api, make_pod: Any, phase: str) -> None:
    api.create(POD, make_pod(nodeName="here"))
    api.patch(POD, "p", "default", {"status": {"phase": phase}}, subresource="status")
    assert api.delete(POD, "p", "default") is None


def test_a_pod_on_no_node_goes_at_once(api: Api, make_pod: Any) -> None:
    api.create(POD, make_pod())
    assert api.delete(POD, "p", "default") is None


def test_a_pod_that_was_told_to_end_waits_for_its_finalizer(api: Api, make_pod: Any) -> None:
    given = make_pod(nodeName="here")
    given["metadata"]["finalizers"] = ["kedge.dev/tracking"]
    api.create(POD, given)
    api.delete(POD, "p", "default")
    left = api.patch(POD, "p", "default", {"metadata": {"finalizers": None}})
    assert left["metadata"]["deletionGracePeriodSeconds"] == 30
    assert api.get(POD, "p", "default")
    assert api.delete(POD, "p", "default", grace_period=0) is None


def test_a_node_may_annotate_a_pod_with_its_status(api: Api, make_pod: Any) -> None:
    api.create(POD, make_pod())
    change = {
        "metadata": {"annotations": {"kedge.dev/started": "fork"}},
        "status": {"phase": "Running"},
        "spec": {"nodeName": "x"},
    }
    after = api.patch(POD, "p", "default", change, subresource="status")
    assert after["metadata"]["annotations"] == {"kedge.dev/started": "fork"}
    assert after["status"]["phase"] == "Running"
    assert "nodeName" not in after["spec"]


def test_a_namespace_goes_when_it_was_emptied(api: Api, make_config_map: Any) -> None:
    api.create(NAMESPACE, {"metadata": {"name": "x"}})
    marked = api.delete(NAMESPACE, "x")
    assert marked is not None
    assert marked["status"]["phase"] == "Terminating"
    with pytest.raises(errors.Forbidden, match="because it is being terminated"):
        api.create(CONFIG_MAP, {"metadata": {"name": "c", "namespace": "x"}})
    api.update(NAMESPACE, {**marked, "spec": {"finalizers": []}}, subresource="finalize")
    with pytest.raises(errors.NotFound):
        api.get(NAMESPACE, "x")


def test_the_default_namespace_stays(api: Api) -> None:
    with pytest.raises(errors.Forbidden, match='namespaces "default" is forbidden: this namespace may not be deleted'):
        api.delete(NAMESPACE, "default")


def test_admission_hooks_change_and_refuse(make_pod: Any) -> None:
    verbs: list[str] = []

    def place(verb: str, kind: Kind, new: Obj, old: Obj | None) -> None:
        verbs.append(f"{verb} {kind.kind} {'old' if old else 'new'}")
        if kind is POD and verb == "create":
            new["spec"]["nodeName"] = "here"
        if kind is NODE:
            raise errors.Forbidden("no nodes")

    hook: Admission = place
    api = Api(MemoryLog(), [NAMESPACE, POD, NODE], FakeClock(), FakeIds(), admission=[hook])
    api.create(NAMESPACE, {"metadata": {"name": "default"}})
    assert api.create(POD, make_pod())["spec"]["nodeName"] == "here"
    api.patch(POD, "p", "default", {"metadata": {"labels": {"a": "b"}}})
    api.delete(POD, "p", "default")
    with pytest.raises(errors.Forbidden, match="no nodes"):
        api.create(NODE, {"metadata": {"name": "n"}})
    assert verbs == ["create Namespace new", "create Pod new", "update Pod old", "delete Pod old", "create Node new"]


def test_a_token_is_only_given_to_an_account(api: Api) -> None:
    spec = {"spec": {"expirationSeconds": 600}, "metadata": {"namespace": "default"}}
    assert api.create(SERVICE_ACCOUNT, spec, name="default", subresource="token")["status"]["token"].count(".") == 2
    with pytest.raises(errors.MethodNotAllowed, match="pods have no subresource 'token'"):
        api.create(POD, spec, name="default", subresource="token")


def test_a_review_is_never_stored(api: Api) -> None:
    with pytest.raises(errors.MethodNotAllowed, match="are answered, not stored"):
        api.create(TOKEN_REVIEW, {"spec": {"token": "x"}})


def test_a_pod_is_seen_as_it_is_created(api: Api, make_pod: Any) -> None:
    """Within the call: nothing has to come round first. How long that takes is measured by bench/."""
    seen: list[WatchEvent] = []
    api.subscribe(POD, None, seen.append, resource_version="2")
    for number in range(20):
        api.create(POD, make_pod(f"p{number}"))
        assert [event.object["metadata"]["name"] for event in seen] == [f"p{each}" for each in range(number + 1)]
