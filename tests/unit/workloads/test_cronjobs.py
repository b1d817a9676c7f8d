"""CronJobs make a Job at each moment, as those of Kubernetes do."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from kedge import errors
from kedge.client.local import LocalClient
from kedge.client.types import Client
from kedge.control.controller import reconcile
from kedge.kube.batch import CRON_JOB, JOB
from kedge.kube.clock import timestamp
from kedge.kube.core import EVENT
from kedge.kube.kinds import Obj
from kedge.kube.metadata import Key, annotations_of, controller
from kedge.testing.api import memory_api
from kedge.testing.clock import START, FakeClock
from kedge.testing.reconcilers import ReconcilerConformance, Scenario, World
from kedge.workloads.cronjobs import SCHEDULED, CronJobs

KEY = Key("default", "tick")
TEMPLATE: Obj = {
    "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "python:3.11"}]}}}
}
MINUTE = int(START.timestamp()) // 60


def cron_job(name: str = "tick", **spec: Any) -> Obj:
    made = {"schedule": "* * * * *", "jobTemplate": TEMPLATE, **spec}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": made}


class Stage:
    def __init__(self, start: datetime = START, **spec: Any) -> None:
        self.clock = FakeClock(start)
        self.api = memory_api(clock=self.clock)
        self.api.create(CRON_JOB, cron_job(**spec))
        self.again: float | None = None

    async def settle(self) -> None:
        for _ in range(10):
            writes, self.again = await reconcile(CronJobs(), LocalClient(self.api), KEY, self.clock.now())
            if writes == 0:
                return
        raise AssertionError("still writing")

    async def passes(self, seconds: float) -> list[str]:
        await self.clock.advance(seconds)
        await self.settle()
        return self.jobs()

    def jobs(self) -> list[str]:
        return [job["metadata"]["name"] for job in self.api.list(JOB, "default").items]

    def ends(self, name: str, kind: str = "Complete") -> None:
        job, now = self.api.get(JOB, name, "default"), timestamp(self.clock.now())
        first = {"Complete": "SuccessCriteriaMet", "Failed": "FailureTarget"}[kind]
        conditions = [{"type": each, "status": "True", "lastTransitionTime": now} for each in (first, kind)]
        status = {"conditions": conditions, "startTime": now} | ({"completionTime": now} if kind == "Complete" else {})
        self.api.update(JOB, {**job, "status": status}, subresource="status")

    def status(self) -> Obj:
        return self.api.get(CRON_JOB, "tick", "default").get("status") or {}

    def active(self) -> list[str]:
        return [each["name"] for each in self.status().get("active") or ()]

    def events(self) -> list[tuple[str, str]]:
        return [(event["reason"], event["message"]) for event in self.api.list(EVENT, "default").items]


async def test_a_job_is_made_at_each_moment_and_named_by_its_minute() -> None:
    template = {**TEMPLATE, "metadata": {"labels": {"l": "1"}, "annotations": {"a": "2"}}}
    stage = Stage(timeZone="Europe/Berlin", jobTemplate=template)
    await stage.settle()
    assert (stage.jobs(), stage.again) == ([], 60)
    name = f"tick-{MINUTE + 1}"
    assert await stage.passes(61) == [name]
    job = stage.api.get(JOB, name, "default")
    assert annotations_of(job) == {"a": "2", SCHEDULED: "2026-01-01T01:01:00+01:00"}
    assert job["metadata"]["labels"] == {"l": "1"}
    assert (controller(job) or {})["kind"] == "CronJob"
    assert stage.status()["lastScheduleTime"] == "2026-01-01T00:01:00Z"
    assert (stage.active(), stage.again) == ([name], 59)
    stage.ends(name)
    await stage.settle()
    assert (stage.active(), stage.status()["lastSuccessfulTime"]) == ([], "2026-01-01T00:01:01Z")
    assert ("SuccessfulCreate", f"Created job {name}") in stage.events()
    assert ("SawCompletedJob", f"Saw completed job: {name}, condition: Complete") in stage.events()


@pytest.mark.parametrize(
    ("policy", "second", "said"),
    [
        ("Allow", [1, 2], None),
        ("Forbid", [1], "Not starting job because prior execution is running and concurrency policy is Forbid"),
        ("Replace", [2], f"Deleted job tick-{MINUTE + 1}"),
    ],
)
async def test_the_policy_says_what_becomes_of_two_at_once(policy: str, second: list[int], said: str | None) -> None:
    stage = Stage(concurrencyPolicy=policy)
    await stage.passes(60)
    assert await stage.passes(60) == [f"tick-{MINUTE + each}" for each in second]
    assert said is None or said in [message for _, message in stage.events()]


async def test_of_moments_that_were_missed_the_last_is_made_up_for() -> None:
    stage = Stage()
    assert await stage.passes(60 * 30 + 5) == [f"tick-{MINUTE + 30}"]
    assert "TooManyMissedTimes" not in [reason for reason, _ in stage.events()]


async def test_many_missed_moments_are_warned_of() -> None:
    stage = Stage()
    assert await stage.passes(60 * 200 + 5) == [f"tick-{MINUTE + 200}"]
    message = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
    assert ("TooManyMissedTimes", message) in stage.events()


async def test_a_moment_that_is_too_long_ago_is_not_made_up_for() -> None:
    stage = Stage(startingDeadlineSeconds=10)
    assert await stage.passes(60 * 30 + 11) == []
    assert await stage.passes(49 + 9) == [f"tick-{MINUTE + 31}"]


async def test_a_suspended_one_makes_no_jobs() -> None:
    stage = Stage(suspend=True)
    assert (await stage.passes(600), stage.again) == ([], None)


async def test_the_history_is_kept_as_long_as_it_says() -> None:
    stage = Stage(successfulJobsHistoryLimit=2, failedJobsHistoryLimit=0)
    for number in range(1, 6):
        await stage.passes(60)
        stage.ends(f"tick-{MINUTE + number}", "Failed" if number == 4 else "Complete")
        await stage.settle()
    assert stage.jobs() == [f"tick-{MINUTE + 3}", f"tick-{MINUTE + 5}"]


async def test_a_job_that_somebody_made_by_hand_does_not_stand_in_the_way() -> None:
    stage = Stage(concurrencyPolicy="Forbid")
    owner = stage.api.get(CRON_JOB, "tick", "default")["metadata"]
    reference = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "tick", "uid": owner["uid"], "controller": True}
    meta = {"name": "manual", "namespace": "default", "ownerReferences": [reference]}
    stage.api.create(JOB, {"metadata": meta, "spec": TEMPLATE["spec"]})
    assert await stage.passes(60) == ["manual", f"tick-{MINUTE + 1}"]
    assert stage.active() == [f"tick-{MINUTE + 1}"]


async def test_in_the_night_of_summer_time_a_job_is_made_once() -> None:
    """On 29 March 2026 the clocks of Berlin go from 2 to 3 o'clock."""
    stage = Stage(datetime.fromisoformat("2026-03-28T00:00:00+00:00"), schedule="30 2 * * *", timeZone="Europe/Berlin")
    names = list[str]()
    for _ in range(4 * 24):
        names = await stage.passes(3600)
        for name in stage.active():
            stage.ends(name)
    days = [datetime.fromtimestamp(int(name.rpartition("-")[2]) * 60, tz=START.tzinfo).date() for name in names]
    assert len(days) == len(set(days))


