# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false
"""kr8s, as its users call it: KUBECONFIG and a namespace that is not there yet are its arguments."""

import json
import socket
import sys
import threading
from typing import Any

import asked as steps
import httpx
import kr8s
from asked import Steps, until
from kr8s.objects import (
    APIObject,
    ConfigMap,
    CustomResourceDefinition,
    Deployment,
    Job,
    Namespace,
    Pod,
    Secret,
    Service,
    new_class,
)

KUBECONFIG, NAMESPACE = sys.argv[1:]
GROUP = f"{NAMESPACE}.example.com"
api = kr8s.api(kubeconfig=KUBECONFIG, namespace=NAMESPACE)


def told(error: Exception) -> str:
    if isinstance(error, kr8s.ServerError) and error.response is not None:
        return steps.status(error.response.text)
    if isinstance(error, httpx.HTTPStatusError):
        return steps.status(error.response.text)
    if isinstance(error, kr8s.NotFoundError):
        return "NotFound"
    raise error


told_by = Steps(NAMESPACE, told)
step = told_by.step


def made(kind: type[APIObject], body: dict[str, Any]) -> Any:
    """An object that is there now."""
    found = kind(body, namespace=NAMESPACE, api=api)
    found.create()
    return found


def config(name: str, size: str = "1", **metadata: Any) -> Any:
    return made(ConfigMap, steps.config(name, size=size, **metadata))


def there(kind: type[APIObject], name: str) -> Any:
    return kind.get(name, namespace=NAMESPACE, api=api)


def lists(**options: Any) -> str:
    return steps.names(each.name for each in api.get("configmaps", namespace=NAMESPACE, **options))


def objects() -> None:
    namespace = Namespace({"metadata": {"name": NAMESPACE}}, api=api)
    step("create a Namespace", lambda: namespace.create() or namespace.status.phase)
    until(lambda: [each.name for each in api.get("serviceaccounts", namespace=NAMESPACE)], ["default"])
    step("create a ConfigMap", lambda: steps.data(config("one").raw["data"]))
    step("create one that is there", lambda: config("one"))
    step("create an invalid Service", lambda: made(Service, steps.service("bad")))
    step("get", lambda: steps.data(there(ConfigMap, "one").raw["data"]))
    secret = {"metadata": {"name": "secret"}, "stringData": {"word": "hidden"}}
    step("create a Secret with `stringData`", lambda: made(Secret, secret).raw["data"]["word"])


def collections() -> None:
    for name, side in (("a", "left"), ("b", "left"), ("c", "right")):
        config(name, labels={"side": side, "of": "three"})
    step("list by label", lambda: lists(label_selector="side=left"))
    step("list by a set of labels", lambda: lists(label_selector="side in (left, right), side notin (left)"))
    step("list by field", lambda: lists(field_selector="metadata.name=one"))
    step("watch", watched)


def watched() -> str:
    """What comes to be while it is watched: kr8s begins with what is there."""
    config("seen", labels={"of": "watch"})
    found = list[str]()
    for event, _ in api.watch("configmaps", namespace=NAMESPACE, label_selector="of=watch"):
        found.append(event)
        if event == "ADDED":
            threading.Thread(target=changed).start()
        if event == "DELETED":
            break
    return ", ".join(found)


def changed() -> None:
    mine = kr8s.api(kubeconfig=KUBECONFIG, namespace=NAMESPACE)
    found = ConfigMap.get("seen", namespace=NAMESPACE, api=mine)
    found.patch({"data": {"size": "2"}})
    found.delete()


def changes() -> None:
    one = there(ConfigMap, "one")
    one.patch({"data": {"size": "2"}})
    step("patch, JSON", lambda: patched(one, [{"op": "add", "path": "/data/json", "value": "yes"}], type="json"))
    step("patch, merge", lambda: patched(one, {"data": {"json": None}}))
    web = made(Deployment, steps.deployment("web"))
    web.scale(2)
    step("scale a Deployment", lambda: there(Deployment, "web").replicas)
    step("its Pods become ready", lambda: until(lambda: there(Deployment, "web").status.get("readyReplicas"), 2))
    web.delete()
    quick = made(Job, steps.job("quick"))
    quick.wait("condition=Complete", timeout=steps.SECONDS)
    step("a Job ends", lambda: there(Job, "quick").status.succeeded)


