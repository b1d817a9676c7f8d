"""JSON patch, by the RFC's own examples and by what clients get wrong."""

from typing import Any

import pytest

from kedge import errors
from kedge.kube import json_patch


def _op(op: str, path: str, **rest: Any) -> dict[str, Any]:
    return {"op": op, "path": path, **rest}


@pytest.mark.parametrize(
    ("document", "operations", "result"),
    [
        ({"foo": "bar"}, [_op("add", "/baz", value="qux")], {"foo": "bar", "baz": "qux"}),
        ({"foo": ["bar", "baz"]}, [_op("add", "/foo/1", value="qux")], {"foo": ["bar", "qux", "baz"]}),
        ({"foo": ["bar"]}, [_op("add", "/foo/-", value=["abc"])], {"foo": ["bar", ["abc"]]}),
        ({"foo": ["bar"]}, [_op("add", "/foo/1", value=1)], {"foo": ["bar", 1]}),
        ({"baz": 1, "foo": 2}, [_op("remove", "/baz")], {"foo": 2}),
        ({"foo": [1, 2, 3]}, [_op("remove", "/foo/1")], {"foo": [1, 3]}),
        ({"baz": 1}, [_op("replace", "/baz", value=None)], {"baz": None}),
        ({"a": {"b": 1}, "c": {}}, [_op("move", "/c/d", **{"from": "/a/b"})], {"a": {}, "c": {"d": 1}}),
        ({"a": [1, 2, 3]}, [_op("move", "/a/2", **{"from": "/a/0"})], {"a": [2, 3, 1]}),
        ({"a": {"b": 1}}, [_op("copy", "/c", **{"from": "/a"})], {"a": {"b": 1}, "c": {"b": 1}}),
        ({"a/b": 1, "m~n": 2}, [_op("remove", "/a~1b"), _op("replace", "/m~0n", value=3)], {"m~n": 3}),
        ({"a": 1}, [_op("test", "/a", value=1.0), _op("replace", "", value={"b": 2})], {"b": 2}),
        ({"a": {"l": [{"x": 1}]}}, [_op("replace", "/a/l/0/x", value=2)], {"a": {"l": [{"x": 2}]}}),
    ],
)
def test_applies(document: Any, operations: list[Any], result: Any) -> None:
    assert json_patch.apply(document, operations) == result


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (_op("remove", "/b"), "JSON patch operation 0: there is no '/b' in the object"),
        (_op("replace", "/b", value=1), "there is no '/b'"),
        (_op("replace", "/l/1", value=1), "'1' is no position in a list whose last is 0"),
        (_op("add", "/l/2", value=1), "'2' is no position"),
        (_op("add", "/l/01", value=1), "'01' is no position"),
        (_op("add", "/x/y", value=1), "there is no '/x'"),
        (_op("add", "/a/y", value=1), "'y' cannot be set in 1, which is no object"),
        (_op("test", "/a", value=True), "test failed: /a is not True"),
        (_op("test", "/a", value=2), "test failed"),
        (_op("move", "/o/p/q", **{"from": "/o/p"}), "/o/p cannot be moved into itself"),
        (_op("remove", ""), "the whole object cannot be removed"),
    ],
)
def test_what_does_not_fit_is_invalid(operation: Any, message: str) -> None:
    with pytest.raises(errors.Invalid) as raised:
        json_patch.apply({"a": 1, "l": [1], "o": {"p": {}}}, [operation])
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        ({}, "a JSON patch must be a list of operations, got dict"),
        ([1], "JSON patch operation 0: must be an object with op and path, got 1"),
        ([_op("add", "/a")], "add needs a value"),
        ([_op("move", "/a")], "move needs from"),
        ([_op("add", "a", value=1)], "a path begins with '/', got 'a'"),
        ([_op("increment", "/a")], "op must be add, remove, replace, move, copy or test, got 'increment'"),
    ],
)
def test_what_cannot_be_read_is_a_bad_request(operations: Any, message: str) -> None:
    with pytest.raises(errors.BadRequest) as raised:
        json_patch.apply({"a": 1}, operations)
    assert message in str(raised.value)
