"""Who may do what: Role, ClusterRole, RoleBinding and ClusterRoleBinding, with Kubernetes' defaults, rules and columns."""

from collections.abc import Iterator

from kedge.errors import Cause
from kedge.kube import faults
from kedge.kube.columns import tolerant
from kedge.kube.kinds import Column, Kind, Obj
from kedge.kube.schemas import CoreSchema

GROUP = "rbac.authorization.k8s.io"
SERVICE_ACCOUNT, USER, GROUP_KIND = "ServiceAccount", "User", "Group"
_SUBJECTS = (SERVICE_ACCOUNT, USER, GROUP_KIND)


def _validate_role(role: Obj, old: Obj | None) -> list[Cause]:
    del old
    return list(_rule_faults(role, namespaced=True))


def _validate_cluster_role(role: Obj, old: Obj | None) -> list[Cause]:
    del old
    found = list(_rule_faults(role, namespaced=False))
    if (aggregated := role.get("aggregationRule")) is not None:
        at = "aggregationRule.clusterRoleSelectors"
        selectors = aggregated.get("clusterRoleSelectors")
        if not selectors:
            found.append(faults.required(at, "at least one clusterRoleSelector required if aggregationRule is non-nil"))
        for index, selector in faults.objects(selectors):
            found += faults.selector(f"{at}[{index}]", selector)
    return found


def _rule_faults(role: Obj, *, namespaced: bool) -> Iterator[Cause]:
    for index, rule in faults.objects(role.get("rules")):
        at = f"rules[{index}]"
        if not rule.get("verbs"):
            yield faults.required(f"{at}.verbs", "verbs must contain at least one value")
        if paths := rule.get("nonResourceURLs"):
            if namespaced:
                yield faults.invalid(f"{at}.nonResourceURLs", paths, "namespaced rules cannot apply to non-resource URLs")
            if any(rule.get(key) for key in ("apiGroups", "resources", "resourceNames")):
                why = "rules cannot apply to both regular resources and non-resource URLs"
                yield faults.invalid(f"{at}.nonResourceURLs", paths, why)
            continue
        if not rule.get("apiGroups"):
            yield faults.required(f"{at}.apiGroups", "resource rules must supply at least one api group")
        if not rule.get("resources"):
            yield faults.required(f"{at}.resources", "resource rules must supply at least one resource")


def _default_binding(binding: Obj) -> None:
    if isinstance(reference := binding.get("roleRef"), dict):
        reference["apiGroup"] = reference.get("apiGroup") or GROUP
    for _, subject in faults.objects(binding.get("subjects")):
        if subject.get("kind") in {USER, GROUP_KIND}:
            subject["apiGroup"] = subject.get("apiGroup") or GROUP


def _validate_role_binding(binding: Obj, old: Obj | None) -> list[Cause]:
    return list(_binding_faults(binding, old, ("Role", "ClusterRole")))


def _validate_cluster_role_binding(binding: Obj, old: Obj | None) -> list[Cause]:
    return list(_binding_faults(binding, old, ("ClusterRole",)))


def _binding_faults(binding: Obj, old: Obj | None, kinds: tuple[str, ...]) -> Iterator[Cause]:
    reference = binding.get("roleRef") or {}
    if old is not None and reference != old.get("roleRef"):
        words = {name: reference.get(key, "") for name, key in (("APIGroup", "apiGroup"), ("Kind", "kind"), ("Name", "name"))}
        yield faults.invalid("roleRef", words, "cannot change roleRef")
    if reference and reference.get("apiGroup") != GROUP:
        yield faults.unsupported("roleRef.apiGroup", reference.get("apiGroup"), (GROUP,))
    if (kind := reference.get("kind") or "") not in kinds:
        yield faults.unsupported("roleRef.kind", kind, kinds)
    if not (name := reference.get("name")):
        yield faults.required("roleRef.name")
    else:
        yield from name_faults("roleRef.name", name)
    for index, subject in faults.objects(binding.get("subjects")):
        yield from _subject_faults(subject, f"subjects[{index}]", namespaced=len(kinds) > 1)


def _subject_faults(subject: Obj, at: str, *, namespaced: bool) -> Iterator[Cause]:
    if not (name := subject.get("name")):
        yield faults.required(f"{at}.name")
    group, kind = subject.get("apiGroup") or "", subject.get("kind") or ""
    if kind == SERVICE_ACCOUNT:
        if name:
            yield from faults.subdomain(f"{at}.name", name)
        if group:
            yield faults.unsupported(f"{at}.apiGroup", group, ("",))
        if not namespaced and not subject.get("namespace"):
            yield faults.required(f"{at}.namespace")
    elif kind in {USER, GROUP_KIND}:
        if group != GROUP:
            yield faults.unsupported(f"{at}.apiGroup", group, (GROUP,))
    else:
        yield faults.unsupported(f"{at}.kind", kind, _SUBJECTS)


def name_faults(field: str, name: str) -> Iterator[Cause]:
    """The fault of a text that must be part of a path, which is all that names of roles must be."""
    if name in {".", ".."}:
        yield faults.invalid(field, name, f"may not be '{name}'")
    elif found := next((each for each in ("/", "%") if each in name), ""):
        yield faults.invalid(field, name, f"may not contain '{found}'")


def _role(binding: Obj) -> str:
    reference = binding.get("roleRef") or {}
    return f"{reference.get('kind')}/{reference.get('name')}"


def _subjects(kind: str) -> Column:
    def named(binding: Obj) -> str:
        found = [each for _, each in faults.objects(binding.get("subjects")) if each.get("kind") == kind]
        names = [f"{each.get('namespace') or ''}/{each['name']}" if kind == SERVICE_ACCOUNT else each["name"] for each in found]
        return ", ".join(names)

    return Column(f"{kind}s", named, priority=1, description=f"The {kind}s that are bound.")


_CREATED = tolerant(
    Column("Created At", lambda obj: obj["metadata"].get("creationTimestamp"), description="When it was created."),
)
_BOUND = tolerant(
    Column("Role", _role, description="The role that is given."),
    *(_subjects(each) for each in (USER, GROUP_KIND, SERVICE_ACCOUNT)),
)
ROLE = Kind(
    "Role", "roles", group=GROUP, name_faults=name_faults, schema=CoreSchema("Role"), validate=_validate_role, columns=_CREATED
)
ROLE_BINDING = Kind(
    "RoleBinding",
    "rolebindings",
    group=GROUP,
    name_faults=name_faults,
    schema=CoreSchema("RoleBinding"),
    default=_default_binding,
    validate=_validate_role_binding,
    columns=_BOUND,
)
CLUSTER_ROLE = Kind(
    "ClusterRole",
    "clusterroles",
    group=GROUP,
    namespaced=False,
    name_faults=name_faults,
    schema=CoreSchema("ClusterRole"),
    validate=_validate_cluster_role,
    columns=_CREATED,
)
CLUSTER_ROLE_BINDING = Kind(
    "ClusterRoleBinding",
    "clusterrolebindings",
    group=GROUP,
    namespaced=False,
    name_faults=name_faults,
    schema=CoreSchema("ClusterRoleBinding"),
    default=_default_binding,
    validate=_validate_cluster_role_binding,
    columns=_BOUND,
)
KINDS = (ROLE, ROLE_BINDING, CLUSTER_ROLE, CLUSTER_ROLE_BINDING)
