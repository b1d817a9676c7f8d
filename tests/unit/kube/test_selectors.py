"""Selectors follow Kubernetes' grammar, and mean what a simple model says."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedge import errors
from kedge.kube import selectors
from kedge.kube.kinds import Obj


def _labelled(**labels: str) -> Obj:
    return {"metadata": {"labels": labels}}


@pytest.mark.parametrize(
    ("selector", "labels", "matches"),
    [
        ("", {}, True),
        ("a=1", {"a": "1"}, True),
        ("a==1", {"a": "2"}, False),
        ("a!=1", {}, True),
        ("a != 1", {"a": "1"}, False),
        ("a in (1, 2)", {"a": "2"}, True),
        ("a in (1,2)", {}, False),
        ("a notin (1,2)", {"a": "1"}, False),
        ("a notin (1)", {}, True),
        ("a", {"a": ""}, True),
        ("!a", {"a": ""}, False),
        ("! a", {}, True),
        ("a=", {"a": ""}, True),
        ("a=1,b in (x),!c", {"a": "1", "b": "x"}, True),
        ("a=1,b in (x),!c", {"a": "1", "b": "x", "c": ""}, False),
        ("jobset.sigs.k8s.io/name=n, in in (in)", {"jobset.sigs.k8s.io/name": "n", "in": "in"}, True),
    ],
)
def test_labels(selector: str, labels: dict[str, str], *, matches: bool) -> None:
    predicate = selectors.predicate(selector)
    assert (predicate is None or predicate(_labelled(**labels))) is matches


@pytest.mark.parametrize(
    "selector", ["=a", "a in 1", "a in (1", "a=1,", ",a", "a b", "a=1 b=2", "a()", "a=%", "a in ((1))", "-a"]
)
def test_labels_that_cannot_be_read(selector: str) -> None:
    with pytest.raises(errors.BadRequest, match="label selector"):
        selectors.parse_labels(selector)


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ("status.phase=Running", True),
        ("status.phase!=Running", False),
        ("status.phase==Running,spec.nodeName=here", True),
        ("spec.nodeName!=", True),
        ("spec.absent=", True),
        ("spec.flag=true", True),
        ("spec.number=3", True),
        (r"spec.odd=a\,b\=c\\", True),
    ],
)
def test_fields(selector: str, *, matches: bool) -> None:
    obj = {"status": {"phase": "Running"}, "spec": {"nodeName": "here", "flag": True, "number": 3, "odd": "a,b=c\\"}}
    predicate = selectors.predicate(fields=selector)
    assert predicate is not None
    assert predicate(obj) is matches


def test_a_field_that_cannot_be_selected_by_is_named() -> None:
    with pytest.raises(
        errors.BadRequest, match=r"field label not supported: spec\.x\. A selector of this kind may use metadata\.name"
    ):
        selectors.parse_fields("spec.x=1", allowed=("status.phase",))
    with pytest.raises(errors.BadRequest, match="cannot be read at 'phase'"):
        selectors.parse_fields("phase")


@pytest.mark.parametrize(
    ("selector", "labels", "matches"),
    [
        (None, {}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "1"}, True),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}, {"a": "2"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {"a": "2"}, True),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"a": "2"}, False),
    ],
)
def test_label_selector_objects(selector: Obj | None, labels: dict[str, str], *, matches: bool) -> None:
    wanted = selectors.from_label_selector(selector)
    assert selectors.label_predicate(wanted)(_labelled(**labels)) is matches


def test_an_unknown_operator_is_named() -> None:
    with pytest.raises(errors.BadRequest, match="operator must be In, NotIn, Exists or DoesNotExist, got 'Gt'"):
        selectors.from_label_selector({"matchExpressions": [{"key": "a", "operator": "Gt"}]})


_KEYS = st.sampled_from(["a", "b", "x.io/c"])
_VALUES = st.sampled_from(["", "1", "two", "in"])
_TERMS = st.one_of(
    st.tuples(st.just("="), _KEYS, st.lists(_VALUES, min_size=1, max_size=1)),
    st.tuples(st.just("!="), _KEYS, st.lists(_VALUES, min_size=1, max_size=1)),
    st.tuples(st.just("in"), _KEYS, st.lists(_VALUES, min_size=1, max_size=3)),
    st.tuples(st.just("notin"), _KEYS, st.lists(_VALUES, min_size=1, max_size=3)),
    st.tuples(st.just("has"), _KEYS, st.just([])),
    st.tuples(st.just("!"), _KEYS, st.just([])),
)
_Term = tuple[str, str, list[str]]


def _text(term: _Term) -> str:
    operator, key, values = term
    if operator in {"=", "!="}:
        return f"{key}{operator}{values[0]}"
    if operator in {"in", "notin"}:
        return f"{key} {operator} ({','.join(values)})"
    return key if operator == "has" else f"!{key}"


def _model(term: _Term, labels: dict[str, str]) -> bool:
    operator, key, values = term
    if operator in {"=", "in"}:
        return key in labels and labels[key] in values
    if operator in {"!=", "notin"}:
        return key not in labels or labels[key] not in values
    return (key in labels) is (operator == "has")


@given(st.lists(_TERMS, max_size=4), st.dictionaries(_KEYS, _VALUES))
def test_labels_mean_what_the_model_says(terms: list[_Term], labels: dict[str, str]) -> None:
    predicate = selectors.predicate(",".join(map(_text, terms)))
    assert (predicate is None or predicate(_labelled(**labels))) is all(_model(term, labels) for term in terms)


@given(st.text(alphabet="ab=!,() in", max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(errors.BadRequest):
        selectors.predicate(text, text)
