"""What kinds and fields are stands in OpenAPI documents for all of them: `kubectl explain` has no field without a text."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kedge.kube import admission, apps, core, field_texts, schemas
from kedge.kube.crds import CRD
from kedge.pipelines import feature as pipelines
from kedge.server.discovery import SUBRESOURCES
from kedge.server.openapi import Documents
from kedge.server.registry import Registry

SERVED = (*core.KINDS, *apps.KINDS, *admission.KINDS, CRD, *pipelines.KINDS)
ROOT = Path(__file__).parents[3]
TABLE = Path(field_texts.__file__).with_name("field_texts.txt")
# An object of the API is made and OpenAPI's documents are not asked for: who opens the file then?
AT_START = """
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
import kedge.app
from kedge.kube.core import POD
from kedge.testing.api import memory_api
api = memory_api()
api.create(POD, {"metadata": {"name": "p", "namespace": "default"}, "spec": {"containers": [{"name": "c", "image": "x"}]}})
print([path for path in opened if path.endswith(("field_texts.txt", "core_fields.txt"))])
"""


@pytest.fixture(scope="module")
def documents() -> Documents:
    """Those of a host."""
    return Documents(Registry(SERVED), "1")


def test_every_kind_and_every_field_has_a_text(documents: Documents) -> None:
    for place in documents.index()["paths"]:
        told = msgspec.json.decode(documents.group(place))["components"]["schemas"]
        assert list(untold(told)) == []
    assert list(untold(documents.whole()["definitions"])) == []


def untold(told: Mapping[str, Any]) -> Iterator[str]:
    """What has no text, by its place."""
    for name, schema in told.items():
        if not schema.get("description"):
            yield name
        yield from untold_fields(name, schema)


def untold_fields(place: str, schema: Mapping[str, Any]) -> Iterator[str]:
    for key, field in schema.get("properties", {}).items():
        if not field.get("description"):
            yield f"{place}.{key}"
        yield from untold_fields(f"{place}.{key}", field)
    for key in ("items", "additionalProperties"):
        if isinstance(inner := schema.get(key), dict):
            yield from untold_fields(place, inner)


def test_what_is_referred_to_is_there_and_nothing_of_ours_is_told(documents: Documents) -> None:
    for place in documents.index()["paths"]:
        text = documents.group(place).decode()
        told = msgspec.json.decode(text)["components"]["schemas"]
        assert {each.rpartition("/")[2] for each in re.findall(r'"\$ref":"([^"]+)"', text)} - set(told) == set()
        assert "x-kedge" not in text


def test_a_type_stands_in_a_document_once(documents: Documents) -> None:
    assert documents.group("apis/apps/v1").count(b"terminationGracePeriodSeconds") <= 3, "of Pods and of probes"


def test_every_line_is_of_a_type_and_a_field_that_there_are() -> None:
    of, unknown = "", list[str]()
    own = {kind.kind for kind in SERVED if kind.schema and schemas.TYPE not in kind.schema}
    for line in TABLE.read_text().splitlines():
        head, _, text = line.partition(" ")
        assert len(line) <= 130, line
        if head.startswith("."):
            assert text.endswith("."), line
            if of not in {*own, "*"} and head[1:] not in schemas.of_type(of)["properties"]:
                unknown.append(of + head)
        elif head and head != "#":
            of = head
            if not (schemas.is_type(of) or of in {*own, "*", "Quantity", "IntOrString"}):
                unknown.append(of)
    assert unknown == []


def test_the_texts_are_read_by_nobody_who_asks_for_no_document() -> None:
    done = subprocess.run([sys.executable, "-c", AT_START], check=True, capture_output=True, text=True, timeout=60)
    assert "core_fields.txt" in done.stdout
    assert "field_texts.txt" not in done.stdout


def test_the_page_about_kubernetes_names_every_kind() -> None:
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    travelling = {travels[2] for _, travels in SUBRESOURCES.values() if travels and not travels[2].endswith("Options")}
    assert sorted(({kind.kind for kind in SERVED} | travelling) - set(re.findall(r"\w+", page))) == []
