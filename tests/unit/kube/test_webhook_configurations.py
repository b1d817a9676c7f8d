"""Configurations of webhooks have the faults that Kubernetes' own package finds (pkg/apis/admissionregistration of 1.36.3)."""

import json
from pathlib import Path
from typing import Any

import pytest

from kedge.kube.admission import MUTATING, VALIDATING
from kedge.kube.kinds import Kind

CASES: dict[str, Any] = json.loads(Path(__file__).with_name("webhook_answers.json").read_text())


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", [MUTATING, VALIDATING], ids=["mutating", "validating"])
def test_a_configuration_has_the_faults_that_kubernetes_finds(kind: Kind, case: str) -> None:
    webhooks: list[dict[str, Any]] = json.loads(json.dumps(CASES[case]["webhooks"]))
    wanted: list[list[str]] = CASES[case]["faults"]
    if kind is VALIDATING:
        webhooks = [{key: value for key, value in each.items() if key != "reinvocationPolicy"} for each in webhooks]
        wanted = [each for each in wanted if "reinvocationPolicy" not in each[0]]
    obj = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": "x"}, "webhooks": webhooks}
    assert kind.default is not None
    assert kind.validate is not None
    kind.default(obj)
    assert sorted([each.field, each.message] for each in kind.validate(obj, None)) == sorted(wanted)
