"""Runs of one step that meet a fault, and what is to be seen of them."""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from access import Cluster
from failures import Row
from witness import Witness

from kedge.errors import KedgeError
from kedge.pipelines.client import Client
from kedge.testing import pipelines
from kedge.testing.host import RunningHost

Json = dict[str, Any]
Found = TypeVar("Found")
STEP = "step"
SHOWN_SECONDS = 10
"""Within which people are told what Kubernetes knows (docs/failures.md)."""
IMAGE = "python:3.11"
SLEEP = "import time; time.sleep(600)"
_PAUSE = 0.3


def python(code: str, **container: Any) -> Json:
    """A container that runs Python code."""
    return pipelines.container(IMAGE, ["python3", "-c", code], **container)


def until(look: Callable[[], Found | None], what: str, within: float) -> Found:
    """Look until there is something.

    Args:
        look: Returns ``None`` for as long as there is nothing.
        what: What is waited for, for the error.
        within: Seconds.
    """
    deadline = time.monotonic() + within
    while (found := look()) is None:
        assert time.monotonic() < deadline, f"{what}: not within {within:g} s"
        threading.Event().wait(_PAUSE)
    return found


@dataclass(frozen=True)
class Watched:
    """One run of one step, and where to look.

    Attributes:
        cluster: Where it runs.
        client: Asks the hub.
        witness: Heard what Kubernetes said.
        namespace: The run's.
        name: Of its Run object.
        id: The run's.
    """

    cluster: Cluster
    client: Client
    witness: Witness
    namespace: str
    name: str
    id: str

    def task(self) -> Json | None:
        """The step, as the REST API has it."""
        tasks = self.client.tasks(self.id)
        if not any(task["id"] == STEP for task in tasks):
            return None
        return self.client.task(self.id, STEP)

    def object(self) -> Json:
        """The Run object."""
        return self.cluster.get("runs.kedge.dev", self.name, "--namespace", self.namespace)

    def pods(self) -> list[Json]:
        """Its Pods, the oldest first."""
        found = self.cluster.get("pods", "--namespace", self.namespace, "--selector", f"kedge.dev/run={self.id}")["items"]
        return sorted(found, key=lambda pod: int(pod["metadata"]["annotations"]["kedge.dev/attempt"]))

    def pod(self, attempt: int = 0, *, running: bool = False, within: float = 60) -> str:
        """The name of an attempt's Pod, as soon as there is one, or as soon as it runs."""

        def look() -> str | None:
            for pod in self.pods():
                fits = pod["metadata"]["annotations"]["kedge.dev/attempt"] == str(attempt)
                if fits and (not running or pod["status"]["phase"] == "Running"):
                    return pod["metadata"]["name"]
            over = [each for each in (self.task() or {}).get("attempts", ()) if each["attempt"] == attempt and "error" in each]
            return over[0]["pod_name"] if over and not running else None

        return until(look, f"attempt {attempt} to {'run' if running else 'have a Pod'}", within)

    def known(self, row: Row, within: float = 90) -> str:
        """Wait until Kubernetes says of the first Pod what the row has; returns its name."""
        pod = self.pod()
        self.witness.wait(pod, row.pod, within)
        return pod

    def ends(self, within: float = 60) -> str:
        """The run's state at its end."""

        def look() -> str | None:
            run = self.client.get(self.id)
            return run["state"] if run.get("finished_at") else None

        return until(look, "the end of the run", within)

    def shows(self, row: Row, pod: str = "", within: float = SHOWN_SECONDS, *, states: tuple[str, ...] = ()) -> Json:
        """Wait until the hub shows what the row says, and nothing else than that; returns the task.

        Args:
            row: What it is to say.
            pod: The name of the Pod that it is said of.
            within: Seconds.
            states: Of the task that will do as well as the row's.
        """
        last: Json | None = None
        rows = [row, *(replace(row, state=state) for state in states)]

        def look() -> Json | None:
            nonlocal last
            last = self.task()
            return last if last is not None and any(_is(each, last, pod) for each in rows) else None

        try:
            task = until(look, row.fault, within)
        except AssertionError as error:
            shown = {key: (last or {}).get(key) for key in ("state", "waiting_reason", "error", "attempts")}
            raise AssertionError(f"{error}; expected {row}; the task: {shown}") from None
        if row.state in {"PENDING", "RUNNING"} and not row.code:
            self._says_so(row, pod)
        return task

    def _says_so(self, row: Row, pod: str) -> None:
        """The object of a run that waits says so too."""

        def look() -> str | None:
            message = self.object().get("status", {}).get("message") or ""
            return message if message.startswith(f"{STEP}: ") and row.says(message[len(STEP) + 2 :], pod) else None

        until(look, f"{row.fault}: the Run's status.message", SHOWN_SECONDS)


def _is(row: Row, task: Json, pod: str) -> bool:
    failed = [attempt["error"] for attempt in task.get("attempts", ()) if "error" in attempt]
    kinds = [error["details"][0]["kind"] for error in failed]
    if (task["state"], kinds.count("infra"), kinds.count("user")) != (row.state, row.infra, row.user):
        return False
    over = row.state in {"FAILED", "CANCELED"}
    error = task["error"] if over else next(reversed(failed), None)
    if error is None or not row.code:
        return error is None and not row.code and row.says(task.get("waiting_reason", ""), pod)
    return error["details"][0]["reason"] == row.code and row.says(error["message"], pod)


@dataclass(frozen=True)
class Hub:
    """A hub under test, and where it works.

    Attributes:
        kedge: The hub.
        cluster: The cluster.
        witness: Hears what Kubernetes says of Pods.
    """

    kedge: RunningHost
    cluster: Cluster
    witness: Witness

    def begin(self, namespace: str, container: Json, options: Json | None = None, **spec: Any) -> Watched:
        """Start a run of one step.

        Args:
            namespace: In which.
            container: The step's executor.
            options: Its options of Kubernetes, as ``kfp-kubernetes`` writes them.
            spec: Further fields of the Run's spec.
        """
        name = f"fault-{secrets.token_hex(4)}"
        document = pipelines.pipeline({STEP: pipelines.task(STEP)}, {STEP: (pipelines.component(STEP), container)})
        platforms = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {f"exec-{STEP}": options or {}}}}}}
        made = {"pipelineSpec": document, **({"platformSpec": platforms} if options else {}), **spec}
        run = {"apiVersion": "kedge.dev/v1", "kind": "Run", "metadata": {"name": name}, "spec": made}
        self.cluster.apply(run, namespace=namespace)
        uid = self.cluster.get("runs.kedge.dev", name, "--namespace", namespace)["metadata"]["uid"]
        found = Watched(self.cluster, self.kedge.client, self.witness, namespace, name, uid)
        until(lambda: _there(found), f"run {name} at the hub", 60)
        return found


def _there(run: Watched) -> bool | None:
    try:
        return run.task() is not None or None
    except KedgeError:  # the hub has not heard of it yet
        return None
