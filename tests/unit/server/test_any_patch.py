"""Patches, server-side apply and watches through selectors do what small models of them say, whatever comes."""

import asyncio
import copy
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kedge.errors import ApiError
from kedge.kube import json_patch, patches
from kedge.kube.core import CONFIG_MAP
from kedge.server.api import Api

Data = dict[str, str]
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
LONG = settings(max_examples=5000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

KEYS, VALUES, MANAGERS = st.sampled_from("xyz"), st.sampled_from("12"), st.sampled_from("ab")
APPLIED = st.tuples(st.just("apply"), MANAGERS, st.dictionaries(KEYS, VALUES, max_size=3), st.booleans())
MERGED = st.tuples(st.just("merge"), st.just("u"), st.dictionaries(KEYS, st.none() | VALUES, max_size=2), st.just(value=False))
STEPS = st.lists(APPLIED | MERGED, min_size=1, max_size=8)


class Owned:
    """A model of the data of one ConfigMap and of who owns which key."""

    def __init__(self) -> None:
        self.values: Data = {}
        self.owners: dict[str, set[str]] = {}

    def apply(self, manager: str, wanted: Data, *, force: bool) -> set[str]:
        """Apply; the keys in conflict, without which nothing is done."""
        disputed = {key for key, value in wanted.items() if self.values.get(key, value) != value and self.owners[key] - {manager}}
        if disputed and not force:
            return disputed
        for key, value in wanted.items():
            self._set(key, value, manager)
            self.owners[key].add(manager)
        for key in [key for key, owners in self.owners.items() if manager in owners and key not in wanted]:
            self.owners[key].discard(manager)
            if not self.owners[key]:
                self._drop(key)
        return set()

    def merge(self, manager: str, change: dict[str, str | None]) -> None:
        """Change some keys; who changes a value owns it alone."""
        for key, value in change.items():
            if value is not None:
                self._set(key, value, manager)
            elif key in self.values:
                self._drop(key)

    def _set(self, key: str, value: str, manager: str) -> None:
        if self.values.get(key) != value:
            self.values[key], self.owners[key] = value, {manager}

    def _drop(self, key: str) -> None:
        del self.values[key], self.owners[key]


def owned(obj: Any) -> dict[str, set[str]]:
    """Who owns which key of an object's data."""
    found: dict[str, set[str]] = {}
    for entry in obj["metadata"].get("managedFields", ()):
        for field in entry["fieldsV1"].get("f:data", {}):
            if field.startswith("f:"):
                found.setdefault(field[2:], set()).add(entry["manager"])
    return found


def check_steps(served: Any, steps: list[Any]) -> None:
    """Do the same to a server and to the model."""

    async def run() -> None:
        path, model = "/api/v1/namespaces/default/configmaps/owned", Owned()
        headers = {"authorization": "Bearer owner-token"}
        transport = httpx.ASGITransport(app=served.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
            await client.delete(path)
            await client.patch(f"{path}?fieldManager=first", headers=form("apply"), content=body({}, labels={"l": "v"}))
            for how, manager, data, force in steps:
                forced = "&force=true" if force else ""
                content = body(data) if how == "apply" else json.dumps({"data": data})
                answer = await client.patch(f"{path}?fieldManager={manager}{forced}", headers=form(how), content=content)
                if how == "merge":
                    model.merge(manager, data)
                elif disputed := model.apply(manager, data, force=force):
                    assert answer.status_code == 409, answer.text
                    found = {cause["field"] for cause in answer.json()["details"]["causes"]}
                    assert found == {f".data.{key}" for key in disputed}
                    continue
                assert answer.status_code == 200, answer.text
                obj = answer.json()
                assert obj.get("data", {}) == model.values
                assert owned(obj) == model.owners

    asyncio.run(run())


def form(how: str) -> dict[str, str]:
    return {"content-type": "application/apply-patch+yaml" if how == "apply" else "application/merge-patch+json"}


def body(data: Data, **meta: Any) -> str:
    # Whoever applies an empty map owns it as a whole, though it is not kept: that is another promise.
    given = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owned", **meta}}
    return json.dumps(given | ({"data": data} if data else {}))


@QUICK
@given(steps=STEPS)
def test_apply_keeps_the_owners_that_a_model_has(served: Any, steps: list[Any]) -> None:
    check_steps(served, steps)


@pytest.mark.soak
@pytest.mark.timeout(600)
@LONG
@given(steps=STEPS)
def test_apply_keeps_the_owners_that_a_model_has_for_long(served: Any, steps: list[Any]) -> None:
    check_steps(served, steps)


LEAVES = st.none() | st.integers(0, 2) | st.sampled_from(["", "v"])
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8)


def merged(target: Any, patch: Any) -> Any:
    """The pseudocode of RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


@given(target=TREES, patch=TREES)
def test_a_merge_patch_does_what_its_rfc_says(target: Any, patch: Any) -> None:
    assert patches.merge(target, patch) == merged(target, patch)


POINTERS = st.lists(st.sampled_from(["x", "y", "z", "0", "1", "-"]), min_size=1, max_size=3)


def places(document: Any, path: str = "") -> Iterator[str]:
    """Every place of a document, and those where something may be added."""
    if isinstance(document, dict):
        parts = {key: document.get(key) for key in "xyz"}
    else:
        parts = dict(enumerate(document)) | {"-": None} if isinstance(document, list) else {}
    for part, found in parts.items():
        yield f"{path}/{part}"
        yield from places(found, f"{path}/{part}")


@st.composite
def edits(draw: st.DrawFn) -> tuple[Any, list[Any]]:
    """A document, and operations most of which are about places that it has."""
    document = draw(st.fixed_dictionaries({"x": st.lists(LEAVES, min_size=1, max_size=3)}, optional={"y": TREES, "z": TREES}))
    there = st.sampled_from(list(places(document)))
    path = there | there | there | POINTERS.map(lambda parts: "/" + "/".join(parts))
    operation = st.fixed_dictionaries({"op": st.sampled_from(["add", "remove", "replace"]), "path": path, "value": TREES})
    return document, draw(st.lists(operation, max_size=4))


def edited(document: Any, operation: Any) -> Any:
    """RFC 6902, one operation, on the parts of a path; raises where there is no such place.

    As on a real API server, an object's field need not be there to be replaced.
    """
    found = document = copy.deepcopy(document)
    *parents, last = operation["path"][1:].split("/")
    for part in parents:
        found = found[place(found, part, len(found) - 1) if isinstance(found, list) else part]
    adds = operation["op"] == "add"
    if isinstance(found, list):
        at = len(found) if adds and last == "-" else place(found, last, len(found) - (0 if adds else 1))
        found[at : at if adds else at + 1] = [] if operation["op"] == "remove" else [operation["value"]]
    elif operation["op"] == "remove":
        del found[last]
    else:
        found[last] = operation["value"]
    return document


def place(found: list[Any], part: str, last: int) -> int:
    if not part.isdigit() or int(part) > last:
        raise LookupError(part, found)
    return int(part)


@settings(max_examples=300)
@given(edits())
def test_a_json_patch_does_what_its_rfc_says(edit: tuple[Any, list[Any]]) -> None:
    document, operations = edit
    wanted: Any = document
    try:
        for operation in operations:
            wanted = edited(wanted, operation)
    except (LookupError, TypeError):
        with pytest.raises(ApiError):
            json_patch.apply(document, operations)
        return
    assert json_patch.apply(document, operations) == wanted


LABELS = st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["1", "2"]), max_size=2)
WRITES = st.lists(st.tuples(st.sampled_from("mn"), st.none() | LABELS), max_size=12)
SELECTORS = {
    "a=1": lambda labels: labels.get("a") == "1",
    "a!=1": lambda labels: labels.get("a") != "1",
    "a,b in (1)": lambda labels: "a" in labels and labels.get("b") == "1",
    "!a": lambda labels: "a" not in labels,
    "a notin (2),b": lambda labels: labels.get("a") != "2" and "b" in labels,
}


@QUICK
@given(writes=WRITES, selector=st.sampled_from(list(SELECTORS)))
def test_a_watch_through_a_selector_shows_what_a_list_shows(api: Api, writes: list[Any], selector: str) -> None:
    seen: dict[str, Any] = {}

    def tell(event: Any) -> None:
        name = event.object["metadata"]["name"]
        assert (event.type == "ADDED") is (name not in seen)
        if event.type == "DELETED":
            del seen[name]
        else:
            seen[name] = event.object

    for each in api.list(CONFIG_MAP, "default").items:
        api.delete(CONFIG_MAP, each["metadata"]["name"], "default")
    there: dict[str, Data] = {}
    start = api.list(CONFIG_MAP, "default").resource_version
    end = api.subscribe(CONFIG_MAP, "default", tell, resource_version=start, labels=selector)
    for name, labels in writes:
        if labels is None and there.pop(name, None) is not None:
            api.delete(CONFIG_MAP, name, "default")
        elif labels is not None:
            obj = {"metadata": {"name": name, "namespace": "default", "labels": labels}}
            if name not in there:
                api.create(CONFIG_MAP, obj)
            elif there[name] != labels:
                current = api.get(CONFIG_MAP, name, "default")
                api.update(CONFIG_MAP, {**current, "metadata": {**current["metadata"], "labels": labels}})
            there[name] = labels
    end()
    wanted = {name for name, labels in there.items() if SELECTORS[selector](labels)}
    listed = api.list(CONFIG_MAP, "default", labels=selector).items
    assert {each["metadata"]["name"] for each in listed} == wanted
    assert seen == {each["metadata"]["name"]: each for each in listed}
