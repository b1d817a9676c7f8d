"""Who is asked before an object is stored: MutatingWebhookConfiguration and ValidatingWebhookConfiguration, with their rules."""

import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from kedge.errors import Cause
from kedge.kube import faults
from kedge.kube.cel.checking import check
from kedge.kube.cel.syntax import CelError, parse
from kedge.kube.cel.types import DYN, list_of, map_of, named
from kedge.kube.cel.types import Kind as Type
from kedge.kube.kinds import Column, Kind, Obj
from kedge.kube.schemas import CoreSchema

GROUP = "admissionregistration.k8s.io"
OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_SCOPES = ("*", "Cluster", "Namespaced")
_POLICIES = ("Fail", "Ignore")
_MATCHES = ("Equivalent", "Exact")
_REINVOCATIONS = ("IfNeeded", "Never")
_SIDE_EFFECTS = ("None", "NoneOnDryRun")
_VERSIONS = ("v1", "v1beta1")
_CONDITIONS = 64
_LABEL = re.compile("[a-z]([-a-z0-9]*[a-z0-9])?")
_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2}).{0,2}")
_FORM = "; desired format: https://host[/path]"

_TEXT = named("string")


def _object(**fields: Type) -> Type:
    return Type("object", (), fields)


_KIND = _object(group=_TEXT, version=_TEXT, kind=_TEXT)
_RESOURCE = _object(group=_TEXT, version=_TEXT, resource=_TEXT)
NAMES: Mapping[str, Type] = {
    "object": DYN,
    "oldObject": DYN,
    "namespaceObject": DYN,  # which is null for webhooks
    "request": _object(
        kind=_KIND,
        resource=_RESOURCE,
        subResource=_TEXT,
        requestKind=_KIND,
        requestResource=_RESOURCE,
        requestSubResource=_TEXT,
        name=_TEXT,
        namespace=_TEXT,
        operation=_TEXT,
        userInfo=_object(username=_TEXT, uid=_TEXT, groups=list_of(_TEXT), extra=map_of(_TEXT, list_of(_TEXT))),
        dryRun=named("bool"),
        options=DYN,
    ),
}
"""What the expressions of conditions may name, by its type."""


def _default(configuration: Obj) -> None:
    mutating = configuration.get("kind") == MUTATING.kind
    for _, hook in faults.objects(configuration.get("webhooks")):
        hook.setdefault("failurePolicy", "Fail")
        hook.setdefault("matchPolicy", "Equivalent")
        hook.setdefault("namespaceSelector", {})
        hook.setdefault("objectSelector", {})
        hook.setdefault("timeoutSeconds", 10)
        if mutating:
            hook.setdefault("reinvocationPolicy", "Never")
        for _, rule in faults.objects(hook.get("rules")):
            rule.setdefault("scope", "*")
        service = (hook.get("clientConfig") or {}).get("service")
        if isinstance(service, dict):
            service.setdefault("port", 443)


def _validate(configuration: Obj, old: Obj | None) -> list[Cause]:
    del old
    found, names = list[Cause](), set[str]()
    for index, hook in faults.objects(configuration.get("webhooks")):
        at, name = f"webhooks[{index}]", hook.get("name") or ""
        found += _hook_faults(hook, at)
        if name and name in names:
            found.append(faults.duplicate(f"{at}.name", name))
        names.add(name)
    return found


def _hook_faults(hook: Obj, at: str) -> Iterator[Cause]:
    yield from _name_faults(f"{at}.name", hook.get("name") or "")
    for index, rule in faults.objects(hook.get("rules")):
        yield from rule_faults(rule, f"{at}.rules[{index}]")
    yield from faults.one_of(hook, "failurePolicy", at, _POLICIES)
    yield from faults.one_of(hook, "matchPolicy", at, _MATCHES)
    if hook.get("sideEffects") is None:
        yield faults.required(f"{at}.sideEffects", f"must specify one of {', '.join(_SIDE_EFFECTS)}")
    yield from faults.one_of(hook, "sideEffects", at, _SIDE_EFFECTS)
    if not 1 <= (seconds := hook.get("timeoutSeconds", 10)) <= 30:
        yield faults.invalid(f"{at}.timeoutSeconds", seconds, "the timeout value must be between 1 and 30 seconds")
    for key in ("namespaceSelector", "objectSelector"):
        yield from faults.selector(f"{at}.{key}", hook.get(key))
    yield from faults.one_of(hook, "reinvocationPolicy", at, _REINVOCATIONS)
    yield from _client_faults(hook.get("clientConfig") or {}, f"{at}.clientConfig")
    yield from condition_faults(hook.get("matchConditions") or [], f"{at}.matchConditions")
    yield from _version_faults(hook.get("admissionReviewVersions") or [], f"{at}.admissionReviewVersions")


