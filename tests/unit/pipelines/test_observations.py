"""What a Pod means for its attempt, and whose fault a failure is: the table, a row a test."""

import json
from typing import Any

import msgspec
import pytest

from kedge.artifacts.staging import StoredArtifact
from kedge.kube.kinds import Obj
from kedge.kube.pods import is_over
from kedge.pipelines import observations
from kedge.pipelines.engine.types import Outputs
from kedge.pipelines.observations import Failed, Running, Succeeded


def pod(phase: str, terminated: Obj | None = None, *, waiting: Obj | None = None, meta: Obj | None = None, **status: Any) -> Obj:
    state: Obj = {}
    if terminated is not None:
        state = {"terminated": terminated}
    elif waiting is not None:
        state = {"waiting": waiting}
    elif phase == "Running":
        state = {"running": {}}
    statuses = [{"name": "main", "state": state}] if state else []
    metadata = {
        "name": "run-train-0",
        "namespace": "default",
        "uid": "u1",
        "labels": {"kedge.dev/run": "r1"},
        "annotations": {"kedge.dev/task": "train", "kedge.dev/attempt": "2"},
        **(meta or {}),
    }
    return {"metadata": metadata, "status": {"phase": phase, "containerStatuses": statuses, **status}}


def message(**parts: Any) -> str:
    return json.dumps({"kedge": 1, **parts})


RAISED = message(error={"type": "ValueError", "message": "no such column", "traceback": "Traceback…\nValueError: no such column"})
DISRUPTED = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "drain"}
FAILURES: list[tuple[str, Obj, str, str, str, int | None]] = [
    ("exit code", pod("Failed", {"exitCode": 3}), "user", "ExitCode", "ended with exit code 3", 3),
    (
        "last words",
        pod("Failed", {"exitCode": 3, "message": "no rows"}),
        "user",
        "ExitCode",
        "ended with exit code 3: no rows",
        3,
    ),
    (
        "raised",
        pod("Failed", {"exitCode": 1, "message": RAISED}),
        "user",
        "StepRaised",
        "ValueError: no such column\nTraceback",
        1,
    ),
    ("killed", pod("Failed", {"exitCode": 137}), "user", "Killed", "signal 9 (SIGKILL), often", 137),
    ("segfault", pod("Failed", {"exitCode": 139}), "user", "Killed", "signal 11 (SIGSEGV", 139),
    ("signal given", pod("Failed", {"exitCode": 255, "signal": 15}), "user", "Killed", "signal 15 (SIGTERM)", 255),
    ("out of memory", pod("Failed", {"exitCode": 137, "reason": "OOMKilled"}), "user", "OOMKilled", "set_memory_limit", 137),
    (
        "its own disk",
        pod("Failed", {"exitCode": 137}, reason="Evicted", message='Usage of EmptyDir volume "x" exceeds the limit "1Mi".'),
        "user",
        "Evicted",
        'kept more on disk than it may, and was ended: Usage of EmptyDir volume "x"',
        None,
    ),
    (
        "others' memory",
        pod("Failed", {"exitCode": 137}, reason="Evicted", message="The node was low on resource: memory."),
        "infra",
        "Evicted",
        "was evicted from its node",
        None,
    ),
    (
        "no such command",
        pod("Failed", {"exitCode": 128, "reason": "StartError", "message": "no x"}),
        "user",
        "StartError",
        "no x",
        128,
    ),
    (
        "too long",
        pod("Failed", {"exitCode": 143}, reason="DeadlineExceeded"),
        "user",
        "DeadlineExceeded",
        "longer than it may",
        143,
    ),
    ("too long, never ran", pod("Failed", reason="DeadlineExceeded"), "user", "DeadlineExceeded", "longer than it may", None),
    (
        "image refused",
        pod("Failed", reason="ImageNotSupported", message="image x: …"),
        "user",
        "ImageNotSupported",
        "image x",
        None,
    ),
    ("field refused", pod("Failed", reason="UnsupportedField", message="spec.x"), "user", "UnsupportedField", "spec.x", None),
    (
        "packages",
        pod("Pending", waiting={"reason": "EnvironmentFailed", "message": "no nope"}),
        "user",
        "EnvironmentFailed",
        "no nope",
        None,
    ),
    (
        "image name",
        pod("Pending", waiting={"reason": "InvalidImageName", "message": "A B"}),
        "user",
        "InvalidImageName",
        "A B",
        None,
    ),
    ("evicted", pod("Failed", reason="Evicted", message="disk"), "infra", "Evicted", "was evicted from its node: disk", None),
    ("evicted while it ran", pod("Failed", {"exitCode": 137}, reason="Evicted"), "infra", "Evicted", "was evicted", None),
    ("drained", pod("Failed", {"exitCode": 143}, conditions=[DISRUPTED]), "infra", "EvictionByEvictionAPI", "drain", None),
    ("node lost", pod("Unknown"), "infra", "NodeLost", "its node does not answer", None),
    ("node shut down", pod("Failed", {"exitCode": 143}, reason="NodeShutdown"), "infra", "NodeShutdown", "node's shutdown", None),
    (
        "host restarted",
        pod("Failed", {"exitCode": 255, "reason": "HostRestarted"}),
        "infra",
        "HostRestarted",
        "node restarted",
        255,
    ),
    ("status lost", pod("Failed", {"exitCode": 137, "reason": "ExitStatusLost"}), "infra", "ExitStatusLost", "is not known", 137),
    (
        "unknown",
        pod("Failed", {"exitCode": 137, "reason": "ContainerStatusUnknown"}),
        "infra",
        "ContainerStatusUnknown",
        "not known",
        137,
    ),
    ("out of pods", pod("Failed", reason="OutOfpods"), "infra", "OutOfpods", "too many Pods", None),
    ("silent", pod("Failed"), "infra", "PodFailed", "without saying why", None),
    (
        "hub not reached",
        pod("Failed", {"exitCode": 69, "message": message(error={"type": "HubUnreachable", "message": "no answer"})}),
        "infra",
        "HubUnreachable",
        "no answer",
        69,
    ),
    (
        "an output of the wrong type",
        pod("Failed", {"exitCode": 1, "message": message(error={"type": "OutputInvalid", "message": "output 'n': …"})}),
        "user",
        "OutputInvalid",
        "output 'n'",
        1,
    ),
    (
        "deleted by somebody",
        pod("Running", {"exitCode": 143}, meta={"deletionTimestamp": "2026-11-23T09:05:07Z"}),
        "infra",
        "PodDeleted",
        "was deleted while it ran",
        None,
    ),
    (
        "inputs not there",
        pod(
            "Failed",
            initContainerStatuses=[
                {
                    "name": "stage-in",
                    "state": {
                        "terminated": {"exitCode": 1, "message": message(error={"type": "StepError", "message": "no data"})}
                    },
                }
            ],
        ),
        "user",
        "InitFailed",
        "stage-in failed: no data",
        1,
    ),
]


