"""``pods/NAME/proxy`` and ``services/NAME/proxy``: requests of a caller of this API, passed on to what runs in Pods.

A name may have a scheme before it and a port behind it, as on a cluster: ``https:web:8443``; a Service's port is its number or
its name. Whoever asks is authorised before; what they sent to prove who they are is not passed on.

A Pod of the machine's network is at its loopback, where much else listens that trusts whoever comes from there. A cluster's API
server reaches no loopback at all; here these Pods are reached, at the ports that they say they serve, and never the host itself.
"""

import ipaddress
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from urllib.parse import quote

import h11
from starlette.types import Receive, Scope, Send

from kedge.errors import BadRequest, NotFound, Unavailable
from kedge.kube.core import POD
from kedge.kube.endpoints import ENDPOINTS
from kedge.kube.kinds import Obj
from kedge.kube.services import SERVICE
from kedge.server.api import Api
from kedge.server.core import Target
from kedge.server.get import get
from kedge.server.processes import Processes, unverified
from kedge.server.upgrades import UPGRADE

_PATH_PARTS = 6  # api, v1, namespaces, NAMESPACE, RESOURCE, NAME; then proxy
_OF_CONNECTIONS = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# A browser sends its cookies to every port of a host: those of the dashboard are no Pod's, and no Pod sets any for it.
_KEPT_BACK = _OF_CONNECTIONS | {b"authorization", b"cookie"}
_NOT_PASSED_ON = _OF_CONNECTIONS | {b"set-cookie"}
# What a browser gets from the pages' own address is no page of ours: it runs as if it came from elsewhere.
_OF_ORIGINS = frozenset({b"clear-site-data", b"service-worker-allowed", b"content-security-policy"})
_ELSEWHERE = (b"content-security-policy", b"sandbox allow-scripts allow-forms allow-popups allow-downloads")
_NOT_ALLOWED = "address not allowed"
_LOOPBACK = frozenset({"127.0.0.1", "::1"})
_PORTS = {"http": 80, "https": 443}
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Place:
    """What a path asks to be led to.

    Attributes:
        resource: ``pods`` or ``services``.
        namespace: Where it is.
        name: Its name alone.
        scheme: ``http`` or ``https``.
        port: As it was asked for; empty for the first.
        rest: The path there; empty where the path ended with ``proxy``.
    """

    resource: str
    namespace: str
    name: str
    scheme: str
    port: str
    rest: str

    @property
    def target(self) -> Target:
        """What the request is about, as an object."""
        return Target(POD if self.resource == "pods" else SERVICE, self.namespace, self.name, "proxy")


def place_of(path: str) -> Place | None:
    """Read a path; ``None`` where it asks for no proxy.

    Examples:
        >>> place_of("/api/v1/namespaces/n/services/https:web:8443/proxy/a/b")
        Place(resource='services', namespace='n', name='web', scheme='https', port='8443', rest='/a/b')
        >>> place_of("/api/v1/namespaces/n/pods/web/log")
    """
    if "/proxy" not in path:
        return None
    parts = path.split("/", _PATH_PARTS + 2)[1:]
    if len(parts) <= _PATH_PARTS or parts[:3] != ["api", "v1", "namespaces"] or parts[6] != "proxy":
        return None
    resource, named = parts[4], parts[5].split(":")
    if resource not in {"pods", "services"}:
        return None
    rest = "/" + parts[7] if len(parts) > _PATH_PARTS + 1 else ""
    scheme, name, port = ("", *named, "")[:3] if len(named) < 3 else named[:3]
    if len(named) > 3 or scheme not in {"", "http", "https"}:
        raise BadRequest(f"invalid {'service' if resource == 'services' else 'pod'} request {parts[5]!r}")
    return Place(resource, parts[3], name, scheme or "http", port, rest)


