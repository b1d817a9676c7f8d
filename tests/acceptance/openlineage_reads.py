"""Runs beside the unmodified ``openlineage-python``: builds its own objects of events, and compares what it writes of them.

Reads events as JSON lines, answers one JSON object: how many there were, and every event that it would have written otherwise.
"""

import importlib
import json
import pkgutil
import sys
from contextlib import suppress
from typing import Any

import attr  # pyright: ignore[reportMissingImports]  # of its own environment
from openlineage.client import event_v2, generated  # pyright: ignore[reportMissingImports]
from openlineage.client.serde import Serde  # pyright: ignore[reportMissingImports]

KNOWN: dict[str, Any] = {}
for found in pkgutil.iter_modules(generated.__path__):
    for value in vars(importlib.import_module(f"openlineage.client.generated.{found.name}")).values():
        if isinstance(value, type) and attr.has(value) and hasattr(value, "_get_schema"):
            with suppress(NotImplementedError):
                KNOWN[value._get_schema()] = value


def facets(body: dict[str, Any] | None) -> dict[str, Any]:
    """The client's own facets; fails for a schema or a field that it does not know."""
    return {
        name: KNOWN[one["_schemaURL"]](
            **{key: value for key, value in one.items() if not key.startswith("_")}, producer=one["_producer"]
        )
        for name, one in (body or {}).items()
    }


def dataset(kind: Any, body: dict[str, Any]) -> Any:
    own = {name: facets(body[name]) for name in ("facets", "inputFacets", "outputFacets") if name in body}
    return kind(namespace=body["namespace"], name=body["name"], **own)


def written(body: dict[str, Any]) -> dict[str, Any]:
    run, job = body["run"], body["job"]
    made = event_v2.RunEvent(
        eventTime=body["eventTime"],
        producer=body["producer"],
        run=event_v2.Run(runId=run["runId"], facets=facets(run["facets"])),
        job=event_v2.Job(namespace=job["namespace"], name=job["name"], facets=facets(job["facets"])),
        eventType=event_v2.RunState[body["eventType"]],
        inputs=[dataset(event_v2.InputDataset, one) for one in body["inputs"]],
        outputs=[dataset(event_v2.OutputDataset, one) for one in body["outputs"]],
    )
    return json.loads(Serde.to_json(made))


def plain(value: Any) -> Any:
    """Without what is empty, which the client writes and leaves out as it likes."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items() if one not in (None, {}, [])}
    return [plain(one) for one in value] if isinstance(value, list) else value


events = [json.loads(line) for line in sys.stdin]
differences = [[written(body), body] for body in events if plain(written(body)) != plain(body)]
json.dump({"events": len(events), "differences": differences}, sys.stdout)
