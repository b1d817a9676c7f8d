"""ReplicationControllers: kept as ReplicaSets are, which took their place."""

from collections.abc import Iterable
from datetime import datetime

from kedge.kube.kinds import Obj
from kedge.kube.replication_controllers import REPLICATION_CONTROLLER
from kedge.workloads.replicasets import ReplicaSets


class ReplicationControllers(ReplicaSets):
    """Reconciles one ReplicationController."""

    kind, by = REPLICATION_CONTROLLER, "replication-controller"

    def status(self, owner: Obj, mine: Iterable[Obj], conditions: list[Obj], now: datetime) -> Obj:
        """What the status tells; it knows of no Pods that are ending."""
        told = super().status(owner, mine, conditions, now)
        return {key: value for key, value in told.items() if key != "terminatingReplicas"}
