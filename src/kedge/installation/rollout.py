"""Waits for a Deployment and for a Job, and says why they do not get there."""

from kedge.client.http import HttpClient
from kedge.errors import NotFound, StateError
from kedge.installation.applying import Say
from kedge.kube.clock import Clock
from kedge.kube.core import EVENT, POD
from kedge.kube.kinds import Obj
from kedge.manifests.kinds import DEPLOYMENT, JOB

_LOOK_SECONDS = 0.5


async def available(client: HttpClient, clock: Clock, namespace: str, name: str, *, seconds: float, say: Say) -> None:
    """Wait until all Pods of a Deployment are of its newest version and ready.

    Raises:
        StateError: They are not, after ``seconds``; says what each of them waits for.
    """
    until, told = clock.monotonic() + seconds, ""
    while True:
        found = await client.get(DEPLOYMENT, name, namespace)
        status, wanted = found.get("status") or {}, found["spec"].get("replicas", 1)
        seen = status.get("observedGeneration", 0) >= found["metadata"]["generation"]
        ready = min(status.get("updatedReplicas", 0), status.get("readyReplicas", 0)) if seen else 0
        if seen and ready >= wanted and status.get("replicas", 0) == wanted and not status.get("unavailableReplicas"):
            return
        selector = ",".join(f"{key}={value}" for key, value in found["spec"]["selector"]["matchLabels"].items())
        why = await _blocked(client, found, selector)
        text = f"{ready} of {wanted} ready" + (f": {why}" if why else "")
        if text != told:
            say(text)
            told = text
        if clock.monotonic() > until:
            raise StateError(
                f"Deployment {namespace}/{name}: {text} after {seconds:g} s. Mend that and run the command again, or see "
                f"kubectl --namespace {namespace} describe pods --selector {selector}."
            )
        await clock.sleep(_LOOK_SECONDS)


async def gone(client: HttpClient, clock: Clock, namespace: str, labels: str, *, seconds: float) -> None:
    """Wait until there are no Pods with these labels.

    Raises:
        StateError: There still are.
    """
    until = clock.monotonic() + seconds
    while pods := (await client.list(POD, namespace, labels=labels)).items:
        if clock.monotonic() > until:
            names = ", ".join(pod["metadata"]["name"] for pod in pods)
            raise StateError(f"{namespace}: after {seconds:g} s there are still Pods of the hub: {names}. Is their node there?")
        await clock.sleep(_LOOK_SECONDS)


async def completed(client: HttpClient, clock: Clock, namespace: str, name: str, *, seconds: float) -> str:
    """Wait for a Job's end.

    Returns:
        The last words of its Pod.

    Raises:
        StateError: It failed; with its last words.
    """
    until, labels = clock.monotonic() + seconds, f"batch.kubernetes.io/job-name={name}"
    while True:
        job = await client.get(JOB, name, namespace)
        ended = {one["type"] for one in (job.get("status") or {}).get("conditions") or () if one["status"] == "True"}
        if ended & {"Complete", "Failed"}:
            words = await _last_words(client, namespace, labels)
            if "Complete" in ended:
                return words
            raise StateError(words or f"Job {namespace}/{name} failed without a word.")
        if clock.monotonic() > until:
            why = await _pods_wait_for(client, namespace, labels)
            raise StateError(f"Job {namespace}/{name} has not ended after {seconds:g} s{f': {why}' if why else ''}.")
        await clock.sleep(_LOOK_SECONDS)


async def _last_words(client: HttpClient, namespace: str, labels: str) -> str:
    words = ""
    for pod in (await client.list(POD, namespace, labels=labels)).items:
        for status in (pod.get("status") or {}).get("containerStatuses") or ():
            words = ((status.get("state") or {}).get("terminated") or {}).get("message", "").strip() or words
    return words


async def _blocked(client: HttpClient, deployment: Obj, selector: str) -> str:
    """Why there are fewer Pods than wanted, or what one of them waits for."""
    namespace = deployment["metadata"]["namespace"]
    for condition in (deployment.get("status") or {}).get("conditions") or ():
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return condition.get("message", "")
    return await _pods_wait_for(client, namespace, selector)


async def _pods_wait_for(client: HttpClient, namespace: str, labels: str) -> str:
    for pod in (await client.list(POD, namespace, labels=labels)).items:
        status = pod.get("status") or {}
        for one in status.get("containerStatuses") or ():
            waiting = (one.get("state") or {}).get("waiting") or {}
            last = ((one.get("lastState") or {}).get("terminated") or (one.get("state") or {}).get("terminated") or {}).get(
                "message", ""
            )
            if last.strip():
                return last.strip().splitlines()[-1]
            if waiting.get("reason") not in {None, "ContainerCreating", "PodInitializing"}:
                return f"{waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")
        for condition in status.get("conditions") or ():
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return condition.get("message", "")
        if status.get("phase") == "Pending" and (why := await _told(client, pod)):
            return why
    return ""


async def _told(client: HttpClient, pod: Obj) -> str:
    """The last warning about a Pod: a volume that cannot be mounted shows nowhere else."""
    meta = pod["metadata"]
    try:
        found = await client.list(EVENT, meta["namespace"], fields=f"involvedObject.uid={meta['uid']},type=Warning")
    except NotFound:
        return ""
    return found.items[-1].get("message", "") if found.items else ""
