"""What a step's Pod says about its attempt: a plain function of the Pod, and the table of whose fault a failure is.

Success is a commit, never a phase. For a step that commits over the network this module only ever finds failures; for one with
nothing to stage out, or with its outputs in its termination message, exit 0 of the container ``main`` is the commit.

Whose fault: what the user's code, image or options brought about is the *user's* and uses up their retries. What happened to the
Pod from outside (its node, an eviction, somebody's ``kubectl delete pod``, the registry) is the *infrastructure's* and has a
budget of its own.
"""

import re
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from kedge.artifacts.staging import StoredArtifact
from kedge.kube.clock import parse_timestamp
from kedge.kube.kinds import Obj
from kedge.kube.pods import is_over
from kedge.pipelines.engine.types import Artifact, Failure, Outputs
from kedge.pipelines.ids import derived_id
from kedge.pipelines.kinds import ATTEMPT_ANNOTATION, RUN_LABEL, TASK_ANNOTATION, TRACKING_FINALIZER, USED_ANNOTATION

MAIN = "main"
# The kubelet cuts the message there, without a word.
TERMINATION_MESSAGE_LIMIT = 4096

Expects = Literal["nothing", "message", "commit"]
"""What makes an attempt a success: exit 0; exit 0 with the outputs in the termination message, or a commit; a commit alone."""

# Reasons of a Pod (status.reason) that others brought about.
_INFRA_POD = {
    "Evicted": "was evicted from its node",
    "NodeLost": "was lost with its node",
    "NodeShutdown": "was ended by its node's shutdown",
    "NodeAffinity": "no longer fits its node",
    "Shutdown": "was ended by its node's shutdown",
    "Terminated": "was ended by its node's shutdown",
    "Preempting": "was ended for a more important one",
    "Preempted": "was ended for a more important one",
    "UnexpectedAdmissionError": "was refused by its node",
    "OutOfcpu": "was refused by its node: no processor was free",
    "OutOfmemory": "was refused by its node: no memory was free",
    "OutOfpods": "was refused by its node: it has too many Pods",
    "TopologyAffinityError": "was refused by its node: its processors and devices are not near enough to each other",
    "HostRestarted": "was lost when its node restarted",
    "ExitStatusLost": "ended, and how is not known",
    "EnvironmentUnavailable": "could not be given its Python environment",
}
# What the kubelet says of a Pod that it evicts for what the Pod itself keeps on disk.
_ITS_OWN_LIMIT = re.compile(r"exceed(s the( total)?|ed its local ephemeral storage) limit")
# What is written in front of the name of a device that a node has no more of, such as OutOfnvidia.com/gpu.
_OUT_OF = "OutOf"
# Reasons of a container (state.terminated.reason, or state.waiting.reason of one that never started) likewise.
_INFRA_CONTAINER = {
    "ContainerStatusUnknown": "ended, and how is not known",
    "ExitStatusLost": "ended, and how is not known",
    "HostRestarted": "was lost when its node restarted",
    "EnvironmentUnavailable": "could not be given its Python environment",
    "CreateContainerError": "could not be created by its node",
    "RunContainerError": "could not be started by its node",
}
# Of a Pod that cannot run, or a container that waits for ever: the user must change something, another try is no use.
_HOPELESS = {
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageNotSupported",
    "CreateContainerConfigError",
    "EnvironmentFailed",
    "UnsupportedField",
    "ViewNotSupported",
    "ClosedToUser",
}
# Of a container that waits, and whose node tries again and again: it may start yet, and is given some time for it.
_TRIED_AGAIN = {
    "ErrImagePull": "cannot have its image",
    "ImagePullBackOff": "cannot have its image",
    "ImageInspectError": "cannot have its image",
    "RegistryUnavailable": "cannot have its image",
    "SignatureValidationFailed": "cannot have its image",
    "CreateContainerConfigError": "cannot be made",
    "CreateContainerError": "cannot be made by its node",
    "RunContainerError": "cannot be started by its node",
}
_IMAGE_WORDS = "cannot have its image"
# The kubelet's word for the wait between two tries hides why the last one failed.
_BACK_OFF = re.compile(r'^Back-off pulling image "[^"]*": (?:ErrImagePull: )?')
# A registry answered, and it has no such image or does not give it to us: another node would hear the same.
_NO_SUCH_IMAGE = re.compile(
    r"not found|manifest unknown|does not exist|no match for platform|denied|unauthorized|authentication required|40[13] ",
    re.IGNORECASE,
)
# Said by a kubelet that has not heard of a Secret or ConfigMap yet, not of one that is missing.
_NOT_HEARD_YET = re.compile(r"failed to sync (secret|configmap) cache")
# What a node is given to say that it has ended a Pod, beyond the Pod's own grace period.
_NODE_ANSWERS = 10.0
# What the launcher writes when the fault is not the step's: no hub, or one that took an attempt for another.
_INFRA_ERRORS = {"HubUnreachable", "NotWanted", "SidecarNotStarted"}


