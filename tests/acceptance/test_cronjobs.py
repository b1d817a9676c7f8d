"""CronJobs with an unmodified `kubectl`: the same manifest leads to the same on both hosts."""

import json
import re

import pytest
from tests.acceptance.kubectl.conftest import Kubectl, kubectl_of

from kedge.kube.kinds import Obj
from kedge.testing.host import RunningHost

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def kubectl(either_host: RunningHost, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    return kubectl_of(either_host.host.kubeconfig, tmp_path_factory.mktemp("kubectl"))


def cron_job(name: str, schedule: str = "0 0 1 1 *") -> Obj:
    container = {"name": "main", "image": "python:3.11", "command": ["python3", "-c", "print('tick')"]}
    pod = {"restartPolicy": "Never", "containers": [container]}
    template = {"metadata": {"labels": {"of": name}}, "spec": {"template": {"spec": pod}}}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name},
        "spec": {"schedule": schedule, "timeZone": "Europe/Berlin", "jobTemplate": template},
    }


def test_a_moment_that_was_missed_is_made_up_for(kubectl: Kubectl) -> None:
    kubectl.apply(cron_job("yearly"))
    heading, row = kubectl("get", "cj", "yearly", "-o", "wide").splitlines()
    assert " ".join(heading.split()) == "NAME SCHEDULE TIMEZONE SUSPEND ACTIVE LAST SCHEDULE AGE CONTAINERS IMAGES SELECTOR"
    assert re.fullmatch(r"yearly +0 0 1 1 \* +Europe/Berlin +False +0 +<none> +\d+s +main +python:3\.11 +<none>", row.rstrip())
    status = {"status": {"lastScheduleTime": "2025-06-01T00:00:00Z"}}
    kubectl("patch", "cronjob", "yearly", "--subresource=status", "--type=merge", "-p", json.dumps(status))
    kubectl("wait", "cronjob/yearly", "--for=jsonpath={.status.lastScheduleTime}=2025-12-31T23:00:00Z", "--timeout=60s")
    (job,) = kubectl.json("get", "jobs", "-l", "of=yearly")["items"]
    assert job["metadata"]["name"] == "yearly-29453700"
    scheduled = job["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"]
    assert scheduled == "2026-01-01T00:00:00+01:00"
    kubectl("wait", "job/yearly-29453700", "--for=condition=Complete", "--timeout=100s")
    kubectl("wait", "cronjob/yearly", "--for=jsonpath={.status.lastSuccessfulTime}", "--timeout=60s")
    assert kubectl("logs", "job/yearly-29453700") == "tick\n"
    assert "Created job yearly-29453700" in kubectl("describe", "cronjob", "yearly")
    kubectl("delete", "cronjob", "yearly")
    kubectl("wait", "job/yearly-29453700", "--for=delete", "--timeout=60s")


def test_a_job_is_made_by_hand_from_its_template(kubectl: Kubectl) -> None:
    kubectl.apply(cron_job("manual"))
    assert "job.batch/now created" in kubectl("create", "job", "now", "--from=cronjob/manual")
    kubectl("wait", "job/now", "--for=condition=Complete", "--timeout=100s")
    made = kubectl.json("get", "job", "now")["metadata"]
    assert made["annotations"]["cronjob.kubernetes.io/instantiate"] == "manual"
    assert (made["labels"], made["ownerReferences"][0]["name"]) == ({"of": "manual"}, "manual")
    kubectl("delete", "cronjob", "manual")


def test_a_schedule_that_cannot_be_read_is_refused(kubectl: Kubectl) -> None:
    said = kubectl.apply(cron_job("bad", "0 0 * * 7"), verb="create", fails=True)
    assert 'spec.schedule: Invalid value: "0 0 * * 7": end of range (7) above maximum (6): 7' in said
