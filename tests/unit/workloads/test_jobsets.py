"""JobSets: Jobs that start, end and begin anew together, as the JobSet project has it."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from keepers import access

from kedge import errors
from kedge.client.local import LocalClient
from kedge.client.types import Client
from kedge.control.controller import reconcile
from kedge.kube.batch import JOB
from kedge.kube.core import EVENT, KINDS, PERSISTENT_VOLUME_CLAIM, POD
from kedge.kube.jobset import JOBSET
from kedge.kube.kinds import Obj
from kedge.kube.metadata import Key, key_of
from kedge.kube.services import SERVICE
from kedge.server.api import Api
from kedge.server.quotas import Quotas
from kedge.testing.api import memory_api
from kedge.testing.clock import FakeClock, settle
from kedge.testing.reconcilers import ReconcilerConformance, Scenario, World
from kedge.workloads import running
from kedge.workloads.jobs import Jobs
from kedge.workloads.jobsets import JobSets

KEY = Key("default", "set")
PREFIX = "jobset.sigs.k8s.io/"


def replicated(name: str, replicas: int = 1, pods: int = 1, job: Obj | None = None, **more: Any) -> Obj:
    pod = {"spec": {"containers": [{"name": "node", "image": "python:3.11"}]}}
    spec = {"parallelism": pods, "completions": pods, "template": pod, **(job or {})}
    return {"name": name, "replicas": replicas, "template": {"spec": spec}, **more}


def mounting(volume: str, name: str = "a", **spec: Any) -> Obj:
    """A replicated Job whose container mounts a volume."""
    mount = {"name": volume, "mountPath": f"/{volume}"}
    container = {"name": "node", "image": "python:3.11", "volumeMounts": [mount]}
    return replicated(name, job={"template": {"spec": {"containers": [container], **spec}}})


def claim(name: str, **meta: Any) -> Obj:
    """A template of a claim."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"metadata": {"name": name, **meta}, "spec": spec}


class Stage:
    """A host's controllers, a JobSet, and somebody who says how its Jobs are."""

    def __init__(self, api: Api, clock: FakeClock) -> None:
        self.api, self.clock = api, clock

    async def make(self, *jobs: Obj, **spec: Any) -> None:
        made = {"metadata": {"name": "set", "namespace": "default"}, "spec": {"replicatedJobs": list(jobs), **spec}}
        self.api.create(JOBSET, made)
        await settle(200)

    def jobset(self) -> Obj:
        return self.api.get(JOBSET, "set", "default")

    def status(self) -> Obj:
        return self.jobset()["status"]

    def job(self, name: str) -> Obj:
        return self.api.get(JOB, f"set-{name}", "default")

    def jobs(self) -> list[str]:
        return sorted(job["metadata"]["name"].removeprefix("set-") for job in self.api.list(JOB, "default").items)

    async def pods_of(self, name: str, phase: str, *, code: int = 0, ready: bool = False) -> None:
        """Make all Pods of a Job that run be in a phase."""
        for pod in self.api.list(POD, "default").items:
            owner = pod["metadata"]["ownerReferences"][0]["name"]
            if owner == f"set-{name}" and pod["status"]["phase"] in {"Pending", "Running"}:
                ended = {"state": {"terminated": {"exitCode": code}}, "name": "node", "restartCount": 0}
                status = {"phase": phase, "containerStatuses": [ended] if code or phase == "Succeeded" else []}
                status |= {"conditions": [{"type": "Ready", "status": "True"}]} if ready else {}
                self.api.update(POD, {**pod, "status": {**pod["status"], **status}}, subresource="status")
        await settle(200)

    async def starts(self, *names: str) -> None:
        for name in names:
            await self.pods_of(name, "Running", ready=True)

    async def succeeds(self, *names: str) -> None:
        for name in names:
            await self.pods_of(name, "Succeeded")

    async def fails(self, name: str, code: int = 1) -> None:
        await self.pods_of(name, "Failed", code=code)

    async def changes(self, **spec: Any) -> None:
        jobset = self.jobset()
        self.api.update(JOBSET, {**jobset, "spec": {**jobset["spec"], **spec}})
        await settle(200)

    def counts(self) -> dict[str, Obj]:
        found = self.status()["replicatedJobsStatus"]
        return {each["name"]: {key: value for key, value in each.items() if value and key != "name"} for each in found}

    def conditions(self) -> list[tuple[str, str, str]]:
        return [(each["type"], each["status"], each["reason"]) for each in self.status().get("conditions") or ()]

    def events(self) -> list[tuple[str, str]]:
        found = [event for event in self.api.list(EVENT, "default").items if event["involvedObject"]["kind"] == "JobSet"]
        return [(event["reason"], event["message"]) for event in found]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    clock = FakeClock()
    api = memory_api(clock=clock)
    task = asyncio.create_task(running.run(LocalClient(api), KINDS, clock, Quotas(api.core.store), access(clock)))
    await settle(60)
    yield Stage(api, clock)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