@dataclass(frozen=True, slots=True)
class PodRef:
    """Which attempt a Pod is, from its labels and annotations."""

    run: str
    task: str
    attempt: int
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Stall:
    """A Pod that does not go on.

    Attributes:
        kind: ``starting``, whose container cannot be made; ``ending``, which its node should end.
        seconds: How long that may last; ``None`` where a setting says it.
    """

    kind: Literal["starting", "ending"]
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """The Pod runs."""


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The attempt is a success, with these outputs."""

    outputs: Outputs


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed."""

    failure: Failure


Verdict = Running | Succeeded | Failed


class _Message(msgspec.Struct):
    kedge: int
    outputs: dict[str, Any] | None = None
    artifacts: dict[str, list[StoredArtifact]] = {}
    error: dict[str, Any] | None = None


_messages = msgspec.json.Decoder(_Message)


def reference(pod: Obj) -> PodRef | None:
    """Which attempt a Pod is, or ``None`` when it is not a step's."""
    metadata = pod["metadata"]
    annotations = metadata.get("annotations") or {}
    run = (metadata.get("labels") or {}).get(RUN_LABEL)
    number = annotations.get(ATTEMPT_ANNOTATION, "")
    if not run or TASK_ANNOTATION not in annotations or not number.isdecimal():
        return None
    return PodRef(run, annotations[TASK_ANNOTATION], int(number), metadata["namespace"], metadata["name"], metadata["uid"])


class _Used(msgspec.Struct, rename="camel"):
    cpu_seconds: Annotated[float, msgspec.Meta(ge=0)]
    peak_memory_bytes: Annotated[int, msgspec.Meta(ge=0, lt=2**62)]


def keep(pod: Obj) -> Obj:
    """What the controller holds of a Pod: a thousand of them must not weigh on the hub."""
    metadata = pod["metadata"]
    annotations = metadata.get("annotations") or {}
    kept = {name: metadata[name] for name in ("name", "namespace", "uid", "resourceVersion")}
    for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "finalizers"):
        if name in metadata:
            kept[name] = metadata[name]
    kept["labels"] = {RUN_LABEL: (metadata.get("labels") or {}).get(RUN_LABEL)}
    kept["annotations"] = {name: annotations[name] for name in (TASK_ANNOTATION, ATTEMPT_ANNOTATION) if name in annotations}
    status = pod.get("status") or {}
    wanted = ("phase", "reason", "message", "conditions", "containerStatuses", "initContainerStatuses")
    return {"metadata": kept, "status": {name: status[name] for name in wanted if name in status}}


def used(pod: Obj) -> tuple[float, int] | None:
    """What a step's own container used, as its node wrote it: seconds of processors, and bytes of memory at its peak."""
    text = (pod["metadata"].get("annotations") or {}).get(USED_ANNOTATION, "")
    with suppress(msgspec.DecodeError):
        found = msgspec.json.decode(text, type=dict[str, _Used]).get(MAIN)
        if found is not None:
            return found.cpu_seconds, found.peak_memory_bytes
    return None


def is_tracked(pod: Obj) -> bool:
    """Whether the Pod waits for its result to be recorded."""
    return TRACKING_FINALIZER in (pod["metadata"].get("finalizers") or ())


def comes_to_its_end(pod: Obj) -> bool:
    """Whether a Pod is over, or will be without being told: its ``main`` has ended, which a kubelet says a moment earlier.

    Deleting it in that moment would take its log away before anyone has read it.
    """
    return is_over(pod) or _terminated((pod.get("status") or {}).get("containerStatuses"), MAIN) is not None


def started(pod: Obj, earliest: datetime) -> datetime:
    """When the container ``main`` began, as the Pod says: whole seconds, so never before it was asked for."""
    ended = _terminated((pod.get("status") or {}).get("containerStatuses"), MAIN) or {}
    text = ended.get("startedAt")
    return max(earliest, parse_timestamp(text)) if text else earliest


def stall(pod: Obj) -> Stall | None:
    """Whether a Pod does not go on, and how long it may do so before its attempt has failed."""
    status, metadata = pod.get("status") or {}, pod["metadata"]
    if comes_to_its_end(pod):
        return None
    if metadata.get("deletionTimestamp"):
        return Stall("ending", float(metadata.get("deletionGracePeriodSeconds") or 0) + _NODE_ANSWERS)
    return Stall("starting") if _waits(status, _TRIED_AGAIN) else None


