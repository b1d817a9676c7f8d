"""What rules may cost is estimated as by Kubernetes: its own package (apiextensions/validation of 1.36.3) gave these answers."""

import json
import re
from pathlib import Path

import pytest
from tests.unit.kube.cost_cases import RULES, cases

from kedge.kube.structural import structure

PATH = "spec.validation.openAPIV3Schema"
ANSWERS: dict[str, dict[str, list[str]]] = json.loads(Path(__file__).with_name("cost_answers.json").read_text())
"""By rule and case, how many times over the budget it is: the rule's, then all rules'."""
FACTOR = re.compile("by factor of (.*?x) ")


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_is_refused_for_what_it_may_cost(rule: str) -> None:
    found: dict[str, list[str]] = {}
    for name, schema in cases(rule):
        faults = structure.faults(schema, PATH)
        assert not any("compilation failed" in each.message for each in faults)
        own = [factor[1] for each in faults if each.field != PATH and (factor := FACTOR.search(each.message))]
        whole = [factor[1] for each in faults if each.field == PATH and (factor := FACTOR.search(each.message))]
        if own or whole:
            found[name] = [*(own or [""]), *(whole or [""])]
    assert found == ANSWERS[rule]


def test_a_schema_that_stays_is_not_refused_for_one_rule() -> None:
    rule = {"x-kubernetes-validations": [{"rule": "self.all(x, x.contains('a string'))"}]}
    foo = {"type": "array", "maxItems": 50, "items": {"type": "string"}, **rule}
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"foo": foo}}}}
    (refused,) = structure.faults(schema, PATH)
    assert refused.field == f"{PATH}.properties[spec].properties[foo].x-kubernetes-validations[0].rule"
    advice = (
        "try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared"
    )
    assert refused.message == f"Forbidden: estimated rule cost exceeds budget by factor of 1.6x ({advice})"
    assert structure.faults(schema, PATH, kept=True) == []