NEVER = {"backoffLimit": 0}


async def test_a_jobset_makes_its_jobs_with_all_that_they_are_known_by(stage: Stage) -> None:
    await stage.make(replicated("driver"), replicated("node", replicas=2, pods=2, groupName="workers"))
    assert stage.jobs() == ["driver-0", "node-0", "node-1"]
    uid = stage.jobset()["metadata"]["uid"]
    expected = {
        "jobset-name": "set",
        "jobset-uid": uid,
        "replicatedjob-name": "node",
        "replicatedjob-replicas": "2",
        "group-name": "workers",
        "group-replicas": "2",
        "global-replicas": "3",
        "restart-attempt": "0",
        "job-index": "1",
        "job-global-index": "2",
        "job-group-index": "1",
        "job-key": hashlib.sha1(b"default/set-node-1", usedforsecurity=False).hexdigest(),
    }
    job = stage.job("node-1")
    pods = [pod for pod in stage.api.list(POD, "default").items if pod["metadata"]["name"].startswith("set-node-1-")]
    assert len(pods) == 2
    for obj in (job, *pods):
        for marks in (obj["metadata"]["labels"], obj["metadata"]["annotations"]):
            assert {key.removeprefix(PREFIX): value for key, value in marks.items() if key.startswith(PREFIX)} == expected
    assert {pod["spec"]["hostname"] for pod in pods} == {"set-node-1-0", "set-node-1-1"}
    assert {pod["spec"]["subdomain"] for pod in pods} == {"set"}
    assert {pod["spec"]["restartPolicy"] for pod in pods} == {"OnFailure"}
    (owner,) = job["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("JobSet", "set", True)


async def test_jobs_have_the_labels_and_annotations_of_their_template(stage: Stage) -> None:
    part = replicated("node")
    part["template"]["metadata"] = {"labels": {"team": "a"}, "annotations": {"note": "b"}}
    await stage.make(part)
    meta = stage.job("node-0")["metadata"]
    assert (meta["labels"]["team"], meta["annotations"]["note"]) == ("a", "b")


async def test_its_pods_are_found_by_a_service_without_an_address(stage: Stage) -> None:
    await stage.make(replicated("node"), network={"subdomain": "team"})
    service = stage.api.get(SERVICE, "team", "default")
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == {"jobset.sigs.k8s.io/jobset-name": "set"}
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert stage.job("node-0")["spec"]["template"]["spec"]["subdomain"] == "team"


async def test_no_service_is_made_where_no_names_are_asked_for(stage: Stage) -> None:
    await stage.make(replicated("node"), network={"enableDNSHostnames": False})
    assert stage.api.list(SERVICE, "default").items == []
    assert "subdomain" not in stage.job("node-0")["spec"]["template"]["spec"]


async def test_it_is_completed_when_all_jobs_are_and_counts_them_meanwhile(stage: Stage) -> None:
    await stage.make(replicated("a"), replicated("b", replicas=2, pods=2))
    assert stage.status()["replicatedJobsStatus"][0] == {
        "name": "a",
        "ready": 0,
        "succeeded": 0,
        "failed": 0,
        "active": 1,
        "suspended": 0,
    }
    await stage.starts("a", "b-0", "a-0")
    assert stage.counts() == {"a": {"active": 1, "ready": 1}, "b": {"active": 2, "ready": 1}}
    await stage.succeeds("a-0", "b-0")
    assert stage.counts() == {"a": {"succeeded": 1}, "b": {"succeeded": 1, "active": 1}}
    await stage.succeeds("b-1")
    assert stage.counts() == {"a": {"succeeded": 1}, "b": {"succeeded": 2}}
    assert stage.conditions() == [("Completed", "True", "AllJobsCompleted")]
    assert stage.status()["terminalState"] == "Completed"
    assert stage.events() == [("AllJobsCompleted", "jobset completed successfully")]


@pytest.mark.parametrize(
    ("policy", "last"),
    [({"operator": "Any"}, "b-1"), ({"operator": "All", "targetReplicatedJobs": ["a"]}, "a-0")],
)
async def test_others_may_run_on_when_it_has_enough_and_are_ended(stage: Stage, policy: Obj, last: str) -> None:
    await stage.make(replicated("a"), replicated("b", replicas=2), successPolicy=policy)
    await stage.succeeds(last)
    assert stage.conditions() == [("Completed", "True", "AllJobsCompleted")]
    await settle(300)
    assert stage.jobs() == [last]


async def test_one_failed_job_fails_it(stage: Stage) -> None:
    await stage.make(replicated("a", job=NEVER), replicated("b"))
    await stage.fails("a-0")
    assert stage.conditions() == [("Failed", "True", "FailedJobs")]
    message = "jobset failed due to one or more job failures (first failed job: set-a-0)"
    assert stage.status()["conditions"][0]["message"] == message
    assert (stage.status()["terminalState"], stage.events()) == ("Failed", [("FailedJobs", message)])
    await settle(300)
    assert stage.jobs() == ["a-0"]  # what ran on is ended


@pytest.mark.parametrize("strategy", ["Recreate", "BlockingRecreate"])
async def test_it_begins_anew_as_often_as_it_may(stage: Stage, strategy: str) -> None:
    policy = {"maxRestarts": 1, "restartStrategy": strategy}
    await stage.make(replicated("a", job=NEVER), replicated("b"), failurePolicy=policy)
    first = {name: stage.job(name)["metadata"]["uid"] for name in stage.jobs()}
    await stage.fails("a-0")
    await settle(400)
    assert (stage.status()["restarts"], stage.status()["restartsCountTowardsMax"]) == (1, 1)
    assert stage.jobs() == ["a-0", "b-0"]
    assert all(stage.job(name)["metadata"]["uid"] != uid for name, uid in first.items())
    assert stage.job("a-0")["metadata"]["labels"]["jobset.sigs.k8s.io/restart-attempt"] == "1"
    await stage.fails("a-0")
    assert stage.conditions() == [("Failed", "True", "ReachedMaxRestarts")]
    message = "jobset failed due to reaching max number of restarts (first failed job: set-a-0)"
    assert stage.status()["conditions"][0]["message"] == message


async def test_rules_decide_by_the_reason_and_the_job(stage: Stage) -> None:
    codes = {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]}
    job = {"podFailurePolicy": codes, "backoffLimit": 0}
    pod = {"restartPolicy": "Never", "containers": [{"name": "node", "image": "python:3.11"}]}
    rules = [
        {"action": "FailJobSet", "onJobFailureReasons": ["PodFailurePolicy"], "targetReplicatedJobs": ["a"]},
        {"action": "RestartJobSetAndIgnoreMaxRestarts", "onJobFailureReasons": ["BackoffLimitExceeded"]},
    ]
    policy = {"maxRestarts": 0, "rules": rules}
    await stage.make(replicated("a", job={**job, "template": {"spec": pod}}), replicated("b", job=NEVER), failurePolicy=policy)
    await stage.fails("b-0")
    await settle(400)
    assert (stage.status()["restarts"], stage.status()["restartsCountTowardsMax"]) == (1, 0)
    await stage.fails("a-0", 42)
    assert stage.conditions() == [("Failed", "True", "FailJobSetFailurePolicyAction")]