def judge(
    pod: Obj, expects: Expects, staged: Outputs | None = None, *, gone: bool = False, stalled: bool = False
) -> Verdict | None:
    """Say what a Pod means for its attempt.

    Args:
        pod: The Pod; the last that was seen of it when it is gone.
        expects: What makes the attempt a success.
        staged: Outputs that its sidecar has committed; they count once ``main`` has ended with 0.
        gone: Whether the Pod was deleted.
        stalled: Whether its `stall` has lasted for too long.

    Returns:
        ``None`` while the Pod waits to start.
    """
    status = pod.get("status") or {}
    ended = _terminated(status.get("containerStatuses"), MAIN)
    if (
        ended is not None
        and ended.get("exitCode") == 0
        and (found := _outcome(pod, ended, expects, staged, gone=gone)) is not None
    ):
        return found
    if ended is not None and ended.get("exitCode") != 0:
        return Failed(_main_failure(pod, ended))
    failure = _gone(pod) if gone else _never_ended(pod, stalled=stalled, ended=ended is not None)
    if failure is not None:
        return Failed(failure)
    return Running() if status.get("phase") == "Running" else None


def _gone(pod: Obj) -> Failure:
    """Why a Pod is gone whose container was not seen to end."""
    known = _disruption(pod)
    if known is not None and known.reason != "PodDeleted":
        return known
    return Failure("infra", "PodDeleted", f"Pod {pod['metadata']['name']} was deleted before its result was recorded.")


def _never_ended(pod: Obj, *, stalled: bool, ended: bool) -> Failure | None:
    """Why a Pod that is there failed without a bad end of its container, if it did."""
    status = pod.get("status") or {}
    if status.get("phase") in {"Failed", "Unknown"} or (not ended and status.get("phase") == "Succeeded"):
        return _pod_failure(pod)
    failure = _hopeless(status) or _deleted(pod, stalled=stalled)
    if failure is None and stalled and not pod["metadata"].get("deletionTimestamp"):
        failure = _never_started(status)
    return failure


def _deleted(pod: Obj, *, stalled: bool) -> Failure | None:
    """A Pod that is being deleted: at once where it never began, and after a while where its node does not end it."""
    status, metadata = pod.get("status") or {}, pod["metadata"]
    if not metadata.get("deletionTimestamp"):
        return None
    if status.get("phase", "Pending") == "Pending" and not _begun(status):
        return _disruption(pod)
    if not stalled:
        return None
    said = next((each.get("message") for each in status.get("conditions") or () if each.get("type") == "DisruptionTarget"), "")
    return Failure("infra", "NodeLost", _sentence(f"Pod {metadata['name']} is to end, and its node does not answer", said))


def _never_started(status: Obj) -> Failure:
    """Why a container could not be made for too long."""
    name, waiting = next(iter(_waits(status, _TRIED_AGAIN)))
    reason, words = str(waiting["reason"]), _TRIED_AGAIN[waiting["reason"]]
    said = _BACK_OFF.sub("", str(waiting.get("message") or ""))
    text = _sentence(f"Container {name} {words}", said)
    if words != _IMAGE_WORDS:
        return Failure("infra", reason, text)
    if _NO_SUCH_IMAGE.search(said):
        return Failure("user", "ErrImagePull", text, final=True)
    return Failure("infra", "ErrImagePull", text)


def _outcome(pod: Obj, ended: Obj, expects: Expects, staged: Outputs | None, *, gone: bool) -> Verdict | None:
    """What exit 0 means; ``None`` while a commit may still come."""
    if expects == "nothing":
        return Succeeded(Outputs())
    if expects == "message":
        message = ended.get("message") or ""
        if message:
            return _from_message(pod, message)
    if staged is not None:
        return Succeeded(staged)
    if not (gone or is_over(pod)):
        return None
    sidecar = _terminated((pod.get("status") or {}).get("initContainerStatuses"), "stage-out")
    if sidecar is not None and sidecar.get("exitCode"):
        detail = _launcher_error(sidecar.get("message")) or f"exit code {sidecar['exitCode']}"
        kind = "infra" if _is_infra_error(sidecar.get("message")) else "user"
        return Failed(Failure(kind, "StageOutFailed", f"The step ended with 0, but its outputs could not be collected: {detail}"))
    text = "The step ended with 0 without committing its outputs. Does it call os._exit, or replace itself by another program?"
    return Failed(Failure("user", "OutputsNotCommitted", text, 0))