# The messages are those of a kube-apiserver 1.36.
REFUSED: list[tuple[Obj, str]] = [
    ({"schedule": "foo"}, 'spec.schedule: Invalid value: "foo": expected exactly 5 fields, found 1: [foo]'),
    ({"schedule": ""}, "spec.schedule: Required value"),
    ({"schedule": "61 * * * *"}, "end of range (61) above maximum (59): 61"),
    ({"schedule": "0 0 L * *"}, 'failed to parse int from L: strconv.Atoi: parsing "L": invalid syntax'),
    ({"schedule": "0 0 * * 7"}, "end of range (7) above maximum (6): 7"),
    ({"schedule": "TZ=UTC * * * * *"}, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"),
    ({"timeZone": "Foo/Bar"}, 'spec.timeZone: Invalid value: "Foo/Bar": unknown time zone Foo/Bar'),
    ({"timeZone": ""}, 'spec.timeZone: Invalid value: "": timeZone must be nil or non-empty string'),
    ({"timeZone": "Local"}, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"),
    ({"concurrencyPolicy": "Foo"}, 'Unsupported value: "Foo": supported values: "Allow", "Forbid", "Replace"'),
    ({"startingDeadlineSeconds": -1}, "spec.startingDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0"),
    ({"name": "n" * 53}, "must be no more than 52 characters"),
    (
        {"jobTemplate": {"spec": {**TEMPLATE["spec"], "manualSelector": True}}},
        'spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: "nil", "false"',
    ),
    (
        {
            "jobTemplate": {
                "spec": {"template": {"spec": {"restartPolicy": "Always", "containers": [{"name": "c", "image": "x"}]}}}
            }
        },
        'spec.jobTemplate.spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
    ),
]


@pytest.mark.parametrize(("spec", "message"), REFUSED, ids=[message[:50] for _, message in REFUSED])
def test_what_breaks_a_rule_is_refused_in_the_words_of_kubernetes(spec: Obj, message: str) -> None:
    with pytest.raises(errors.Invalid) as refused:
        memory_api().create(CRON_JOB, cron_job(**spec))
    assert message in str(refused.value)


@pytest.mark.parametrize("schedule", ["@daily", "@every 1h", "0 0 31 2 *", "0 0 ? * MON-FRI", "*/7 1-5/2 1,15 jan-mar *"])
def test_schedules_that_kubernetes_takes_are_taken(schedule: str) -> None:
    memory_api().create(CRON_JOB, cron_job(schedule=schedule))


@pytest.mark.parametrize("policy", ["Allow", "Replace"])
class TestCronJobsConverge(ReconcilerConformance):
    """Killed between any two writes, each moment has its one Job."""

    @pytest.fixture
    def scenario(self, policy: str) -> Scenario:
        async def make() -> World:
            stage = Stage(concurrencyPolicy=policy)
            await stage.passes(60)
            await stage.clock.advance(60)

            async def one_pass(client: Client) -> None:
                await reconcile(CronJobs(), client, KEY, stage.clock.now())

            def is_settled() -> bool:
                names = [f"tick-{MINUTE + each}" for each in ((1, 2) if policy == "Allow" else (2,))]
                return stage.jobs() == names == stage.active()

            return World(stage.api, one_pass, is_settled, _nothing)

        return make


async def _nothing() -> None:
    return


def test_the_moments_of_a_schedule_are_those_of_its_zone() -> None:
    from kedge.kube.cron_schedules import Schedule  # noqa: PLC0415

    schedule = Schedule("0 9 * * *", "America/New_York")
    assert schedule.after(START) == START + timedelta(hours=14)
    assert schedule.last(START, START + timedelta(days=3)) == START + timedelta(days=2, hours=14)
    every = Schedule("@every 1h30m")
    assert every.after(START) == START + timedelta(hours=1, minutes=30)
    assert every.last(START, START + timedelta(hours=10)) == START + timedelta(hours=9)