async def test_jobs_start_one_after_another(stage: Stage) -> None:
    order = {"startupPolicyOrder": "InOrder"}
    await stage.make(replicated("a"), replicated("b"), replicated("c"), startupPolicy=order)
    assert stage.jobs() == ["a-0"]
    assert stage.conditions() == [("StartupPolicyInProgress", "True", "InOrderStartupPolicyInProgress")]
    await stage.starts("a-0")
    assert stage.jobs() == ["a-0", "b-0"]
    await stage.starts("b-0")
    await stage.starts("c-0")
    assert stage.conditions() == [
        ("StartupPolicyInProgress", "False", "InOrderStartupPolicyInProgress"),
        ("StartupPolicyCompleted", "True", "InOrderStartupPolicyCompleted"),
    ]


async def test_a_job_waits_for_those_that_it_depends_on(stage: Stage) -> None:
    await stage.make(
        replicated("data"),
        replicated("node", dependsOn=[{"name": "data", "status": "Complete"}]),
        replicated("launcher", dependsOn=[{"name": "node", "status": "Ready"}]),
    )
    assert stage.jobs() == ["data-0"]
    await stage.starts("data-0")
    assert stage.jobs() == ["data-0"]
    await stage.succeeds("data-0")
    assert stage.jobs() == ["data-0", "node-0"]
    await stage.starts("node-0")
    assert stage.jobs() == ["data-0", "launcher-0", "node-0"]


