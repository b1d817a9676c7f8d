"""Sends the objects of `rules_cases` to a server as dry runs, and writes down what it says, so that two can be compared."""

import json
import re
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import httpx
from kubeconfigs import client
from rules_cases import CASES, Obj

ANSWERS = Path(__file__).with_name("rules_answers.json")
NAMESPACE = "default"
_ALIEN = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "namespace")
_GIVEN = "10.96.0.0"  # what a real API server shows in a dry run for the address that it does not give


def ask(server: httpx.Client, path: str) -> Iterator[tuple[str, Obj]]:
    """What a server says to each object of a collection."""
    for name, obj in CASES[path].items():
        filled = json.loads(json.dumps(obj).replace("{namespace}", NAMESPACE))
        answer = server.post(path.replace("{namespace}", NAMESPACE), params={"dryRun": "All"}, json=filled)
        yield name, _told(answer)


def _told(answer: httpx.Response) -> Obj:
    body = answer.json()
    if body.get("kind") == "Status":
        causes = [
            [cause["field"], cause["message"], cause["reason"]] for cause in (body.get("details") or {}).get("causes") or ()
        ]
        ordered = [cause for _, group in groupby(causes, _map_of) for cause in sorted(group, key=lambda cause: cause[0])]
        message = body["message"].replace(_sentence(causes), _sentence(ordered))
        return {"code": answer.status_code, "reason": body.get("reason"), "message": message, "causes": ordered}
    meta = {key: value for key, value in body["metadata"].items() if key not in _ALIEN}
    made = {key: value for key, value in body.items() if key not in {"apiVersion", "kind", "status", "metadata"}}
    if meta != {"name": meta.get("name")}:
        made["metadata"] = meta
    return {"code": answer.status_code, "object": _without_given(made)}


def _map_of(cause: list[str]) -> str:
    """The field of the map of whose keys a cause tells one: a real API server goes through a map in any order."""
    return re.sub(r"\[[^\d\]][^\]]*\]$", "", cause[0])


def _sentence(causes: list[list[str]]) -> str:
    return ", ".join(f"{field}: {message}" for field, message, _ in causes)


def _without_given(obj: Obj) -> Obj:
    """An object without what each server gives as it likes: addresses of Services; and without lists of nothing."""
    made = {key: value for key, value in obj.items() if value not in (None, [], {})}
    spec = made.get("spec")
    if isinstance(spec, dict):
        made["spec"] = {key: value for key, value in spec.items() if value not in (None, [])}
        if spec.get("clusterIP", "None") not in {"None", "10.96.7.7"}:
            made["spec"] |= {"clusterIP": _GIVEN, "clusterIPs": [_GIVEN]}
    return made


def main() -> None:
    """Ask the server of a kubeconfig, and keep what it says."""
    with client(Path(sys.argv[1])) as server:
        found = {path: dict(ask(server, path)) for path in CASES}
    ANSWERS.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