def _from_message(pod: Obj, message: str) -> Verdict:
    if len(message.encode()) >= TERMINATION_MESSAGE_LIMIT:
        text = (
            f"The termination message has {TERMINATION_MESSAGE_LIMIT} bytes or more: it was cut. Let only the launcher write it."
        )
        return Failed(Failure("user", "OutputTruncated", text, 0))
    found = _decoded(message)
    if found is None or found.outputs is None:
        text = f"The termination message is not the launcher's: {message[:200]!r}. Does the step write /dev/termination-log?"
        return Failed(Failure("user", "OutputInvalid", text, 0))
    step = reference(pod)
    artifacts = made(step.run, step.task, step.attempt, found.artifacts) if step is not None else {}
    return Succeeded(Outputs(found.outputs, artifacts))


def made(run: str, task: str, attempt: int, artifacts: Mapping[str, Sequence[StoredArtifact]]) -> dict[str, list[Artifact]]:
    """What an attempt said that it made, as the engine takes it; each artifact gets its id."""
    return {
        name: [
            Artifact(
                name=artifact.name or name,
                uri=artifact.uri,
                type=artifact.type,
                metadata=artifact.metadata,
                digest=artifact.digest,
                size=artifact.size,
                id=derived_id(run, task, attempt, name, position),
            )
            for position, artifact in enumerate(listed)
        ]
        for name, listed in artifacts.items()
    }


def was_never_written(artifact: Artifact) -> bool:
    """Whether the step that made an artifact wrote nothing at the address that it was given: metrics have no file.

    Such an address names the attempt, and so does the artifact's id; what was imported from there has another id.
    """
    _, *maker = artifact.uri.rsplit("/", 4)
    if artifact.digest or len(maker) != 4 or not maker[2].isdecimal():
        return False
    run, task, attempt, name = maker
    return artifact.id == derived_id(run, task, int(attempt), name, 0)


def _main_failure(pod: Obj, ended: Obj) -> Failure:  # noqa: PLR0911  # a table: one line for each cause
    code = int(ended.get("exitCode", -1))
    reason = str(ended.get("reason") or "")
    metadata, status = pod["metadata"], pod.get("status") or {}
    if (infra := _disruption(pod)) is not None:
        return infra
    if reason in _INFRA_CONTAINER:
        return Failure(
            "infra", reason, _sentence(f"Pod {metadata['name']}: main {_INFRA_CONTAINER[reason]}", ended.get("message")), code
        )
    if status.get("reason") == "DeadlineExceeded":
        return Failure("user", "DeadlineExceeded", _sentence("The step ran longer than it may", status.get("message")), code)
    if reason == "OOMKilled":
        text = "The step used more memory than it may, and was killed. Raise its limit with set_memory_limit, or use less."
        return Failure("user", "OOMKilled", text, code)
    if (error := _error(ended.get("message"))) is not None:
        return _told(error, code)
    signal = int(ended.get("signal") or 0) or (code - 128 if 128 < code < 160 else 0)
    if signal:
        return Failure("user", "Killed", f"The step was killed by signal {signal}{_SIGNALS.get(signal, '.')}", code)
    if reason in {"StartError", "ContainerCannotRun"}:
        return Failure("user", reason, _sentence("The step's command cannot be started", ended.get("message")), code)
    return Failure("user", "ExitCode", _sentence(f"The step ended with exit code {code}", ended.get("message")), code)


def _told(error: dict[str, Any], code: int) -> Failure:
    """What the launcher said: the user's exception with its traceback, or a fault that it found itself and has a word for."""
    kind, text = str(error.get("type") or "Error"), str(error.get("message") or "")
    if kind in _INFRA_ERRORS:
        return Failure("infra", kind, text, code)
    if error.get("traceback"):
        return Failure("user", "StepRaised", f"{kind}: {text}".rstrip(": ") + f"\n{str(error['traceback']).rstrip()}", code)
    return Failure("user", kind, text or f"The step ended with exit code {code}.", code)


_SIGNALS = {
    9: " (SIGKILL), often the kernel's answer when memory ran out. Give it less data, or ask for more with set_memory_request.",
    11: " (SIGSEGV): a fault in native code. Run it alone with kedge debug to see where.",
    15: " (SIGTERM): somebody asked it to end.",
    6: " (SIGABRT): native code gave up. Its log may say why.",
    2: " (SIGINT): somebody interrupted it.",
}