@pytest.mark.parametrize(
    ("seen", "kind", "reason", "text", "code"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES]
)
def test_whose_fault_a_failure_is(seen: Obj, kind: str, reason: str, text: str, code: int | None) -> None:
    verdict = observations.judge(seen, "commit")
    assert isinstance(verdict, Failed)
    assert (verdict.failure.kind, verdict.failure.reason, verdict.failure.exit_code) == (kind, reason, code)
    assert text in verdict.failure.message


def test_a_pod_that_is_gone_before_its_end_was_seen_was_deleted() -> None:
    verdict = observations.judge(pod("Running"), "nothing", gone=True)
    assert isinstance(verdict, Failed)
    assert (verdict.failure.kind, verdict.failure.reason) == ("infra", "PodDeleted")


def test_a_pod_that_is_gone_after_its_good_end_counts() -> None:
    assert observations.judge(pod("Running", {"exitCode": 0}), "nothing", gone=True) == Succeeded(Outputs())


@pytest.mark.parametrize(
    "waiting", [None, {"reason": "ContainerCreating"}, {"reason": "ImagePullBackOff"}, {"reason": "PodInitializing"}]
)
def test_a_pod_that_waits_says_nothing_yet(waiting: Obj | None) -> None:
    assert observations.judge(pod("Pending", waiting=waiting), "commit") is None


def test_a_pod_that_runs_runs() -> None:
    assert observations.judge(pod("Running"), "commit") == Running()


def test_parameters_are_read_from_the_termination_message() -> None:
    seen = pod("Succeeded", {"exitCode": 0, "message": message(outputs={"Output": [1, "é"], "count": 2})})
    assert observations.judge(seen, "message") == Succeeded(Outputs(parameters={"Output": [1, "é"], "count": 2}))