def _name_faults(field: str, name: str) -> Iterator[Cause]:
    if not name:
        yield faults.required(field)
    elif wrong := next(faults.subdomain(field, name), None):
        yield wrong
    elif name.count(".") < 2:
        yield faults.invalid(field, name, "should be a domain with at least three segments separated by dots")


def rule_faults(rule: Obj, at: str) -> Iterator[Cause]:
    """What is wrong with a rule that says which requests are meant."""
    operations: list[str] = rule.get("operations") or []
    if not operations:
        yield faults.required(f"{at}.operations")
    if len(operations) > 1 and "*" in operations:
        yield faults.invalid(f"{at}.operations", operations, "if '*' is present, must not specify other operations")
    for index, operation in enumerate(operations):
        if operation not in OPERATIONS:
            yield faults.unsupported(f"{at}.operations[{index}]", operation, OPERATIONS)
    for key, what in (("apiGroups", "API groups"), ("apiVersions", "API versions")):
        values: list[str] = rule.get(key) or []
        if not values:
            yield faults.required(f"{at}.{key}")
        if len(values) > 1 and "*" in values:
            yield faults.invalid(f"{at}.{key}", values, f"if '*' is present, must not specify other {what}")
        if key == "apiVersions":
            yield from (faults.required(f"{at}.{key}[{index}]") for index, value in enumerate(values) if not value)
    yield from _resource_faults(rule.get("resources") or [], f"{at}.resources")
    yield from faults.one_of(rule, "scope", at, _SCOPES)


def _resource_faults(resources: Sequence[str], at: str) -> Iterator[Cause]:
    if not resources:
        yield faults.required(at)
    all_of, everywhere = set[str](), set[str]()
    for index, resource in enumerate(resources):
        if not resource:
            yield faults.required(f"{at}[{index}]")
            continue
        name, slash, part = resource.partition("/")
        if not slash:
            continue
        if name in all_of:
            yield faults.invalid(f"{at}[{index}]", resource, f"if '{name}/*' is present, must not specify {resource}")
        if part in everywhere:
            yield faults.invalid(f"{at}[{index}]", resource, f"if '*/{part}' is present, must not specify {resource}")
        all_of |= {name} if part == "*" else set()
        everywhere |= {part} if name == "*" else set()
    if len(resources) > 1 and "*/*" in resources:
        yield faults.invalid(at, resources, "if '*/*' is present, must not specify other resources")
    plain = [each for each in resources if each and "/" not in each]
    if "*" in resources and plain[-1] != "*":  # as on a real API server, where the last one decides
        why = "if '*' is present, must not specify other resources without subresources"
        yield faults.invalid(at, resources, why)


def _client_faults(client: Obj, at: str) -> Iterator[Cause]:
    url, service = client.get("url"), client.get("service")
    if (url is None) == (service is None):
        yield faults.required(at, "exactly one of url or service is required")
    elif url is not None:
        yield from _url_faults(url, f"{at}.url")
    else:
        yield from _service_faults(service or {}, f"{at}.service")


def _url_faults(url: str, at: str) -> Iterator[Cause]:
    if why := _unreadable(url):
        yield faults.required(at, f'url must be a valid URL: parse "{url}": {why}{_FORM}')
        return
    parts = urlsplit(url)
    if parts.scheme != "https":
        yield faults.invalid(at, parts.scheme, f"'https' is the only allowed URL scheme{_FORM}")
    user, separator, host = parts.netloc.rpartition("@")
    if not host:
        yield faults.invalid(at, "", f"host must be specified{_FORM}")
    if separator:
        yield faults.invalid(at, user, "user information is not permitted in the URL")
    if parts.fragment:
        yield faults.invalid(at, parts.fragment, "fragments are not permitted in the URL")
    if parts.query:
        yield faults.invalid(at, parts.query, "query parameters are not permitted in the URL")


