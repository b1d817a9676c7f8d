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
        ({"a": 1}, [_op("replace", "/b", value=2), _op("add", "/c")], {"a": 1, "b": 2, "c": None}),
        ({"a": 1}, [_op("copy", "/c", **{"from": "/b"}), _op("test", "/b", value=None)], {"a": 1, "c": None}),
        ({"a": {"l": [{"x": 1}]}}, [_op("replace", "/a/l/0/x", value=2)], {"a": {"l": [{"x": 2}]}}),
    ],
)
def test_applies(document: Any, operations: list[Any], result: Any) -> None:
    assert json_patch.apply(document, operations) == result


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (_op("remove", "/b"), "JSON patch operation 0: there is no '/b' in the object"),
        (_op("replace", "/b/c", value=1), "there is no '/b'"),
        (_op("copy", "/a", **{"from": "/b/c"}), "there is no '/b'"),
        (_op("test", "/b", value=1), "test failed: /b is not 1"),
        (_op("move", "/a"), "move needs from"),
        (_op("add", "a", value=1), "a path begins with '/', got 'a'"),
        (_op("increment", "/a"), "op must be add, remove, replace, move, copy or test, got 'increment'"),
        ({"op": "add"}, "must have op and path"),
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


def test_copies_of_copies_come_to_an_end() -> None:
    doubling = [_op("copy", f"/a/{number}", **{"from": "/a"}) for number in range(60)]
    with pytest.raises(errors.Invalid, match=r"JSON patch operation \d+: the copies come to"):
        json_patch.apply({"a": {"b": "x" * 1000}}, doubling)


def test_a_patch_has_no_more_operations_than_on_a_cluster() -> None:
    operations = [_op("add", "/a", value=1)] * 10_000
    assert json_patch.apply({}, operations) == {"a": 1}
    with pytest.raises(errors.TooLarge, match="maximum operations in a JSON patch is 10000, got 10001"):
        json_patch.apply({}, [*operations, operations[0]])


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        ({}, "cannot unmarshal object into Go value of type []handlers.jsonPatchOp"),
        ([1], "cannot unmarshal number into Go value of type handlers.jsonPatchOp"),
        ([{"op": "add", "path": 1}], "cannot unmarshal number into Go struct field jsonPatchOp.path of type string"),
    ],
)
def test_what_cannot_be_read_is_a_bad_request(operations: Any, message: str) -> None:
    with pytest.raises(errors.BadRequest) as raised:
        json_patch.apply({"a": 1}, operations)
    assert message in str(raised.value)