def test_artifacts_are_read_from_the_termination_message_and_get_the_ids_that_a_commit_gives_them() -> None:
    sent = {"name": "model", "uri": "file:///a/model", "type": "system.Model", "metadata": {}, "digest": "sha256:00", "size": 3}
    seen = pod("Succeeded", {"exitCode": 0, "message": message(outputs={}, artifacts={"model": [sent]})})
    verdict = observations.judge(seen, "message")
    assert isinstance(verdict, Succeeded)
    made = observations.made("r1", "train", 2, {"model": [msgspec.convert(sent, StoredArtifact)]})
    assert verdict.outputs.artifacts == made
    assert (made["model"][0].uri, made["model"][0].size) == ("file:///a/model", 3)
    assert made["model"][0].id


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x" * 4096, "OutputTruncated"),
        ("hello", "OutputInvalid"),
        ('{"kedge": 1}', "OutputInvalid"),
        ("[]", "OutputInvalid"),
        ('{"kedge": 1, "outputs": {}, "artifacts": {"model": [{"uri": 3}]}}', "OutputInvalid"),
        (message(outputs={}, artifacts={"model": [{"name": "model", "uri": "/a", "size": 1 << 63}]}), "OutputInvalid"),
        ('{"kedge": 1, "outputs": {"x": ' + "[" * 1900 + "]" * 1900 + "}}", "OutputInvalid"),
    ],
    ids=["cut", "no JSON", "no outputs", "a list", "a strange artifact", "a size that no database takes", "nested deeply"],
)
def test_a_termination_message_that_is_not_the_launchers_fails_the_step(text: str, reason: str) -> None:
    verdict = observations.judge(pod("Succeeded", {"exitCode": 0, "message": text}), "message")
    assert isinstance(verdict, Failed)
    assert (verdict.failure.kind, verdict.failure.reason) == ("user", reason)


def test_a_message_that_is_nested_deeply_is_no_error_that_the_launcher_tells() -> None:
    text = '{"kedge": 1, "error": {"type": ' + "[" * 1900 + "]" * 1900 + "}}"
    verdict = observations.judge(pod("Failed", {"exitCode": 3, "message": text}), "message")
    assert isinstance(verdict, Failed)
    assert verdict.failure.reason == "ExitCode"


@pytest.mark.parametrize("expects", ["message", "commit"])
def test_exit_zero_without_a_commit_waits_for_the_pods_end_and_is_then_a_failure(expects: Any) -> None:
    assert observations.judge(pod("Running", {"exitCode": 0}), expects) == Running()
    verdict = observations.judge(pod("Succeeded", {"exitCode": 0}), expects)
    assert isinstance(verdict, Failed)
    assert verdict.failure.reason == "OutputsNotCommitted"


def test_staged_outputs_count_once_the_command_has_ended_with_zero() -> None:
    staged = Outputs(parameters={"n": 1})
    assert observations.judge(pod("Running"), "commit", staged) == Running()
    assert observations.judge(pod("Running", {"exitCode": 0}), "commit", staged) == Succeeded(staged)
    assert isinstance(observations.judge(pod("Running", {"exitCode": 1}), "commit", staged), Failed)


def test_a_sidecar_that_failed_is_named() -> None:
    ended = {"exitCode": 1, "message": message(error={"type": "StepError", "message": "/out is missing"})}
    seen = pod("Succeeded", {"exitCode": 0}, initContainerStatuses=[{"name": "stage-out", "state": {"terminated": ended}}])
    verdict = observations.judge(seen, "commit")
    assert isinstance(verdict, Failed)
    assert (verdict.failure.kind, verdict.failure.reason) == ("user", "StageOutFailed")
    assert "/out is missing" in verdict.failure.message


def test_which_attempt_a_pod_is() -> None:
    assert observations.reference(pod("Running")) == observations.PodRef("r1", "train", 2, "default", "run-train-0", "u1")


@pytest.mark.parametrize("without", ["labels", "annotations"])
def test_a_pod_without_our_marks_is_no_attempt(without: str) -> None:
    seen = pod("Running")
    del seen["metadata"][without]
    assert observations.reference(seen) is None


def test_what_is_kept_of_a_pod_says_all_that_is_asked_of_it() -> None:
    seen = pod(
        "Failed", {"exitCode": 3}, meta={"resourceVersion": "7", "finalizers": ["kedge.dev/tracking"], "managedFields": [1]}
    )
    kept = observations.keep({**seen, "spec": {"containers": []}})
    assert "spec" not in kept
    assert "managedFields" not in kept["metadata"]
    assert observations.judge(kept, "commit") == observations.judge(seen, "commit")
    assert observations.reference(kept) == observations.reference(seen)
    assert observations.is_tracked(kept)
    assert is_over(kept)
