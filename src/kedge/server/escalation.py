"""Nobody gives rights that they do not have: who makes a role or a binding holds all that it grants, or may do so expressly."""

from collections.abc import Iterable, Sequence

from kedge.kube.faults import shown
from kedge.kube.kinds import Kind, Obj
from kedge.kube.roles import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, GROUP, ROLE, ROLE_BINDING
from kedge.server.auth import User
from kedge.server.authorizer import Authorizer
from kedge.server.core import Target, missing
from kedge.server.refusing import forbidden
from kedge.server.rights import EVERYTHING, Asked, Rule


def judge(authorizer: Authorizer, user: User, kind: Kind, new: Obj, old: Obj | None) -> None:
    """Refuse a role or a binding that grants more than its author has.

    Args:
        authorizer: Knows what they have.
        user: The author.
        kind: The kind; others than these are let pass.
        new: What is to be stored.
        old: What is stored.

    Raises:
        Forbidden: Names each right that is missing.
        NotFound: The role that is bound is not there, so nobody knows what it would grant.
    """
    if kind in {ROLE, CLUSTER_ROLE}:
        _role(authorizer, user, kind, new, old)
    elif kind in {ROLE_BINDING, CLUSTER_ROLE_BINDING}:
        _binding(authorizer, user, kind, new, old)


def _role(authorizer: Authorizer, user: User, kind: Kind, new: Obj, old: Obj | None) -> None:
    namespace, name = new["metadata"].get("namespace", ""), new["metadata"]["name"]
    if old is not None and all((new.get(key) or None) == (old.get(key) or None) for key in ("rules", "aggregationRule")):
        return
    if authorizer.decide(user, Asked("escalate", GROUP, kind.plural, namespace, name)).allowed:
        return
    if new.get("aggregationRule") and authorizer.rights.missing(user, "", EVERYTHING):
        raise forbidden(kind, new, "must have cluster-admin privileges to use the aggregationRule")
    _require(authorizer, user, (kind, new), [Rule.of(rule) for rule in new.get("rules") or ()])


def _binding(authorizer: Authorizer, user: User, kind: Kind, new: Obj, old: Obj | None) -> None:
    namespace = new["metadata"].get("namespace", "")
    if old is not None and (new.get("subjects") or []) == (old.get("subjects") or []) and new["roleRef"] == old.get("roleRef"):
        return
    reference = new["roleRef"]
    plural = ROLE.plural if reference["kind"] == ROLE.kind else CLUSTER_ROLE.plural
    if authorizer.decide(user, Asked("bind", GROUP, plural, namespace, reference["name"])).allowed:
        return
    rules = authorizer.rights.role(reference["kind"], reference["name"], namespace)
    if rules is None:
        raise missing(Target(kind, name=reference["name"]))
    _require(authorizer, user, (kind, new), rules)


def _require(authorizer: Authorizer, user: User, granted: tuple[Kind, Obj], rules: Sequence[Rule]) -> None:
    kind, new = granted
    if lacked := authorizer.rights.missing(user, new["metadata"].get("namespace", ""), rules):
        groups = " ".join(f'"{group}"' for group in user.groups)
        told = "\n".join(sorted(_compact(lacked)))
        why = f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n{told}'
        raise forbidden(kind, new, why)


def _compact(parts: Iterable[Rule]) -> list[str]:
    """Rules of one verb each, put together by what they are about, as a real API server prints them."""
    verbs: dict[Rule, list[str]] = {}
    for part in parts:
        about = Rule((), part.groups, part.resources, part.names, part.paths)
        if part.verbs[0] not in verbs.setdefault(about, []):
            verbs[about].append(part.verbs[0])
    return [_words(about, found) for about, found in verbs.items()]


def _words(about: Rule, verbs: list[str]) -> str:
    named = (
        ("APIGroups", about.groups),
        ("Resources", about.resources),
        ("ResourceNames", about.names),
        ("NonResourceURLs", about.paths),
        ("Verbs", verbs),
    )
    return "{" + ", ".join(f"{name}:[{' '.join(shown(each) for each in values)}]" for name, values in named if values) + "}"
