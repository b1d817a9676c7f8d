"""How a node writes a Pod's status beside others who do."""

from datetime import UTC, datetime

from kedge.kube import strategic
from kedge.kube.core import POD
from kedge.kube.kinds import Obj
from kedge.kube.merging import merge_keys
from kedge.node.lifecycle import Seen, decide
from kedge.node.status import Notes, patch_of, status_of


def condition(kind: str, status: str) -> Obj:
    return {"type": kind, "status": status}


def test_conditions_of_others_stay_and_addresses_are_those_that_it_has_now() -> None:
    stored: Obj = {
        "metadata": {"name": "p", "uid": "u"},
        "status": {
            "conditions": [
                condition("Ready", "False"),
                condition("DisruptionTarget", "True"),
                condition("kedge.dev/Started", "True"),
            ],
            "podIPs": [{"ip": "10.244.0.1"}],
            "hostIPs": [{"ip": "192.168.1.2"}],
            "reason": "Gone",
        },
    }
    seen: Obj = {
        "conditions": [condition("Ready", "True"), condition("DisruptionTarget", "False")],  # as it was when the node looked
        "podIPs": [{"ip": "10.244.0.2"}],
        "podIP": "10.244.0.2",
        "hostIPs": [{"ip": "192.168.1.3"}],
        "reason": None,
    }
    keys = merge_keys(POD)
    assert keys is not None
    after = strategic.apply(stored, patch_of("u", seen), keys)["status"]
    assert {each["type"]: each["status"] for each in after["conditions"]} == {
        "Ready": "True",
        "DisruptionTarget": "True",
        "kedge.dev/Started": "True",
    }
    assert (after["podIPs"], after["podIP"], "reason" in after) == ([{"ip": "10.244.0.2"}], "10.244.0.2", False)
    assert after["hostIPs"] == [{"ip": "192.168.1.3"}]


def test_a_pod_has_no_address_before_it_is_given_one() -> None:
    """Who waits for an address, a program or a Service, must not be told the machine's."""
    pod: Obj = {"metadata": {"name": "p", "generation": 2}, "spec": {"containers": [{"name": "c", "image": "busybox"}]}}
    now = datetime(2026, 1, 1, tzinfo=UTC)
    seen = Seen()
    plan = decide(pod["spec"], seen, now)
    waiting = status_of(pod, seen, plan, notes=Notes(address="", host="192.168.1.3"), now=now)
    assert (waiting["podIP"], waiting["podIPs"], waiting["hostIPs"]) == (None, [], [{"ip": "192.168.1.3"}])
    assert {each["observedGeneration"] for each in (waiting, *waiting["conditions"])} == {2}
    begun = status_of(pod, seen, plan, notes=Notes(address="10.244.0.2"), now=now)
    assert (begun["podIP"], begun["podIPs"]) == ("10.244.0.2", [{"ip": "10.244.0.2"}])
