"""Reviews: questions to the server that look like objects. They are created, answered in ``status``, and never stored."""

from typing import Any

from kedge.errors import About, BadRequest, Cause, MethodNotAllowed, Unauthorized
from kedge.kube import faults
from kedge.kube.clock import timestamp
from kedge.kube.kinds import Obj
from kedge.server import metadata
from kedge.server.accepting import accept
from kedge.server.auth import Authenticator, User
from kedge.server.authorizer import Authorizer
from kedge.server.core import Core, Target, WriteOptions
from kedge.server.rights import EVERYTHING, Asked, Rule
from kedge.server.tokens import DEFAULT_AUDIENCE

_EITHER = "exactly one of nonResourceAttributes or resourceAttributes must be specified"


def review(core: Core, target: Target, obj: Obj, user: User, deciding: tuple[Authenticator, Authorizer]) -> Obj:
    """Answer a review.

    Args:
        core: The server.
        target: The review's kind, and the namespace of a local one.
        obj: The question.
        user: Who asks.
        deciding: Who looks into tokens, for ``TokenReview``, and who knows what may be done.

    Raises:
        BadRequest: The question names no namespace or token, and is about one, or is of another namespace than the request.
        Invalid: The question breaks a rule.
        MethodNotAllowed: A review that is not answered here.
    """
    authenticator, authorizer = deciding
    request = accept(target, obj, WriteOptions())
    space = request["metadata"].get("namespace")
    if target.namespace is not None and space and space != target.namespace:
        raise BadRequest(metadata.OTHER_NAMESPACE)
    request["metadata"] = {"creationTimestamp": timestamp(core.clock.now())}
    spec: Obj = request.get("spec", {})
    kind = target.kind.kind
    if kind == "TokenReview":
        request["status"] = _token_review(spec, authenticator)
    elif kind == "SelfSubjectReview":
        request["status"] = {"userInfo": _user_info(user)}
    elif kind == "SelfSubjectRulesReview":
        request["status"] = _rules(spec, user, authorizer)
    elif kind.endswith("SubjectAccessReview"):
        local = {"namespace": target.namespace} if kind == "LocalSubjectAccessReview" else {}
        request["metadata"] = {"creationTimestamp": None, **local}
        _require_question(target, spec, about_oneself=kind == "SelfSubjectAccessReview")
        about = user if kind == "SelfSubjectAccessReview" else _user_of(spec)
        decision = authorizer.decide(about, _asked(spec))
        request["status"] = {"allowed": decision.allowed, **({"reason": decision.reason} if decision.reason else {})}
    else:
        raise MethodNotAllowed(f"{target.kind.resource} are not answered here.")
    return request


def _token_review(spec: Obj, authenticator: Authenticator) -> Obj:
    if not spec.get("token"):
        raise BadRequest("token is required for TokenReview in authentication")
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


def _user_of(spec: Obj) -> User:
    extra = {name: tuple(values) for name, values in (spec.get("extra") or {}).items()}
    return User(spec.get("user", ""), spec.get("uid", ""), tuple(spec.get("groups") or ()), extra)


def _require_question(target: Target, spec: Obj, *, about_oneself: bool) -> None:
    found: list[Cause] = []
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is None and path is None:
        found.append(faults.invalid("spec.resourceAttributes", None, _EITHER))
    elif resource is not None and path is not None:
        words = {"Path": path.get("path", ""), "Verb": path.get("verb", "")}
        why = "cannot be specified in combination with resourceAttributes"
        found.append(faults.invalid("spec.nonResourceAttributes", words, why))
    if not about_oneself and not spec.get("user") and not spec.get("groups"):
        found.append(faults.invalid("spec.user", "", "at least one of user or group must be specified"))
    if target.namespace and (named := (resource or {}).get("namespace", "")) != target.namespace:
        found.append(faults.invalid("spec.resourceAttributes.namespace", named, "must match metadata.namespace"))
    if found:
        error = metadata.invalid(target.kind, "", found)
        error.about = About(group=target.kind.group)
        raise error


def _asked(spec: Obj) -> Asked:
    if (path := spec.get("nonResourceAttributes")) is not None:
        return Asked(path.get("verb", ""), path=path.get("path", ""))
    about: Obj = spec["resourceAttributes"]
    resource, inner = about.get("resource", ""), about.get("subresource")
    return Asked(
        about.get("verb", ""),
        about.get("group", ""),
        f"{resource}/{inner}" if inner else resource,
        about.get("namespace", ""),
        about.get("name", ""),
        fields=(about.get("fieldSelector") or {}).get("rawSelector", ""),
    )


def _rules(spec: Obj, user: User, authorizer: Authorizer) -> Obj:
    if not (namespace := spec.get("namespace")):
        raise BadRequest("no namespace on request")
    own = EVERYTHING if user.is_owner else ()  # the owner has it whatever is bound
    found = list(dict.fromkeys((*own, *authorizer.rights.rules(user, namespace))))
    return {
        "resourceRules": [_resource_rule(rule) for rule in found if not rule.paths],
        "nonResourceRules": [{"verbs": [*rule.verbs], "nonResourceURLs": [*rule.paths]} for rule in found if rule.paths],
        "incomplete": False,
    }


def _resource_rule(rule: Rule) -> Obj:
    made: Obj = {"verbs": [*rule.verbs], "apiGroups": [*rule.groups], "resources": [*rule.resources]}
    return {**made, "resourceNames": [*rule.names]} if rule.names else made
