"""Who owns which field: the same requests as on a real API server (1.36), with the sets that it gave."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kedge.kube import managers, typed
from kedge.kube.core import POD
from kedge.kube.field_sets import difference, intersection, paths, union
from kedge.kube.kinds import Kind, Obj
from kedge.kube.managers import Conflicts, Entries, Manager

TEXT = {"type": "string"}
TEXTS = {"type": "object", "additionalProperties": TEXT}
WIDGET = Kind(
    "Widget",
    "widgets",
    group="x.io",
    subresources=("status",),
    schema={
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "a": TEXT,
                    "n": {"type": "integer"},
                    "set": {"type": "array", "x-kubernetes-list-type": "set", "items": TEXT},
                    "map": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["k"],
                        "items": {"type": "object", "properties": {"k": TEXT, "v": TEXT}},
                    },
                    "plain": {"type": "array", "items": TEXT},
                    "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                    "am": {**TEXTS, "x-kubernetes-map-type": "atomic"},
                    "gm": TEXTS,
                    "in": {"type": "object", "properties": {"x": TEXT}},
                },
            },
            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    },
)
FULL: Obj = {
    "a": "1",
    "n": 1,
    "set": ["x", "y"],
    "map": [{"k": "1", "v": "a"}, {"k": "2"}],
    "plain": ["p"],
    "open": {"q": {"r": 1}, "l": [1]},
    "am": {"x": "y"},
    "gm": {"x": "y"},
    "in": {"x": "1"},
}
K1, K2, K3 = (f'k:{{"k":"{number}"}}' for number in (1, 2, 3))


class Stored:
    """One object, written to as a server does."""

    def __init__(self, kind: Kind = WIDGET) -> None:
        self.kind = kind
        self.obj: Obj = {}
        self.entries: Entries = {}

    def apply(self, name: str, *, force: bool = False, part: str = "", **fields: Any) -> None:
        manager = Manager(name, "Apply", self.kind.api_version, part)
        config = {"apiVersion": self.kind.api_version, "kind": self.kind.kind, "metadata": {"name": "x"}, **fields}
        self.obj, self.entries = managers.applied(self.kind, self.entries, (self.obj, config), manager, "now", force=force)

    def update(self, name: str, *, part: str = "", **fields: Any) -> None:
        manager = Manager(name, "Update", self.kind.api_version, part)
        new = {**self.obj, "metadata": {"name": "x"}, **fields}
        self.entries = managers.updated(self.kind, self.entries, (self.obj, new), manager, "now")
        self.obj = new

    def owned(self, name: str, operation: str = "Apply", part: str = "") -> Any:
        found = {each.manager.key: each.fields for each in self.entries.values()}
        return found.get(Manager(name, operation, self.kind.api_version, part).key)


def test_what_an_update_makes_is_owned_with_all_that_holds_it() -> None:
    stored = Stored()
    stored.update("p", spec=FULL)
    assert stored.owned("p", "Update") == {
        "f:spec": {
            ".": {},
            "f:a": {},
            "f:am": {},
            "f:gm": {".": {}, "f:x": {}},
            "f:in": {".": {}, "f:x": {}},
            "f:map": {".": {}, K1: {".": {}, "f:k": {}, "f:v": {}}, K2: {".": {}, "f:k": {}}},
            "f:n": {},
            "f:open": {".": {}, "f:l": {}, "f:q": {".": {}, "f:r": {}}},
            "f:plain": {},
            "f:set": {".": {}, 'v:"x"': {}, 'v:"y"': {}},
        }
    }


def test_what_is_applied_is_owned_and_goes_when_it_is_left_out() -> None:
    stored = Stored()
    stored.apply("a", spec=FULL)
    assert stored.owned("a") == {
        "f:spec": {
            "f:a": {},
            "f:am": {},
            "f:gm": {"f:x": {}},
            "f:in": {"f:x": {}},
            "f:map": {K1: {".": {}, "f:k": {}, "f:v": {}}, K2: {".": {}, "f:k": {}}},
            "f:n": {},
            "f:open": {"f:l": {}, "f:q": {".": {}, "f:r": {}}},
            "f:plain": {},
            "f:set": {'v:"x"': {}, 'v:"y"': {}},
        }
    }
    less = {"set": ["y", "z"], "map": [{"k": "2", "v": "b"}], "open": {"l": [1]}}
    stored.apply("a", spec=less)
    assert stored.obj["spec"] == less
    assert stored.owned("a") == {
        "f:spec": {
            "f:map": {K2: {".": {}, "f:k": {}, "f:v": {}}},
            "f:open": {"f:l": {}},
            "f:set": {'v:"y"': {}, 'v:"z"': {}},
        }
    }
    stored.apply("a")
    assert "spec" not in stored.obj
    assert stored.entries == {}


def test_lists_keep_the_order_in_which_they_were_applied() -> None:
    stored = Stored()
    stored.apply("a", spec=FULL)
    stored.apply("b", spec={"set": ["n", "y", "x"], "map": [{"k": "3"}, {"k": "2"}, {"k": "1"}]})
    assert stored.obj["spec"]["set"] == ["n", "y", "x"]
    assert stored.obj["spec"]["map"] == [{"k": "3"}, {"k": "2"}, {"k": "1", "v": "a"}]
    assert stored.owned("b") == {
        "f:spec": {
            "f:map": {K1: {".": {}, "f:k": {}}, K2: {".": {}, "f:k": {}}, K3: {".": {}, "f:k": {}}},
            "f:set": {'v:"n"': {}, 'v:"x"': {}, 'v:"y"': {}},
        }
    }


@pytest.mark.parametrize(
    ("live", "applied", "merged"),
    [
        (["a", "b", "c"], ["c", "a"], ["b", "c", "a"]),
        (["a", "b", "x"], ["b", "a", "n"], ["b", "x", "a", "n"]),
        (["a", "x"], ["n", "a"], ["n", "a", "x"]),
        (["x", "a"], ["n", "a"], ["x", "n", "a"]),
        ([], ["a"], ["a"]),
        (["a"], [], ["a"]),
    ],
)
def test_lists_are_merged_in_order(live: list[str], applied: list[str], merged: list[str]) -> None:
    schema = {"type": "array", "x-kubernetes-list-type": "set", "items": TEXT}
    assert typed.merge(schema, live, applied) == merged


def test_a_status_has_owners_of_its_own() -> None:
    stored = Stored()
    stored.apply("s", spec={"a": "1"}, status={"z": 7})
    assert stored.owned("s") == {"f:spec": {"f:a": {}}}
    stored.apply("s", part="status", status={"z": 1, "l": [{"a": 1}], "o": {"p": "q"}})
    assert stored.owned("s", part="status") == {"f:status": {"f:l": {}, "f:o": {".": {}, "f:p": {}}, "f:z": {}}}
    stored.update("t", part="status", status={**stored.obj["status"], "z": 2})
    assert stored.owned("s", part="status") == {"f:status": {"f:l": {}, "f:o": {".": {}, "f:p": {}}}}
    assert stored.owned("t", "Update", "status") == {"f:status": {"f:z": {}}}
    with pytest.raises(Conflicts, match=r'conflict with "t" with subresource "status" using x.io/v1: \.status\.z'):
        stored.apply("s", part="status", status={"z": 1})


def test_conflicts_name_every_manager_and_field() -> None:
    stored = Stored()
    stored.apply("a", spec={"a": "1", "map": [{"k": "1", "v": "a"}]})
    stored.update("p", spec={**stored.obj["spec"], "n": 1, "gm": {"x.y/z": "1"}})
    with pytest.raises(Conflicts) as raised:
        stored.apply("b", spec={"a": "2", "n": 2, "map": [{"k": "1", "v": "b"}], "gm": {"x.y/z": "2"}})
    assert str(raised.value) == (
        'conflicts with "a":\n- .spec.a\n- .spec.map[k="1"].v\nconflicts with "p" using x.io/v1:\n- .spec.n\n- .spec.gm.x.y/z'
    )
    stored.apply("b", spec={"a": "2", "n": 2}, force=True)
    assert stored.owned("a") == {"f:spec": {"f:map": {K1: {".": {}, "f:k": {}, "f:v": {}}}}}
    assert stored.owned("b") == {"f:spec": {"f:a": {}, "f:n": {}}}


def test_what_others_own_stays_when_an_applier_drops_it() -> None:
    stored = Stored()
    stored.apply("a", spec={"gm": {"x": "1", "y": "2"}, "map": [{"k": "1"}, {"k": "2"}]})
    stored.apply("b", spec={"gm": {"x": "1"}, "map": [{"k": "1", "v": "v"}]})
    stored.apply("a", spec={})
    assert stored.obj["spec"] == {"gm": {"x": "1"}, "map": [{"k": "1", "v": "v"}]}


def test_items_that_cannot_be_told_apart_are_one_field() -> None:
    stored = Stored(POD)
    stored.update("t", spec={"containers": [{"name": "a", "env": [{"name": "E", "value": "1"}, {"name": "E", "value": "2"}]}]})
    assert stored.owned("t", "Update")["f:spec"]["f:containers"]['k:{"name":"a"}']["f:env"] == {".": {}, 'k:{"name":"E"}': {}}
    with pytest.raises(Conflicts, match=r'\.spec\.containers\[name="a"\]\.env\[name="E"\]'):
        stored.apply("a", spec={"containers": [{"name": "a", "env": [{"name": "E", "value": "3"}]}]})


def test_keys_have_their_defaults_and_parts_of_pods_that_are_always_there_no_owner() -> None:
    stored = Stored(POD)
    container = {"name": "a", "ports": [{"containerPort": 80}], "resources": {}}
    stored.update("t", spec={"containers": [container], "volumes": [{"name": "v", "emptyDir": {}}]})
    assert stored.owned("t", "Update") == {
        "f:spec": {
            "f:containers": {
                'k:{"name":"a"}': {
                    ".": {},
                    "f:name": {},
                    "f:ports": {".": {}, 'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
                    "f:resources": {},
                }
            },
            "f:volumes": {".": {}, 'k:{"name":"v"}': {".": {}, "f:emptyDir": {}, "f:name": {}}},
        }
    }


def test_only_ten_updaters_are_told_apart() -> None:
    stored = Stored()
    for number in range(12):
        stored.update(f"m{number:02}", spec={"gm": {**stored.obj.get("spec", {}).get("gm", {}), f"k{number}": "1"}})
    told = managers.write(stored.entries)
    assert len(told) == 10
    (old,) = (each for each in told if each["manager"] == "ancient-changes")
    assert old["fieldsV1"]["f:spec"]["f:gm"] == {".": {}, "f:k0": {}, "f:k1": {}, "f:k2": {}}


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({"set": ["x", "x"]}, '.spec.set: duplicate entries for key [="x"]'),
        ({"map": [{"k": "1"}, {"k": "1"}]}, '.spec.map: duplicate entries for key [k="1"]'),
        (
            {"map": [{"v": "1"}]},
            (
                '.spec.map: element 0: associative list with keys has an element that omits all key fields ["k"] '
                "(and doesn't have default values for any key fields)"
            ),
        ),
        ({"plain": ["x", "x"], "open": {"l": [1, 1]}}, ""),
    ],
)
def test_lists_that_cannot_be_merged_are_faults(value: Obj, fault: str) -> None:
    assert typed.faults(managers.schema_of(WIDGET), {"spec": value}) == ([fault] if fault else [])


@pytest.mark.parametrize(
    "given",
    [
        [{"operation": "Delete"}],
        [{"operation": "Update", "fieldsType": "Other"}],
        ["x"],
    ],
)
def test_entries_that_cannot_be_read(given: Any) -> None:
    assert managers.read(given) is None


@pytest.mark.parametrize("step", ["x:a", "k:a", "k:1", "v:a", "i:x", ""])
def test_a_set_with_a_step_that_is_none_is_left_out(step: str) -> None:
    entry = {"operation": "Update", "manager": "m", "fieldsType": "FieldsV1", "fieldsV1": {step: {}}}
    assert managers.read([entry]) == {}


_SPECS = st.fixed_dictionaries(
    {},
    optional={
        "a": st.sampled_from(["1", "2"]),
        "set": st.lists(st.sampled_from("xyz"), unique=True, max_size=3),
        "map": st.lists(
            st.fixed_dictionaries({"k": st.sampled_from("12")}, optional={"v": st.sampled_from("ab")}),
            unique_by=lambda item: item["k"],
            max_size=2,
        ),
        "gm": st.dictionaries(st.sampled_from("pq"), st.sampled_from("12"), max_size=2),
        "open": st.dictionaries(st.sampled_from("pq"), st.one_of(st.integers(0, 1), st.just({"r": 1}), st.just([1])), max_size=2),
    },
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["a", "b", "u"]), _SPECS), max_size=6))
def test_whatever_is_applied_is_there_and_applying_it_again_changes_nothing(writes: list[tuple[str, Obj]]) -> None:
    stored = Stored()
    for name, spec in writes:
        if name == "u":
            stored.update("u", spec=spec)
            continue
        stored.apply(name, spec=spec, force=True)
        before, entries = stored.obj, stored.entries
        stored.apply(name, spec=spec)
        assert (stored.obj, stored.entries) == (before, entries)
        wanted = typed.fields_of(managers.schema_of(WIDGET), {"spec": spec}) or {}
        has = typed.fields_of(managers.schema_of(WIDGET), {"spec": stored.obj.get("spec", {})}) or {}
        # Empty lists and objects may hold what others own; everything else is as it was applied.
        assert [path for path in paths(wanted) if path not in set(paths(has)) and path.count(".") > 2] == []
        assert stored.obj.get("spec", {}).get("a", spec.get("a")) == spec.get("a", stored.obj.get("spec", {}).get("a"))


@settings(max_examples=100, deadline=None)
@given(_SPECS, _SPECS)
def test_sets_are_sets(one: Obj, other: Obj) -> None:
    left, right = (typed.fields_of(managers.schema_of(WIDGET), {"spec": spec}) or {} for spec in (one, other))
    mine, theirs = set(paths(left)), set(paths(right))
    assert set(paths(union(left, right))) == mine | theirs
    assert set(paths(difference(left, right))) == mine - theirs
    assert set(paths(intersection(left, right))) == mine & theirs
