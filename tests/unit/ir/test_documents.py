"""Pipeline files: every shape that is read, and what is said of the rest."""

import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kedge.errors import PipelineError
from kedge.pipelines import documents
from kedge.pipelines.documents import Document

SPEC: dict[str, Any] = {"pipelineInfo": {"name": "p"}, "root": {"dag": {}}, "schemaVersion": "2.1.0"}
PLATFORMS: dict[str, Any] = {"kubernetes": {"deploymentSpec": {}}}
BARE = "root: {}\nschemaVersion: 2.1.0\n"


@pytest.mark.parametrize(
    ("text", "platforms"),
    [
        pytest.param(json.dumps(SPEC), {}, id="json"),
        pytest.param(yaml.dump(SPEC), {}, id="yaml"),
        pytest.param("\ufeff" + yaml.dump(SPEC), {}, id="byte-order-mark"),
        pytest.param(
            "# a comment\n" + yaml.dump(SPEC) + "---\n" + yaml.dump({"platforms": PLATFORMS}), PLATFORMS, id="two-documents"
        ),
        pytest.param("---\n" + yaml.dump(SPEC) + "---\n", {}, id="empty-second-document"),
        pytest.param(
            json.dumps({"pipeline_spec": SPEC, "platform_spec": {"platforms": PLATFORMS}}), PLATFORMS, id="as-the-client-sends"
        ),
        pytest.param(json.dumps({"pipeline_spec": SPEC}), {}, id="wrapper-without-platforms"),
        pytest.param(
            json.dumps({"pipelineSpec": SPEC, "platformSpec": {"platforms": PLATFORMS}}), PLATFORMS, id="camel-case-wrapper"
        ),
        pytest.param(
            "kind: Pipeline\n---\n"
            + yaml.dump({"kind": "PipelineVersion", "spec": {"pipelineSpec": SPEC, "platformSpec": None}}),
            {},
            id="kubernetes-manifest",
        ),
        pytest.param("{root: {dag: {}}, pipelineInfo: {name: p}, schemaVersion: 2.1.0}", {}, id="yaml-that-begins-like-json"),
    ],
)
def test_shapes_that_are_read(text: str, platforms: Any) -> None:
    assert documents.read(text) == Document(SPEC, platforms)
    assert documents.read(text.encode()) == Document(SPEC, platforms)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "f: it is empty. Give the YAML or JSON file that the compiler wrote.", id="empty"),
        pytest.param(
            "a: b\n c: d", "f, line 2, column 3: not YAML: mapping values are not allowed in this context.", id="bad-yaml"
        ),
        pytest.param("a: *b", "f, line 1, column 4: not YAML: found undefined alias.", id="no-anchor"),
        pytest.param("\x00", "f: not YAML: unacceptable character #x0000", id="control-character"),
        pytest.param(b"\xff\xfe", "f: not a pipeline: byte 0 is not UTF-8 text.", id="not-text"),
        pytest.param("? [a]\n: b", "f, line 1, column 3: not YAML: found unhashable key.", id="list-as-key"),
        pytest.param("a: 0o9\nb: !!int x", "f, line 2, column 4: not YAML: 'x' is no number (", id="no-number"),
        pytest.param(
            "!!python/object:os.system {}", "not YAML: could not determine a constructor for the tag", id="python-object"
        ),
        pytest.param("[1]", "f: not a pipeline: expected a mapping with the key root, got a list.", id="list"),
        pytest.param("hello", "got str 'hello'.", id="text"),
        pytest.param('{"pipeline_spec": 3}', "expected a mapping with the key root, got int 3.", id="wrapped-number"),
        pytest.param("a: 1\nb: 2", "f: not a pipeline: the key root is missing (found: a, b). Give the file that", id="no-root"),
        pytest.param("{}", "(found: nothing)", id="nothing"),
        pytest.param("kind: Workflow", "f: this is an Argo Workflow, which kfp 1.x wrote;", id="argo"),
        pytest.param("implementation: {}", "f: this is a component.yaml of kfp 1.x, not a pipeline.", id="component"),
        pytest.param("root: {}", "f: schemaVersion is missing; Kedge reads '2.1.0'. Compile it again", id="no-version"),
        pytest.param("root: {}\nschemaVersion: 2.2.0", "f: schemaVersion is '2.2.0'; Kedge reads '2.1.0'.", id="other-version"),
        pytest.param(
            BARE + "---\nplatfrms: {}",
            "f: the second document has the key 'platfrms'; only platforms may stand there.",
            id="typo",
        ),
        pytest.param(
            BARE + "---\n[1]", "f: the platform options must be a mapping with the key platforms.", id="list-of-options"
        ),
        pytest.param(BARE + "---\nplatforms: 1", "f: the platform options must be a mapping", id="number-of-options"),
        pytest.param(
            BARE + "---\nplatforms: {}\n---\na: 1", "f: 3 YAML documents, at most two can be read", id="three-documents"
        ),
        pytest.param(
            '{"root": {"dag": {}, "dag": {}}, "schemaVersion": "2.1.0"}',
            "f: not a pipeline: the key 'dag' stands twice in one object. Keep one of them.",
            id="key-twice-in-json",
        ),
        pytest.param(BARE + "root: {}", "f, line 3, column 1: not YAML: the key 'root' stands twice in one", id="key-twice"),
        pytest.param(BARE + "a: .nan", "f, line 3, column 4: not YAML: '.nan' is no number that JSON has", id="nan"),
        pytest.param(BARE + "a: 0x" + "f" * 5000, "f, line 3, column 4: not YAML: the number has more than 4096 bits", id="hex"),
        pytest.param(BARE + "a: !!bool x", "f: not a pipeline: 'x' does not fit its tag.", id="no-boolean"),
        pytest.param(BARE + "a: !!binary aGk=", "could not determine a constructor for the tag", id="binary"),
        pytest.param(BARE + "a: !!python/name:os.system x", "could not determine a constructor for the tag", id="code"),
        pytest.param(BARE + "a: \ud800", "f: not a pipeline: a character in it is not UTF-8 text.", id="half-a-character"),
        pytest.param("a: &a [*a]\n" + BARE, "f: its YAML aliases stand for more than 5,000,000 values.", id="endless-alias"),
    ],
)
def test_what_is_said_of_the_rest(text: str | bytes, message: str) -> None:
    with pytest.raises(PipelineError) as error:
        documents.read(text, "f")
    assert message in str(error.value)


