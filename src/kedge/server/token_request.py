"""The subresource ``serviceaccounts/NAME/token``: hands out tokens."""

from kedge.errors import BadRequest, Cause, Conflict
from kedge.kube.core import POD
from kedge.kube.kinds import Kind, Obj
from kedge.server import metadata, schema
from kedge.server.core import Core, Target, WriteOptions, accept
from kedge.server.tokens import MAX_SECONDS, MIN_SECONDS, Reference, Tokens

_KIND = Kind(
    "TokenRequest",
    "tokenrequests",
    group="authentication.k8s.io",
    schema={
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "audiences": {"type": "array", "items": {"type": "string"}},
                    "expirationSeconds": {"type": "integer"},
                    "boundObjectRef": {
                        "type": "object",
                        "properties": {name: {"type": "string"} for name in ("kind", "apiVersion", "name", "uid")},
                    },
                },
            },
            "status": {"type": "object"},
        },
    },
)


def request_token(core: Core, target: Target, obj: Obj, tokens: Tokens) -> Obj:
    """Answer a ``TokenRequest``.

    Args:
        core: The server.
        target: The service account.
        obj: The request; ``spec.boundObjectRef`` may name a Pod of the same namespace.
        tokens: Signs.

    Raises:
        Conflict: The Pod is another one by now.
        Invalid: The request breaks a rule.
        NotFound: There is no such account or Pod.
    """
    account = core.load(core.find(Target(target.kind, target.namespace, target.name)))["metadata"]
    request = accept(Target(_KIND, target.namespace, target.name), schema.without_nulls(obj), WriteOptions())
    spec: Obj = request.get("spec", {})
    seconds: int = spec.get("expirationSeconds", 3600)
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        fault = Cause("spec.expirationSeconds", f"must be {MIN_SECONDS} (ten minutes) to {MAX_SECONDS}, got {seconds}")
        raise metadata.invalid(_KIND, target.name, [fault])
    pod = _bound_pod(core, target.namespace, spec["boundObjectRef"]) if spec.get("boundObjectRef") else None
    if target.namespace is None:
        raise BadRequest("a token is asked for in a namespace.")
    owner = Reference(account["name"], account["uid"])
    token, end = tokens.issue(target.namespace, owner, audiences=spec.get("audiences", ()), seconds=seconds, pod=pod)
    meta = {"name": target.name, "namespace": target.namespace, "creationTimestamp": None}
    spec = {**spec, "expirationSeconds": seconds, "audiences": tokens.audiences(spec.get("audiences", ()))}
    status = {"token": token, "expirationTimestamp": end}
    return {"apiVersion": _KIND.api_version, "kind": _KIND.kind, "metadata": meta, "spec": spec, "status": status}


def _bound_pod(core: Core, namespace: str | None, reference: Obj) -> Reference:
    if reference.get("kind") != "Pod":
        fault = Cause("spec.boundObjectRef.kind", f"must be Pod, got {reference.get('kind')!r}", "FieldValueNotSupported")
        raise metadata.invalid(_KIND, "", [fault])
    target = Target(POD, namespace, reference.get("name", ""))
    uid = core.load(core.find(target))["metadata"]["uid"]
    if (wanted := reference.get("uid")) and wanted != uid:
        raise Conflict(f"{target}: the UID in the bound object reference ({wanted}) is not that of the Pod ({uid}).")
    return Reference(target.name, uid)
