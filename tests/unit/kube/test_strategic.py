"""Strategic merge as kubectl sends it."""

import contextlib
import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kedge import errors
from kedge.kube import strategic
from kedge.kube.merging import MergeKeys
from kedge.kube.schemas import CoreSchema

_KEYS = MergeKeys(CoreSchema("Pod"), {})


def _containers(*containers: Any, **rest: Any) -> Any:
    return {"spec": {"containers": list(containers), **rest}}


def _ports(*ports: Any) -> Any:
    return _containers({"name": "a", "ports": list(ports)})


_TCP, _UDP = ({"containerPort": 53, "protocol": each} for each in ("TCP", "UDP"))


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        pytest.param(
            _containers({"name": "a", "image": "1"}, {"name": "b"}),
            _containers({"name": "a", "image": "2"}),
            _containers({"name": "a", "image": "2"}, {"name": "b"}),
            id="items are merged by key",
        ),
        pytest.param(
            _containers({"name": "a"}),
            _containers({"name": "b"}),
            _containers({"name": "a"}, {"name": "b"}),
            id="new items are appended",
        ),
        pytest.param(
            _containers({"name": "a"}, {"name": "b"}),
            _containers({"name": "a", "$patch": "delete"}),
            _containers({"name": "b"}),
            id="an item is deleted",
        ),
        pytest.param(
            _containers({"name": "a"}, {"name": "b"}),
            _containers({"$patch": "replace"}, {"name": "c"}),
            _containers({"name": "c"}),
            id="a list is replaced",
        ),
        pytest.param(
            _containers({"name": "a", "args": ["1", "2"]}),
            _containers({"name": "a", "args": ["3"]}),
            _containers({"name": "a", "args": ["3"]}),
            id="a list without a key is replaced",
        ),
        pytest.param(
            _containers({"name": "a", "env": [{"name": "X", "value": "1"}], "volumeMounts": [{"name": "v", "mountPath": "/a"}]}),
            _containers({"name": "a", "env": [{"name": "Y"}], "volumeMounts": [{"name": "w", "mountPath": "/a"}]}),
            _containers(
                {
                    "name": "a",
                    "env": [{"name": "X", "value": "1"}, {"name": "Y"}],
                    "volumeMounts": [{"name": "w", "mountPath": "/a"}],
                }
            ),
            id="nested lists have keys of their own",
        ),
        pytest.param(
            _containers(),
            {"spec": {"containers": None, "restartPolicy": "Never"}},
            {"spec": {"restartPolicy": "Never"}},
            id="null removes",
        ),
        pytest.param(
            {"spec": {"securityContext": {"a": 1, "b": 2}}},
            {"spec": {"securityContext": {"$patch": "replace", "c": 3}}},
            {"spec": {"securityContext": {"c": 3}}},
            id="an object is replaced",
        ),
        pytest.param(
            {"spec": {"a": {"x": 1}, "b": 1}},
            {"spec": {"a": {"$patch": "delete"}}},
            {"spec": {"a": {}, "b": 1}},
            id="an object is emptied",
        ),
        pytest.param(
            {"spec": {"volumes": [{"name": "v", "emptyDir": {}, "other": 1}]}},
            {"spec": {"volumes": [{"name": "v", "$retainKeys": ["name", "configMap"], "configMap": {"name": "c"}}]}},
            {"spec": {"volumes": [{"name": "v", "configMap": {"name": "c"}}]}},
            id="only retained keys stay",
        ),
        pytest.param(
            {"metadata": {"finalizers": ["a", "b"]}},
            {"metadata": {"finalizers": ["c", "b"]}},
            {"metadata": {"finalizers": ["a", "b", "c"]}},
            id="plain values are merged as a set",
        ),
        pytest.param(
            {"metadata": {"finalizers": ["a", "b"]}},
            {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"]}},
            {"metadata": {"finalizers": ["b", "c"]}},
            id="plain values are deleted",
        ),
        pytest.param(
            _containers({"name": "a"}, {"name": "b"}, {"name": "z"}),
            _containers({"name": "c"}, **{"$setElementOrder/containers": [{"name": "c"}, {"name": "b"}, {"name": "a"}]}),
            _containers({"name": "c"}, {"name": "b"}, {"name": "z"}, {"name": "a"}),
            id="the order is set",
        ),
        pytest.param(
            _ports({**_TCP, "name": "a"}, {**_UDP, "name": "b"}),
            _ports({"containerPort": 80, "name": "w"}),
            _ports({**_TCP, "name": "a"}, {**_UDP, "name": "b"}, {"containerPort": 80, "name": "w"}),
            id="items with equal keys stay",
        ),
        pytest.param(
            _ports({**_TCP, "name": "a"}, {**_UDP, "name": "b"}),
            _ports({"containerPort": 53, "name": "c"}),
            _ports({**_TCP, "name": "c"}, {**_UDP, "name": "b"}),
            id="of items with equal keys the first is changed",
        ),
        pytest.param(
            _ports(_TCP, {"containerPort": 80}, _UDP),
            _ports({"containerPort": 53, "$patch": "delete"}),
            _ports({"containerPort": 80}),
            id="items with equal keys are deleted together",
        ),
        pytest.param(_containers({"name": "a"}), _ports(_TCP, _UDP), _ports(_TCP, _UDP), id="a new list is taken as it is"),
        pytest.param(
            {}, _containers({"name": "a", "x": None}), _containers({"name": "a"}), id="a list that is not there is made"
        ),
        pytest.param(
            {}, _containers({"name": "a", "$patch": "delete"}), _containers(), id="deleting from a list that is not there"
        ),
    ],
)
def test_applies(target: Any, patch: Any, result: Any) -> None:
    assert strategic.apply(target, patch, _KEYS) == result


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        (_containers({"image": "x"}), "spec.containers: each item needs 'name', by which the list is merged"),
        (_containers("x"), "spec.containers: each item needs 'name'"),
        (_containers({"name": ["x"]}), "each item needs 'name'"),
        ({"spec": {"$patch": []}}, "spec: $patch must be delete or replace, got []"),
        ({"$patch": {}}, "object: $patch must be delete or replace, got {}"),
        ({"spec": {"$patch": "explode"}}, "spec: $patch must be delete or replace, got 'explode'"),
        ({"spec": {"$retainKeys": 3}}, "spec: $retainKeys must be a list, got 3"),
        ({"metadata": {"$deleteFromPrimitiveList/finalizers": "a"}}, "must be a list, got 'a'"),
        ({"spec": {"$setElementOrder/containers": {}}}, "must be a list, got {}"),
    ],
)
def test_what_cannot_be_read_is_refused(patch: Any, message: str) -> None:
    with pytest.raises(errors.BadRequest) as raised:
        strategic.apply(_containers({"name": "a"}), patch, _KEYS)
    assert message in str(raised.value)


_WORDS = st.sampled_from(
    [
        "name",
        "spec",
        "containers",
        "metadata",
        "finalizers",
        "$patch",
        "$retainKeys",
        "$setElementOrder/containers",
        "$deleteFromPrimitiveList/finalizers",
        "delete",
        "replace",
        "merge",
        "a",
    ]
)
_ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=4),
    max_leaves=12,
)
_LIKELY = st.fixed_dictionaries({"spec": st.dictionaries(_WORDS, _ANY, max_size=4), "metadata": st.dictionaries(_WORDS, _ANY)})


@settings(deadline=None)
@given(target=_LIKELY | _ANY, patch=_LIKELY | st.dictionaries(_WORDS, _ANY, max_size=4))
def test_any_patch_of_anything_is_applied_or_refused(target: Any, patch: Any) -> None:
    before = copy.deepcopy((target, patch))
    with contextlib.suppress(errors.BadRequest):
        strategic.apply(target, patch, _KEYS)
    assert (target, patch) == before
