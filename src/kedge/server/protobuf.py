"""Reads ``application/vnd.kubernetes.protobuf`` bodies of the few kinds that `kubectl` sends so.

``kubectl create namespace|configmap|secret|serviceaccount|token`` and ``kubectl auth`` send it and do not fall back to JSON.
A kind is a table of its fields (number, JSON name, type), taken from the API's published message definitions; a field that is not
in the table is refused by number rather than dropped. Answers are always JSON, which every client reads.
"""

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from kedge.errors import BadRequest, UnsupportedMediaType
from kedge.kube.clock import micro_timestamp, timestamp
from kedge.kube.kinds import Obj

MAGIC = b"k8s\x00"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Message = Mapping[int, "Field"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message.

    Attributes:
        name: As in JSON.
        read: Turns the wire's value (int or bytes) into JSON.
        shape: ``one``, ``optional`` (a zero is kept: it was set on purpose), ``list`` or ``map``.
    """

    name: str
    read: Callable[[Any], Any]
    shape: str = "one"


def _text(raw: bytes) -> str:
    return raw.decode()


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _int(raw: int) -> int:
    return raw - (1 << 64) if raw >= 1 << 63 else raw


def _flag(raw: int) -> bool:
    return bool(raw)


def _moment(raw: bytes) -> datetime | None:
    numbers = {number: _int(value) for number, value in _fields(raw)}
    if not numbers.get(1):
        return None
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=numbers[1], microseconds=numbers.get(2, 0) // 1000)


def _time(raw: bytes) -> str | None:
    moment = _moment(raw)
    return moment and timestamp(moment)


def _micro_time(raw: bytes) -> str | None:
    moment = _moment(raw)
    return moment and micro_timestamp(moment)


def _ignored(_raw: object) -> None:
    return None


def _message(message: Message) -> Callable[[bytes], Obj]:
    return lambda raw: _decode(raw, message)


def _strings(*names: str) -> dict[int, Field]:
    return {number: Field(name, _text) for number, name in enumerate(names, 1) if name}


_OWNER: Message = {
    1: Field("kind", _text),
    3: Field("name", _text),
    4: Field("uid", _text),
    5: Field("apiVersion", _text),
    6: Field("controller", _flag, "optional"),
    7: Field("blockOwnerDeletion", _flag, "optional"),
}
_META: Message = {
    **_strings("name", "generateName", "namespace", "selfLink", "uid", "resourceVersion"),
    7: Field("generation", _int),
    8: Field("creationTimestamp", _time),
    9: Field("deletionTimestamp", _time),
    10: Field("deletionGracePeriodSeconds", _int, "optional"),
    11: Field("labels", _text, "map"),
    12: Field("annotations", _text, "map"),
    13: Field("ownerReferences", _message(_OWNER), "list"),
    14: Field("finalizers", _text, "list"),
    17: Field("managedFields", _ignored),
}
_METADATA = Field("metadata", _message(_META))
_REFERENCE: Message = _strings("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_NAME: Message = _strings("name")
_SPACE: Message = _strings("namespace")

# What the client cannot set is accepted and left out.
_STATUS = Field("status", _ignored)

_NAMESPACE: Message = {1: _METADATA, 2: Field("spec", _message({1: Field("finalizers", _text, "list")})), 3: _STATUS}
_CONFIG_MAP: Message = {
    1: _METADATA,
    2: Field("data", _text, "map"),
    3: Field("binaryData", _base64, "map"),
    4: Field("immutable", _flag, "optional"),
}
_SECRET: Message = {
    1: _METADATA,
    2: Field("data", _base64, "map"),
    3: Field("type", _text),
    4: Field("stringData", _text, "map"),
    5: Field("immutable", _flag, "optional"),
}
_SERVICE_ACCOUNT: Message = {
    1: _METADATA,
    2: Field("secrets", _message(_REFERENCE), "list"),
    3: Field("imagePullSecrets", _message(_NAME), "list"),
    4: Field("automountServiceAccountToken", _flag, "optional"),
}
_TOKEN_REQUEST_SPEC: Message = {
    1: Field("audiences", _text, "list"),
    3: Field("boundObjectRef", _message(_strings("kind", "apiVersion", "name", "uid"))),
    4: Field("expirationSeconds", _int, "optional"),
}
_ACCESS: Message = _strings("namespace", "verb", "group", "version", "resource", "subresource", "name")
_ACCESS_SPEC: Message = {
    1: Field("resourceAttributes", _message(_ACCESS)),
    2: Field("nonResourceAttributes", _message(_strings("path", "verb"))),
}
_LEASE_SPEC: Message = {
    1: Field("holderIdentity", _text, "optional"),
    2: Field("leaseDurationSeconds", _int, "optional"),
    3: Field("acquireTime", _micro_time),
    4: Field("renewTime", _micro_time),
    5: Field("leaseTransitions", _int, "optional"),
    6: Field("strategy", _text, "optional"),
    7: Field("preferredHolder", _text, "optional"),
}
_DELETE_OPTIONS: Message = {
    1: Field("gracePeriodSeconds", _int, "optional"),
    2: Field("preconditions", _message({1: Field("uid", _text), 2: Field("resourceVersion", _text)})),
    3: Field("orphanDependents", _flag, "optional"),
    4: Field("propagationPolicy", _text),
    5: Field("dryRun", _text, "list"),
}

MESSAGES: Mapping[tuple[str, str], Message] = {
    ("v1", "Namespace"): _NAMESPACE,
    ("v1", "ConfigMap"): _CONFIG_MAP,
    ("v1", "Secret"): _SECRET,
    ("v1", "ServiceAccount"): _SERVICE_ACCOUNT,
    ("v1", "DeleteOptions"): _DELETE_OPTIONS,
    ("authentication.k8s.io/v1", "TokenRequest"): {1: _METADATA, 2: Field("spec", _message(_TOKEN_REQUEST_SPEC)), 3: _STATUS},
    ("authentication.k8s.io/v1", "TokenReview"): {
        1: _METADATA,
        2: Field("spec", _message({1: Field("token", _text), 2: Field("audiences", _text, "list")})),
        3: _STATUS,
    },
    ("authentication.k8s.io/v1", "SelfSubjectReview"): {1: _METADATA, 2: _STATUS},
    ("authorization.k8s.io/v1", "SelfSubjectAccessReview"): {1: _METADATA, 2: Field("spec", _message(_ACCESS_SPEC)), 3: _STATUS},
    ("authorization.k8s.io/v1", "SelfSubjectRulesReview"): {1: _METADATA, 2: Field("spec", _message(_SPACE)), 3: _STATUS},
    ("coordination.k8s.io/v1", "Lease"): {1: _METADATA, 2: Field("spec", _message(_LEASE_SPEC))},
}
_UNKNOWN: Message = {
    1: Field("typeMeta", _message(_strings("apiVersion", "kind"))),
    2: Field("raw", bytes),
    3: Field("contentEncoding", _text),
    4: Field("contentType", _text),
}


def decode(body: bytes) -> Obj:
    """Read a body.

    Raises:
        BadRequest: The bytes are not Kubernetes' protobuf, or have a field that is not known here.
        UnsupportedMediaType: The kind is one that is read only as JSON; the message says so.
    """
    if not body.startswith(MAGIC):
        raise BadRequest("the body is not Kubernetes protobuf: it does not begin with 'k8s\\0'. Send application/json.")
    try:
        envelope = _decode(body[len(MAGIC) :], _UNKNOWN)
        meta = envelope.get("typeMeta", {})
        api_version, kind = meta.get("apiVersion", ""), meta.get("kind", "")
        message = MESSAGES.get((api_version, kind))
        if message is None:
            raise UnsupportedMediaType(
                f"{kind or 'objects without a kind'} of {api_version or 'no version'} cannot be read as protobuf here. "
                "Send application/json."
            )
        return {"apiVersion": api_version, "kind": kind, **_decode(envelope.get("raw", b""), message)}
    except (ValueError, IndexError, TypeError, AttributeError, OverflowError) as error:
        raise BadRequest("the protobuf body is damaged: it ends too early, or has a value of the wrong type.") from error


def _decode(raw: bytes, message: Message) -> Obj:
    out: Obj = {}
    for number, wire in _fields(raw):
        field = message.get(number)
        if field is None:
            known = ", ".join(each.name for each in message.values())
            raise BadRequest(f"the protobuf body has field number {number}, which is not known here beside {known}. Send JSON.")
        if field.shape == "map":
            entry = dict(_fields(wire))
            out.setdefault(field.name, {})[_text(entry.get(1, b""))] = field.read(entry.get(2, b""))
            continue
        value = field.read(wire)
        if field.shape == "list":
            out.setdefault(field.name, []).append(value)
        elif field.shape == "optional" or value:
            out[field.name] = value
    return out


def _fields(raw: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(raw, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(raw, at)
        elif wire in {_FIXED64, _FIXED32}:
            size = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(wire)
        if at + size > len(raw):
            raise ValueError(size)
        yield number, raw[at : at + size]
        at += size


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & ((1 << 64) - 1), at
        shift += 7
        if shift > 63:
            raise ValueError(shift)
