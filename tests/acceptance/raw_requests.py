"""Sends the requests of `raw_cases` to a server, and writes down what it says, so that two can be compared."""

import json
import re
import secrets
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from kubeconfigs import client
from raw_cases import OWN_WORDS, SAME_WORDS, Case, D, config_map

ANSWERS = Path(__file__).with_name("raw_answers.json")
_AS_IT_COMES = (
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UID"),
    (r"(current: |ResourceVersion in record \()\d+", r"\1N"),
)
_EITHER_WAY = {406, 415}  # with empty details or none, as whoever of a real API server has refused it
Answer = dict[str, Any]


def title(case: Case) -> str:
    """What a case is known by."""
    method, path, body, type_ = case
    sent = body.decode() if isinstance(body, bytes) else "" if body is None else json.dumps(body)
    return " ".join(filter(None, (method, path, type_ if "patch" in type_ or body is None else "", sent)))


@contextmanager
def place(server: httpx.Client) -> Generator[str]:
    """A namespace with what the cases are about."""
    name = f"test-{secrets.token_hex(4)}"
    labels = {"a": "b"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    for path, obj in (
        ("/api/v1/namespaces", {"metadata": {"name": name}}),
        (f"/api/v1/namespaces/{name}/configmaps", config_map()),
        (D.replace("{namespace}", name), {"metadata": {"name": "d"}, "spec": spec}),
    ):
        server.post(path, json=obj, headers={"user-agent": "tests"}).raise_for_status()
    try:
        yield name
    finally:
        server.delete(f"/api/v1/namespaces/{name}")


def ask(server: httpx.Client, namespace: str, case: Case) -> Answer:
    """What a server says."""
    method, path, body, type_ = case
    headers = {"user-agent": "tests"} | ({"accept": type_} if body is None and type_ else {})
    content = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    headers |= {"content-type": type_} if content is not None else {}
    filled = path.replace("{n}", f"/api/v1/namespaces/{namespace}").replace("{namespace}", namespace)
    content = content and content.replace(b"{namespace}", namespace.encode())
    answer = server.request(method, filled, content=content, headers=headers)
    return json.loads(_same(json.dumps(_told(answer)), namespace))


def _same(text: str, namespace: str) -> str:
    for pattern, put in _AS_IT_COMES:
        text = re.sub(pattern, put, text)
    return text.replace(namespace, "{namespace}")


def _told(answer: httpx.Response) -> Answer:
    told: Answer = {"code": answer.status_code}
    if "json" not in answer.headers.get("content-type", ""):
        return told | {"message": answer.text}
    body = answer.json()
    if body.get("kind") != "Status":
        return told | {"kind": body["kind"]}
    details = body.get("details")
    if answer.status_code in _EITHER_WAY:
        details = details or {}
    causes = sorted({(cause.get("field", ""), cause.get("reason", "")) for cause in (details or {}).pop("causes", ())})
    return told | {"reason": body.get("reason"), "message": body.get("message"), "details": details, "causes": causes}


def without_words(answer: Answer) -> Answer:
    """An answer without its message, and without the name that it makes up."""
    left = {key: value for key, value in answer.items() if key != "message"}
    if (details := left.get("details")) and details.get("name", "").startswith("A_"):
        left["details"] = {**details, "name": "A_"}
    return left


def main() -> None:
    """Ask the server of a kubeconfig, and keep what it says."""
    with client(Path(sys.argv[1])) as server, place(server) as namespace:
        found = {title(case): ask(server, namespace, case) for case in (*SAME_WORDS, *OWN_WORDS)}
    ANSWERS.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
