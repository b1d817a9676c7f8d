"""Reviews: questions to the server that look like objects. They are created, answered in ``status``, and never stored."""

from typing import Any

from kedge.errors import MethodNotAllowed, Unauthorized
from kedge.kube.clock import timestamp
from kedge.kube.kinds import Obj
from kedge.server.auth import Authenticator, User
from kedge.server.core import Core, Target, WriteOptions, accept
from kedge.server.tokens import DEFAULT_AUDIENCE

_OWNER_ONLY = "only the host's owner may use its Kubernetes API; RBAC is not served here yet"


def review(core: Core, target: Target, obj: Obj, user: User, authenticator: Authenticator) -> Obj:
    """Answer a review.

    Args:
        core: The server.
        target: The review's kind.
        obj: The question.
        user: Who asks.
        authenticator: Looks into tokens, for ``TokenReview``.

    Raises:
        MethodNotAllowed: A review that is not answered here.
    """
    request = accept(target, obj, WriteOptions())
    request["metadata"] = {"creationTimestamp": timestamp(core.clock.now())}
    spec: Obj = request.get("spec", {})
    kind = target.kind.kind
    if kind == "TokenReview":
        request["status"] = _token_review(spec, authenticator)
    elif kind == "SelfSubjectReview":
        request["status"] = {"userInfo": _user_info(user)}
    elif kind == "SelfSubjectAccessReview":
        request["status"] = {"allowed": True} if user.is_owner else {"allowed": False, "reason": _OWNER_ONLY}
    elif kind == "SelfSubjectRulesReview":
        request["status"] = _rules(user)
    else:
        raise MethodNotAllowed(f"{target.kind.resource} are not answered here.")
    return request


def _token_review(spec: Obj, authenticator: Authenticator) -> Obj:
    audiences: list[str] = spec.get("audiences") or [DEFAULT_AUDIENCE]
    try:
        user = authenticator.user(str(spec.get("token", "")), audiences)
    except Unauthorized as error:
        return {"authenticated": False, "user": {}, "error": error.message}
    return {"authenticated": True, "user": _user_info(user), "audiences": list(user.audiences)}


def _user_info(user: User) -> Obj:
    info: dict[str, Any] = {"username": user.name, "groups": list(user.groups)}
    if user.uid:
        info["uid"] = user.uid
    if user.extra:
        info["extra"] = {name: list(values) for name, values in user.extra.items()}
    return info


def _rules(user: User) -> Obj:
    everything = ["*"]
    resources: list[Obj] = [{"verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"]}]
    if user.is_owner:
        resources = [{"verbs": everything, "apiGroups": everything, "resources": everything}]
    paths: list[Obj] = [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/livez", "/readyz", "/version"]}]
    if user.is_owner:
        paths = [{"verbs": everything, "nonResourceURLs": everything}]
    return {"resourceRules": resources, "nonResourceRules": paths, "incomplete": False}
