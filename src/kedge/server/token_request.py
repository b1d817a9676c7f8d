"""The subresource ``serviceaccounts/NAME/token``: hands out tokens."""

from kedge.errors import BadRequest, Conflict
from kedge.kube.core import NODE, POD, SECRET
from kedge.kube.faults import invalid
from kedge.kube.kinds import Kind, Obj
from kedge.kube.schemas import CoreSchema
from kedge.server import metadata, schema
from kedge.server.accepting import accept
from kedge.server.core import Core, Target, WriteOptions
from kedge.server.tokens import MAX_SECONDS, MIN_SECONDS, Reference, Tokens

_KIND = Kind("TokenRequest", "tokenrequests", group="authentication.k8s.io", schema=CoreSchema("TokenRequest"))
_BOUND = (POD, SECRET, NODE)


def request_token(core: Core, target: Target, obj: Obj, tokens: Tokens) -> Obj:
    """Answer a ``TokenRequest``.

    Args:
        core: The server.
        target: The service account.
        obj: The request; ``spec.boundObjectRef`` may name a Pod or Secret of the same namespace, or a Node.
        tokens: Signs.

    Raises:
        BadRequest: It is to be bound to something else.
        Conflict: What it is to be bound to is another one by now.
        Invalid: The request breaks a rule.
        NotFound: There is no such account, or nothing to bind it to.
    """
    account = core.load(core.find(Target(target.kind, target.namespace, target.name)), target.kind)["metadata"]
    request = accept(Target(_KIND, target.namespace, target.name), schema.without_nulls(obj), WriteOptions())
    spec: Obj = request.get("spec", {})
    seconds: int = spec.get("expirationSeconds", 3600)
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        bound = "less than 10 minutes" if seconds < MIN_SECONDS else "larger than 2^32 seconds"
        fault = invalid("spec.expirationSeconds", seconds, f"may not specify a duration {bound}")
        raise metadata.invalid(_KIND, "", [fault])
    bound = _bound(core, target, spec["boundObjectRef"]) if spec.get("boundObjectRef") else None
    if target.namespace is None:
        raise BadRequest("a token is asked for in a namespace.")
    owner = Reference(account["name"], account["uid"])
    token, end = tokens.issue(target.namespace, owner, audiences=spec.get("audiences", ()), seconds=seconds, bound=bound)
    meta = {"name": target.name, "namespace": target.namespace, "creationTimestamp": None}
    spec = {**spec, "expirationSeconds": seconds, "audiences": tokens.audiences(spec.get("audiences", ()))}
    status = {"token": token, "expirationTimestamp": end}
    return {"apiVersion": _KIND.api_version, "kind": _KIND.kind, "metadata": meta, "spec": spec, "status": status}


def _bound(core: Core, account: Target, reference: Obj) -> tuple[str, Reference]:
    """What a token shall be bound to, as tokens call it, and which."""
    form = (reference.get("apiVersion") or "v1", reference.get("kind") or "")
    kind = next((each for each in _BOUND if form == (each.api_version, each.kind)), None)
    if kind is None:
        of = f"{form[0]}, Kind={form[1]}" if "/" in form[0] else f"/{form[0]}, Kind={form[1]}"
        raise BadRequest(f"cannot bind token to object of type {of}")
    target = Target(kind, account.namespace if kind.namespaced else None, reference.get("name", ""))
    uid = core.load(core.find(target), kind)["metadata"]["uid"]
    if (wanted := reference.get("uid")) and wanted != uid:
        raise Conflict(
            f"Operation cannot be fulfilled on {target}: the UID in the bound object reference ({wanted}) does not match the UID "
            f"in record. The object might have been deleted and then recreated"
        )
    return kind.kind.lower(), Reference(target.name, uid)
