"""Jobs do what those of Kubernetes do: the figures are what a kube-controller-manager 1.36 did with the same Job and Pods."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from kedge import errors
from kedge.client.local import LocalClient
from kedge.client.types import Client
from kedge.control.controller import reconcile
from kedge.kube.batch import INDEX, JOB
from kedge.kube.clock import timestamp
from kedge.kube.core import EVENT, POD
from kedge.kube.kinds import Obj
from kedge.kube.metadata import Key, annotations_of, finalizers, key_of, owners
from kedge.testing.api import memory_api
from kedge.testing.clock import FakeClock
from kedge.testing.reconcilers import ReconcilerConformance, Scenario, World
from kedge.workloads.job_orphans import JobOrphans
from kedge.workloads.job_pods import FAILURES, TRACKING
from kedge.workloads.jobs import Jobs

KEY = Key("default", "work")
POD_SPEC: Obj = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "python:3.12"}]}


class Stage:
    """A server, a Job's reconciler, and somebody who says how Pods are."""

    def __init__(self, pod: Obj | None = None, **spec: Any) -> None:
        self.clock = FakeClock()
        self.api = memory_api(clock=self.clock)
        self.reconciler = Jobs()
        job = {"metadata": {"name": "work", "namespace": "default"}, "spec": {"template": {"spec": {**POD_SPEC, **(pod or {})}}}}
        self.api.create(JOB, {**job, "spec": {**job["spec"], **spec}})
        self.again: float | None = None

    async def settle(self, client: Client | None = None) -> Obj:
        """Look until nothing is left to do; the Job as it is then."""
        for _ in range(40):
            writes, self.again = await reconcile(self.reconciler, client or LocalClient(self.api), KEY, self.clock.now())
            if writes == 0:
                break
        else:
            raise AssertionError("still writing")
        return self.status()

    async def passes(self, seconds: float) -> Obj:
        await self.clock.advance(seconds)
        return await self.settle()

    def job(self) -> Obj:
        return self.api.get(JOB, "work", "default")

    def status(self) -> Obj:
        return self.job()["status"]

    def pods(self, phase: str = "") -> list[Obj]:
        found = self.api.list(POD, "default").items
        return [pod for pod in found if not phase or pod["status"]["phase"] == phase]

    def pending(self, index: int | None = None) -> Obj:
        found = [pod for pod in self.pods("Pending") if "deletionTimestamp" not in pod["metadata"]]
        return next(pod for pod in found if index is None or annotations_of(pod)[INDEX] == str(index))

    def says(self, pod: Obj, phase: str, code: int | None = None, **status: Any) -> None:
        """What a node says of a Pod."""
        if code is not None:
            ended = {"exitCode": code, "finishedAt": timestamp(self.clock.now())}
            status["containerStatuses"] = [{"name": "main", "restartCount": 0, "state": {"terminated": ended}}]
        pod = self.api.get(POD, pod["metadata"]["name"], "default")
        self.api.update(POD, {**pod, "status": {**pod["status"], "phase": phase, **status}}, subresource="status")

    def changes(self, **spec: Any) -> None:
        job = self.job()
        self.api.update(JOB, {**job, "spec": {**job["spec"], **spec}})

    def events(self) -> list[tuple[str, str]]:
        return [(event["reason"], event["message"]) for event in self.api.list(EVENT, "default").items]

    def conditions(self) -> list[tuple[str, str, str]]:
        found = self.status().get("conditions") or []
        return [(each["type"], each["status"], each["reason"]) for each in found]


def numbers(status: Obj) -> Obj:
    """A status without its times and conditions."""
    return {key: value for key, value in status.items() if key not in {"startTime", "completionTime", "conditions"}}


NOTHING: Obj = {"ready": 0, "terminating": 0, "uncountedTerminatedPods": {}}


