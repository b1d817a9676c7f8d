"""Events in both of their groups, with an unmodified `kubectl`: the same objects, on both hosts."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hosts import HOSTS
from places import Place, place_on

Obj = dict[str, Any]
GROUP = "events.v1.events.k8s.io"


@pytest.fixture(scope="module", params=HOSTS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Either host."""
    with place_on(request, tmp_path_factory.mktemp("events")) as made:
        yield made


def event(place: Place, name: str, **more: Any) -> Obj:
    """An Event of the newer group."""
    about = {"apiVersion": "v1", "kind": "Pod", "name": "lost", "namespace": place.namespace(), "uid": "7"}
    said = {"type": "Normal", "reason": "Looked", "action": "Looking", "note": "nothing there"}
    by = {
        "reportingController": "example.com/looker",
        "reportingInstance": "looker-1",
        "eventTime": "2026-01-02T03:04:05.000006Z",
    }
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name},
        "regarding": about,
        **said,
        **by,
        **more,
    }


def test_an_event_of_the_newer_group_is_one_of_the_core_group(place: Place) -> None:
    place.apply(event(place, "seen"), verb="create")
    found = place.json("get", "events.v1.", "seen")
    assert (found["apiVersion"], found["message"], found["involvedObject"]["name"]) == ("v1", "nothing there", "lost")
    assert (found["reportingComponent"], found["reportingInstance"], found["action"]) == (
        "example.com/looker",
        "looker-1",
        "Looking",
    )
    assert found["eventTime"] == "2026-01-02T03:04:05.000006Z"
    shown = place.json("get", GROUP, "-l", "!none", "--field-selector=regarding.name=lost,reason=Looked")["items"]
    assert [(each["note"], each["regarding"]["kind"]) for each in shown] == [("nothing there", "Pod")]
    heading, row = place("get", GROUP, "seen").splitlines()
    assert heading.split()[:2] == ["LAST", "SEEN"]
    assert row.split()[1:] == ["Normal", "Looked", "pod/lost", "nothing", "there"]
    series = {"count": 2, "lastObservedTime": "2026-01-02T03:05:05.000006Z"}
    place("patch", GROUP, "seen", "--type=merge", "-p", json.dumps({"series": series}))
    assert place.json("get", "events.v1.", "seen")["series"] == series
    place("delete", GROUP, "seen")
    assert place("get", "events.v1.", "seen", "--ignore-not-found") == ""


def test_an_event_of_the_core_group_is_one_of_the_newer_group(place: Place) -> None:
    about = {"kind": "Pod", "name": "old", "namespace": place.namespace()}
    stamps = {"firstTimestamp": "2026-01-02T03:04:05Z", "lastTimestamp": "2026-01-02T03:04:06Z", "count": 3}
    made = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "old"}, "involvedObject": about, "message": "hello"}
    place.apply({**made, **stamps, "type": "Warning", "reason": "Old", "source": {"component": "tests"}}, verb="create")
    found = place.json("get", GROUP, "old")
    assert (found["apiVersion"], found["kind"], found["note"], found["regarding"]) == (
        "events.k8s.io/v1",
        "Event",
        "hello",
        about,
    )
    assert (found["deprecatedCount"], found["deprecatedFirstTimestamp"]) == (3, "2026-01-02T03:04:05Z")
    assert found["deprecatedSource"] == {"component": "tests"}


def test_what_the_newer_group_refuses(place: Place) -> None:
    for more, told in (
        ({"type": "Loud"}, 'type: Invalid value: "": has invalid value: Loud'),
        ({"eventTime": None}, "eventTime: Required value"),
        ({"action": None}, "action: Required value"),
        ({"deprecatedCount": 2}, 'count: Invalid value: "": needs to be unset'),
    ):
        bad = {key: value for key, value in event(place, "bad", **more).items() if value is not None}
        assert told in place.apply(bad, verb="create", fails=True)
