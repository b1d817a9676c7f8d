"""Who may do what, by RBAC: the stored roles and bindings as an index that the log's own writes keep, and what follows from them.

An evaluation looks at the bindings of the user and of each of their groups, and at nothing else; it reads no store. What is
granted is the sum: there is nothing that forbids.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from kedge.kube.kinds import Kind, Obj
from kedge.kube.roles import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, GROUP_KIND, KINDS, ROLE, ROLE_BINDING, SERVICE_ACCOUNT, USER
from kedge.server.auth import User
from kedge.store.types import Record, Store

ALL = "*"
_decode = msgspec.json.Decoder(Obj).decode


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants to do.

    Attributes:
        verb: Kubernetes', such as ``list``; of a path the method, in small letters.
        group: API group of the resource.
        resource: Plural name, with the subresource behind a slash: ``pods/log``.
        namespace: ``""`` for all, and for resources without.
        name: ``""`` for a collection.
        path: What is asked for where it is no resource; ``""`` otherwise.
        fields: The field selector of a list or watch.
    """

    verb: str
    group: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    fields: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a role.

    Attributes:
        verbs: What may be done; ``*`` is everything, as in the others.
        groups: API groups.
        resources: With subresources; ``*/scale`` is that of all.
        names: Of objects; none stands for all.
        paths: What is no resource; ``*`` at the end stands for the rest.
    """

    verbs: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    @classmethod
    def of(cls, rule: Obj) -> "Rule":
        """As a role has it."""
        parts = (rule.get(key) or () for key in ("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs"))
        return cls(*(tuple(part) for part in parts))

    def allows(self, asked: Asked) -> bool:
        """Whether something may be done by this rule alone."""
        if asked.verb not in self.verbs and ALL not in self.verbs:
            return False
        if asked.path:
            return any(_path_matches(path, asked.path) for path in self.paths)
        if asked.group not in self.groups and ALL not in self.groups:
            return False
        return self._has(asked.resource) and (not self.names or asked.name in self.names)

    def _has(self, resource: str) -> bool:
        if ALL in self.resources or resource in self.resources:
            return True
        _, slash, subresource = resource.partition("/")
        return bool(slash) and f"*/{subresource}" in self.resources

    def parts(self) -> Iterator["Rule"]:
        """The smallest rules that are this one together."""
        for verb in self.verbs:
            for path in self.paths:
                yield Rule((verb,), paths=(path,))
        for group in self.groups:
            for resource in self.resources:
                for verb in self.verbs:
                    for name in self.names or (None,):
                        yield Rule((verb,), (group,), (resource,), (name,) if name is not None else ())

    def covers(self, part: "Rule") -> bool:
        """Whether all that the smallest of rules allows is allowed by this one."""
        if part.verbs[0] not in self.verbs and ALL not in self.verbs:
            return False
        if part.paths:
            return any(_path_matches(path, part.paths[0]) for path in self.paths)
        if part.groups[0] not in self.groups and ALL not in self.groups:
            return False
        return self._has(part.resources[0]) and (not self.names or (bool(part.names) and part.names[0] in self.names))


EVERYTHING = (Rule((ALL,), (ALL,), (ALL,)), Rule((ALL,), paths=(ALL,)))


def _path_matches(pattern: str, path: str) -> bool:
    return pattern in {path, ALL} or (pattern.endswith(ALL) and path.startswith(pattern[:-1]))


@dataclass(frozen=True, slots=True)
class _Grant:
    """A binding of one subject.

    Attributes:
        namespace: ``""`` for one of the whole cluster.
        name: Of the binding.
        role: Kind and name of the role.
        subject: In the words in which a decision is told.
    """

    namespace: str
    name: str
    role: tuple[str, str]
    subject: str

    def __str__(self) -> str:
        binding = f'RoleBinding "{self.name}/{self.namespace}"' if self.namespace else f'ClusterRoleBinding "{self.name}"'
        return f'RBAC: allowed by {binding} of {self.role[0]} "{self.role[1]}" to {self.subject}'


Subject = tuple[str, str]


@dataclass(slots=True)
class Rights:
    """The index.

    Args:
        store: Where roles and bindings lie.
    """

    store: Store
    _roles: dict[tuple[str, str], tuple[Rule, ...]] = field(default_factory=dict[tuple[str, str], tuple[Rule, ...]])
    _grants: dict[Subject, dict[str, _Grant]] = field(default_factory=dict[Subject, dict[str, _Grant]])

    def __post_init__(self) -> None:
        for kind in KINDS:
            prefix = f"/registry/{kind.resource}/"
            self.store.subscribe(prefix, lambda record, kind=kind: self._changed(kind, record))
            for record in self.store.list(prefix).records:
                self._put(kind, record.key, _decode(record.value))

    def why(self, user: User, asked: Asked) -> str | None:
        """By what a user may do something; ``None`` where they may not."""
        for grant, rules in self._granted(user, asked.namespace):
            if any(rule.allows(asked) for rule in rules):
                return str(grant)
        return None

    def rules(self, user: User, namespace: str) -> list[Rule]:
        """All that a user may do in a namespace; in none, what they may do everywhere."""
        return [rule for _, rules in self._granted(user, namespace) for rule in rules]

    def role(self, kind: str, name: str, namespace: str = "") -> tuple[Rule, ...] | None:
        """The rules of a role; ``None`` where it is not there."""
        return self._roles.get((namespace if kind == ROLE.kind else "", name))

    def missing(self, user: User, namespace: str, wanted: Iterable[Rule]) -> list[Rule]:
        """What of some rules a user may not do, in its smallest parts."""
        held = self.rules(user, namespace)
        return [part for rule in wanted for part in rule.parts() if not any(each.covers(part) for each in held)]

    def _granted(self, user: User, namespace: str) -> Iterator[tuple[_Grant, tuple[Rule, ...]]]:
        subjects = [(USER, user.name), *((GROUP_KIND, group) for group in user.groups)]
        found = [grant for subject in subjects for grant in self._grants.get(subject, {}).values()]
        for grant in sorted(found, key=lambda each: (each.namespace != "", each.name)):
            if grant.namespace in {"", namespace} and (rules := self.role(*grant.role, grant.namespace)) is not None:
                yield grant, rules

    # -- the index ------------------------------------------------------------------------------------------------------

    def _changed(self, kind: Kind, record: Record) -> None:
        before = record.value if record.deleted else record.previous
        if before is not None:
            self._forget(kind, record.key, _decode(before))
        if not record.deleted:
            self._put(kind, record.key, _decode(record.value))

    def _forget(self, kind: Kind, key: str, obj: Obj) -> None:
        meta = obj["metadata"]
        if kind in {ROLE, CLUSTER_ROLE}:
            self._roles.pop((meta.get("namespace", ""), meta["name"]), None)
            return
        for subject, _ in _subjects(obj):
            if (grants := self._grants.get(subject)) is not None:
                grants.pop(key, None)
                if not grants:
                    del self._grants[subject]

    def _put(self, kind: Kind, key: str, obj: Obj) -> None:
        meta = obj["metadata"]
        namespace: str = meta.get("namespace", "")
        if kind in {ROLE, CLUSTER_ROLE}:
            self._roles[namespace, meta["name"]] = tuple(Rule.of(rule) for rule in obj.get("rules") or ())
        elif kind in {ROLE_BINDING, CLUSTER_ROLE_BINDING}:
            reference = obj["roleRef"]
            for subject, words in _subjects(obj):
                grant = _Grant(namespace, meta["name"], (reference["kind"], reference["name"]), words)
                self._grants.setdefault(subject, {})[key] = grant


def _subjects(binding: Obj) -> Iterator[tuple[Subject, str]]:
    for subject in binding.get("subjects") or ():
        kind, name = subject["kind"], subject["name"]
        if kind == SERVICE_ACCOUNT:
            namespace = subject.get("namespace") or binding["metadata"].get("namespace", "")
            yield (USER, f"system:serviceaccount:{namespace}:{name}"), f'{kind} "{name}/{namespace}"'
        else:
            yield (kind, name), f'{kind} "{name}"'