@pytest.mark.parametrize(
    "text", ["[" * 200_000 + "]" * 200_000, "- " * 50_000 + "a", '["]",' * 50_000, '{"a":' * 20_000 + "1" + "}" * 20_000]
)
def test_nesting_without_end_is_an_error_and_not_the_end_of_the_process(text: str) -> None:
    with pytest.raises(PipelineError, match="nested more than 100 levels deep"):
        documents.read(text)


def test_deep_values_that_were_read_by_others_are_refused_too() -> None:
    value: Any = 1
    for _ in range(150):
        value = [value, {"a": value}] if isinstance(value, int) else [value]
    with pytest.raises(PipelineError, match="the pipeline: not a pipeline: it is nested more than 100 levels deep"):
        documents.document({**SPEC, "x": value})


def test_a_laughing_billion_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(PipelineError, match="aliases stand for more than"):
        documents.read("\n".join(lines) + "\n" + BARE)


def test_merge_keys_that_multiply_are_refused_before_they_fill_memory() -> None:
    lines = ["a0: &a0 {x: 1}"] + [f"a{i}: &a{i}\n  <<: [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    with pytest.raises(
        PipelineError, match=r"line \d+, column 3: not YAML: its merge keys \(<<\) stand for more than 100,000 fields"
    ):
        documents.read("\n".join(lines) + "\n" + BARE)


def test_modest_merge_keys_are_read() -> None:
    read = documents.read(BARE + "a: &x {b: 1, c: 1}\nd: {<<: *x, c: 2}").pipeline
    assert read["d"] == {"b": 1, "c": 2}


def test_keys_are_text_whatever_they_look_like() -> None:
    assert documents.read(BARE + "a: {1: b, true: c, 1.50: d}").pipeline["a"] == {"1": "b", "true": "c", "1.50": "d"}


def test_modest_aliases_are_read() -> None:
    assert documents.read(BARE + "a: &x {b: 1}\nc: *x").pipeline["c"] == {"b": 1}


def test_dates_stay_what_was_written() -> None:
    assert documents.read(BARE + "a: 2026-11-23").pipeline["a"] == "2026-11-23"


_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=10,
)


@given(value=_JSON)
def test_what_is_written_is_read_back(value: Any) -> None:
    """Whatever the values look like: yes, 1e3, 2026-01-01, ~, source code with tabs."""
    document = Document({**SPEC, "extra": value}, {"kedge": {"config": value}})
    assert documents.read(documents.write(document)) == document


def test_source_code_is_written_as_a_block() -> None:
    text = documents.write(Document({**SPEC, "source": "def f():\n    return 1\n"}))
    assert "source: |\n  def f():\n      return 1\n" in text
    assert "---" not in text


def test_shared_values_are_written_out() -> None:
    shared = {"a": 1}
    assert "&" not in documents.write(Document({**SPEC, "x": shared, "y": shared}))


def test_what_kfp_says_at_the_beginning_of_a_file_may_have_several_lines() -> None:
    header = "# PIPELINE DEFINITION\n# Name: p\n# Inputs:\n#    text: str [Default: 'one\n  two: {\n']\n"
    body = "components:\n  a: {}\nroot: {}\npipelineInfo: {name: p}\nschemaVersion: 2.1.0\n"
    assert documents.read(header + body).pipeline["pipelineInfo"] == {"name": "p"}
    with pytest.raises(PipelineError, match="line 9, column 5"):
        documents.read(header + "components:\n  a: {\n b: ]")


@pytest.mark.parametrize("text", ["n", "Y", "1e3", ".5", "0o17", "-2E-1"])
def test_texts_that_kubectl_would_read_as_something_else_are_in_quotes(text: str) -> None:
    written = documents.write(Document({**SPEC, text: text}))
    assert re.search(rf"""^(['"]){re.escape(text)}\1: (['"]){re.escape(text)}\2$""", written, re.MULTILINE), written
    assert documents.read(written).pipeline[text] == text
