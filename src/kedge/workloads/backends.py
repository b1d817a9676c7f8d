"""What stands behind a Service: the Pods that its selector matches, the ports at which they listen, and since when.

Plain functions, and a memory of times. The rules are those of Kubernetes' controllers of endpoints
(https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/).
"""

from collections.abc import Callable, Iterable
from datetime import datetime

from kedge.kube import conditions
from kedge.kube.clock import parse_timestamp, timestamp
from kedge.kube.kinds import Obj
from kedge.kube.metadata import Key, is_deleting, key_of, labels_of, uid_of
from kedge.kube.pods import is_over
from kedge.kube.services import HEADLESS

IS_HEADLESS = "service.kubernetes.io/headless"
TRIGGERED = "endpoints.kubernetes.io/last-change-trigger-time"

Behind = Callable[[Obj], Iterable[Obj]]
"""Says which Pods a Service's selector matches."""


def glimpse(pod: Obj) -> Obj:
    """What of a Pod concerns who reaches it; a change of anything else is no news."""
    meta, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    kept = ("name", "namespace", "uid", "resourceVersion", "labels", "deletionTimestamp")
    sidecars = [each for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always"]
    return {
        "metadata": {name: meta[name] for name in kept if name in meta},
        "spec": {
            **{name: spec[name] for name in ("nodeName", "hostname", "subdomain") if spec.get(name)},
            "containers": [{"ports": each.get("ports")} for each in spec["containers"]],
            "initContainers": [{"ports": each.get("ports"), "restartPolicy": "Always"} for each in sidecars],
        },
        "status": {
            **{name: status[name] for name in ("phase", "podIP", "podIPs") if name in status},
            "conditions": [found] if (found := conditions.find(pod, "Ready")) is not None else [],
        },
    }


def selected(service: Obj) -> bool:
    """Whether Pods that a selector finds stand behind a Service."""
    spec = service.get("spec") or {}
    return bool(spec.get("selector")) and spec.get("type") != "ExternalName"


def matches(service: Obj, pod: Obj) -> bool:
    """Whether a Service's selector matches a Pod."""
    wanted = (service.get("spec") or {}).get("selector") or {}
    return bool(wanted) and wanted.items() <= labels_of(pod).items()


def reachable(pod: Obj, *, leaving: bool) -> bool:
    """Whether a Pod has an address and has not ended.

    Args:
        pod: The Pod.
        leaving: Whether one that is being deleted counts.
    """
    return bool(addresses(pod)) and not is_over(pod) and (leaving or not is_deleting(pod))


def addresses(pod: Obj) -> list[str]:
    """The addresses of a Pod."""
    status = pod.get("status") or {}
    listed = [each["ip"] for each in status.get("podIPs") or () if each.get("ip")]
    return listed or ([status["podIP"]] if status.get("podIP") else [])


def hostname(service: Obj, pod: Obj) -> str:
    """The name that a Pod has within a Service; ``""`` for none."""
    spec = pod["spec"]
    return (spec.get("hostname") or "") if spec.get("subdomain") == service["metadata"]["name"] else ""


def is_headless(service: Obj) -> bool:
    """Whether a Service has no address of its own."""
    return (service["spec"].get("clusterIP") or HEADLESS) == HEADLESS


def takes_any_port(service: Obj) -> bool:
    """Whether Pods stand behind a Service although it names no port."""
    return not service["spec"].get("ports") and is_headless(service)


def ports_of(service: Obj, pod: Obj) -> list[Obj]:
    """The ports of a Service as a Pod has them: one that the Pod does not name is left out."""
    found: list[Obj] = []
    for port in service["spec"].get("ports") or ():
        if (number := _number(port, pod)) is None:
            continue
        made: Obj = {"name": port.get("name") or "", "port": number, "protocol": port["protocol"]}
        found.append(made | ({"appProtocol": port["appProtocol"]} if port.get("appProtocol") else {}))
    return found


def _number(port: Obj, pod: Obj) -> int | None:
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return target
    spec = pod["spec"]
    sidecars = [each for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always"]
    for container in (*spec["containers"], *sidecars):
        for each in container.get("ports") or ():
            if each.get("name") == target and (each.get("protocol") or "TCP") == port["protocol"]:
                return each["containerPort"]
    return None


def target_of(pod: Obj) -> Obj:
    """The reference by which an endpoint names its Pod."""
    key = key_of(pod)
    return {"kind": "Pod", "namespace": key.namespace, "name": key.name, "uid": uid_of(pod)}


def triggered(obj: Obj, moment: datetime | None) -> dict[str, str] | None:
    """The annotations of an object with the time of what led to its change, or without it where that is not known."""
    notes: dict[str, str] = {key: text for key, text in (obj["metadata"].get("annotations") or {}).items() if key != TRIGGERED}
    if moment is not None:
        notes[TRIGGERED] = timestamp(moment)
    return notes or None


class Triggers:
    """Remembers when what stands behind a Service last changed, to say when what is new happened.

    It is a measure of delay and no more: a controller that has just begun knows less, and nothing depends on it.
    """

    def __init__(self) -> None:
        self._known: dict[Key, dict[str, datetime]] = {}

    def earliest(self, service: Obj, pods: Iterable[Obj]) -> datetime | None:
        """The first of the times that are new since this was asked last; ``None`` where none is.

        Args:
            service: Its creation counts.
            pods: The moments in which they became ready, or ceased to be, count.
        """
        times = {"": parse_timestamp(service["metadata"]["creationTimestamp"])}
        for pod in pods:
            changed = (conditions.find(pod, "Ready") or {}).get("lastTransitionTime")
            if isinstance(changed, str):
                times[uid_of(pod)] = parse_timestamp(changed)
        before = self._known.get(key_of(service), {})
        self._known[key_of(service)] = times
        return min((time for uid, time in times.items() if uid not in before or time > before[uid]), default=None)

    def forget(self, key: Key) -> None:
        """Forget a Service that is gone."""
        self._known.pop(key, None)
