"""Gives Services their addresses and node ports: never one twice, and free again with the Service.

What is taken is an index over the stored Services that the log's own writes keep: nothing is reserved apart, so nothing can be
lost or left behind, whatever stops when. Between the choice and the write nobody else writes, because both are one call of the
event loop. The range of addresses is of no use outside this host; ``10.96.0.1`` is kept for the API server's own Service, and
``10.96.0.10`` for the resolver of the Pods' network.
"""

import ipaddress
from collections.abc import Iterable, Iterator

import msgspec

from kedge.errors import Cause
from kedge.kube import faults
from kedge.kube.clock import Ids
from kedge.kube.kinds import Kind, Obj
from kedge.kube.services import EXTERNAL, HEADLESS, OWN, SERVICE, carry
from kedge.network.protocol import RESOLVER
from kedge.server import metadata
from kedge.store.types import Record, Store

RANGE = ipaddress.IPv4Network("10.96.0.0/16")
API_SERVER = str(RANGE[1])
_RESERVED = {API_SERVER: f"/registry/{SERVICE.resource}/{'/'.join(OWN)}", RESOLVER: ""}
"""Who has an address whether or not its Service is there."""
NODE_PORTS = range(30000, 32768)


class Allocations:
    """Hook of the server's that gives Services what they need.

    Args:
        store: Where Services lie.
        ids: Where the search for a free one begins: anywhere, so that one which was just let go is not given again at once.
    """

    def __init__(self, store: Store, ids: Ids) -> None:
        self._ids = ids
        self._addresses: dict[str, str] = {}
        self._ports: dict[int, str] = {}
        prefix = f"/registry/{SERVICE.resource}/"
        self._end = store.subscribe(prefix, self._changed)
        for record in store.list(prefix).records:
            self._take(record.key, record.value)

    def admit(self, verb: str, kind: Kind, new: Obj, old: Obj | None) -> None:
        """Complete a Service that is being made or changed; a hook of the server's.

        Raises:
            Invalid: What it asks for is taken, or is none of this host's.
        """
        if kind is not SERVICE or verb == "delete":
            return
        spec: Obj = new["spec"]
        if old is not None:
            carry(spec, old.get("spec") or {})
        if spec.get("type") not in {"ClusterIP", "ExternalName", *EXTERNAL}:
            return  # the rules refuse it
        key = f"/registry/{SERVICE.resource}/{new['metadata']['namespace']}/{new['metadata']['name']}"
        found = [*self._give_address(spec, key), *self._give_ports(spec, key)]
        if found:
            raise metadata.invalid(kind, new["metadata"]["name"], found)

    def _give_address(self, spec: Obj, key: str) -> Iterator[Cause]:
        if spec["type"] == "ExternalName":
            return
        asked = spec.get("clusterIP")
        dual = asked == HEADLESS and not spec.get("selector")
        spec.setdefault("ipFamilies", ["IPv4", "IPv6"] if dual and not spec.get("ipFamilyPolicy") else ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "RequireDualStack" if len(spec["ipFamilies"]) > 1 else "SingleStack")
        if asked == HEADLESS:
            return
        if not asked:
            asked = next(self._free_addresses(), None)
            if asked is None:
                yield faults.invalid("spec.clusterIPs", [], f"failed to allocate an IP: range {RANGE} is full")
                return
            spec["clusterIP"], spec["clusterIPs"] = asked, [asked]
        elif not faults.is_address(asked) or self._holder(asked) == key:
            return  # the rules say so · it is its own
        elif fault := self._address_fault(asked):
            yield faults.invalid("spec.clusterIPs", [asked], f"failed to allocate IP {asked}: {fault}")

    def _address_fault(self, address: str) -> str:
        if ipaddress.ip_address(address) not in RANGE:
            return f"the provided IP ({address}) is not in the valid range. The range of valid IPs is {RANGE}"
        return "provided IP is already allocated" if self._holder(address) is not None else ""

    def _holder(self, address: str) -> str | None:
        """Whose an address is: the key of a Service, empty for none of them; ``None`` where it is free."""
        return self._addresses.get(address, _RESERVED.get(address))

    def _free_addresses(self) -> Iterator[str]:
        size = RANGE.num_addresses - 2
        start = self._somewhere(size)
        for step in range(size):
            address = str(RANGE[1 + (start + step) % size])
            if self._holder(address) is None:
                yield address

    def _give_ports(self, spec: Obj, key: str) -> Iterator[Cause]:
        if spec["type"] not in EXTERNAL:
            return
        ports: list[tuple[int, Obj]] = list(faults.objects(spec.get("ports")))
        given: dict[int, str] = {}
        for index, port in ports:
            if number := port.get("nodePort"):
                at, protocol = f"spec.ports[{index}].nodePort", port.get("protocol", "")
                if number not in NODE_PORTS:
                    first, last = NODE_PORTS[0], NODE_PORTS[-1]
                    yield faults.invalid(
                        at, number, f"provided port is not in the valid range. The range of valid ports is {first}-{last}"
                    )
                elif self._ports.get(number, key) != key or given.get(number, "") == protocol:
                    yield faults.invalid(at, number, "provided port is already allocated")
                given[number] = protocol
        if spec["type"] == "LoadBalancer" and not spec.get("allocateLoadBalancerNodePorts", True):
            return
        for index, port in ports:
            if not port.get("nodePort"):
                number = next(self._free_ports(given), None)
                if number is None:
                    yield faults.invalid(f"spec.ports[{index}].nodePort", 0, "failed to allocate a nodePort: range is full")
                    return
                port["nodePort"] = number
                given[number] = ""

    def _free_ports(self, given: Iterable[int]) -> Iterator[int]:
        start = self._somewhere(len(NODE_PORTS))
        for step in range(len(NODE_PORTS)):
            number = NODE_PORTS[(start + step) % len(NODE_PORTS)]
            if number not in self._ports and number not in given:
                yield number

    def _somewhere(self, size: int) -> int:
        return int(self._ids.uid().replace("-", ""), 16) % size

    # -- what is taken --------------------------------------------------------------------------------------------------

    def _changed(self, record: Record) -> None:
        before = record.value if record.deleted else record.previous
        if before is not None:
            for address in _addresses(before):
                self._addresses.pop(address, None)
            for port in _ports(before):
                self._ports.pop(port, None)
        if not record.deleted:
            self._take(record.key, record.value)

    def _take(self, key: str, value: bytes) -> None:
        self._addresses |= dict.fromkeys(_addresses(value), key)
        self._ports |= dict.fromkeys(_ports(value), key)


class _Port(msgspec.Struct):
    nodePort: int = 0  # noqa: N815  # Kubernetes' own name


class _Spec(msgspec.Struct):
    clusterIP: str = ""  # noqa: N815  # Kubernetes' own name
    ports: list[_Port] = []


class _Service(msgspec.Struct):
    spec: _Spec = msgspec.field(default_factory=_Spec)


_decode = msgspec.json.Decoder(_Service).decode


def _addresses(value: bytes) -> list[str]:
    address = _decode(value).spec.clusterIP
    return [address] if address not in {"", HEADLESS} else []


def _ports(value: bytes) -> list[int]:
    return [port.nodePort for port in _decode(value).spec.ports if port.nodePort]
