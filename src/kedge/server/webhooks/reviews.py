"""AdmissionReviews (``admission.k8s.io/v1`` and ``v1beta1``): what a webhook is asked, and what its answer says.

The protocol is that of https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from kedge.errors import ApiError, api_error
from kedge.kube.core import NAMESPACE
from kedge.kube.faults import shown as written
from kedge.kube.kinds import Kind, Obj
from kedge.server.core import Write, clone
from kedge.server.core import shown as shaped

GROUP, KIND = "admission.k8s.io", "AdmissionReview"
VERSIONS = ("v1", "v1beta1")


class Unusable(Exception):
    """An answer that is none; the text says why, in kube-apiserver's words."""


class _Wrong(Exception):
    """What is wrong with an answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a webhook says.

    Attributes:
        allowed: Whether the write may happen.
        result: A ``Status``, of a refusal.
        patch: Operations of a JSON patch; ``None`` without one.
        warnings: For whoever asked.
    """

    allowed: bool
    result: Obj
    patch: list[Any] | None
    warnings: list[str]


def request(write: Write, kind: Kind) -> Obj:
    """What is asked, but for its uid and the objects.

    Args:
        write: What is about to happen.
        kind: The version as which the webhook knows it.
    """
    target, user = write.target, write.user
    asked, resource = _kind(write, target.kind), _resource(target.kind)
    name = target.name or str(((write.new or {}).get("metadata") or {}).get("name") or "")
    found: Obj = {"kind": _kind(write, kind), "resource": _resource(kind)}
    found |= {"subResource": target.subresource} if target.subresource else {}
    found |= {"requestKind": asked, "requestResource": resource}
    found |= {"requestSubResource": target.subresource} if target.subresource else {}
    found |= {"name": name} if name and not write.collection else {}
    namespace = target.namespace if target.kind.namespaced else name if target.kind == NAMESPACE else ""
    found |= {"namespace": namespace} if namespace else {}
    found |= {"operation": write.operation}
    who: Obj = {"username": user.name}
    who |= {"uid": user.uid} if user.uid else {}
    who |= {"groups": list(user.groups)} if user.groups else {}
    who |= {"extra": {each: list(values) for each, values in user.extra.items()}} if user.extra else {}
    return {**found, "userInfo": who, "dryRun": write.dry_run, "options": write.options or None}


def _kind(write: Write, kind: Kind) -> Obj:
    if write.form is not None:
        group, _, version = write.form[0].rpartition("/")
        return {"group": group, "version": version, "kind": write.form[1]}
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}


def _resource(kind: Kind) -> Obj:
    return {"group": kind.group, "version": kind.version, "resource": kind.plural}


def shown(obj: Obj | None, write: Write, kind: Kind) -> Obj | None:
    """An object as the webhook knows it: in the version that its rules name."""
    if obj is None or kind == write.target.kind or write.form is not None:
        return obj
    return shaped(kind, clone(obj))


def review(uid: str, version: str, asked: Obj, new: Obj | None, old: Obj | None) -> bytes:
    """The body of a request.

    Args:
        uid: The answer names it.
        version: One of `VERSIONS`.
        asked: As `request` makes it.
        new: The object as it is to be.
        old: As it is.
    """
    options = asked["options"]
    whole = {"uid": uid, **asked, "object": new, "oldObject": old, "options": options}
    return msgspec.json.encode({"kind": KIND, "apiVersion": f"{GROUP}/{version}", "request": whole})


def read(body: Any, version: str, uid: str, *, mutating: bool) -> Answer:
    """Read an answer.

    Args:
        body: JSON that came.
        version: Of the review that was sent.
        uid: Its uid.
        mutating: Whether the webhook may change the object.

    Raises:
        Unusable: It is not an answer to what was asked.
    """
    try:
        return _read(body if isinstance(body, dict) else {}, version, uid, mutating=mutating)
    except _Wrong as error:
        raise Unusable(f"received invalid webhook response: {error}") from error


def _read(given: Obj, version: str, uid: str, *, mutating: bool) -> Answer:
    response: Any = given.get("response")
    if not isinstance(response, dict):
        raise _Wrong("webhook response was absent")
    if version == "v1":
        if response.get("uid", "") != uid:
            raise _Wrong(f"expected response.uid={written(uid)}, got {written(response.get('uid', ''))}")
        group, _, found = str(given.get("apiVersion") or "").rpartition("/")
        if (group, found, given.get("kind")) != (GROUP, "v1", KIND):
            got = f"{group}/{found}, Kind={given.get('kind') or ''}"
            raise _Wrong(f"expected webhook response of {GROUP}/v1, Kind={KIND}, got {got}")
        _check_patch(response, mutating=mutating)
    patch = response.get("patch") if mutating else None
    result = response.get("status")
    return Answer(
        response.get("allowed") is True,
        dict(result) if isinstance(result, dict) else {},
        _operations(patch) if patch else None,
        [str(each) for each in response.get("warnings") or ()],
    )


def _check_patch(response: Mapping[str, Any], *, mutating: bool) -> None:
    patch, form = response.get("patch"), response.get("patchType")
    if not mutating:
        for name, value in (("patch", patch or None), ("patchType", form)):
            if value is not None:
                raise _Wrong(f"validating webhook may not return response.{name}")
    elif patch and form is None:
        raise _Wrong("webhook returned response.patch but not response.patchType")
    elif not patch and form is not None:
        raise _Wrong("webhook returned response.patchType but not response.patch")
    elif form == "":
        raise _Wrong('webhook returned invalid response.patchType of ""')


def _operations(patch: Any) -> list[Any]:
    try:
        found = json.loads(base64.b64decode(str(patch), validate=True))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise Unusable(f"received undecodable patch in webhook response: {error}") from error
    if not isinstance(found, list):
        raise Unusable("received undecodable patch in webhook response: it is no list of operations")
    return found


def denied(name: str, result: Obj) -> ApiError:
    """The error of a write that a webhook refuses.

    Args:
        name: The webhook's.
        result: The ``Status`` that it gave; may be empty.
    """
    code = result.get("code")
    code = code if isinstance(code, int) and code >= 400 else 400
    why, reason = str(result.get("message") or ""), str(result.get("reason") or "")
    told = f"admission webhook {written(name)} denied the request"
    told += f": {why or reason}" if why or reason else " without explanation"
    error = api_error(code, reason, told)
    error.code, error.reason = code, reason
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": told}
    status |= {"reason": reason} if reason else {}
    status |= {"details": result["details"]} if isinstance(result.get("details"), dict) else {}
    error.status = {**status, "code": code}
    return error