class Proxy:
    """Passes requests on.

    Args:
        api: Where Pods and Services are looked up.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._turn = 0

    async def serve(self, place: Place, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request.

        Raises:
            ApiError: There is nothing to pass it on to.
        """
        processes = self._api.processes
        if processes is None:
            raise BadRequest("this host runs no Pods.")
        if UPGRADE in scope:
            raise BadRequest("connections that stop speaking HTTP are not proxied here: use kubectl port-forward.")
        host, port = self._of_pod(place) if place.resource == "pods" else self._of_service(place)
        if not place.rest:
            query = b"?" + scope["query_string"] if scope["query_string"] else b""
            moved = [(b"location", _encoded(scope["path"] + "/") + query), (b"content-length", b"0")]
            await send({"type": "http.response.start", "status": 301, "headers": moved})
            await send({"type": "http.response.body"})
            return
        await _Exchange(place, scope, send).run(processes, (host, port), receive)

    def _of_pod(self, place: Place) -> tuple[str, int]:
        pod = get(self._api.core, Target(POD, place.namespace, place.name))
        ports = [port for container in pod["spec"]["containers"] for port in container.get("ports") or ()]
        first = ports[0]["containerPort"] if ports else _PORTS[place.scheme]
        address = (pod.get("status") or {}).get("podIP") or ""
        if place.port and not place.port.isdigit():
            raise BadRequest(f"invalid pod request {place.name}:{place.port}")
        port = int(place.port) if place.port else first
        self._require(address, port, pod)
        return address, port

    def _require(self, address: str, port: int, pod: Obj | None) -> None:
        """Refuse an address that nobody is led to, or that is this machine's own and not the Pod's to serve."""
        if not _leads_out(address) and (pod is None or port not in _served(pod) or port in self._api.own_ports):
            raise BadRequest(_NOT_ALLOWED)

    def _of_service(self, place: Place) -> tuple[str, int]:
        service = get(self._api.core, Target(SERVICE, place.namespace, place.name))
        asked = place.port
        if asked.isdigit():
            ports: list[Obj] = service["spec"].get("ports") or []
            found = next((each for each in ports if each["port"] == int(asked)), None)
            if found is None:
                raise Unavailable(f'no service port {asked} found for service "{place.name}"')
            asked = found.get("name") or ""
        try:
            subsets: list[Obj] = get(self._api.core, Target(ENDPOINTS, place.namespace, place.name)).get("subsets") or []
        except NotFound:
            subsets = []
        ready = [(each, port["port"]) for each, port in _ready(subsets) if (port.get("name") or "") == asked]
        if not ready:
            raise Unavailable(f'no endpoints available for service "{place.name}"', retry_after=None)
        self._turn += 1
        endpoint, port = ready[self._turn % len(ready)]
        self._require(endpoint["ip"], port, self._behind(endpoint, place.namespace))
        return endpoint["ip"], port

    def _behind(self, endpoint: Obj, namespace: str) -> Obj | None:
        """The Pod that an endpoint says it is; anybody may have written that."""
        reference = endpoint.get("targetRef") or {}
        if reference.get("kind") != POD.kind or not reference.get("name"):
            return None
        try:
            pod = get(self._api.core, Target(POD, namespace, reference["name"]))
        except NotFound:
            return None
        return pod if (pod.get("status") or {}).get("podIP") == endpoint["ip"] else None


def _ready(subsets: Iterable[Obj]) -> list[tuple[Obj, Obj]]:
    return [(each, port) for subset in subsets for each in subset.get("addresses") or () for port in subset.get("ports") or ()]


def _leads_out(address: str) -> bool:
    """Whether an address is another one than this machine's own, and one at which a Pod may be.

    Examples:
        >>> _leads_out("10.244.0.7"), _leads_out("127.0.0.1"), _leads_out("169.254.169.254"), _leads_out("")
        (True, False, False, False)
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return not (parsed.is_loopback or parsed.is_link_local or parsed.is_multicast or parsed.is_unspecified)


def _served(pod: Obj) -> set[int]:
    """The ports that a Pod says it serves, where it is at this machine's own address."""
    if (pod.get("status") or {}).get("podIP") not in _LOOPBACK:
        return set()
    containers = [each for name in ("containers", "initContainers") for each in pod["spec"].get(name) or ()]
    return {port["containerPort"] for each in containers for port in each.get("ports") or ()}