async def test_a_job_is_complete_when_enough_pods_succeeded() -> None:
    stage = Stage(parallelism=2, completions=3)
    assert numbers(await stage.settle()) == {**NOTHING, "active": 2}
    first, _ = stage.pods()
    stage.says(first, "Running", conditions=[{"type": "Ready", "status": "True"}])
    assert numbers(await stage.settle()) == {**NOTHING, "active": 2, "ready": 1}
    stage.says(first, "Succeeded", 0)
    assert numbers(await stage.settle()) == {**NOTHING, "active": 2, "succeeded": 1}
    for pod in stage.pods("Pending"):
        stage.says(pod, "Succeeded", 0)
    status = await stage.settle()
    assert numbers(status) == {**NOTHING, "succeeded": 3}
    assert stage.conditions() == [
        ("SuccessCriteriaMet", "True", "CompletionsReached"),
        ("Complete", "True", "CompletionsReached"),
    ]
    assert status["conditions"][1]["message"] == "Reached expected number of succeeded pods"
    assert "completionTime" in status
    assert not any(finalizers(pod) for pod in stage.pods())
    assert sorted(reason for reason, _ in stage.events()) == ["Completed", *["SuccessfulCreate"] * 3]


async def test_the_pods_of_a_job_bear_its_labels_its_reference_and_a_name_of_its_own() -> None:
    stage = Stage()
    await stage.settle()
    (pod,) = stage.pods()
    uid = stage.job()["metadata"]["uid"]
    assert pod["metadata"]["labels"] == {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": "work",
        "controller-uid": uid,
        "job-name": "work",
    }
    assert pod["metadata"]["generateName"] == "work-"
    assert len(pod["metadata"]["name"]) == len("work-xxxxx")
    assert pod["metadata"]["finalizers"] == [TRACKING]
    (owner,) = owners(pod)
    assert (owner["kind"], owner["name"], owner["controller"], owner["blockOwnerDeletion"]) == ("Job", "work", True, True)


async def test_an_indexed_job_tells_each_pod_its_index() -> None:
    stage = Stage(completions=3, parallelism=2, completionMode="Indexed")
    await stage.settle()
    pods = sorted(stage.pods(), key=lambda pod: annotations_of(pod)[INDEX])
    assert [annotations_of(pod)[INDEX] for pod in pods] == ["0", "1"]
    for index, pod in enumerate(pods):
        assert pod["metadata"]["labels"][INDEX] == str(index)
        assert pod["spec"]["hostname"] == f"work-{index}"
        assert pod["metadata"]["generateName"] == f"work-{index}-"
        (variable,) = pod["spec"]["containers"][0]["env"]
        assert variable["name"] == "JOB_COMPLETION_INDEX"
        assert variable["valueFrom"]["fieldRef"]["fieldPath"] == f"metadata.labels['{INDEX}']"
    stage.says(pods[1], "Succeeded", 0)
    status = await stage.settle()
    assert (status["completedIndexes"], status["succeeded"], status["active"]) == ("1", 1, 2)
    for index in (0, 2):
        stage.says(stage.pending(index), "Succeeded", 0)
    assert (await stage.settle())["completedIndexes"] == "0-2"
    assert stage.conditions()[-1] == ("Complete", "True", "CompletionsReached")


async def test_failures_are_tried_again_later_each_time_until_there_are_too_many() -> None:
    stage = Stage(backoffLimit=1, parallelism=2, completions=2)
    await stage.settle()
    stage.says(stage.pending(), "Failed", 1)
    assert numbers(await stage.settle()) == {**NOTHING, "active": 1, "failed": 1}
    assert stage.again == 10
    assert numbers(await stage.passes(10)) == {**NOTHING, "active": 2, "failed": 1}
    stage.says(stage.pending(), "Failed", 1)
    assert numbers(await stage.settle()) == {**NOTHING, "failed": 3}  # the other one was ended, which counts
    assert stage.conditions() == [
        ("FailureTarget", "True", "BackoffLimitExceeded"),
        ("Failed", "True", "BackoffLimitExceeded"),
    ]
    assert ("BackoffLimitExceeded", "Job has reached the specified backoff limit") in stage.events()
    assert len(stage.pods()) == 2


