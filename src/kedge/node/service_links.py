"""The variables by which a Pod finds Services without DNS, as the kubelet makes them.

Those of its own namespace, unless ``enableServiceLinks`` is false, and always those of the Service ``kubernetes``
(https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
"""

from collections.abc import Iterable, Iterator

from kedge.kube.kinds import Obj
from kedge.kube.services import HEADLESS, OWN


def variables(services: Iterable[Obj], pod: Obj) -> dict[str, str]:
    """What a Pod's containers are given.

    Args:
        services: All Services that there are as a container starts.
        pod: The Pod.

    Examples:
        >>> spec = {"clusterIP": "10.96.0.9", "ports": [{"port": 5}]}
        >>> service = {"metadata": {"name": "my-db", "namespace": "n"}, "spec": spec}
        >>> made = variables([service], {"metadata": {"namespace": "n"}, "spec": {}})
        >>> made["MY_DB_SERVICE_HOST"], made["MY_DB_SERVICE_PORT"], made["MY_DB_PORT"]
        ('10.96.0.9', '5', 'tcp://10.96.0.9:5')
    """
    namespace, wanted = pod["metadata"]["namespace"], pod["spec"].get("enableServiceLinks", True)
    chosen: dict[str, Obj] = {}
    for service in services:
        meta = service["metadata"]
        if service["spec"].get("clusterIP") in {None, "", HEADLESS}:
            continue
        if wanted and meta["namespace"] == namespace:
            chosen[meta["name"]] = service
        elif (meta["namespace"], meta["name"]) == OWN:
            chosen.setdefault(meta["name"], service)
    return {name: value for service in chosen.values() for name, value in _of_service(service)}


def of_api(api: tuple[str, int]) -> dict[str, str]:
    """What a Pod of the machine's network is given, where the addresses of Services lead nowhere: how it finds the API.

    Args:
        api: Address and port.

    Examples:
        >>> of_api(("127.0.0.1", 6443))["KUBERNETES_PORT"]
        'tcp://127.0.0.1:6443'
    """
    host, port = api
    spec = {"clusterIP": host, "ports": [{"name": "https", "port": port}]}
    return dict(_of_service({"metadata": {"name": OWN[1]}, "spec": spec}))


def _of_service(service: Obj) -> Iterator[tuple[str, str]]:
    prefix, address = _upper(service["metadata"]["name"]), service["spec"]["clusterIP"]
    ports: list[Obj] = service["spec"].get("ports") or []
    yield f"{prefix}_SERVICE_HOST", address
    if ports:
        yield f"{prefix}_SERVICE_PORT", str(ports[0]["port"])
    for port in ports:
        if port.get("name"):
            yield f"{prefix}_SERVICE_PORT_{_upper(port['name'])}", str(port["port"])
    for index, port in enumerate(ports):
        protocol = port.get("protocol") or "TCP"
        whole, about = f"{protocol.lower()}://{address}:{port['port']}", f"{prefix}_PORT_{port['port']}_{protocol}"
        if index == 0:
            yield f"{prefix}_PORT", whole
        yield about, whole
        yield f"{about}_PROTO", protocol.lower()
        yield f"{about}_PORT", str(port["port"])
        yield f"{about}_ADDR", address


def _upper(name: str) -> str:
    return name.upper().replace("-", "_")