def patched(found: Any, body: Any, **options: Any) -> str:
    found.patch(body, **options)
    return steps.data(found.raw["data"])


def deletions() -> None:
    for how in ("Background", "Foreground", "Orphan"):
        parent = config("parent")
        config("child", ownerReferences=steps.owned("child", parent.raw["metadata"])["metadata"]["ownerReferences"])
        step(f"delete, {how.lower()}", lambda how=how, parent=parent: deleted(how, parent))
    there(ConfigMap, "child").delete()
    kept = config("kept", finalizers=["example.com/kept"])
    kept.delete()
    step(
        "delete what has a finalizer",
        lambda: "kept" if "deletionTimestamp" in there(ConfigMap, "kept").metadata else "not deleted",
    )
    kept.patch({"metadata": {"finalizers": None}})


def deleted(how: str, parent: Any) -> str:
    parent.delete(propagation_policy=how)
    until(parent.exists, False)
    child = ConfigMap("child", namespace=NAMESPACE, api=api)
    if how == "Orphan":
        return until(lambda: "owned" if "ownerReferences" in there(ConfigMap, "child").metadata else "child left", "child left")
    return until(lambda: "left" if child.exists() else "child gone", "child gone")


def has_conditions(definition: Any) -> bool:
    definition.refresh()
    return bool(definition.raw.get("status", {}).get("conditions"))


def customs() -> None:
    definition = CustomResourceDefinition(steps.definition(GROUP), api=api)
    definition.create()
    until(lambda: has_conditions(definition), True)  # `wait` reads conditions that are not there yet, and fails
    definition.wait("condition=Established", timeout=steps.SECONDS)
    step("define a kind", lambda: "Established")
    box = new_class(kind="Box", version=f"{GROUP}/v1", namespaced=True, plural="boxes")
    mine = box(steps.box(GROUP, "mine", size=1, replicas=1, more=True), namespace=NAMESPACE, api=api)
    until(lambda: served(mine), True)
    step("create a custom object: defaulted and pruned", lambda: json.dumps(mine.raw["spec"], sort_keys=True))
    step("create one that its schema forbids", lambda: made(box, steps.box(GROUP, "bad", size=9)))
    definition.delete()
    step("delete the kind", lambda: until(lambda: "there" if definition.exists() else "gone", "gone"))


def served(found: Any) -> bool:
    """Create it; a cluster serves a kind a moment later."""
    try:
        found.create()
    except (kr8s.ServerError, kr8s.NotFoundError):
        return False
    return True


def pods() -> None:
    shell = made(Pod, steps.shell())
    step("a Pod runs", lambda: until(lambda: shell.refresh() or shell.status.phase, "Running"))
    step("log", lambda: until(lambda: "".join(shell.logs()), "said"))
    step("exec", lambda: executed(shell))
    echo = made(Pod, steps.pod("echo", ["python3", "-c", steps.ECHOES]))
    until(lambda: echo.refresh() or echo.status.phase, "Running")
    step("port-forward", lambda: forwarded(echo))


def executed(shell: Any) -> str:
    """Without input, for which kr8s asks for no protocol."""
    done = shell.exec(["sh", "-c", "echo got this; exit 5"], check=False)
    return f"{done.stdout.decode().strip()}, status {done.returncode}"


def forwarded(echo: Any) -> str:
    until(lambda: "".join(echo.logs())[:3], "at ")
    port = int("".join(echo.logs()).split()[1])
    with echo.portforward(remote_port=port) as local, socket.create_connection(("127.0.0.1", local), steps.SECONDS) as found:
        return found.recv(100).decode()


objects()
collections()
changes()
deletions()
customs()
pods()
namespace = Namespace.get(NAMESPACE, api=api)
namespace.delete()
told_by.printed()