def _unreadable(url: str) -> str:
    """Why a text is no URL, as Go says it; ``""`` where it is one."""
    if found := _BAD_ESCAPE.search(url):
        return f'invalid URL escape "{found.group()}"'
    try:
        host = urlsplit(url).netloc.rpartition("@")[2]
    except ValueError as error:
        return str(error)
    port = host.rpartition("]")[2].partition(":")[2]
    return f'invalid port ":{port}" after host' if port and not port.isdecimal() else ""


def _service_faults(service: Obj, at: str) -> Iterator[Cause]:
    for key in ("name", "namespace"):
        if not service.get(key):
            yield faults.required(f"{at}.{key}")
    if not 1 <= (port := service.get("port", 443)) <= 65535:
        yield faults.invalid(f"{at}.port", port, f"port is not valid: {faults.PORT_RULE}")
    path = str(service.get("path") or "/")
    if path == "/":
        return
    if path == "//":
        yield faults.invalid(f"{at}.path", path, "segment[0] may not be empty")
        return
    if not path.startswith("/"):
        yield faults.invalid(f"{at}.path", path, "must start with a '/'")
    for index, step in enumerate(path[1:].removesuffix("/").split("/")):
        if not step:
            yield faults.invalid(f"{at}.path", path, f"segment[{index}] may not be empty")
        elif wrong := next(faults.subdomain(at, step), None):
            rule = wrong.message.partition(f"{faults.shown(step)}: ")[2]
            yield faults.invalid(f"{at}.path", path, f"segment[{index}]: {rule}")


def _version_faults(versions: Sequence[str], at: str) -> Iterator[Cause]:
    listed, seen = ", ".join(_VERSIONS), set[str]()
    if not versions:
        yield faults.required(at, f"must specify one of {listed}")
        return
    for index, version in enumerate(versions):
        if version in seen:
            yield faults.invalid(f"{at}[{index}]", version, "duplicate version")
            continue
        seen.add(version)
        if not _LABEL.fullmatch(version):
            yield faults.invalid(f"{at}[{index}]", version, faults.DNS_1035_RULE)
    if not seen & set(_VERSIONS):
        yield faults.invalid(at, versions, f"must include at least one of {listed}")


def condition_faults(conditions: Sequence[Obj], at: str) -> Iterator[Cause]:
    """What is wrong with conditions in CEL, which say of a request whether it is meant."""
    names = set[str]()
    if len(conditions) > _CONDITIONS:
        why = f"Too many: {len(conditions)}: must have at most {_CONDITIONS} items"
        yield Cause(at, why, "FieldValueTooMany")
    for index, condition in enumerate(conditions):
        place, name = f"{at}[{index}]", condition.get("name") or ""
        expression = (condition.get("expression") or "").strip()
        if not expression:
            yield faults.required(f"{place}.expression")
        elif why := expression_fault(expression, NAMES):
            yield faults.invalid(f"{place}.expression", expression, why)
        if not name:
            yield faults.required(f"{place}.name")
        else:
            yield from faults.qualified(f"{place}.name", name)
        if name and name in names:
            yield faults.duplicate(f"{place}.name", name)
        names.add(name)


def expression_fault(expression: str, names: Mapping[str, Type], wanted: str = "bool") -> str:
    """Why an expression cannot be used; ``""`` where it can."""
    try:
        found = check(parse(expression), names)
    except CelError as error:
        return f"compilation failed: {error.told(expression)}"
    except RecursionError:
        return "compilation failed: the expression is nested too deeply"
    return "" if found.name == wanted else f"must evaluate to {wanted} but got {found}"


def _count(configuration: Obj) -> int:
    return len(configuration.get("webhooks") or ())


def _kind(name: str, plural: str) -> Kind:
    return Kind(
        name,
        plural,
        group=GROUP,
        counted=True,
        namespaced=False,
        categories=("api-extensions",),
        schema=CoreSchema(name),
        default=_default,
        validate=_validate,
        columns=(Column("Webhooks", _count, type="integer", description="How many webhooks it has."),),
    )


MUTATING = _kind("MutatingWebhookConfiguration", "mutatingwebhookconfigurations")
VALIDATING = _kind("ValidatingWebhookConfiguration", "validatingwebhookconfigurations")
KINDS = (MUTATING, VALIDATING)
