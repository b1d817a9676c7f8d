"""Where a Service of the embedded host answers: the address and port of a Pod of its that is ready."""

from collections.abc import Iterator
from typing import Any

from kedge.errors import NotFound, Unavailable
from kedge.kube.core import POD
from kedge.kube.endpoint_slices import ENDPOINT_SLICE
from kedge.kube.kinds import Kind, Obj
from kedge.kube.selectors import label_predicate, parse_labels
from kedge.kube.services import SERVICE
from kedge.server.core import Core, Target, prefix

_OF_SERVICE = "kubernetes.io/service-name"


def endpoint(core: Core, namespace: str, name: str, port: int) -> str:
    """An ``address:port`` behind a Service.

    Args:
        core: Has the objects.
        namespace: The Service's.
        name: Its name.
        port: The number of one of its ports.

    Raises:
        NotFound: There is no such Service.
        Unavailable: It has no such port, or nothing that is ready.
    """
    service = next((each for each in _objects(core, SERVICE, namespace) if each["metadata"]["name"] == name), None)
    if service is None:
        raise NotFound(f"service {name!r} not found".replace("'", '"'))
    spec = service.get("spec") or {}
    wanted = next((each for each in spec.get("ports") or () if each.get("port") == port), None)
    if wanted is None:
        raise Unavailable(f'no service port {port} found for service "{name}"')
    found = next(_sliced(core, namespace, name, wanted), None) or next(_behind(core, namespace, spec, wanted), None)
    if found is None:
        raise Unavailable(f'no endpoints available for service "{name}"')
    address, number = found
    return f"[{address}]:{number}" if ":" in address else f"{address}:{number}"


def _objects(core: Core, kind: Kind, namespace: str) -> Iterator[Obj]:
    if kind in core.registry.built_in:
        for record in core.store.list(prefix(Target(kind, namespace))).records:
            yield core.load(record, kind)


def _sliced(core: Core, namespace: str, name: str, wanted: Obj) -> Iterator[tuple[str, int]]:
    for each in _objects(core, ENDPOINT_SLICE, namespace):
        if (each["metadata"].get("labels") or {}).get(_OF_SERVICE) != name:
            continue
        ports = [port for port in each.get("ports") or () if (port.get("name") or "") == (wanted.get("name") or "")]
        for one in each.get("endpoints") or ():
            if ports and (one.get("conditions") or {}).get("ready") is not False and one.get("addresses"):
                yield one["addresses"][0], ports[0]["port"]


def _behind(core: Core, namespace: str, spec: Obj, wanted: Obj) -> Iterator[tuple[str, int]]:
    """Those of the Pods that a selector finds, where nobody has made slices of them."""
    selector: Obj = spec.get("selector") or {}
    fits = label_predicate(parse_labels(",".join(f"{key}={value}" for key, value in selector.items())))
    for pod in _objects(core, POD, namespace) if selector else ():
        status = pod.get("status") or {}
        ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions") or ())
        address, number = status.get("podIP"), _port(pod, wanted)
        if ready and fits(pod) and address and number and "deletionTimestamp" not in pod["metadata"]:
            yield address, number


def _port(pod: Obj, wanted: Obj) -> int | None:
    target: Any = wanted.get("targetPort") or wanted["port"]
    if isinstance(target, int):
        return target
    ports = [port for each in pod["spec"].get("containers") or () for port in each.get("ports") or ()]
    return next((port["containerPort"] for port in ports if port.get("name") == target), None)
