"""Sends the requests of `custom_cases` to a server and writes down what it says, so that two servers can be compared."""

import json
import secrets
import sys
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import custom_cases
import custom_definitions
import httpx
from custom_cases import GROUP, JSON, Obj, Step
from kubeconfigs import client

ANSWERS = Path(__file__).with_name("custom_answers.json")
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
# What no two servers have in common.
_ALIEN = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "deletionTimestamp", "selfLink", "namespace")
SECONDS = 60


class Asker:
    """Sends requests in one namespace.

    Args:
        server: Where to.
        namespace: Stands for ``{namespace}``.
    """

    def __init__(self, server: httpx.Client, namespace: str) -> None:
        self.server, self.namespace = server, namespace

    def case(self, name: str, steps: Iterable[Step]) -> list[Obj]:
        """What each step of a case is answered."""
        return [self._step(name, step) for step in steps]

    def _step(self, name: str, step: Step) -> Obj:
        def filled(text: str) -> str:
            return text.replace("{name}", name).replace("{namespace}", self.namespace)

        path = filled(step["path"])
        if not path.startswith("/"):
            path = f"/apis/{step.get('group', f'{GROUP}/v1')}/namespaces/{self.namespace}/{path}"
        headers = {"Accept": step.get("accept", JSON)}
        content = None
        if "body" in step:
            headers["Content-Type"] = step.get("type", JSON)
            content = filled(json.dumps(step["body"]))
        answer = self.server.request(step["method"], path, content=content, headers=headers)
        return self.told(answer)

    def told(self, answer: httpx.Response) -> Obj:
        """What an answer says that any server says."""
        told: Obj = {"code": answer.status_code}
        if "json" not in answer.headers.get("content-type", ""):
            return told  # a path that is not served, in plain words
        body = json.loads(answer.text.replace(self.namespace, "NAMESPACE"))
        if warnings := answer.headers.get_list("warning"):
            told["warnings"] = warnings
        if body["kind"] == "Status" and body.get("status") == "Failure":
            told |= {name: body[name] for name in ("reason", "message", "details") if name in body}
            return told
        return told | {"body": _common(body)}

    def definition(self, wanted: Obj) -> Obj:
        """Create a definition, and wait until its kind is served; what is there of that name goes before."""
        self.remove(wanted["metadata"]["name"])
        answer = self.server.post(DEFINITIONS, json=wanted)
        assert answer.is_success, answer.text
        found = self.await_definition(wanted["metadata"]["name"], _established)
        spec = wanted["spec"]
        for version in spec["versions"]:
            path = f"/apis/{spec['group']}/{version['name']}/{spec['names']['plural']}"
            deadline = time.monotonic() + SECONDS
            while not (answer := self.server.get(path)).is_success:  # a moment later, on a cluster
                assert time.monotonic() < deadline, answer.text
                time.sleep(0.05)  # noqa: TID251  # nobody tells
        return found

    def await_definition(self, name: str, is_so: Callable[[Obj], bool]) -> Obj:
        """Wait until a definition is in a state."""
        deadline = time.monotonic() + SECONDS
        while True:
            found = self.server.get(f"{DEFINITIONS}/{name}").json()
            if is_so(found):
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.05)  # noqa: TID251  # nobody tells

    def until(self, path: str, holds: Callable[[httpx.Response], bool]) -> None:
        """Wait until what a path answers is as it shall be."""
        deadline = time.monotonic() + SECONDS
        while not holds(answer := self.server.get(path)):
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.05)  # noqa: TID251  # nobody tells

    def remove(self, name: str) -> None:
        """Delete a definition, and wait until it is gone."""
        self.server.delete(f"{DEFINITIONS}/{name}")
        self.await_definition(name, lambda found: found.get("code") == 404)


def _established(found: Obj) -> bool:
    conditions = found.get("status", {}).get("conditions") or []
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)


def _common(body: Any) -> Any:
    if isinstance(body, dict):
        return {name: _common(value) for name, value in body.items() if name not in _ALIEN and (name, value) != ("continue", "")}
    return [_common(each) for each in body] if isinstance(body, list) else body


def objects(asker: Asker) -> Obj:
    """What the good and bad objects are answered, by the name of their case."""
    asker.definition(custom_cases.trials())
    steps = custom_cases.OBJECTS.items()
    return {case: asker.case(f"case-{number}", each) for number, (case, each) in enumerate(steps)}


def ratcheting(asker: Asker) -> Obj:
    """What is answered about objects that are older than the rules which they break."""
    found = asker.definition(custom_cases.definition("tightened", "Tightened", custom_cases.LOOSE))
    for name, spec in custom_cases.OLD.items():
        body = {"apiVersion": f"{GROUP}/v1", "kind": "Tightened", "metadata": {"name": name}, "spec": spec}
        answer = asker.server.post(f"/apis/{GROUP}/v1/namespaces/{asker.namespace}/tightened", json=body)
        assert answer.is_success, answer.text
    place = f"{DEFINITIONS}/{found['metadata']['name']}"
    change = [{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema", "value": custom_cases.TIGHT}]
    answer = asker.server.patch(place, json=change, headers={"Content-Type": custom_cases.PATCH})
    assert answer.is_success, answer.text
    deadline = time.monotonic() + SECONDS
    path = f"/apis/{GROUP}/v1/namespaces/{asker.namespace}/tightened/young"
    while asker.server.get(path).json()["spec"].get("other") != 7:  # a moment later, on a cluster
        assert time.monotonic() < deadline
        time.sleep(0.05)  # noqa: TID251  # nobody tells
    return {case: asker.case(name, [step]) for case, (name, step) in custom_cases.TIGHTENED.items()}


def definitions(asker: Asker) -> Obj:
    """What the bad definitions are answered, on a dry run."""
    found: Obj = {}
    for case, wanted in custom_definitions.BAD.items():
        answer = asker.server.post(f"{DEFINITIONS}?dryRun=All", json=wanted)
        told = asker.told(answer)
        told.pop("body", None)
        found[case] = told
    return found


def answers(server: httpx.Client) -> Obj:
    """What a server says to everything."""
    with namespace(server) as name:
        asker = Asker(server, name)
        try:
            return {"objects": objects(asker), "ratcheting": ratcheting(asker), "definitions": definitions(asker)}
        finally:
            for plural in ("trials", "tightened"):
                asker.remove(f"{plural}.{GROUP}")


@contextmanager
def namespace(server: httpx.Client) -> Generator[str]:
    """A namespace of one's own."""
    name = f"custom-{secrets.token_hex(4)}"
    server.post("/api/v1/namespaces", json={"metadata": {"name": name}}).raise_for_status()
    try:
        yield name
    finally:
        server.delete(f"/api/v1/namespaces/{name}").raise_for_status()


if __name__ == "__main__":
    with client(Path(sys.argv[1])) as found:
        Path(sys.argv[2] if len(sys.argv) > 2 else ANSWERS).write_text(
            json.dumps(answers(found), indent=1, ensure_ascii=False) + "\n"
        )
