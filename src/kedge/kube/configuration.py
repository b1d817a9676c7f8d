"""ConfigMaps and Secrets: their defaults, and their rules in the words of a real API server."""

import base64
import json
from collections.abc import Iterator

from kedge.errors import Cause
from kedge.kube import faults
from kedge.kube.kinds import Obj
from kedge.kube.volume_paths import key_faults

LARGEST = 1 << 20
"""How many bytes an object's data may have together, as they are and not as base64."""
SERVICE_ACCOUNT_TOKEN = "kubernetes.io/service-account-token"  # noqa: S105  # a type, not a secret
ACCOUNT = "kubernetes.io/service-account.name"
"""The annotation of such a Secret that names its account."""
ACCOUNT_UID = "kubernetes.io/service-account.uid"
"""The one that says which account of that name."""
_IMMUTABLE = "field is immutable when `immutable` is set"
_HIDDEN = "<secret contents redacted>"
_NEEDED = {
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
_DOCUMENTS = {
    "kubernetes.io/dockercfg": ".dockercfg",
    "kubernetes.io/dockerconfigjson": ".dockerconfigjson",
}
_EITHER = ("username", "password")


def default_secret(secret: Obj) -> None:
    """Fill in what a real API server fills in: texts become data."""
    texts = secret.pop("stringData", None)
    if isinstance(texts, dict):
        data = secret.setdefault("data", {})
        for key, text in texts.items():
            data[key] = base64.b64encode(str(text).encode()).decode()
    secret.setdefault("type", "Opaque")


def validate_config_map(new: Obj, old: Obj | None) -> list[Cause]:
    """Name each field that breaks a rule."""
    data, binary = new.get("data") or {}, new.get("binaryData") or {}
    found = list(_change_faults(new, old, ("data", "binaryData")))
    for key in data:
        found += key_faults(f"data[{key}]", key)
        if key in binary:
            found.append(faults.invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
    found += _bytes_faults(binary, "binaryData")
    if sum(len(text.encode()) for text in data.values()) + _size(binary) > LARGEST:
        found.append(faults.too_long("[]", LARGEST))
    return found


def validate_secret(new: Obj, old: Obj | None) -> list[Cause]:
    """Name each field that breaks a rule: what each type of Secret needs is in it."""
    data = new.get("data") or {}
    found: list[Cause] = []
    if old is not None and new.get("type") != old.get("type"):
        found.append(faults.invalid("type", new.get("type") or "", "field is immutable"))
    found += _change_faults(new, old, ("data",))
    found += _bytes_faults(data, "data")
    if _size(data) > LARGEST:
        found.append(faults.too_long("data", LARGEST))
    return found + list(_type_faults(new, data))


def _change_faults(new: Obj, old: Obj | None, keys: tuple[str, ...]) -> Iterator[Cause]:
    if old is None or not old.get("immutable"):
        return
    if not new.get("immutable"):
        yield faults.forbidden("immutable", _IMMUTABLE)
    for key in keys:
        if (new.get(key) or {}) != (old.get(key) or {}):
            yield faults.forbidden(key, _IMMUTABLE)


def _bytes_faults(data: Obj, field: str) -> Iterator[Cause]:
    for key in data:
        yield from key_faults(f"{field}[{key}]", key)


def _size(data: Obj) -> int:
    return sum(len(base64.b64decode(text)) for text in data.values())


def _type_faults(secret: Obj, data: Obj) -> Iterator[Cause]:
    kind = secret.get("type") or ""
    if kind == SERVICE_ACCOUNT_TOKEN and not (secret["metadata"].get("annotations") or {}).get(ACCOUNT):
        yield faults.required(f"metadata.annotations[{ACCOUNT}]")
    elif kind == "kubernetes.io/basic-auth" and not any(key in data for key in _EITHER):
        for key in _EITHER:
            yield faults.required(f"data[{key}]")
    elif kind in _DOCUMENTS:
        yield from _document_faults(data, _DOCUMENTS[kind])
    for key in _NEEDED.get(kind, ()):
        if key not in data or (kind == "kubernetes.io/ssh-auth" and not data[key]):
            yield faults.required(f"data[{key}]")


def _document_faults(data: Obj, key: str) -> Iterator[Cause]:
    if key not in data:
        yield faults.required(f"data[{key}]")
        return
    text = base64.b64decode(data[key]).decode(errors="replace")
    try:
        right = isinstance(json.loads(text), dict)
        why = "json: cannot unmarshal into Go value of type map[string]interface {}"
    except ValueError:
        right = False
        why = "unexpected end of JSON input" if not text.strip() else "invalid character looking for beginning of value"
    if not right:
        yield faults.invalid(f"data[{key}]", _HIDDEN, why)