def _encoded(path: str) -> bytes:
    return quote(path, safe="/:@!$&'()*+,;=~-._%").encode()


class _Exchange:
    """One request and its answer."""

    def __init__(self, place: Place, scope: Scope, send: Send) -> None:
        self._place = place
        self._scope = scope
        self._send = send
        self._begun = False

    async def run(self, processes: Processes, where: tuple[str, int], receive: Receive) -> None:
        """Connect, and pass both on."""
        host, port = where
        context = unverified() if self._place.scheme == "https" else None
        try:
            reader, writer = await processes.reach(host, port, context)
        except OSError as error:
            why = "connection refused" if isinstance(error, ConnectionRefusedError) else str(error.strerror or error).lower()
            raise Unavailable(f"error trying to reach service: dial tcp {host}:{port}: connect: {why}") from error
        try:
            connection = h11.Connection(h11.CLIENT)
            writer.write(connection.send(self._request()) or b"")
            async for data in _body(receive):
                writer.write(connection.send(h11.Data(data=data)) or b"")
                await writer.drain()
            writer.write(connection.send(h11.EndOfMessage()) or b"")
            while not isinstance(event := connection.next_event(), h11.EndOfMessage):
                if event is h11.NEED_DATA:
                    connection.receive_data(await reader.read(_CHUNK))
                else:
                    await self._pass(event)
            await self._send({"type": "http.response.body"})
        except (OSError, h11.ProtocolError) as error:
            if self._begun:
                raise
            raise Unavailable(f"error trying to reach service: {error}") from error
        finally:
            writer.transport.abort()

    def _request(self) -> h11.Request:
        scope = self._scope
        given: list[tuple[bytes, bytes]] = [(name, value) for name, value in scope["headers"] if name not in _KEPT_BACK]
        sized = any(name == b"content-length" for name, _ in given)
        host = next((value for name, value in given if name == b"host"), b"")
        peer = (scope.get("client") or ("", 0))[0].encode()
        given += [(b"x-forwarded-for", peer), (b"x-forwarded-host", host), (b"x-forwarded-proto", scope["scheme"].encode())]
        given += [(b"x-forwarded-uri", _encoded(scope["path"])), (b"connection", b"close")]
        if not sized and any(name == b"transfer-encoding" for name, _ in scope["headers"]):
            given.append((b"transfer-encoding", b"chunked"))
        query = b"?" + scope["query_string"] if scope["query_string"] else b""
        return h11.Request(method=scope["method"], target=_encoded(self._place.rest) + query, headers=given)

    async def _pass(self, event: object) -> None:
        if isinstance(event, h11.Response):
            self._begun = True
            pages = self._scope["scheme"] == "http"  # where the dashboard is
            left = _NOT_PASSED_ON | _OF_ORIGINS if pages else _NOT_PASSED_ON
            kept = [(name, value) for name, value in event.headers if name not in left]
            headers = [(name, self._moved(value) if name == b"location" else value) for name, value in kept]
            headers += [_ELSEWHERE] if pages else []
            await self._send({"type": "http.response.start", "status": event.status_code, "headers": headers})
        elif isinstance(event, h11.Data):
            await self._send({"type": "http.response.body", "body": bytes(event.data), "more_body": True})

    def _moved(self, location: bytes) -> bytes:
        """Where a redirection to a path of the same server is found from here."""
        if not location.startswith(b"/"):
            return location
        path = self._scope["path"]
        return _encoded(path[: len(path) - len(self._place.rest)]) + location


async def _body(receive: Receive) -> AsyncGenerator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError("the caller is gone")
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body"):
            return
