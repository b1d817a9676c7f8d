"""Callers on a cluster: who they are by their token or by a trusted proxy, what they may do by the cluster's own RBAC.

Each question becomes a LocalSubjectAccessReview in the namespace that it is about, with the group, resources and verbs of
Kubeflow Pipelines, so that its ClusterRoles (``kubeflow-pipelines-edit``, ``-view``) mean here what they mean there, and a Role
of one namespace is all that the hub needs. Answers are used for some seconds. Nobody passes while the API server cannot be asked.
"""

import hmac
import ipaddress
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from kedge.errors import ApiError, BadRequest, Forbidden, KedgeError, Unauthorized, Unavailable
from kedge.kube import names
from kedge.kube.clock import Clock
from kedge.kube.kinds import Obj
from kedge.kube.reviews import LOCAL_SUBJECT_ACCESS_REVIEW
from kedge.server.auth import AUTHENTICATED, User
from kedge.server.callers import GROUP, authorization
from kedge.server.cluster_tokens import ApiServer, ClusterTokens
from kedge.server.remembered import Remembered

AUDIENCE = "pipelines.kubeflow.org"
"""What callers' tokens are for, as Kubeflow has it."""
USER_HEADER, GROUPS_HEADER = "kubeflow-userid", "kubeflow-groups"
PROXY_SECRET_HEADER = "x-kedge-proxy-secret"  # noqa: S105  # the name of a header
ALLOWED_SECONDS, DENIED_SECONDS = 5.0, 1.0
"""How long an answer is used: who was just given a right need not wait."""
READING = frozenset({"get", "list", "readArtifact"})
_TRIES = 2  # a connection that the server has closed meanwhile is noticed only when it is used

_Question = tuple[str, tuple[str, ...], str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class TrustedProxy:
    """Whose word for who asks is taken. All that is given must fit.

    Attributes:
        networks: Where the proxy's requests come from; empty for anywhere.
        secret: What it sends as ``X-Kedge-Proxy-Secret``; ``""`` for nothing.
    """

    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    secret: str = field(default="", repr=False)

    @classmethod
    def of(cls, networks: str, secret: str) -> "TrustedProxy | None":
        """From settings: addresses and networks with commas between them, and a secret; ``None`` without either.

        Raises:
            KedgeError: One is no address and no network.

        Examples:
            >>> TrustedProxy.of("10.0.0.7, 10.1.0.0/16", "").networks
            (IPv4Network('10.0.0.7/32'), IPv4Network('10.1.0.0/16'))
        """
        found: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for text in filter(None, (each.strip() for each in networks.split(","))):
            try:
                found.append(ipaddress.ip_network(text))
            except ValueError as error:
                raise KedgeError(
                    f"KEDGE_TRUSTED_PROXY: {error}. Give addresses or networks of the proxy, such as 10.0.0.7,10.1.0.0/16."
                ) from error
        return cls(tuple(found), secret) if found or secret else None

    def sent(self, headers: Mapping[str, str], peer: str) -> bool:
        """Whether a request comes from the proxy."""
        if self.secret and not hmac.compare_digest(headers.get(PROXY_SECRET_HEADER, "").encode(), self.secret.encode()):
            return False
        if not self.networks:
            return True
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self.networks)


