"""Selectors follow Kubernetes' grammar, and mean what a simple model says."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedge import errors
from kedge.kube import selectors
from kedge.kube.kinds import Kind, Obj


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
        ("a>5", {"a": "6"}, True),
        ("a > 5", {"a": "5"}, False),
        ("a<5,b", {"a": "-4", "b": ""}, True),
        ("a<5", {"a": "x"}, False),
        ("a<5", {}, False),
        ("jobset.sigs.k8s.io/name=n, in in (in)", {"jobset.sigs.k8s.io/name": "n", "in": "in"}, True),
    ],
)
def test_labels(selector: str, labels: dict[str, str], *, matches: bool) -> None:
    predicate = selectors.predicate(selector)
    assert (predicate is None or predicate(_labelled(**labels))) is matches


@pytest.mark.parametrize(
    ("selector", "told"),
    [
        ("=a", "found '=', expected: !, identifier, or 'end of string'"),
        ("a in 1", "unable to parse requirement: found '1' expected: '('"),
        ("a in (1", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a=1,", "found '', expected: identifier after ','"),
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=1 b=2", "found 'b', expected: ',' or 'end of string'"),
        ("a()", "unable to parse requirement: found '(', expected: in, notin"),
        ("a=%", 'unable to parse requirement: values[0][a]: Invalid value: "%": a valid label must be'),
        ("a in ((1))", "unable to parse requirement: found '(', expected: ',', ')' or identifier"),
        ("a in (1,=)", "unable to parse requirement: found '=', expected: ',', or identifier"),
        ("-a", 'unable to parse requirement: <nil>: Invalid value: "-a": name part must consist of'),
        ("a>x", "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an"),
        ("a>", "unable to parse requirement: values[0]: Invalid value"),
        ("a>=1", "unable to parse requirement: found '=', expected: identifier"),
        ("a===b", "unable to parse requirement: found '=', expected: identifier"),
        ("!!", "unable to parse requirement: found '!', expected: identifier"),
    ],
)
def test_labels_that_cannot_be_read(selector: str, told: str) -> None:
    with pytest.raises(errors.BadRequest) as raised:
        selectors.parse_labels(selector)
    assert str(raised.value).startswith(told)


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


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (Kind("A", "as"), '"spec.x" is not a known field selector: only "metadata.name", "metadata.namespace"'),
        (Kind("A", "as", field_selectors=("status.phase",)), "field label not supported: spec.x"),
        (Kind("A", "as", structural=True), "field label not supported: spec.x"),
        (
            Kind("Job", "jobs", group="batch", field_selectors=("status.successful",)),
            'field label "spec.x" not supported for Job',
        ),
    ],
    ids=["without", "some", "defined", "jobs"],
)
def test_a_field_that_cannot_be_selected_by_is_named(kind: Kind, told: str) -> None:
    with pytest.raises(errors.BadRequest) as raised:
        selectors.predicate(fields="metadata.name=a,spec.x=1", kind=kind)
    assert str(raised.value) == told
    assert selectors.predicate(fields=",".join(f"{path}=a" for path in ("metadata.name", *kind.field_selectors)), kind=kind)


def test_only_what_has_a_namespace_is_selected_by_it() -> None:
    assert selectors.predicate(fields="metadata.namespace=a", kind=Kind("A", "as", namespaced=False))
    with pytest.raises(errors.BadRequest, match=r"field label not supported: metadata\.namespace"):
        selectors.predicate(fields="metadata.namespace=a", kind=Kind("A", "as", namespaced=False, structural=True))


@pytest.mark.parametrize(
    ("selector", "told"),
    [
        ("phase", "invalid selector: 'phase'; can't understand 'phase'"),
        ("a=b,phase", "invalid selector: 'a=b,phase'; can't understand 'phase'"),
        ("a===b", "invalid field selector: unescaped character in value: 61"),
        (r"a=\b", r"invalid field selector: invalid escape sequence: \b"),
        ("a=\\", "invalid field selector: invalid escape sequence: \\"),
    ],
)
def test_fields_that_cannot_be_read(selector: str, told: str) -> None:
    with pytest.raises(errors.BadRequest) as raised:
        selectors.parse_fields(selector)
    assert str(raised.value) == told


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
