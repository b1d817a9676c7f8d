"""Writes the OpenAPI v2 document as protobuf, the only form in which `kubectl` takes it.

`kubectl create` reads it to check, before it sends anything, an object whose kind cannot be patched: the reviews. The numbers of
the fields are those of ``OpenAPIv2.proto`` of the gnostic project, which Kubernetes names in the media type.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from kedge.kube.kinds import Obj

# Clients ask with an @, which no media type may have: the answer's has a dot instead, as on kube-apiserver.
ASKED = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
ANSWERED = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

_BYTES = 2
_TEXTS = {"$ref": 1, "format": 2, "title": 3, "description": 4, "pattern": 13}


def encode(document: Obj) -> bytes:
    """Write a document.

    Args:
        document: Swagger 2.0 with ``info`` and ``definitions``; it has no paths.
    """
    info = document["info"]
    definitions = b"".join(_field(1, _named(name, _schema(schema))) for name, schema in document["definitions"].items())
    return (
        _text(1, document["swagger"])
        + _field(2, _text(1, info["title"]) + _text(2, info["version"]))
        + _field(8, b"")
        + _field(9, definitions)
    )


def _schema(schema: Mapping[str, Any]) -> bytes:
    parts = [_text(number, schema[name]) for name, number in _TEXTS.items() if name in schema]
    parts += [_text(19, name) for name in schema.get("required", ())]
    extra = schema.get("additionalProperties")
    if isinstance(extra, Mapping):
        parts.append(_field(21, _field(1, _schema(extra))))
    elif extra is True:
        # Field 2, a boolean: true.
        parts.append(_field(21, b"\x10\x01"))
    if "type" in schema:
        parts.append(_field(22, _text(1, schema["type"])))
    if "items" in schema:
        parts.append(_field(23, _field(1, _schema(schema["items"]))))
    parts += [_field(24, _schema(each)) for each in schema.get("allOf", ())]
    if "properties" in schema:
        named = (_field(1, _named(name, _schema(each))) for name, each in schema["properties"].items())
        parts.append(_field(25, b"".join(named)))
    # An extension travels as YAML, of which JSON is a part.
    extensions = ((name, msgspec.json.encode(value)) for name, value in schema.items() if name.startswith("x-"))
    parts += [_field(31, _named(name, _field(2, value))) for name, value in extensions]
    return b"".join(parts)


def _named(name: str, value: bytes) -> bytes:
    return _text(1, name) + _field(2, value)


def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode())


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