async def test_the_pause_doubles_up_to_ten_minutes_and_a_success_begins_anew() -> None:
    stage = Stage(backoffLimit=50, completions=2)
    await stage.settle()
    pauses = list[float | None]()
    for _ in range(8):
        stage.says(stage.pending(), "Failed", 1)
        await stage.settle()
        pauses.append(stage.again)
        await stage.passes(stage.again or 0)
    assert pauses == [10, 20, 40, 80, 160, 320, 600, 600]
    await stage.clock.advance(1)
    stage.says(stage.pending(), "Succeeded", 0)
    await stage.settle()
    assert stage.status()["active"] == 1
    await stage.clock.advance(1)
    stage.says(stage.pending(), "Failed", 1)
    await stage.settle()
    assert stage.again == 10


async def test_a_container_that_is_restarted_in_place_counts_towards_the_limit() -> None:
    stage = Stage({"restartPolicy": "OnFailure"}, backoffLimit=2)
    await stage.settle()
    restarted = [{"name": "main", "restartCount": 1}]
    stage.says(stage.pending(), "Running", containerStatuses=restarted)
    assert (await stage.settle())["active"] == 1
    stage.says(stage.pods()[0], "Running", containerStatuses=[{"name": "main", "restartCount": 2}])
    await stage.settle()
    assert stage.conditions()[-1] == ("Failed", "True", "BackoffLimitExceeded")


