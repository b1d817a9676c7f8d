"""Passes callers' requests for the Kubernetes API on to the cluster of a hub with many of them, so far as hub and caller may.

The hub has rights in its namespaces alone, and a caller's token is for the hub and no API server. So what is passed on goes with
the hub's own credentials, is something that the hub's Role allows, and has been asked for the caller before: may this user do
this verb with this resource in this namespace? What only reads is passed on, and deleting; a change of an object would be the
hub's in the cluster's records, where it is to be its author's. What is refused names the kubectl command that does it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from kedge.client.http import HttpClient
from kedge.errors import ApiError, Forbidden, NotFound
from kedge.kube.kinds import Kind, Obj
from kedge.kube.names import label_fault, subdomain_fault
from kedge.server.cluster_callers import ClusterCallers
from kedge.server.requests import Options
from kedge.server.status import send_error, send_json
from kedge.server.streams import pass_on

_PATHS = ("/api", "/apis", "/api/{rest:path}", "/apis/{rest:path}")
_PASSED_ON = frozenset({"get", "list", "delete"})
_QUERY = ("limit", "continue", "labelSelector", "fieldSelector", "container", "previous", "tailLines", "timestamps")
_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_COMMANDS = {"update": "edit", "patch": "edit", "list": "get"}


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request is about, by its path."""

    verb: str
    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def kubectl(self) -> str:
        """The command that does the same."""
        words = [_COMMANDS.get(self.verb, self.verb), f"{self.plural}.{self.group}" if self.group else self.plural, self.name]
        if self.subresource == "log":
            words = ["logs", self.name]
        where = ["--namespace", self.namespace] if self.namespace else []
        return " ".join(filter(None, ["kubectl", *words, *where]))


def routes(client: HttpClient, callers: ClusterCallers, kinds: Sequence[Kind], rules: Iterable[Obj]) -> list[BaseRoute]:
    """The routes; those of others that begin with ``/api`` or ``/apis`` must stand before them.

    Args:
        client: Speaks to the cluster, with the hub's credentials.
        callers: Knows who asks, and what they may do.
        kinds: Those that there are for people to see.
        rules: Of the hub's Role in each of its namespaces.
    """
    rights: dict[tuple[str, str], set[str]] = {
        (group, resource): set(rule["verbs"]) & _PASSED_ON
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    guarded = _Guarded(client, callers, [kind for kind in kinds if rights.get((kind.group, kind.plural))], rights)
    return [Route(path, guarded, methods=list(_VERBS)) for path in _PATHS]


class _Guarded:
    def __init__(
        self, client: HttpClient, callers: ClusterCallers, kinds: Sequence[Kind], rights: Mapping[tuple[str, str], set[str]]
    ) -> None:
        self._client = client
        self._callers = callers
        self._kinds = kinds
        self._rights = rights

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        try:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            user = await self._callers.caller(headers, (scope.get("client") or ("",))[0])
            parts = scope["path"].strip("/").split("/")
            if (known := self._known(parts)) is not None:
                await send_json(send, known)
                return
            asked = _asked(scope["method"], parts)
            self._hub_may(asked)
            options = Options(scope).only(*_QUERY)
            resource = "/".join(filter(None, (asked.plural, asked.subresource)))
            if not await self._callers.allows(user, asked.verb, (asked.group, resource), asked.namespace, asked.name):
                raise Forbidden(
                    f"{user.name} may not {asked.verb} {resource} in namespace {asked.namespace}: the cluster says so. Whoever "
                    f"administers it can allow it (the ClusterRole view lets read Pods and events); kubectl auth can-i "
                    f"{asked.verb} {resource} --namespace {asked.namespace} --as {user.name} tells when it is."
                )
            path = self._kind(asked).path(asked.namespace, asked.name or None, asked.subresource or None)
            query = {name: options.text(name) for name in _QUERY if options.text(name)}
            accept = {"accept": headers.get("accept", "application/json")}
        except ApiError as error:
            await send_error(send, error)
            return
        await pass_on(send, self._client.exchange(scope["method"], f"{path}?{urlencode(query)}", headers=accept))

    def _known(self, parts: Sequence[str]) -> Obj | None:
        """What discovery says, if it is asked for: the kinds that are passed on, and nothing of the cluster."""
        if parts in (["api"], ["apis"]):
            groups: dict[tuple[str, str], list[Obj]] = {}
            for kind in self._kinds:
                if bool(kind.group) == (parts == ["apis"]):
                    groups.setdefault((kind.group, kind.version), []).append(self._discovered(kind))
            items = [
                {"metadata": {"name": group}, "versions": [{"version": version, "resources": resources}]}
                for (group, version), resources in groups.items()
            ]
            return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "items": items}
        if len(parts) == (2 if parts[0] == "api" else 3):
            group, version = ("" if parts[0] == "api" else parts[1]), parts[-1]
            listed: list[dict[str, Any]] = [
                {"name": kind.plural, "kind": kind.kind, "namespaced": kind.namespaced, "verbs": sorted(self._verbs(kind))}
                for kind in self._kinds
                if (kind.group, kind.version) == (group, version)
            ]
            name = f"{group}/{version}" if group else version
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": listed}
        return None

    def _discovered(self, kind: Kind) -> Obj:
        shown = {"group": kind.group, "version": kind.version, "kind": kind.kind}
        return {"resource": kind.plural, "responseKind": shown, "scope": "Namespaced", "verbs": sorted(self._verbs(kind))}

    def _verbs(self, kind: Kind) -> set[str]:
        return self._rights[kind.group, kind.plural]

    def _kind(self, asked: _Asked) -> Kind:
        return next(kind for kind in self._kinds if (kind.group, kind.plural) == (asked.group, asked.plural))

    def _hub_may(self, asked: _Asked) -> None:
        """Refuse what the hub may not do, or does not do for others."""
        known = [
            kind for kind in self._kinds if (kind.group, kind.version, kind.plural) == (asked.group, asked.version, asked.plural)
        ]
        resource = "/".join(filter(None, (asked.plural, asked.subresource)))
        if not known:
            raise Forbidden(
                f"this hub may not see {asked.plural}: it has rights to what runs are made of. `{asked.kubectl}` shows them."
            )
        if not asked.namespace:
            raise Forbidden(
                f"this hub shows {asked.plural} of one namespace at a time. `{asked.kubectl} --all-namespaces` shows all."
            )
        if asked.verb not in self._rights.get((asked.group, resource), ()):
            raise Forbidden(
                f"this hub does not {asked.verb} {resource} for others. `{asked.kubectl}` does it with your own rights."
            )


def _asked(method: str, parts: Sequence[str]) -> _Asked:
    """What a path below ``/api`` or ``/apis`` is about.

    Raises:
        NotFound: There is nothing there.
    """
    group, version, *rest = ("", *parts[1:], "") if parts[0] == "api" else (*parts[1:], "", "")
    rest, namespace = [each for each in rest if each], ""
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    if not 1 <= len(rest) <= 3 or (namespace and label_fault(namespace)) or any(subdomain_fault(each) for each in rest[1:]):
        raise NotFound(f"/{'/'.join(parts)}: there is nothing there.")
    verb = "list" if method == "GET" and len(rest) == 1 else _VERBS[method]
    if verb == "delete" and len(rest) == 1:
        verb = "deletecollection"
    return _Asked(verb, group, version, rest[0], namespace, *rest[1:])
