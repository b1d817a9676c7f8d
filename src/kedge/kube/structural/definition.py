"""The rules of a CustomResourceDefinition, with kube-apiserver's words and paths, and its defaults."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kedge.errors import Cause
from kedge.kube.faults import DNS_1035_RULE, duplicate, forbidden, invalid, required, subdomain, unsupported
from kedge.kube.json_patch import same
from kedge.kube.kinds import Obj
from kedge.kube.schemas import CoreSchema
from kedge.kube.structural import paths, structure
from kedge.kube.structural.values import Schema

FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_PROTECTED = re.compile(r"(.*\.)?(k8s\.io|kubernetes\.io)")
_APPROVED = "api-approved.kubernetes.io"
_IMMUTABLE = ("group", "scope")


def default(definition: Obj) -> None:
    """Fill in what a definition need not say, in place."""
    spec = definition.get("spec")
    if not isinstance(spec, dict):
        return
    spec.setdefault("conversion", {"strategy": "None"})
    own = spec.get("names")
    if isinstance(own, dict) and own.get("kind"):
        own.setdefault("singular", own["kind"].lower())
        own.setdefault("listKind", f"{own['kind']}List")
    for version in spec.get("versions") or ():
        for column in version.get("additionalPrinterColumns") or ():
            if not column.get("priority"):
                column.pop("priority", None)
        scale = (version.get("subresources") or {}).get("scale")
        if isinstance(scale, dict) and scale.get("labelSelectorPath") == "":
            del scale["labelSelectorPath"]
    status = definition.setdefault("status", {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}})
    stored = [each.get("name") for each in spec.get("versions") or () if each.get("storage")][:1]
    known = status.setdefault("storedVersions", [])
    status["storedVersions"] = known + [each for each in stored if each not in known]


def leaving(definition: Obj, now: str) -> Obj:
    """A definition that begins to be deleted: it waits until its objects are gone, and says so.

    Args:
        definition: Its metadata is changed in place.
        now: A timestamp.
    """
    meta: Obj = definition["metadata"]
    meta["finalizers"] = [*(each for each in meta.get("finalizers") or () if each != FINALIZER), FINALIZER]
    status: Obj = definition.get("status") or {}
    told = {
        "type": "Terminating",
        "status": "True",
        "reason": "InstanceDeletionPending",
        "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        "lastTransitionTime": now,
    }
    others = [each for each in status.get("conditions") or () if each.get("type") != "Terminating"]
    return {**definition, "status": {**status, "conditions": [*others, told]}}


def prune(definition: Obj) -> list[str]:
    """Take the keywords that no schema has out of a definition's schemas, in place; returns their paths."""
    found = list[str]()
    for index, version in enumerate((definition.get("spec") or {}).get("versions") or ()):
        schema: Any = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema is not None:
            found += _prune(schema, f"spec.versions[{index}].schema.openAPIV3Schema")
    return found


def _prune(schema: dict[str, Any], path: str) -> Iterator[str]:
    known: Mapping[str, Any] = CoreSchema("JSONSchemaProps")["properties"]
    for name in [each for each in schema if each not in known]:
        del schema[name]
        yield f"{path}.{name}"
    for place, inner in structure.schemas(schema):
        if isinstance(inner, dict):
            yield from _prune(inner, path + place)


def faults(new: Obj, old: Obj | None) -> list[Cause]:
    """What is wrong with a definition.

    Args:
        new: With its defaults.
        old: As it was stored, or ``None``.
    """
    found = [*_spec(new, old)]
    if old is not None:
        found += _changes(new, old)
    return list(dict.fromkeys(found))


def schema_path(versions: list[Obj], index: int) -> str:
    """Where kube-apiserver says that a version's schema stands: all have one place where all have one schema."""
    schemas = [(each.get("schema") or {}).get("openAPIV3Schema") for each in versions]
    alike = all(same(each, schemas[0]) for each in schemas)
    return "spec.validation.openAPIV3Schema" if alike else f"spec.versions[{index}].schema.openAPIV3Schema"


