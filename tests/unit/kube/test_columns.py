"""What `kubectl get` shows, whatever stands in an object."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kedge.kube.core import KINDS, NODE, POD
from kedge.kube.kinds import Kind
from kedge.server.table import table

WORDS = st.sampled_from(
    [
        "spec",
        "status",
        "metadata",
        "conditions",
        "type",
        "Ready",
        "containers",
        "containerStatuses",
        "initContainerStatuses",
        "initContainers",
        "state",
        "terminated",
        "waiting",
        "reason",
        "name",
        "restartCount",
        "data",
        "involvedObject",
        "phase",
        "Pending",
        "exitCode",
    ]
)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=15,
)
OBJECTS = st.fixed_dictionaries({"spec": ANY, "status": st.dictionaries(WORDS, ANY), "metadata": ANY})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
@settings(max_examples=30, deadline=None)
@given(obj=OBJECTS | st.dictionaries(WORDS, ANY))
def test_any_object_can_be_shown(kind: Kind, obj: Any) -> None:
    for column in kind.columns:
        column.value(obj)


@pytest.mark.parametrize("conditions", [None, 3, "Ready", [None], [{"type": []}], {"type": "Ready"}])
def test_a_node_whose_conditions_cannot_be_read_is_unknown(conditions: Any) -> None:
    assert NODE.columns[0].value({"status": {"conditions": conditions}}) == "Unknown"


def test_an_odd_container_status_hides_nothing_else() -> None:
    runs = {"ready": True, "restartCount": 2, "state": {"running": {}}}
    pod = {
        "spec": {"containers": [{"name": "a"}, {"name": "b"}]},
        "status": {
            "phase": "Running",
            "containerStatuses": ["odd", runs],
        },
    }
    assert [column.value(pod) for column in POD.columns[:3]] == ["1/2", "Running", "2"]


@pytest.mark.parametrize(("policy", "word"), [({}, "Init:Error"), ({"restartPolicy": "Always"}, "Init:Error")])
def test_a_pod_that_failed_with_an_init_container_says_so(policy: dict[str, str], word: str) -> None:
    """And not that it is still being prepared; as `kubectl` says it of a sidecar that never was ready, too."""
    pod = {
        "spec": {"initContainers": [{"name": "i", **policy}], "containers": [{"name": "m"}]},
        "status": {
            "phase": "Failed",
            "initContainerStatuses": [{"name": "i", "state": {"terminated": {"exitCode": 4, "reason": "Error"}}}],
            "containerStatuses": [{"name": "m", "state": {"waiting": {"reason": "PodInitializing"}}}],
        },
    }
    assert POD.columns[1].value(pod) == word


def test_what_wide_tables_show_of_a_pod() -> None:
    ended = {"terminated": {"finishedAt": "2026-11-23T09:00:00Z"}}
    pod = {
        "spec": {"containers": [{"name": "a"}], "readinessGates": [{"conditionType": "x"}, {"conditionType": "y"}]},
        "status": {
            "phase": "Running",
            "nominatedNodeName": "n",
            "conditions": [{"type": "y", "status": "True"}],
            "containerStatuses": [{"restartCount": 3, "lastState": ended}],
        },
    }
    shown = table(POD, [{"metadata": {"name": "p"}, **pod}], {}, datetime(2026, 11, 23, 9, 5, tzinfo=UTC), "None")
    cells = dict(zip([each["name"] for each in shown["columnDefinitions"]], shown["rows"][0]["cells"], strict=True))
    assert (cells["Restarts"], cells["Nominated Node"], cells["Readiness Gates"]) == ("3 (5m ago)", "n", "1/2")
