"""`kubectl`, as its users call it."""

import json
import os
import re
import socket
import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import IO, Any

from clients import asked as steps
from clients.asked import Steps, until
from tests.acceptance.kubectl.conftest import EARLY, Kubectl

PATIENCE = f"--timeout={steps.SECONDS}s"


class Refused(Exception):
    """A command that has failed; has its words."""


def answers(kubectl: Kubectl, namespace: str) -> dict[str, str]:
    """What it is answered.

    Args:
        kubectl: With the kubeconfig of a host, which is changed.
        namespace: One that is not there yet.
    """
    asked = _Asked(kubectl, namespace)
    for part in (
        asked.objects,
        asked.collections,
        asked.changes,
        asked.deletions,
        asked.rights,
        asked.customs,
        asked.leases,
        asked.explanations,
        asked.workloads,
        asked.pods,
    ):
        part()
    asked("delete", "namespace", namespace)
    asked.step("delete the Namespace", lambda: asked("get", "namespace", namespace))
    return asked.answers


class _Asked(Steps):
    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        super().__init__(namespace, _told)
        self._kubectl = kubectl
        self._name = namespace
        self._group = f"{namespace}.example.com"

    def __call__(self, *arguments: str, said: Any = None) -> str:
        """What a command prints.

        Args:
            arguments: Its own.
            said: An object that it reads from a file.

        Raises:
            Refused: It has failed.
        """
        if said is not None:
            file = self._kubectl.home / "said.json"
            file.write_text(json.dumps(said))
            arguments = (*arguments, "--filename", str(file))
        process = self._kubectl.start(*arguments)
        output, _ = process.communicate(timeout=2 * steps.SECONDS)
        if process.returncode:
            raise Refused(output)
        return output.strip()

    def get(self, *arguments: str, verb: str = "get", said: Any = None) -> Any:
        """The object that a command answers with."""
        return json.loads(self(verb, *arguments, "--output=json", said=said))

    def data(self, *arguments: str, verb: str, said: Any = None) -> str:
        """What the ConfigMap holds that a command answers with."""
        return steps.data(self.get(*arguments, verb=verb, said=said).get("data"))

    def names(self, *arguments: str) -> str:
        """Of the ConfigMaps that are listed."""
        listed = self("get", "configmaps", "--output=name", *arguments).split()
        return steps.names(each.removeprefix("configmap/") for each in listed)

    def objects(self) -> None:
        """One at a time."""
        self.step("create a Namespace", lambda: self.get("namespace", self._name, verb="create")["status"]["phase"])
        self("config", "set-context", "--current", f"--namespace={self._name}")
        until(lambda: str(self.tried(lambda: self("get", "serviceaccount/default", "--output=name"))), "serviceaccount/default")
        self.step("create a ConfigMap", lambda: self.data(verb="create", said=steps.config("one")))
        self.step("create one that is there", lambda: self("create", said=steps.config("one")))
        unnamed = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "made-"}}
        self.step("create with `generateName`", lambda: steps.made(self.get(verb="create", said=unnamed)["metadata"]["name"]))
        self.step("create, dry run", lambda: self.data("--dry-run=server", verb="create", said=steps.config("dry")))
        self.step("get what a dry run has created", lambda: self("get", "configmap", "dry"))
        odd = {**steps.config("odd"), "sizes": {}}
        self.step("create with an unknown field, strictly", lambda: self("create", "--validate=strict", said=odd))
        self.step("create an invalid Service", lambda: self("create", said=steps.service("bad")))
        self.step("get", lambda: self.data("configmap", "one", verb="get"))
        self.step("get what is missing", lambda: self("get", "configmap", "nothing"))
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "secret"}, "stringData": {"word": "hidden"}}
        self.step("create a Secret with `stringData`", lambda: self.get(verb="create", said=secret)["data"]["word"])

    def collections(self) -> None:
        """Several at a time."""
        for name, side in (("a", "left"), ("b", "left"), ("c", "right")):
            self("create", said=steps.config(name, labels={"side": side, "of": "three"}))
        self.step("list by label", lambda: self.names("--selector=side=left"))
        self.step("list by a set of labels", lambda: self.names("--selector=side in (left, right), side notin (left)"))
        self.step("list by field", lambda: self.names("--field-selector=metadata.name=one"))
        self.step("list in pages of two", lambda: self.names("--selector=of=three", "--chunk-size=2"))
        self.step("list as a Table", lambda: _columns(self("get", "configmaps")))
        self.step("watch", self._watched)
        self.step("watch with `sendInitialEvents`", self._initial)
        self("delete", "configmaps", "--selector=side=left")
        self.step("delete a collection by label", lambda: self.names("--selector=of=three"))

    def _watched(self) -> str:
        watched = ("get", "configmaps", "--selector=of=watch", "--watch", "--output-watch-events", "--no-headers")
        with self._going_on(*watched) as lines:
            self("create", said=steps.config("seen", labels={"of": "watch"}))
            found = [next(lines)]
            self("patch", "configmap", "seen", "--type=merge", '--patch={"data":{"size":"2"}}')
            self("delete", "configmap", "seen")
            found += [next(lines), next(lines)]
        return ", ".join(each.split()[0] for each in found)

    def _initial(self) -> str:
        options = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
        path = f"/api/v1/namespaces/{self._name}/configmaps?{options}&labelSelector=of%3Dthree&timeoutSeconds={steps.SECONDS}"
        found = list[str]()
        with self._going_on("get", f"--raw={path}") as lines:
            while found[-1:] != ["BOOKMARK"]:
                found.append(json.loads(next(lines))["type"])
        return ", ".join(found)

    def changes(self) -> None:
        """Updates, patches, server-side apply."""
        stale = self.get("configmap", "one")
        self.step("update", lambda: self.data(verb="replace", said=steps.config("one", size="2")))
        stale["data"] = {"size": "3"}
        self.step("update of an old version", lambda: self("replace", said=stale))
        operations = '--patch=[{"op":"add","path":"/data/json","value":"yes"}]'
        self.step("patch, JSON", lambda: self.data("configmap", "one", "--type=json", operations, verb="patch"))
        merging = '--patch={"data":{"json":null}}'
        self.step("patch, merge", lambda: self.data("configmap", "one", "--type=merge", merging, verb="patch"))
        self("create", said=steps.deployment("web"))
        self.step("patch, strategic merge, of a list of containers", self._containers)
        self("delete", "configmap", "one")
        apply = ("apply", "--server-side", "--field-manager")
        self.step("apply (server-side)", lambda: self._owner(*apply, "first", said=steps.config("one")))
        conflict = steps.config("one", size="2")
        self.step("apply what another manager owns", lambda: self(*apply, "second", said=conflict))
        self.step("apply by force", lambda: self._owner(*apply, "second", "--force-conflicts", said=conflict))

    def _containers(self) -> str:
        side = {"name": "side", "image": steps.IMAGE}
        found = self._patched_containers(side)["spec"]["template"]["spec"]["containers"]
        self._patched_containers({"name": "side", "$patch": "delete"})
        return steps.names(each["name"] for each in found)

    def _patched_containers(self, container: dict[str, str]) -> Any:
        body = {"spec": {"template": {"spec": {"containers": [container]}}}}
        return self.get("deployment", "web", f"--patch={json.dumps(body)}", verb="patch")

    def _owner(self, *arguments: str, said: Any) -> str:
        self(*arguments, said=said)
        found = self.get("configmap", "one", "--show-managed-fields")
        managers = (each["manager"] for each in found["metadata"]["managedFields"] if "f:data" in each["fieldsV1"])
        return f"{steps.data(found['data'])} of {steps.names(managers)}"

    def deletions(self) -> None:
        """With what belongs to an object."""
        for how in ("background", "foreground", "orphan"):
            parent = self.get(verb="create", said=steps.config("parent"))["metadata"]
            self("create", said=steps.owned("child", parent))
            self.step(f"delete, {how}", lambda how=how: self._deleted(how))
        self("delete", "configmap", "child")
        self("create", said=steps.config("kept", finalizers=["example.com/kept"]))
        self("delete", "configmap", "kept", "--wait=false")
        kept = ("configmap", "kept")
        self.step(
            "delete what has a finalizer",
            lambda: "kept" if "deletionTimestamp" in self.get(*kept)["metadata"] else "not deleted",
        )
        self("patch", *kept, "--type=merge", '--patch={"metadata":{"finalizers":null}}')
        self.step("take the last finalizer away", lambda: self("get", *kept))

    def _deleted(self, how: str) -> str:
        self("delete", "configmap", "parent", f"--cascade={how}")
        if how == "orphan":
            seen = lambda: "owned" if "ownerReferences" in self.get("configmap", "child")["metadata"] else "child left"  # noqa: E731
            return until(seen, "child left")
        self("wait", "--for=delete", "configmap/child", PATIENCE)
        return "child gone"

    def rights(self) -> None:
        """Of a service account."""
        self("create", "serviceaccount", "runner")
        self("config", "set-credentials", "runner", f"--token={self('create', 'token', 'runner', '--duration=10m')}")
        cluster = self("config", "view", "--minify", "--output=jsonpath={.contexts[0].context.cluster}")
        self("config", "set-context", "runner", f"--cluster={cluster}", f"--namespace={self._name}", "--user=runner")
        user = "--context=runner"
        self.step(
            "request a token, and say who it is",
            lambda: self.get("whoami", user, verb="auth")["status"]["userInfo"]["username"],
        )
        self.step("list without the right to", lambda: self("get", "configmaps", user))
        can = ("auth", "can-i", "list", "configmaps", user)
        self.step("ask for one's own rights", lambda: self.tried(lambda: self(*can)))
        self("create", "role", "runner", "--verb=list", "--resource=configmaps")
        self("create", "rolebinding", "runner", "--role=runner", f"--serviceaccount={self._name}:runner")
        self.step("ask again with a Role bound", lambda: until(lambda: self.tried(lambda: self(*can)), "yes"))

    def customs(self) -> None:
        """A kind of one's own."""
        name = f"boxes.{self._group}"
        self("create", said=steps.definition(self._group))
        self.step("define a kind", lambda: self._established(name))
        until(lambda: self._served(name), True)
        mine = steps.box(self._group, "mine", size=1, replicas=1, more=True)
        self.step("create a custom object: defaulted and pruned", lambda: self._spec(mine))
        bad = steps.box(self._group, "bad", size=9)
        self.step("create one that its schema forbids", lambda: self("create", said=bad))
        self.step("list custom objects as a Table", lambda: _columns(self("get", name)))
        body = '--patch={"status":{"phase":"Ready","replicas":1},"spec":{"size":2}}'
        self.step("patch its status, which leaves its spec", lambda: self._phase(name, "mine", body))
        self("scale", f"{name}/mine", "--replicas=3")
        self.step("scale it", lambda: self.get(name, "mine")["spec"]["replicas"])
        self("delete", "customresourcedefinition", name)
        self.step("delete the kind", lambda: _gone(self.tried(lambda: self("get", "customresourcedefinition", name))))

    def _established(self, name: str) -> str:
        self("wait", "--for=condition=Established", f"customresourcedefinition/{name}", PATIENCE)
        return "Established"

    def _served(self, name: str) -> bool:
        try:
            self("get", name)
        except Refused:
            return False
        return True

    def _spec(self, body: Any) -> str:
        return json.dumps(self.get("--validate=ignore", verb="create", said=body)["spec"], sort_keys=True)

    def _phase(self, *arguments: str) -> str:
        found = self.get(*arguments, "--subresource=status", "--type=merge", verb="patch")
        return f"{found['status']['phase']}, size {found['spec']['size']}"

    def leases(self) -> None:
        """Who leads."""
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "lead"}}
        self("create", said={**lease, "spec": {"holderIdentity": "first"}})
        found = self.get("lease", "lead")
        found["spec"]["holderIdentity"] = "second"
        self.step("take a Lease over", lambda: self.get(verb="replace", said=found)["spec"]["holderIdentity"])
        self.step("take it over again from the same version", lambda: self("replace", said=found))

    def explanations(self) -> None:
        """What is known of kinds."""
        self.step("explain a field", lambda: self("explain", "configmap.immutable").split("FIELD: ")[1].split("\n")[0])
        self.step("which kinds are there", self._kinds)

    def _kinds(self) -> str:
        found = self("api-resources", "--api-group=apps", "--output=name").split()
        return steps.names({"deployments.apps", "replicasets.apps", "statefulsets.apps"} & set(found))

    def workloads(self) -> None:
        """What has Pods."""
        self("scale", "deployment/web", "--replicas=2")
        self.step("scale a Deployment", lambda: self.get("deployment", "web")["spec"]["replicas"])
        self.step("wait for its roll-out", lambda: self("rollout", "status", "deployment/web", PATIENCE).splitlines()[-1])
        self.step("its Pods become ready", lambda: self.get("deployment", "web")["status"]["readyReplicas"])
        self("delete", "deployment", "web")
        self("create", said=steps.job("quick"))
        self("wait", "--for=condition=Complete", "job/quick", PATIENCE)
        self.step("a Job ends", lambda: self.get("job", "quick")["status"]["succeeded"])

    def pods(self) -> None:
        """What is done with those that run."""
        self("create", said=steps.shell())
        self("create", said=steps.pod("echo", ["python3", "-c", steps.ECHOES]))
        self("wait", "--for=condition=Ready", "pod/shell", "pod/echo", PATIENCE)
        self.step("a Pod runs", lambda: self.get("pod", "shell")["status"]["phase"])
        self.step("log", lambda: until(lambda: self("logs", "shell"), "said"))
        self.step("exec", self._executed)
        self.step("attach", self._attached)
        self.step("cp, there and back", self._copied)
        self.step("port-forward", self._forwarded)
        events = ("events", "--field-selector=involvedObject.name=shell")
        self.step("its events", lambda: until(lambda: self._reasons(*events), "Started"))
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "echo"}}
        self("create", f"--raw=/api/v1/namespaces/{self._name}/pods/echo/eviction", said=eviction)
        self("wait", "--for=delete", "pod/echo", PATIENCE)
        self.step("evict", lambda: self("get", "pod", "echo"))

    def _executed(self) -> str:
        line = self._kubectl.home / "line"
        line.write_text("this\n")
        with line.open() as stdin:
            process = self._kubectl.start("exec", "--stdin", "shell", "--", "sh", "-c", steps.ANSWERS, stdin=stdin)
            output, _ = process.communicate(timeout=steps.SECONDS)
        return f"{EARLY.sub('', output).splitlines()[0]}, status {process.returncode}"

    def _attached(self) -> str:
        # A container runtime ends an attachment with its input, and passes input on before it passes output back: the input stays
        # open, and says the same again, until the answer has come.
        reads, writes = os.pipe()
        heard = threading.Event()

        def says() -> None:
            while not heard.is_set():
                os.write(writes, b"this\n")
                heard.wait(2)

        saying = threading.Thread(target=says)
        saying.start()
        with os.fdopen(reads) as stdin:
            try:
                return self._first_of("attach", "--stdin", "shell", wanted=r"^(heard .*)$", stdin=stdin)
            finally:
                heard.set()
                saying.join()
                os.close(writes)

    def _first_of(self, *arguments: str, wanted: str, stdin: IO[str] | None = None) -> str:
        """What the first line says that is wanted of a command that goes on; it is ended then."""
        with self._going_on(*arguments, stdin=stdin) as lines:
            return next(found[1] for line in lines if (found := re.match(wanted, line)))

    @contextmanager
    def _going_on(self, *arguments: str, stdin: IO[str] | None = None) -> Generator[IO[str]]:
        process = self._kubectl.start(*arguments, stdin=stdin or subprocess.DEVNULL)
        assert process.stdout is not None
        try:
            yield process.stdout
        finally:
            process.terminate()
            process.communicate()

    def _copied(self) -> str:
        folder = self._kubectl.home
        (folder / "there").write_text("copied")
        self("cp", str(folder / "there"), "shell:/tmp/there")
        self("cp", "shell:/tmp/there", str(folder / "back"))
        return (folder / "back").read_text()

    def _forwarded(self) -> str:
        until(lambda: self("logs", "echo")[:3], "at ")
        port = self("logs", "echo").split()[1]
        with self._going_on("port-forward", "pod/echo", f":{port}") as lines:
            found = re.match(r"Forwarding from 127.0.0.1:(\d+)", next(lines))
            assert found
            with socket.create_connection(("127.0.0.1", int(found[1])), timeout=steps.SECONDS) as connection:
                return connection.recv(100).decode()

    def _reasons(self, *arguments: str) -> str:
        return steps.names({each["reason"] for each in self.get(*arguments)["items"]} & {"Started"})


def _told(error: Exception) -> str:
    if not isinstance(error, Refused):
        raise error
    text = str(error).strip()
    if found := re.search(r"^Error from server \((\w+)\): (?:error when \w+ \S+: )?(.*)$", text, re.MULTILINE):
        return f"{found[1]}: {found[2]}"
    if found := re.search(r"^The (.* is invalid: .*)$", text, re.MULTILINE):
        return f"Invalid: {found[1]}"
    if found := re.search(r"^error: (Apply failed with .*)$", text, re.MULTILINE):
        return f"Conflict: {found[1]}"
    if text == "no":
        return text
    raise error


def _columns(printed: str) -> str:
    return ", ".join(printed.splitlines()[0].split())


def _gone(answer: str) -> str:
    return "gone" if answer.startswith("NotFound") else answer