class ClusterCallers:
    """`kedge.server.callers.Callers` of a cluster.

    Args:
        api: The cluster's API server.
        tokens: Checks service accounts' tokens.
        clock: For the age of answers.
        places: The hub's own namespace (who may write pipelines there may write those that all share), and those that it serves;
            ``None`` for all.
        proxy: Whose headers are believed; nobody's by default.
    """

    multi_user = True

    def __init__(
        self,
        api: ApiServer,
        tokens: ClusterTokens,
        clock: Clock,
        places: tuple[str, Collection[str] | None],
        proxy: TrustedProxy | None = None,
    ) -> None:
        self._api = api
        self._tokens = tokens
        self._namespace, self._served = places
        self._proxy = proxy
        self._answers: Remembered[_Question, bool] = Remembered(clock)

    @property
    def served(self) -> Collection[str]:
        """The namespaces that the hub was given."""
        return self._served or ()

    async def caller(self, headers: Mapping[str, str], peer: str) -> User:
        """Who sends a request; see `kedge.server.callers.Callers.caller`."""
        said = headers.get(USER_HEADER, "")
        if self._proxy is not None and said and self._proxy.sent(headers, peer):
            # A proxy knows browsers by their cookies, which they send along when a page of another site makes them ask.
            if headers.get("sec-fetch-site") == "cross-site":
                raise Forbidden("the request was made by a page of another site. Send it from this one, or with a token.")
            return _proxied(said, headers.get(GROUPS_HEADER, ""))
        scheme, _, token = authorization(headers).partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            return await self._tokens.user(token.strip(), AUDIENCE)
        if said:
            raise Unauthorized(
                f"{USER_HEADER} is believed from the trusted proxy alone, and this request ({peer or 'elsewhere'}) is not its: "
                "KEDGE_TRUSTED_PROXY and KEDGE_TRUSTED_PROXY_SECRET of the hub say what is."
            )
        raise Unauthorized(
            "no token came with the request. Send Authorization: Bearer TOKEN (or X-Kedge-Authorization, behind the API server's "
            f"proxy) with a service account's token of audience {AUDIENCE}: kubectl create token NAME --audience {AUDIENCE}."
        )

    async def check(self, user: User, verb: str, resource: str, namespace: str, name: str = "") -> None:
        """Let pass what the cluster's RBAC allows; what belongs to no namespace may be read by everyone who is known."""
        if not namespace and verb in READING:
            return
        where = namespace or self._namespace
        if fault := names.label_fault(where):
            raise BadRequest(f"namespace: {fault}.")
        if namespace and self._served is not None and namespace not in self._served:
            raise Forbidden(
                f"namespace {namespace!r} is not served by this hub, only {', '.join(sorted(self._served))}. "
                "KEDGE_WATCH_NAMESPACES of the hub says which (kedge install --namespaces)."
            )
        if await self._may_any(user, verb, (GROUP, resource), where, name):
            return
        option = "--clusterrole" if self._served is None else "--role"  # as kedge install makes them
        raise Forbidden(_refusal(user, verb, resource, where, option, shared=not namespace))

    async def allows(self, user: User, verb: str, resource: tuple[str, str], namespace: str, name: str = "") -> bool:
        """Whether a caller may do something with objects of the cluster itself, in a namespace that is served.

        Args:
            user: Who asks.
            verb: Kubernetes'.
            resource: Group and plural, the plural with its subresource, such as ``("", "pods/log")``.
            namespace: Where.
            name: Of the object, where it is about one.

        Raises:
            Unavailable: It cannot be found out now.
        """
        if self._served is not None and namespace not in self._served:
            return False
        return await self._may_any(user, verb, resource, namespace, name)

    async def _may_any(self, user: User, verb: str, resource: tuple[str, str], namespace: str, name: str) -> bool:
        # Most rights are to all objects of a kind: asked without the name, one answer is good for all of them.
        for each in dict.fromkeys(("", name)):
            if await self._may(user, (user.name, tuple(user.groups), verb, *resource, namespace, each)):
                return True
        return False

    async def _may(self, user: User, question: _Question) -> bool:
        allowed = self._answers.get(question)
        if allowed is None:
            allowed = await self._ask(user, question)
            self._answers.keep(question, allowed, ALLOWED_SECONDS if allowed else DENIED_SECONDS)
        return allowed

    async def _ask(self, user: User, question: _Question) -> bool:
        _, _, verb, group, resource, namespace, name = question
        plural, _, subresource = resource.partition("/")
        attributes = {"namespace": namespace, "verb": verb, "group": group, "version": "*", "resource": plural}
        if group == GROUP:
            attributes |= {"version": "v1beta1"}
        if subresource:
            attributes |= {"subresource": subresource}
        spec: Obj = {
            "user": user.name,
            "groups": list(user.groups),
            "extra": {key: list(values) for key, values in user.extra.items()},
            "resourceAttributes": attributes | ({"name": name} if name else {}),
        }
        if user.uid:
            spec["uid"] = user.uid
        review = {"metadata": {"namespace": namespace}, "spec": spec}
        for attempt in range(_TRIES):
            try:
                answer = await self._api.create(LOCAL_SUBJECT_ACCESS_REVIEW, review)
            except Forbidden as error:
                raise Forbidden(
                    f"namespace {namespace!r} is not served by this hub: it may not create localsubjectaccessreviews there "
                    f"({error.message}). kedge install grants that for the namespaces that it is given."
                ) from error
            except ApiError as error:
                if attempt + 1 < _TRIES and isinstance(error, Unavailable):
                    continue
                raise Unavailable(f"the cluster cannot be asked what {user.name} may do: {error}") from error
            status = answer.get("status") or {}
            return status.get("allowed") is True and not status.get("denied")
        raise AssertionError("the last attempt returns or raises")


def _proxied(name: str, groups: str) -> User:
    found = [group for each in groups.split(",") if (group := each.strip())]
    for word in (name, *found):
        if word.startswith("system:"):
            raise Unauthorized(f"{USER_HEADER}: {word!r}: names that begin with system: are the cluster's own, no proxy's.")
    return User(name, groups=(*found, AUTHENTICATED))


def _refusal(user: User, verb: str, resource: str, namespace: str, option: str, *, shared: bool) -> str:
    kind, _, account = user.name.partition("system:serviceaccount:")
    subject = f"--serviceaccount={account}" if not kind and account else f"--user={user.name}"
    role = "view" if verb in READING else "edit"
    why = f" What all namespaces share is written by those who may in the hub's own, {namespace!r}." if shared else ""
    return (
        f'{resource}.{GROUP} is forbidden: User "{user.name}" cannot {verb} resource "{resource}" in API group "{GROUP}" in the '
        f'namespace "{namespace}".{why} To allow it: '
        f"kubectl create rolebinding NAME --namespace {namespace} {option} kedge-{role} {subject} "
        f"(with Kubeflow: --clusterrole kubeflow-pipelines-{role})"
    )
