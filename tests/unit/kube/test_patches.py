"""Merge patches and their laws; the choice between the three."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedge import errors
from kedge.kube import patches

_SCALARS = st.one_of(st.booleans(), st.integers(-3, 3), st.text(alphabet="ab", max_size=2))
_NO_NULLS = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
    max_leaves=8,
)
_OBJECTS = st.dictionaries(st.sampled_from("abc"), _NO_NULLS, max_size=3)


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_examples_of_rfc_7386(target: Any, patch: Any, result: Any) -> None:
    assert patches.merge(target, patch) == result


@given(_OBJECTS, _OBJECTS)
def test_a_difference_leads_from_one_to_the_other(before: Any, after: Any) -> None:
    change = patches.diff(before, after)
    assert patches.merge(before, change) == after
    assert (change == {}) is (repr(before) == repr(after) or before == after)


@given(_OBJECTS, _OBJECTS)
def test_merging_twice_changes_nothing_more(target: Any, patch: Any) -> None:
    once = patches.merge(target, patch)
    assert patches.merge(once, patch) == once


def test_the_target_is_not_changed() -> None:
    target = {"a": {"b": 1}, "l": [{"name": "x", "v": 1}]}
    patches.merge(target, {"a": {"b": None}})
    patches.apply(target, {"l": [{"name": "x", "v": 2}]}, "strategic", {"l": "name"})
    patches.apply(target, [{"op": "remove", "path": "/l/0/v"}], "json")
    assert target == {"a": {"b": 1}, "l": [{"name": "x", "v": 1}]}


@pytest.mark.parametrize("kind", ["merge", "strategic"])
def test_a_patch_that_is_no_object_is_refused(kind: patches.PatchType) -> None:
    with pytest.raises(errors.BadRequest, match="json: cannot unmarshal array into Go value of type map"):
        patches.apply({}, [], kind)