def _spec(definition: Obj, old: Obj | None) -> Iterator[Cause]:
    spec: Obj = definition.get("spec") or {}
    own: Obj = spec.get("names") or {}
    group, versions = spec.get("group") or "", spec.get("versions") or []
    if definition["metadata"].get("name") != f"{own.get('plural') or ''}.{group}":
        yield invalid("metadata.name", definition["metadata"].get("name"), 'must be spec.names.plural+"."+spec.group')
    if not group:
        yield required("spec.group")
    elif found := list(subdomain("spec.group", group)):
        yield from found
    elif "." not in group:
        yield invalid("spec.group", group, "should be a domain with at least one dot")
    elif _PROTECTED.fullmatch(group) and not (definition["metadata"].get("annotations") or {}).get(_APPROVED):
        yield required(
            f"metadata.annotations[{_APPROVED}]",
            f'protected groups must have approval annotation "{_APPROVED}", see https://github.com/kubernetes/enhancements/pull/1111',
        )
    if not spec.get("scope"):
        yield required("spec.scope")
    elif spec["scope"] not in {"Cluster", "Namespaced"}:
        yield unsupported("spec.scope", spec["scope"], ("Cluster", "Namespaced"))
    if spec.get("preserveUnknownFields"):
        why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        yield invalid("spec.preserveUnknownFields", value=True, why=why)
    yield from _versions(versions, definition.get("status") or {})
    yield from _names(own)
    yield from _conversion(spec.get("conversion") or {})
    before = {each.get("name"): each.get("schema") for each in ((old or {}).get("spec") or {}).get("versions") or ()}
    for index, version in enumerate(versions):
        yield from _version(versions, index, kept=old is not None and before.get(version.get("name")) == version.get("schema"))


def _versions(versions: list[Obj], status: Obj) -> Iterator[Cause]:
    listed = [_internal(each) for each in versions]
    stored = [each.get("name") for each in versions if each.get("storage")]
    if len({each.get("name") for each in versions}) < len(versions):
        yield invalid("spec.versions", listed, "must contain unique version names")
    if len(stored) != 1:
        yield invalid("spec.versions", listed, "must have exactly one version marked as storage version")
    known = status.get("storedVersions") or []
    if not known:
        yield invalid("status.storedVersions", None, "must have at least one stored version")
    elif stored and stored[-1] not in known:
        yield invalid("status.storedVersions", known, f"must have the storage version {stored[-1]}")
    for index, each in enumerate(known):
        if each not in {version.get("name") for version in versions}:
            why = (
                f"missing from spec.versions; {each} was previously a storage version, and must remain in spec.versions until a "
                f"storage migration ensures no data remains persisted in {each} and removes {each} from status.storedVersions"
            )
            yield invalid(f"status.storedVersions[{index}]", each, why)


def _internal(version: Obj) -> Obj:
    """A version as kube-apiserver writes it into a message."""
    told: Obj = {"Name": version.get("name", ""), "Served": bool(version.get("served")), "Storage": bool(version.get("storage"))}
    told |= {"Deprecated": bool(version.get("deprecated")), "DeprecationWarning": version.get("deprecationWarning")}
    return told | dict.fromkeys(("Schema", "Subresources", "AdditionalPrinterColumns", "SelectableFields"))


def _names(own: Obj) -> Iterator[Cause]:
    for name in ("plural", "singular", "kind", "listKind"):
        value = own.get(name)
        place = f"spec.names.{name}"
        if not value:
            yield required(place)
        elif name.lower().endswith("kind"):
            if not _LABEL.fullmatch(value.lower()):
                yield invalid(place, value, f"may have mixed case, but should otherwise match: {DNS_1035_RULE}")
        elif not _LABEL.fullmatch(value):
            yield invalid(place, value, DNS_1035_RULE)
    for name in ("shortNames", "categories"):
        for index, value in enumerate(own.get(name) or ()):
            if not _LABEL.fullmatch(value):
                yield invalid(f"spec.names.{name}[{index}]", value, DNS_1035_RULE)
    if own.get("kind") and own.get("kind") == own.get("listKind"):
        yield invalid("spec.names.listKind", own["listKind"], "kind and listKind may not be the same")


def _conversion(conversion: Obj) -> Iterator[Cause]:
    strategy = conversion.get("strategy")
    if not strategy:
        yield required("spec.conversion.strategy")
    elif strategy not in {"None", "Webhook"}:
        yield unsupported("spec.conversion.strategy", strategy, ("None", "Webhook"))
    elif strategy == "Webhook":
        hook = conversion.get("webhook") or {}
        if not hook.get("clientConfig"):
            yield required("spec.conversion.webhookClientConfig", "required when strategy is set to Webhook")
        if not hook.get("conversionReviewVersions"):
            yield required("spec.conversion.conversionReviewVersions")
        if hook.get("clientConfig") and hook.get("conversionReviewVersions"):
            yield forbidden(
                "spec.conversion.strategy",
                "webhook conversion is not carried out by this host. Use strategy None, or a cluster",
            )
    elif conversion.get("webhook"):
        yield forbidden("spec.conversion.webhookClientConfig", "should not be set when strategy is not set to Webhook")


