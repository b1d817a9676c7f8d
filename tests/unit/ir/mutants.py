"""Pipelines that something became of: every pipeline of the conformance tests, with parts replaced, moved, renamed or gone."""

import copy
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from kedge.pipelines.compiler import compile_file

Json = dict[str, Any]
CASES = {path.stem: path for path in sorted((Path(__file__).parents[2] / "conformance" / "pipelines").glob("*.py"))}


@cache
def compiled(case: str) -> Json:
    """A pipeline of the conformance tests with its options, as clients send it."""
    made = compile_file(CASES[case], pipeline_name="pipeline")
    return {"pipeline_spec": made.pipeline, "platform_spec": {"platforms": made.platforms}}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document but its whole."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, part in inner for place in ((*path, key), *places(part, (*path, key)))]


@cache
def places_of(case: str) -> list[tuple[Any, ...]]:
    """Those of a compiled pipeline; half of them in its options, which are small."""
    found = places(compiled(case))
    options = [place for place in found if place[0] == "platform_spec"]
    return found + options * (len(found) // len(options))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    """The part at a place."""
    for key in path:
        value = value[key]
    return value


def nested(depth: int) -> Any:
    """Lists in lists."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


WORDS = ("make", "root", "-1s", "1e999s", "{{$", "{{$.inputs.parameters['x']}}", "a.b", "../..", "\x00", "", "x" * 3000)
ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([*WORDS, 2**63, 2**64, 10**400, nested(50), nested(150)]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def mutated(draw: st.DrawFn) -> Json:
    """A valid pipeline in which some parts are replaced, moved, renamed or gone, or come from another pipeline."""
    case = draw(st.sampled_from(sorted(CASES)))
    document = copy.deepcopy(compiled(case))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places_of(case)))
        try:
            parent = at(document, path[:-1])
            old = parent[path[-1]]
        except (LookupError, TypeError):
            continue  # an earlier change took it away
        if isinstance(parent, str):
            continue
        match draw(st.sampled_from(["replace", "delete", "move", "foreign", "rename", "text"])):
            case "replace":
                parent[path[-1]] = draw(ANY)
            case "delete":
                del parent[path[-1]]
            case "move":  # also makes components that refer to themselves
                parent[path[-1]] = copy.deepcopy(at(compiled(case), draw(st.sampled_from(places_of(case)))))
            case "foreign":
                other = draw(st.sampled_from(sorted(CASES)))
                alike = [place for place in places_of(other) if place[-1] == path[-1]]
                parent[path[-1]] = copy.deepcopy(at(compiled(other), draw(st.sampled_from(alike or places_of(other)))))
            case "rename" if isinstance(parent, dict):
                new = draw(st.text(max_size=6) | st.sampled_from(sorted(parent)))
                parent[new] = parent.pop(path[-1])
            case _ if isinstance(old, str):
                cut = draw(st.integers(0, len(old)))
                parent[path[-1]] = old[:cut] + draw(st.text(max_size=3)) + old[cut + draw(st.integers(0, 2)) :]
            case _:
                pass
    return document
