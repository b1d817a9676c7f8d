"""Whatever a client sends, the server does not fail: any JSON, to any kind, by any verb."""

import asyncio
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kedge.kube.core import KINDS

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
)
WORDS = st.sampled_from(
    [
        "metadata", "spec", "status", "name", "namespace", "labels", "annotations", "finalizers",
        "ownerReferences", "uid", "resourceVersion", "deletionTimestamp", "generateName", "containers",
        "initContainers", "volumes", "env", "data", "binaryData", "stringData", "type", "phase", "conditions",
        "involvedObject", "audiences", "boundObjectRef", "expirationSeconds", "token", "op", "path", "value",
        "$patch", "$setElementOrder/containers", "$deleteFromPrimitiveList/finalizers", "$retainKeys",
        "preconditions", "gracePeriodSeconds", "kind", "containerStatuses", "image", "resources", "limits",
        "ports", "securityContext",
    ]
)  # fmt: skip
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=5), max_leaves=12)
# Objects that come further: a name that is right, and the rest anything.
NAMED = st.dictionaries(WORDS, JSON, max_size=4).map(lambda obj: {**obj, "metadata": {"name": "x"}})
LIKELY = st.dictionaries(WORDS, JSON, max_size=4).map(
    lambda obj: {"metadata": {"name": "x"}, "spec": {"containers": [{"name": "a", "image": "b", **obj}]}, "status": obj, **obj}
)
FORMS = ["application/merge-patch+json", "application/json-patch+json", "application/strategic-merge-patch+json"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.plural)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=NAMED | LIKELY | JSON, patch=JSON, form=st.sampled_from(FORMS))
def test_no_body_makes_the_server_fail(served: Any, kind: Any, body: Any, patch: Any, form: str) -> None:
    async def send() -> list[int]:
        headers = {"authorization": "Bearer owner-token"}
        path = kind.path("default" if kind.namespaced else None)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=served.app), base_url="http://localhost", headers=headers
        ) as client:
            return [
                (await client.post(path, json=body)).status_code,
                (await client.put(f"{path}/x", json=body)).status_code,
                (await client.put(f"{path}/x/status", json=body)).status_code,
                (await client.patch(f"{path}/x", json=patch, headers={"content-type": form})).status_code,
                (await client.patch(f"{path}/x/status", json=patch, headers={"content-type": form})).status_code,
                (await client.get(path, headers={"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"})).status_code,
                (await client.post(f"{path}/x/token", json=body)).status_code,
                (await client.get(f"{path}/x/log")).status_code,
                (await client.request("DELETE", f"{path}/x", json=patch)).status_code,
            ]

    assert [code for code in asyncio.run(send()) if code >= 500] == []