async def test_it_is_suspended_and_resumed_with_its_pods_placed_anew(stage: Stage) -> None:
    await stage.make(replicated("a"), replicated("b"), suspend=True)
    assert stage.jobs() == ["a-0", "b-0"]
    assert stage.conditions() == [("Suspended", "True", "SuspendedJobs")]
    assert stage.counts() == {"a": {"suspended": 1}, "b": {"suspended": 1}}
    assert stage.api.list(POD, "default").items == []
    jobs = stage.jobset()["spec"]["replicatedJobs"]
    jobs[0]["template"]["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "fast"}
    await stage.changes(replicatedJobs=jobs, suspend=False)
    assert stage.conditions() == [("Suspended", "False", "ResumeJobs")]
    assert stage.counts() == {"a": {"active": 1}, "b": {"active": 1}}
    pods = {pod["metadata"]["ownerReferences"][0]["name"]: pod for pod in stage.api.list(POD, "default").items}
    assert pods["set-a-0"]["spec"]["nodeSelector"] == {"disk": "fast"}
    await stage.changes(suspend=True)
    assert stage.conditions() == [("Suspended", "True", "SuspendedJobs")]
    assert stage.api.list(POD, "default").items == []
    assert [reason for reason, _ in stage.events()].count("ResumeJobs") == 1


async def test_a_suspended_jobset_resumes_in_order(stage: Stage) -> None:
    await stage.make(replicated("a"), replicated("b"), startupPolicy={"startupPolicyOrder": "InOrder"}, suspend=True)
    assert stage.jobs() == ["a-0", "b-0"]
    await stage.changes(suspend=False)
    assert [stage.job(name)["spec"]["suspend"] for name in ("a-0", "b-0")] == [False, True]
    await stage.starts("a-0")
    assert stage.job("b-0")["spec"]["suspend"] is False


async def test_its_pods_are_told_who_coordinates_them(stage: Stage) -> None:
    await stage.make(replicated("node", replicas=2, pods=2), coordinator={"replicatedJob": "node", "jobIndex": 1, "podIndex": 1})
    for pod in stage.api.list(POD, "default").items:
        assert pod["metadata"]["labels"]["jobset.sigs.k8s.io/coordinator"] == "set-node-1-1.set"
        assert pod["metadata"]["annotations"]["jobset.sigs.k8s.io/coordinator"] == "set-node-1-1.set"


async def test_it_goes_when_its_time_after_the_end_has_come(stage: Stage) -> None:
    await stage.make(replicated("a"), ttlSecondsAfterFinished=60)
    await stage.succeeds("a-0")
    await stage.clock.advance(59)
    assert stage.jobset()["status"]["terminalState"] == "Completed"
    await stage.clock.advance(2)
    await settle(300)
    with pytest.raises(errors.NotFound):
        stage.jobset()
    assert (stage.jobs(), stage.api.list(SERVICE, "default").items) == ([], [])


async def test_claims_are_made_for_those_who_mount_them_and_go_with_it_unless_they_are_kept(stage: Stage) -> None:
    policies = [
        {"templates": [claim("data", labels={"of": "tests"}, annotations={"note": "x"})]},
        {"templates": [claim("kept")], "retentionPolicy": {"whenDeleted": "Retain"}},
    ]
    await stage.make(mounting("data"), mounting("kept", "b"), volumeClaimPolicies=policies)
    assert stage.jobset()["spec"]["volumeClaimPolicies"][0]["retentionPolicy"] == {"whenDeleted": "Delete"}
    data, kept = (stage.api.get(PERSISTENT_VOLUME_CLAIM, name, "default") for name in ("data-set", "kept-set"))
    assert data["metadata"]["labels"] == {"of": "tests", f"{PREFIX}jobset-name": "set"}
    assert data["metadata"]["annotations"] == {"note": "x"}
    assert [(owner["kind"], owner["controller"]) for owner in data["metadata"]["ownerReferences"]] == [("JobSet", True)]
    assert "ownerReferences" not in kept["metadata"]
    assert kept["spec"]["resources"] == {"requests": {"storage": "1Gi"}}
    for name, volume in (("a-0", "data"), ("b-0", "kept")):
        volumes = stage.job(name)["spec"]["template"]["spec"]["volumes"]
        assert volumes == [{"name": volume, "persistentVolumeClaim": {"claimName": f"{volume}-set"}}]
    with pytest.raises(errors.Invalid, match=r"spec.volumeClaimPolicies: .*immutable"):
        await stage.changes(volumeClaimPolicies=policies[:1])
    stage.api.delete(JOBSET, "set", "default")
    await settle(300)
    assert [each["metadata"]["name"] for each in stage.api.list(PERSISTENT_VOLUME_CLAIM).items] == ["kept-set"]


async def test_one_of_another_controller_is_left_alone(stage: Stage) -> None:
    await stage.make(replicated("a"), managedBy="kueue.x-k8s.io/multikueue")
    assert (stage.jobs(), stage.status()) == ([], {})


REFUSED: list[tuple[Obj, str]] = [
    (
        {"successPolicy": {"operator": "All", "targetReplicatedJobs": ["x"]}},
        "invalid replicatedJob name 'x' does not appear in .spec.ReplicatedJobs",
    ),
    ({"successPolicy": {"operator": "Some"}}, 'spec.successPolicy.operator: Unsupported value: "Some"'),
    ({"failurePolicy": {"restartStrategy": "InPlaceRestart"}}, "spec.failurePolicy.restartStrategy: Unsupported value"),
    ({"failurePolicy": {"rules": [{"action": "RestartJob"}]}}, "spec.failurePolicy.rules[0].action: Unsupported value"),
    (
        {"failurePolicy": {"rules": [{"action": "FailJobSet", "onJobFailureReasons": ["Bad"]}]}},
        "spec.failurePolicy.rules[0].onJobFailureReasons[0]: Unsupported value",
    ),
    ({"coordinator": {"replicatedJob": "x"}}, "coordinator replicatedJob x does not exist"),
    ({"coordinator": {"replicatedJob": "a", "jobIndex": 3}}, "coordinator job index 3 is invalid for replicatedJob a"),
    ({"managedBy": "x"}, "spec.managedBy: Invalid value"),
    (
        {"volumeClaimPolicies": [{"templates": [claim("models")]}]},
        "replicatedJob containers don't have a matching volumeMount: models from VolumeClaimPolicies",
    ),
    (
        {"volumeClaimPolicies": [{"templates": [claim("M")]}]},
        'spec.volumeClaimPolicies[0].template[0].name: Invalid value: "M"',
    ),
    (
        {"volumeClaimPolicies": [{"templates": [claim("m"), claim("m")]}], "replicatedJobs": [mounting("m")]},
        'spec.volumeClaimPolicies[0].template[1].name: Invalid value: "m": names must be unique for VolumeClaimPolicies template',
    ),
    (
        {"volumeClaimPolicies": [{"templates": [claim("m", namespace="other")]}], "replicatedJobs": [mounting("m")]},
        "namespace cannot be set for VolumeClaimPolicies templates",
    ),
    (
        {"volumeClaimPolicies": [{"templates": [claim("m" * 60)]}], "replicatedJobs": [mounting("m" * 60)]},
        "VolumeClaimPolicies template name is too long",
    ),
    (
        {"volumeClaimPolicies": [{"templates": [claim("m")]}], "replicatedJobs": [mounting("m", volumes=[{"name": "m"}])]},
        'volumes[0].name: Invalid value: "m": volume name conflicts with VolumeClaimPolicy template name: m',
    ),
    (
        {
            "volumeClaimPolicies": [{"templates": [claim("m")], "retentionPolicy": {"whenDeleted": "Burn"}}],
            "replicatedJobs": [mounting("m")],
        },
        'spec.volumeClaimPolicies[0].retentionPolicy.whenDeleted: Unsupported value: "Burn"',
    ),
    ({"replicatedJobs": [replicated("a"), replicated("a")]}, 'spec.replicatedJobs[1].name: Duplicate value: "a"'),
    (
        {"replicatedJobs": [replicated("a", dependsOn=[{"name": "b", "status": "Ready"}]), replicated("b")]},
        "spec.replicatedJobs[0].dependsOn[0].name: Invalid value",
    ),
    ({"replicatedJobs": [replicated("a" * 52)]}, "pod names generated for this JobSet will exceed 63 characters"),
    ({"replicatedJobs": [replicated("a" * 63)]}, "job names generated for this JobSet will exceed 63 characters"),
]


@pytest.mark.parametrize(("spec", "message"), REFUSED, ids=[message[:40] for _, message in REFUSED])
def test_what_breaks_a_rule_is_refused_by_its_field(spec: Obj, message: str) -> None:
    api = memory_api()
    made = {"metadata": {"name": "set", "namespace": "default"}, "spec": {"replicatedJobs": [replicated("a")], **spec}}
    with pytest.raises(errors.Invalid) as refused:
        api.create(JOBSET, made)
    assert message in str(refused.value)


async def test_what_may_not_change(stage: Stage) -> None:
    await stage.make(replicated("a"))
    for change in (
        {"replicatedJobs": [replicated("a", replicas=2)]},
        {"successPolicy": {"operator": "Any"}},
        {"network": {"subdomain": "x"}},
        {"managedBy": "a.b/c"},
    ):
        with pytest.raises(errors.Invalid, match="immutable"):
            await stage.changes(**change)


@pytest.mark.parametrize("kind", ["start", "restart", "done"])
class TestJobSetsConverge(ReconcilerConformance):
    """Killed between any two writes it comes to the same."""

    @pytest.fixture
    def scenario(self, kind: str) -> Scenario:
        async def make() -> World:
            clock = FakeClock()
            api = memory_api(clock=clock)
            claims = [{"templates": [claim("m")]}]
            jobs = [replicated("a", job=NEVER), mounting("m", "b")]
            spec = {"replicatedJobs": jobs, "failurePolicy": {"maxRestarts": 1}, "volumeClaimPolicies": claims}
            api.create(JOBSET, {"metadata": {"name": "set", "namespace": "default"}, "spec": spec})
            stage = Stage(api, clock)

            async def one_pass(client: Client) -> None:
                await reconcile(JobSets(), client, KEY, clock.now())
                for job in api.list(JOB, "default").items:
                    await reconcile(Jobs(), client, key_of(job), clock.now())
                    if "deletionTimestamp" in job["metadata"]:  # as the garbage collector does
                        for pod in api.list(POD, "default").items:
                            if pod["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]:
                                api.delete(POD, pod["metadata"]["name"], "default")
                        now = api.get(JOB, job["metadata"]["name"], "default")
                        api.update(JOB, {**now, "metadata": {**now["metadata"], "finalizers": []}})

            if kind != "start":
                for _ in range(6):
                    await one_pass(LocalClient(api))
                await (stage.fails("a-0") if kind == "restart" else stage.succeeds("a-0", "b-0"))

            def is_settled() -> bool:
                attempts = {job["metadata"]["labels"][f"{PREFIX}restart-attempt"] for job in api.list(JOB, "default").items}
                expected = {"1"} if kind == "restart" else {"0"}
                done = stage.status().get("terminalState") == ("Completed" if kind == "done" else None)
                return attempts == expected and stage.jobs() == ["a-0", "b-0"] and done

            return World(api, one_pass, is_settled, _nothing)

        return make


async def _nothing() -> None:
    return