def _version(versions: list[Obj], index: int, *, kept: bool) -> Iterator[Cause]:
    version = versions[index]
    place = f"spec.versions[{index}]"
    alike = len(versions) == 1 or schema_path(versions, index).startswith("spec.validation")
    name = version.get("name") or ""
    if not _LABEL.fullmatch(name):
        yield invalid(f"{place}.name", name, DNS_1035_RULE)
        if index == 0:
            yield invalid("spec.version", name, DNS_1035_RULE)
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    if not isinstance(schema, Mapping):
        yield required(f"{place}.schema.openAPIV3Schema")
        return
    found = structure.faults(schema, schema_path(versions, index), kept=kept)
    yield from found
    if any(each.reason == "FieldValueTypeInvalid" for each in found):
        return
    place = "spec" if alike else place
    yield from _columns(version.get("additionalPrinterColumns") or (), place)
    yield from _selectable(schema, version.get("selectableFields") or (), place)
    if (scale := (version.get("subresources") or {}).get("scale")) is not None:
        yield from _scale(scale, f"{place}.subresources.scale")


def _columns(columns: Any, place: str) -> Iterator[Cause]:
    for index, column in enumerate(columns):
        path = f"{place}.additionalPrinterColumns[{index}]"
        if not column.get("name"):
            yield required(f"{path}.name")
        kind, form, where = column.get("type"), column.get("format"), column.get("jsonPath")
        if not kind:
            yield required(f"{path}.type", f"must be one of {','.join(_COLUMN_TYPES)}")
        elif kind not in _COLUMN_TYPES:
            yield invalid(f"{path}.type", kind, f"must be one of {','.join(_COLUMN_TYPES)}")
        if form and form not in _COLUMN_FORMATS:
            yield invalid(f"{path}.format", form, f"must be one of {','.join(_COLUMN_FORMATS)}")
        if not where:
            yield required(f"{path}.JSONPath")
        elif not where.startswith("."):
            yield invalid(f"{path}.JSONPath", where, "must be a simple json path starting with .")


def _selectable(schema: Schema, selectable: Any, place: str) -> Iterator[Cause]:
    seen = set[str]()
    for index, each in enumerate(selectable):
        where = each.get("jsonPath") or ""
        path = f"{place}.selectableFields[{index}].jsonPath"
        if not where:
            yield required(path)
            continue
        if where in seen:
            yield duplicate(path, where)
            continue
        seen.add(where)
        part: Any = schema
        if not paths.is_simple(where) or where.startswith(".metadata"):
            part = None
        else:
            for key in paths.fields(where):
                part = (part.get("properties") or {}).get(key) if isinstance(part, Mapping) else None
        if part is None:
            yield invalid(path, where, "is an invalid path: does not refer to a valid field")
        elif part.get("type") not in {"string", "boolean", "integer"}:
            why = "must point to a field of type string, boolean or integer. "
            why += "Enum string fields and strings with formats are allowed."
            yield invalid(path, where, why)


def _scale(scale: Obj, place: str) -> Iterator[Cause]:
    wanted = (("specReplicasPath", (".spec",)), ("statusReplicasPath", (".status",)), ("labelSelectorPath", (".spec", ".status")))
    for name, roots in wanted:
        value, path = scale.get(name), f"{place}.{name}"
        if not value:
            if name != "labelSelectorPath":
                yield required(path)
        elif not value.startswith("."):
            yield invalid(path, value, "must be a simple json path starting with .")
        elif not any(value.startswith(f"{root}.") for root in roots):
            yield invalid(path, value, f"should be a json path under {' or '.join(roots)}")
        elif not paths.is_simple(value) and name == "labelSelectorPath":
            yield invalid(path, value, "must be a simple json path: fields alone, without indexes")


def _changes(new: Obj, old: Obj) -> Iterator[Cause]:
    before, after = old["spec"], new["spec"]
    for name in _IMMUTABLE:
        if before.get(name) != after.get(name):
            yield invalid(f"spec.{name}", after.get(name), "field is immutable")
    for name in ("kind", "plural"):
        if before["names"].get(name) != after["names"].get(name):
            yield invalid(f"spec.names.{name}", after["names"].get(name), "field is immutable")
