"""Protobuf bodies: written here by hand as the message definitions say."""

import base64
import struct

import pytest

from kedge.errors import BadRequest, UnsupportedMediaType
from kedge.server.protobuf import MAGIC, decode


def varint(value: int) -> bytes:
    out = b""
    value &= (1 << 64) - 1
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def data(field: int, value: bytes | str) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(raw)) + raw


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    return MAGIC + data(1, data(1, api_version) + data(2, kind)) + data(2, raw) + data(3, "") + data(4, "")


def entry(key: str, value: bytes | str) -> bytes:
    return data(1, key) + data(2, value)


META = data(1, "n") + data(2, "") + data(3, "ns") + data(5, "") + number(7, 0) + data(8, b"") + data(11, entry("a", "b"))
JSON_META = {"name": "n", "namespace": "ns", "labels": {"a": "b"}}


@pytest.mark.parametrize(
    ("api_version", "kind", "raw", "expected"),
    [
        ("v1", "Namespace", data(1, META) + data(2, b"") + data(3, b""), {"metadata": JSON_META}),
        (
            "v1",
            "ConfigMap",
            data(1, META) + data(2, entry("k", "v")) + data(2, entry("e", "")) + data(3, entry("b", b"\xff")) + number(4, 0),
            {
                "metadata": JSON_META,
                "data": {"k": "v", "e": ""},
                "binaryData": {"b": base64.b64encode(b"\xff").decode()},
                "immutable": False,
            },
        ),
        ("v1", "Secret", data(2, entry("p", "q")) + data(3, "Opaque"), {"data": {"p": "cQ=="}, "type": "Opaque"}),
        ("v1", "ServiceAccount", data(3, data(1, "s")) + number(4, 1), {
            "imagePullSecrets": [{"name": "s"}], "automountServiceAccountToken": True,
        }),
        ("v1", "DeleteOptions", number(1, 0) + data(4, "Orphan"), {"gracePeriodSeconds": 0, "propagationPolicy": "Orphan"}),
        ("v1", "DeleteOptions", number(1, -1), {"gracePeriodSeconds": -1}),
        (
            "authentication.k8s.io/v1",
            "TokenRequest",
            data(2, data(1, "kedge") + number(4, 600) + data(3, data(1, "Pod") + data(3, "p"))),
            {"spec": {"audiences": ["kedge"], "expirationSeconds": 600, "boundObjectRef": {"kind": "Pod", "name": "p"}}},
        ),
        (
            "coordination.k8s.io/v1",
            "Lease",
            data(2, data(1, "me") + data(3, number(1, 1_700_000_000) + number(2, 5_000_000))),
            {"spec": {"holderIdentity": "me", "acquireTime": "2023-11-14T22:13:20.005000Z"}},
        ),
        ("v1", "Namespace", data(1, data(8, number(1, 60))), {"metadata": {"creationTimestamp": "1970-01-01T00:01:00Z"}}),
        (
            "apps/v1",
            "Deployment",
            data(2, number(1, 0) + data(4, data(2, data(1, number(1, 1) + number(2, 0) + data(3, "25%"))))),
            {"spec": {"replicas": 0, "strategy": {"rollingUpdate": {"maxUnavailable": "25%"}}}},
        ),
        (
            "v1",
            "Pod",
            data(
                2,
                data(1, data(1, "v") + data(2, data(2, b"")))  # an emptyDir that is empty, inside the source of a volume
                + data(2, data(1, "c") + data(8, data(2, entry("cpu", data(1, "500m"))))),
            ),
            {
                "spec": {
                    "volumes": [{"name": "v", "emptyDir": {}}],
                    "containers": [{"name": "c", "resources": {"requests": {"cpu": "500m"}}}],
                }
            },
        ),
        (
            "authorization.k8s.io/v1",
            "SubjectAccessReview",
            data(2, data(3, "ann") + data(5, entry("scopes", data(1, "a") + data(1, "b")))),
            {"spec": {"user": "ann", "extra": {"scopes": ["a", "b"]}}},
        ),
        (
            "events.k8s.io/v1",
            "Event",
            data(2, number(1, 60) + number(2, 7000)) + data(10, "told"),
            {"eventTime": "1970-01-01T00:01:00.000007Z", "note": "told"},
        ),
        (
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            data(
                2,
                data(1, "x.io")
                + data(
                    7,
                    data(1, "v1")
                    + number(2, 1)
                    + number(3, 0)
                    + data(
                        4,
                        data(
                            1,
                            data(5, "object")
                            + data(8, data(1, b'{"a":1}'))
                            + varint(9 << 3 | 1)
                            + struct.pack("<d", 2.5)
                            + data(29, entry("l", data(5, "array") + data(24, data(1, data(5, "string")))))
                            + data(30, number(1, 0)),
                        ),
                    ),
                ),
            ),
            {
                "spec": {
                    "group": "x.io",
                    "versions": [
                        {
                            "name": "v1",
                            "served": True,
                            "storage": False,
                            "schema": {
                                "openAPIV3Schema": {
                                    "type": "object",
                                    "default": {"a": 1},
                                    "maximum": 2.5,
                                    "properties": {"l": {"type": "array", "items": {"type": "string"}}},
                                    "additionalProperties": False,
                                }
                            },
                        }
                    ],
                }
            },
        ),
    ],
)  # fmt: skip
def test_bodies(api_version: str, kind: str, raw: bytes, expected: dict[str, object]) -> None:
    assert decode(envelope(api_version, kind, raw)) == {"apiVersion": api_version, "kind": kind, **expected}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{}", "is not Kubernetes protobuf"),
        (MAGIC + b"\x0a\xff", "is damaged"),
        (MAGIC + b"\xff" * 20, "is damaged"),
        (envelope("v1", "ConfigMap", number(1, 1)), "is damaged"),
        (envelope("v1", "ConfigMap", data(2, number(1, 5))), "is damaged"),
        (envelope("v1", "ConfigMap", data(1, data(1, b"\xff"))), "is damaged"),
        (envelope("v1", "ConfigMap", varint(3 << 3 | 3)), "is damaged"),
        (
            envelope("v1", "ConfigMap", varint(77 << 3 | 5) + struct.pack("<I", 1)),
            "field number 77 in ConfigMap, which is not known here",
        ),
        (envelope("v1", "Namespace", data(1, data(8, number(1, 1 << 62)))), "is damaged"),
    ],
)
def test_damaged_bodies_are_refused(body: bytes, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        decode(body)


def test_a_kind_without_a_table_is_refused() -> None:
    with pytest.raises(UnsupportedMediaType, match=r"Widget of x\.io/v1 cannot be read as protobuf here\. Send application/json"):
        decode(envelope("x.io/v1", "Widget", b""))


def test_every_cut_of_a_body_is_refused_or_read() -> None:
    whole = envelope("v1", "ConfigMap", data(1, META) + data(2, entry("k", "v")))
    for length in range(len(whole)):
        try:
            decode(whole[:length])
        except (BadRequest, UnsupportedMediaType):
            continue