def _pod_failure(pod: Obj) -> Failure:  # noqa: PLR0911  # likewise
    """Why a Pod failed whose main container never ran, or says nothing."""
    status, name = pod.get("status") or {}, pod["metadata"]["name"]
    reason = str(status.get("reason") or "")
    if (infra := _disruption(pod)) is not None:
        return infra
    if reason == "DeadlineExceeded":
        return Failure("user", reason, _sentence("The step ran longer than it may", status.get("message")))
    if (waiting := _hopeless(status)) is not None:
        return waiting
    for init in status.get("initContainerStatuses") or ():
        ended = (init.get("state") or {}).get("terminated")
        if ended is not None and ended.get("exitCode"):
            detail = _launcher_error(ended.get("message")) or ended.get("message") or f"exit code {ended['exitCode']}"
            staging = init.get("name") in {"stage-in", "stage-out"}
            kind = "infra" if staging and _is_infra_error(ended.get("message")) else "user"
            return Failure(kind, "InitFailed", f"Container {init.get('name')} failed: {detail}", int(ended["exitCode"]))
    if status.get("phase") == "Unknown":
        return Failure("infra", "NodeLost", f"Pod {name}: its node does not answer.")
    if reason:
        text = _sentence(f"Pod {name} cannot run", status.get("message") or reason)
        return Failure("user", reason, text, final=reason in _HOPELESS)
    return Failure("infra", "PodFailed", _sentence(f"Pod {name} failed without saying why", status.get("message")))


def _disruption(pod: Obj) -> Failure | None:
    status, metadata = pod.get("status") or {}, pod["metadata"]
    reason = str(status.get("reason") or "")
    if reason == "Evicted" and _ITS_OWN_LIMIT.search(said := str(status.get("message") or "")):
        return Failure("user", reason, f"The step kept more on disk than it may, and was ended: {said}")
    if reason in _INFRA_POD or reason.startswith(_OUT_OF):
        words = _INFRA_POD.get(reason) or f"was refused by its node: no {reason.removeprefix(_OUT_OF)} was free"
        return Failure("infra", reason, _sentence(f"Pod {metadata['name']} {words}", status.get("message")))
    for condition in status.get("conditions") or ():
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            text = _sentence(f"Pod {metadata['name']} was ended from outside", condition.get("message"))
            return Failure("infra", condition.get("reason") or "Disrupted", text)
    if metadata.get("deletionTimestamp"):
        when = "while it ran" if _begun(status) else "before it ran"
        return Failure("infra", "PodDeleted", f"Pod {metadata['name']} was deleted {when}.")
    return None


def _hopeless(status: Obj) -> Failure | None:
    for name, waiting in _waits(status, _HOPELESS):
        if not _NOT_HEARD_YET.search(str(waiting.get("message") or "")):
            text = _sentence(f"Container {name} cannot start", waiting.get("message"))
            return Failure("user", waiting["reason"], text, final=True)
    return None


def _containers(status: Obj) -> list[Obj]:
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def _waits(status: Obj, reasons: Container[str]) -> list[tuple[str, Obj]]:
    """The containers that wait for one of these reasons, by name."""
    waiting = [(str(each.get("name")), (each.get("state") or {}).get("waiting") or {}) for each in _containers(status)]
    return [(name, state) for name, state in waiting if str(state.get("reason")) in reasons]


def _begun(status: Obj) -> bool:
    return any({"running", "terminated"} & set(each.get("state") or ()) for each in _containers(status))


def _terminated(statuses: Any, name: str) -> Obj | None:
    for status in statuses or ():
        if status.get("name") == name:
            return (status.get("state") or {}).get("terminated")
    return None


def _launcher_error(message: Any) -> str | None:
    """The error that the launcher left in the termination message, as text: an exception's with its type, its own as it is."""
    error = _error(message)
    if error is None:
        return None
    kind, text = str(error.get("type") or "Error"), str(error.get("message") or "")
    trace = str(error.get("traceback") or "").rstrip()
    return f"{kind}: {text}".rstrip(": ") + f"\n{trace}" if trace else text or kind


def _is_infra_error(message: Any) -> bool:
    error = _error(message)
    return error is not None and error.get("type") in _INFRA_ERRORS


def _error(message: Any) -> dict[str, Any] | None:
    if not isinstance(message, str) or not message.startswith("{"):
        return None
    found = _decoded(message)
    return found.error if found is not None else None


def _decoded(message: str) -> _Message | None:
    """A message as the launcher writes it; ``None`` for anything else, however deeply it is nested."""
    try:
        return _messages.decode(message)
    except (msgspec.DecodeError, RecursionError):
        return None


def _sentence(text: str, detail: Any) -> str:
    return f"{text}: {detail}" if detail else f"{text}."