RULES = {
    "rules": [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
        {"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [42]}},
        {"action": "FailJob", "onPodConditions": [{"type": "Broken", "status": "True"}]},
        {"action": "Count", "onExitCodes": {"operator": "NotIn", "values": [43]}},
    ]
}


async def test_a_failure_that_is_ignored_does_not_count() -> None:
    stage = Stage(completions=3, parallelism=3, completionMode="Indexed", podFailurePolicy=RULES, backoffLimit=0)
    await stage.settle()
    assert stage.job()["spec"]["podReplacementPolicy"] == "Failed"
    stage.says(stage.pending(1), "Failed", 1, conditions=[{"type": "DisruptionTarget", "status": "True"}])
    assert numbers(await stage.settle()) == {**NOTHING, "active": 2}
    assert (await stage.passes(10))["active"] == 3


@pytest.mark.parametrize(
    ("code", "condition", "message"),
    [
        (42, "Other", "Container main for pod default/{pod} failed with exit code 42 matching FailJob rule at index 1"),
        (1, "Broken", "Pod default/{pod} has condition Broken matching FailJob rule at index 2"),
    ],
)
async def test_a_failure_that_fails_the_job_says_by_which_rule(code: int, condition: str, message: str) -> None:
    stage = Stage(completions=3, parallelism=3, completionMode="Indexed", podFailurePolicy=RULES)
    await stage.settle()
    pod = stage.pending(0)
    stage.says(pod, "Failed", code, conditions=[{"type": condition, "status": "True"}])
    assert numbers(await stage.settle()) == {**NOTHING, "failed": 3}
    message = message.format(pod=pod["metadata"]["name"])
    assert stage.conditions()[-1] == ("Failed", "True", "PodFailurePolicy")
    assert stage.status()["conditions"][-1]["message"] == message
    assert ("PodFailurePolicy", message) in stage.events()


async def test_each_index_has_a_limit_of_its_own() -> None:
    rules = {"rules": [{"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [42]}}]}
    stage = Stage(
        completions=3,
        parallelism=3,
        completionMode="Indexed",
        backoffLimitPerIndex=1,
        maxFailedIndexes=1,
        podFailurePolicy=rules,
    )
    assert numbers(await stage.settle()) == {**NOTHING, "active": 3, "failedIndexes": ""}
    assert {annotations_of(pod)[FAILURES] for pod in stage.pods()} == {"0"}
    first = stage.pending(0)
    stage.says(first, "Failed", 1)
    assert numbers(await stage.settle()) == {**NOTHING, "active": 2, "failedIndexes": ""}  # held back until there is another
    assert finalizers(stage.api.get(POD, first["metadata"]["name"], "default")) == [TRACKING]
    assert numbers(await stage.passes(10)) == {**NOTHING, "active": 3, "failed": 1, "failedIndexes": ""}
    assert annotations_of(stage.pending(0))[FAILURES] == "1"
    stage.says(stage.pending(1), "Failed", 42)
    assert numbers(await stage.settle()) == {**NOTHING, "active": 2, "failed": 2, "failedIndexes": "1"}
    stage.says(stage.pending(0), "Failed", 1)
    assert numbers(await stage.settle()) == {**NOTHING, "failed": 4, "failedIndexes": "0,1"}
    assert stage.conditions()[-1] == ("Failed", "True", "MaxFailedIndexesExceeded")


async def test_the_other_indexes_go_on_when_one_is_lost() -> None:
    stage = Stage(completions=3, parallelism=3, completionMode="Indexed", backoffLimitPerIndex=0)
    await stage.settle()
    stage.says(stage.pending(1), "Failed", 1)
    assert numbers(await stage.settle()) == {**NOTHING, "active": 2, "failed": 1, "failedIndexes": "1"}
    for index in (0, 2):
        stage.says(stage.pending(index), "Succeeded", 0)
    expected = {**NOTHING, "completedIndexes": "0,2", "failedIndexes": "1", "failed": 1, "succeeded": 2}
    assert numbers(await stage.settle()) == expected
    assert stage.conditions() == [("FailureTarget", "True", "FailedIndexes"), ("Failed", "True", "FailedIndexes")]
    assert ("FailedIndexes", "Job has failed indexes") in stage.events()


async def test_a_job_may_have_enough_before_all_indexes_are_done() -> None:
    rules = {"rules": [{"succeededIndexes": "0,2-3", "succeededCount": 2}, {"succeededCount": 3}]}
    stage = Stage(completions=4, parallelism=3, completionMode="Indexed", successPolicy=rules)
    await stage.settle()
    for index in (0, 2):
        stage.says(stage.pending(index), "Succeeded", 0)
    assert numbers(await stage.settle()) == {**NOTHING, "completedIndexes": "0,2", "succeeded": 2}
    assert stage.conditions() == [("SuccessCriteriaMet", "True", "SuccessPolicy"), ("Complete", "True", "SuccessPolicy")]
    assert stage.status()["conditions"][0]["message"] == "Matched rules at index 0"
    assert len(stage.pods()) == 2


async def test_a_job_that_takes_too_long_fails() -> None:
    stage = Stage(activeDeadlineSeconds=4, parallelism=2)
    await stage.settle()
    assert stage.again == 4
    assert numbers(await stage.passes(4)) == {**NOTHING, "failed": 2}
    assert stage.conditions()[-1] == ("Failed", "True", "DeadlineExceeded")
    assert stage.status()["conditions"][-1]["message"] == "Job was active longer than specified deadline"
    assert stage.pods() == []


async def test_a_suspended_job_has_no_pods_and_begins_anew_when_it_is_resumed() -> None:
    stage = Stage(suspend=True, parallelism=2, activeDeadlineSeconds=100)
    assert numbers(await stage.settle()) == NOTHING
    assert (stage.conditions(), stage.pods()) == ([("Suspended", "True", "JobSuspended")], [])
    assert "startTime" not in stage.status()
    await stage.clock.advance(1000)
    stage.changes(suspend=False)
    assert numbers(await stage.settle()) == {**NOTHING, "active": 2}
    assert stage.status()["startTime"] == timestamp(stage.clock.now())
    assert stage.conditions() == [("Suspended", "False", "JobResumed")]
    stage.changes(suspend=True)
    assert numbers(await stage.settle()) == NOTHING  # what was given up is no failure
    assert (stage.conditions(), stage.pods()) == ([("Suspended", "True", "JobSuspended")], [])
    assert "startTime" not in stage.status()
    assert [reason for reason, _ in stage.events()].count("SuccessfulDelete") == 2


async def test_a_job_goes_when_its_time_after_the_end_has_come() -> None:
    stage = Stage(ttlSecondsAfterFinished=3)
    await stage.settle()
    stage.says(stage.pending(), "Succeeded", 0)
    await stage.settle()
    assert stage.again == 3
    await stage.clock.advance(3)
    await reconcile(stage.reconciler, LocalClient(stage.api), KEY, stage.clock.now())
    assert "deletionTimestamp" in stage.job()["metadata"]  # in the foreground: its Pods go first
    assert finalizers(stage.job()) == ["foregroundDeletion"]


async def test_an_indexed_job_grows_and_shrinks() -> None:
    stage = Stage(completions=3, parallelism=3, completionMode="Indexed")
    await stage.settle()
    stage.says(stage.pending(2), "Succeeded", 0)
    assert (await stage.settle())["completedIndexes"] == "2"
    stage.changes(completions=2, parallelism=2)
    assert numbers(await stage.settle()) == {**NOTHING, "active": 2}
    stage.changes(completions=4, parallelism=4)
    assert numbers(await stage.settle()) == {**NOTHING, "active": 4}
    stage.changes(parallelism=1)
    assert numbers(await stage.settle()) == {**NOTHING, "active": 1}
    assert [reason for reason, _ in stage.events()].count("SuccessfulDelete") == 3


@pytest.mark.parametrize(("policy", "at_once"), [("Failed", False), ("TerminatingOrFailed", True)])
async def test_a_deleted_pod_counts_at_once_or_when_it_has_ended(policy: str, at_once: bool) -> None:  # noqa: FBT001
    stage = Stage({"nodeName": "here"}, podReplacementPolicy=policy)
    await stage.settle()
    pod = stage.pending()
    stage.says(pod, "Running")
    stage.api.delete(POD, pod["metadata"]["name"], "default")
    failed = {"failed": 1} if at_once else {}
    assert numbers(await stage.settle()) == {**NOTHING, "terminating": 1, **failed}
    stage.says(pod, "Failed", 143)
    assert numbers(await stage.settle()) == {**NOTHING, "failed": 1}
    assert stage.again == 10
    assert (await stage.passes(10))["active"] == 1


async def test_a_work_queue_is_done_when_one_pod_succeeded_and_none_runs() -> None:
    stage = Stage(parallelism=3)
    await stage.settle()
    assert "completions" not in stage.job()["spec"]
    stage.says(stage.pending(), "Succeeded", 0)
    assert numbers(await stage.settle()) == {**NOTHING, "active": 2, "succeeded": 1}
    stage.says(stage.pending(), "Failed", 1)
    assert numbers(await stage.passes(60)) == {**NOTHING, "active": 1, "failed": 1, "succeeded": 1}
    stage.says(stage.pending(), "Succeeded", 0)
    assert numbers(await stage.settle()) == {**NOTHING, "failed": 1, "succeeded": 2}
    assert stage.conditions()[-1] == ("Complete", "True", "CompletionsReached")


async def test_a_job_of_another_controller_is_left_alone() -> None:
    stage = Stage(managedBy="example.com/other")
    await stage.settle()
    assert (stage.pods(), stage.status()) == ([], {})


async def test_a_pod_without_an_owner_is_taken_in_and_counts() -> None:
    labels = {"app": "mine"}
    template = {"metadata": {"labels": labels}, "spec": POD_SPEC}
    stage = Stage(manualSelector=True, selector={"matchLabels": labels}, template=template)
    stage.api.create(POD, {"metadata": {"name": "lost", "namespace": "default", "labels": labels}, "spec": POD_SPEC})
    assert (await stage.settle())["active"] == 1
    (pod,) = stage.pods()
    assert (owners(pod)[0]["name"], finalizers(pod)) == ("work", [TRACKING])


async def test_a_pod_whose_job_is_gone_or_no_longer_selects_it_is_let_go() -> None:
    stage = Stage(completions=2, parallelism=2)
    await stage.settle()
    first, second = stage.pods()
    stage.api.update(POD, {**first, "metadata": {**first["metadata"], "labels": {"other": "x"}}})
    client = LocalClient(stage.api)
    for pod in (first, second):
        await reconcile(JobOrphans(), client, key_of(pod), stage.clock.now())
    kept = {pod["metadata"]["name"]: pod for pod in stage.pods()}
    assert (owners(kept[first["metadata"]["name"]]), finalizers(kept[first["metadata"]["name"]])) == ([], [])
    assert finalizers(kept[second["metadata"]["name"]]) == [TRACKING]
    stage.api.delete(JOB, "work", "default")
    await reconcile(JobOrphans(), client, key_of(second), stage.clock.now())
    assert finalizers(stage.api.get(POD, second["metadata"]["name"], "default")) == []


async def test_nothing_is_counted_twice_when_the_status_was_written_and_the_host_died() -> None:
    """The uid stands in the status, the finalizer is still there: a new process goes on from that."""
    stage = Stage(completions=2, parallelism=2)
    await stage.settle()
    pod = stage.pending()
    stage.says(pod, "Succeeded", 0)
    job = stage.job()
    uncounted = {"succeeded": [pod["metadata"]["uid"]]}
    stage.api.update(JOB, {**job, "status": {**job["status"], "uncountedTerminatedPods": uncounted}}, subresource="status")
    stage.reconciler = Jobs()
    assert numbers(await stage.settle()) == {**NOTHING, "active": 1, "succeeded": 1}


def _refused(**spec: Any) -> list[str]:
    try:
        Stage(**spec)
    except errors.Invalid as error:
        return [f"{cause.field}: {cause.message}" for cause in error.causes]
    return []


INDEXED: Obj = {"completionMode": "Indexed", "completions": 3}
# The messages are those of a kube-apiserver 1.36.
REFUSALS: list[tuple[Obj, list[str]]] = [
    ({"parallelism": -1}, ["spec.parallelism: Invalid value: -1: must be greater than or equal to 0"]),
    ({"completionMode": "Foo"}, ['spec.completionMode: Unsupported value: "Foo": supported values: "NonIndexed", "Indexed"']),
    ({"backoffLimitPerIndex": 1}, ["spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"]),
    ({**INDEXED, "maxFailedIndexes": 1}, ["spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified"]),
    (
        {**INDEXED, "backoffLimitPerIndex": 1, "maxFailedIndexes": 4},
        ["spec.maxFailedIndexes: Invalid value: 4: must be less than or equal to completions"],
    ),
    (
        {"completionMode": "Indexed", "parallelism": 1},
        ["spec.completions: Required value: when completion mode is Indexed"],
    ),
    (
        {"pod": {"restartPolicy": "Always"}},
        ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
    ),
    (
        {"podFailurePolicy": {"rules": [{"action": "FailIndex", "onPodConditions": [{"type": "X"}]}]}},
        ['spec.podFailurePolicy.rules[0].action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set'],
    ),
    (
        {"podFailurePolicy": {"rules": [{"action": "Ignore", "onExitCodes": {"operator": "In", "values": [3, 2]}}]}},
        ["spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [3,2]: must be ordered"],
    ),
    (
        {"podFailurePolicy": {"rules": [{"action": "Ignore"}]}},
        ["spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required"],
    ),
    (
        {"podFailurePolicy": RULES, "podReplacementPolicy": "TerminatingOrFailed"},
        ['spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed"'],
    ),
    (
        {**INDEXED, "successPolicy": {"rules": [{"succeededIndexes": "0-5"}]}},
        [
            (
                'spec.successPolicy.rules[0].succeededIndexes: Invalid value: "0-5": '
                'error parsing succeededIndexes: too large index: "5"'
            )
        ],
    ),
    (
        {**INDEXED, "successPolicy": {"rules": [{"succeededIndexes": "0-1", "succeededCount": 3}]}},
        [
            (
                "spec.successPolicy.rules[0].succeededCount: Invalid value: 3: must be less than or equal to 2 "
                "(the number of indexes in the specified succeededIndexes field)"
            )
        ],
    ),
    ({"managedBy": "foo"}, ['spec.managedBy: Invalid value: "foo": must be a domain-prefixed path (such as "acme.io/foo")']),
    (
        {"manualSelector": True},
        [
            "spec.selector: Required value",
            "spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`",
        ],
    ),
]


@pytest.mark.parametrize(("spec", "messages"), REFUSALS, ids=lambda value: json.dumps(value)[:60])
def test_what_breaks_a_rule_is_refused_in_the_words_of_kubernetes(spec: Obj, messages: list[str]) -> None:
    assert _refused(**spec) == messages


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"completions": 4}, "spec.completions: Invalid value: 4: can only be modified in tandem with spec.parallelism"),
        ({"completionMode": "NonIndexed"}, 'spec.completionMode: Invalid value: "NonIndexed": field is immutable'),
        ({"managedBy": "a.b/c"}, 'spec.managedBy: Invalid value: "a.b/c": field is immutable'),
        ({"backoffLimit": 3}, None),
        ({"activeDeadlineSeconds": 100}, None),
        ({"ttlSecondsAfterFinished": 100}, None),
        ({"completions": 4, "parallelism": 4}, None),
        ({"parallelism": 2}, None),
    ],
)
def test_what_of_a_job_may_change(change: Obj, message: str | None) -> None:
    stage = Stage(**INDEXED, parallelism=3)
    if message is None:
        stage.changes(**change)
        return
    with pytest.raises(errors.Invalid) as refused:
        stage.changes(**change)
    assert [f"{cause.field}: {cause.message}" for cause in refused.value.causes] == [message]


