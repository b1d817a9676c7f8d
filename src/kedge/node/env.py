"""A container's environment variables: what the Pod says, with references looked up and ``$(NAME)`` expanded."""

import base64
import re
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from kedge.kube.kinds import Obj
from kedge.node import downward
from kedge.node.objects import Objects
from kedge.node.refusals import Refusal

_REFERENCE = re.compile(r"\$\$|\$\(([^)]*)\)")


class MissingError(Exception):
    """Something that a Pod refers to is not there (yet); the Pod waits for it."""

    reason = ""
    """Of the event that tells it, where that is not the usual one."""


@dataclass(slots=True)
class Environment:
    """What a Pod's container is given.

    Attributes:
        values: The variables.
        secrets: Values that came from Secrets, to be masked in logs.
    """

    values: dict[str, str] = field(default_factory=dict[str, str])
    secrets: list[str] = field(default_factory=list[str])


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace ``$(NAME)`` by its value; ``$$`` is a dollar, and an unknown name stays as it is.

    Examples:
        >>> expand("$(A)-$$(A)-$(B)", {"A": "1"})
        '1-$(A)-$(B)'
    """

    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        return "$" if name is None else values.get(name, match.group())

    return _REFERENCE.sub(replace, text) if "$" in text else text


def unknown(text: str, values: Mapping[str, str]) -> str:
    """The first name that `expand` leaves as it is; empty where there is none.

    Examples:
        >>> unknown("$(A)/$(B)/$$(C)", {"A": "1"})
        'B'
    """
    names = (match.group(1) for match in _REFERENCE.finditer(text))
    return next((name for name in names if name is not None and name not in values), "")


async def of_container(
    pod: Obj, container: Obj, objects: Objects, services: Mapping[str, str] = MappingProxyType({})
) -> Environment:
    """Work out what a container's ``envFrom`` and ``env`` say.

    Args:
        pod: The Pod, for ``fieldRef``.
        container: The container.
        objects: Reads ConfigMaps and Secrets.
        services: Variables that tell of Services; the container's own come before them.

    Raises:
        MissingError: A ConfigMap, Secret or key is not there.
        Refusal: A reference is of a kind that is not carried out here.
    """
    found = Environment()
    for source in container.get("envFrom") or ():
        await _from(pod, source, objects, found)
    for variable in container.get("env") or ():
        name = variable["name"]
        if variable.get("valueFrom"):
            value = await _reference(pod, container, variable, objects, found)
            if value is not None:
                found.values[name] = value
        else:
            found.values[name] = expand(variable.get("value") or "", ChainMap(found.values, dict(services)))
    found.values = {**services, **found.values}
    return found


async def _from(pod: Obj, source: Obj, objects: Objects, found: Environment) -> None:
    prefix, namespace = source.get("prefix") or "", pod["metadata"]["namespace"]
    reference = source.get("configMapRef") or source.get("secretRef") or {}
    is_secret = bool(source.get("secretRef"))
    obj = await (objects.secret if is_secret else objects.config_map)(namespace, reference["name"])
    if obj is None:
        if reference.get("optional"):
            return
        raise MissingError(f'{"secret" if is_secret else "configmap"} "{reference["name"]}" not found')
    for key, value in sorted(texts(obj).items()):
        found.values[prefix + key] = value
        if is_secret:
            found.secrets.append(value)


async def _reference(pod: Obj, container: Obj, variable: Obj, objects: Objects, found: Environment) -> str | None:
    source, namespace = variable["valueFrom"], pod["metadata"]["namespace"]
    if source.get("fieldRef") or source.get("resourceFieldRef"):
        return await downward.text_of(pod, source, objects, container)
    for kind, read in (("configMapKeyRef", objects.config_map), ("secretKeyRef", objects.secret)):
        if not (reference := source.get(kind)):
            continue
        obj = await read(namespace, reference["name"])
        value = texts(obj).get(reference["key"]) if obj is not None else None
        if value is None and not reference.get("optional"):
            what = "secret" if kind == "secretKeyRef" else "configmap"
            missing = f'{what} "{reference["name"]}" not found'
            raise MissingError(
                missing if obj is None else f"couldn't find key {reference['key']} in {what} {namespace}/{reference['name']}"
            )
        if value and kind == "secretKeyRef":
            found.secrets.append(value)
        return value
    kinds = ", ".join(source) or "nothing"
    raise Refusal(
        "UnsupportedField", f"env {variable['name']}: valueFrom.{kinds} is not carried out on this host. Give a value instead."
    )


def texts(obj: Obj) -> dict[str, str]:
    """The data of a ConfigMap or Secret as text: what a ConfigMap has as ``binaryData`` is for volumes alone."""
    return {key: value.decode("utf-8", "surrogateescape") for key, value in content({**obj, "binaryData": None}).items()}


def content(obj: Obj) -> dict[str, bytes]:
    """The data of a ConfigMap or Secret as bytes."""
    if obj.get("kind") == "Secret":
        return {key: base64.b64decode(value) for key, value in (obj.get("data") or {}).items()}
    plain = {key: value.encode("utf-8", "surrogateescape") for key, value in (obj.get("data") or {}).items()}
    return plain | {key: base64.b64decode(value) for key, value in (obj.get("binaryData") or {}).items()}
