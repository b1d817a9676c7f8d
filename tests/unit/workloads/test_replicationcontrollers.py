"""A ReplicationController keeps Pods as a ReplicaSet does, by labels."""

from keepers import Keepers

from kedge.kube.core import POD
from kedge.kube.replication_controllers import REPLICATION_CONTROLLER


async def test_it_keeps_as_many_pods_of_its_labels_as_it_wants() -> None:
    host = Keepers()
    host.make(REPLICATION_CONTROLLER, replicas=2, selector={"app": "web"})
    await host.settle()
    status = host.get(REPLICATION_CONTROLLER)["status"]
    assert status == {"replicas": 2, "fullyLabeledReplicas": 2, "observedGeneration": 1}
    host.mark()
    released = host.names()[0]
    host.api.patch(POD, released, "default", {"metadata": {"labels": {"app": "other"}}})
    await host.settle()
    assert len(host.names()) == 3
    assert host.get(REPLICATION_CONTROLLER)["status"]["replicas"] == 2