async def test_the_template_may_change_while_a_job_is_suspended_but_only_where_its_pods_may_run() -> None:
    def changed(change: Callable[[Obj], None]) -> None:
        job = stage.job()
        template = json.loads(json.dumps(job["spec"]["template"]))
        change(template)
        stage.changes(template=template)

    stage = Stage()
    with pytest.raises(errors.Invalid, match=r"spec.template: .*field is immutable"):
        changed(lambda template: template["spec"].update(nodeSelector={"a": "b"}))
    stage = Stage(suspend=True)
    await stage.settle()
    changed(lambda template: template["spec"].update(nodeSelector={"a": "b"}))
    changed(lambda template: template["metadata"].update(annotations={"a": "b"}))
    changed(lambda template: template["spec"]["containers"][0].update(resources={"requests": {"cpu": "1"}}))
    with pytest.raises(errors.Invalid, match=r"spec.template.spec: .*field is immutable"):
        changed(lambda template: template["spec"]["containers"][0].update(image="other"))


@pytest.mark.parametrize("kind", ["done", "failed", "suspended", "indexed", "gone"])
class TestJobsConverge(ReconcilerConformance):
    """Killed between any two writes, each Pod is counted once."""

    @pytest.fixture
    def scenario(self, kind: str) -> Scenario:
        spec: dict[str, Obj] = {
            "done": {"completions": 2, "parallelism": 2},
            "failed": {"completions": 2, "parallelism": 2, "backoffLimit": 0},
            "suspended": {"completions": 3, "parallelism": 2},
            "indexed": {"completions": 2, "parallelism": 2, "completionMode": "Indexed"},
            "gone": {"completions": 2, "parallelism": 2},
        }
        counts: dict[str, Obj] = {
            "done": {"succeeded": 2},
            "failed": {"failed": 1, "succeeded": 1},
            "suspended": {"succeeded": 1},
            "indexed": {"succeeded": 2, "completedIndexes": "0,1"},
            "gone": {},
        }

        async def make() -> World:
            stage = Stage(**spec[kind])
            await stage.settle()
            first, second = stage.pods()
            stage.says(first, "Succeeded", 0)
            if kind in {"done", "failed", "indexed"}:
                stage.says(second, "Failed" if kind == "failed" else "Succeeded", int(kind == "failed"))
            if kind == "suspended":
                stage.changes(suspend=True)
            if kind == "gone":
                stage.api.delete(JOB, "work", "default", propagation="Foreground")

            async def one_pass(client: Client) -> None:
                await reconcile(Jobs(), client, KEY, stage.clock.now())

            def is_settled() -> bool:
                if kind == "gone":
                    return not any(finalizers(pod) for pod in stage.pods())
                return numbers(stage.status()) == {**NOTHING, **counts[kind]} and not any(map(finalizers, stage.pods()))

            return World(stage.api, one_pass, is_settled, _nothing)

        return make


async def _nothing() -> None:
    return
