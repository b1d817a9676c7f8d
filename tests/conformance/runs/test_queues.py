"""What the queues and the schedulers of a cluster need to know stands on the Pods of a run; docs/queues.md promises it."""

from pathlib import Path

from kedge import dsl
from kedge.dsl import kubernetes
from kedge.kube.core import POD
from kedge.pipelines import compiler
from kedge.testing.runs import World, hub


@dsl.component
def step(number: int) -> int:
    """One of three."""
    return number


@dsl.pipeline(name="queued")
def queued() -> None:
    """Queued, with a rank, on certain nodes, by a scheduler of its own; in a loop too."""
    with dsl.ParallelFor([1, 2, 3]) as number:
        task = step(number=number)
        kubernetes.add_pod_label(task, "kueue.x-k8s.io/queue-name", "team-a")
        kubernetes.add_pod_label(task, "kueue.x-k8s.io/priority-class", "nightly")
        kubernetes.set_priority_class(task, "batch")
        kubernetes.set_scheduler(task, "volcano")
        kubernetes.add_node_selector(task, "pool", "gpu")
        kubernetes.add_toleration(task, "gpu", "Exists", effect="NoSchedule")


async def test_queues_priorities_and_schedulers_are_told_by_the_pods(tmp_path: Path) -> None:
    document = compiler.compile_pipeline(queued)
    async with hub(World.new(tmp_path / "world")) as life:
        await life.end((await life.submit(document.pipeline, platforms=document.platforms)).id)
        pods = life.api.list(POD, "default").items
    assert len(pods) == 3
    for pod in pods:
        labels, spec = pod["metadata"]["labels"], pod["spec"]
        assert labels["kueue.x-k8s.io/queue-name"] == "team-a"
        assert labels["kueue.x-k8s.io/priority-class"] == "nightly"
        assert (spec["priorityClassName"], spec["schedulerName"]) == ("batch", "volcano")
        assert spec["nodeSelector"] == {"pool": "gpu"}
        assert {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"} in spec["tolerations"]
        assert "schedulingGates" not in spec, "those are a queue's to set, and to take away"
