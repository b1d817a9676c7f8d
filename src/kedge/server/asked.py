"""What a request wants to do, read from its path and method alone: before anything of it is looked for, or its body is read."""

from urllib.parse import parse_qs

from starlette.types import Scope

from kedge.server.rights import Asked

_VERBS: dict[str, str] = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get", "HEAD": "get"}
# Of these a namespace has parts of its own; everything else below it is a resource.
_OF_NAMESPACES = frozenset({"status", "finalize"})


def is_true(text: str) -> bool:
    """Whether a parameter says yes, as Kubernetes reads it: whatever is neither ``0`` nor ``false``, also nothing.

    Args:
        text: Its value.
    """
    return text != "0" and text.lower() != "false"


def asked_of(scope: Scope) -> Asked:
    """What a request wants, in the words in which rights are given.

    Args:
        scope: ASGI's.
    """
    path: str = scope["path"]
    method: str = scope["method"]
    parts = [part for part in path.split("/") if part]
    core = parts[:1] == ["api"]
    if len(parts) < (3 if core else 4) or parts[0] not in {"api", "apis"}:
        return Asked(method.lower(), path=path)
    group, rest = ("", parts[2:]) if core else (parts[1], parts[3:])
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in _OF_NAMESPACES:
            rest = rest[2:]
    name = rest[1] if len(rest) > 1 else ""
    resource = "/".join(rest[:1] + rest[2:3])
    verb, fields = _VERBS.get(method, method.lower()), ""
    if not name and verb in {"get", "delete"}:
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        verb = "deletecollection" if verb == "delete" else "watch" if is_true(query.get("watch", ["0"])[-1]) else "list"
        fields = query.get("fieldSelector", [""])[-1]
        named = [part.partition("=")[2].lstrip("=") for part in fields.split(",") if part.startswith("metadata.name=")]
        name = named[0] if named else ""
    return Asked(verb, group, resource, namespace, name, fields=fields)
