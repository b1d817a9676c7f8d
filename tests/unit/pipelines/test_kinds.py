"""What may be in a Run, and what of it may change."""

from typing import Any

import pytest

from kedge.kube.kinds import Obj
from kedge.pipelines.kinds import INLINE_LIMIT, RUN

PIPELINE = {"pipelineInfo": {"name": "p"}, "root": {}, "schemaVersion": "2.1.0"}


def faults(spec: Any, old: Obj | None = None) -> dict[str, str]:
    assert RUN.validate is not None
    found = RUN.validate({"spec": spec}, None if old is None else {"spec": old})
    return {cause.field: cause.message for cause in found}


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        (None, "spec", "is required: give it a pipelineSpec"),
        ({}, "spec.pipelineSpec", "is required (or pipelineDigest"),
        ({"pipelineSpec": PIPELINE, "pipelineDigest": "x"}, "spec.pipelineDigest", "may not be set together with pipelineSpec"),
        ({"pipelineSpec": "p"}, "spec.pipelineSpec", "must be an object, got 'p'"),
        ({"pipelineSpec": PIPELINE, "terminate": "yes"}, "spec.terminate", "must be true or false, got 'yes'"),
        ({"pipelineSpec": PIPELINE, "ttlSecondsAfterFinished": True}, "spec.ttlSecondsAfterFinished", "must be a whole number"),
        ({"pipelineSpec": PIPELINE, "ttlSecondsAfterFinished": -1}, "spec.ttlSecondsAfterFinished", "must be >= 0, got -1"),
        ({"pipelineSpec": PIPELINE, "displayName": "x" * 501}, "spec.displayName", "must have at most 500 characters, got 501"),
        ({"pipelineSpec": PIPELINE, "colour": 1}, "spec.colour", "is no field of a Run; there are cache, description"),
        (
            {"pipelineSpec": {"x": "y" * INLINE_LIMIT}},
            "spec.pipelineSpec",
            f"must be at most {INLINE_LIMIT} bytes with platformSpec",
        ),
    ],
)
def test_a_run_that_is_wrong_names_the_field(spec: Any, field: str, message: str) -> None:
    assert message in faults(spec)[field]


def test_a_run_that_is_right_has_no_faults() -> None:
    assert faults({"pipelineSpec": PIPELINE, "parameters": {"x": 1}, "cache": False, "ttlSecondsAfterFinished": 0}) == {}
    assert faults({"pipelineDigest": "sha256:0"}) == {}


def test_what_a_run_does_may_not_be_changed_but_it_may_be_ended() -> None:
    old = {"pipelineSpec": PIPELINE, "parameters": {"x": 1}}
    assert "may not be changed" in faults({**old, "parameters": {"x": 2}}, old)["spec.parameters"]
    assert "may not be changed" in faults({**old, "cache": False}, old)["spec.cache"]
    assert faults({**old, "terminate": True, "ttlSecondsAfterFinished": 5, "displayName": "x"}, old) == {}
    assert "may not be taken back" in faults(old, {**old, "terminate": True})["spec.terminate"]


def test_what_kubectl_get_shows() -> None:
    run = {"status": {"state": "RUNNING", "tasks": {"total": 5, "finished": 2}, "pipeline": "p", "message": ""}}
    assert {column.name: column.value(run) for column in RUN.columns} == {
        "State": "RUNNING",
        "Tasks": "2/5",
        "Pipeline": "p",
        "Message": "",
    }
    assert [column.value({}) for column in RUN.columns] == ["PENDING", "0/0", "", ""]
