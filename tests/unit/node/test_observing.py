"""What a node makes of what it sees of a Pod."""

from datetime import UTC, datetime, timedelta

import pytest

from kedge.kube.clock import timestamp
from kedge.kube.kinds import Obj
from kedge.node.observing import grace_left


@pytest.mark.parametrize("fraction", [0.0, 0.5, 0.999])
def test_a_pod_has_all_of_its_grace_wherever_in_a_second_it_was_deleted(fraction: float) -> None:
    """A second of grace was next to none where the second was nearly over, and none at all is no SIGTERM either."""
    began = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=fraction)
    meta: Obj = {"deletionGracePeriodSeconds": 1, "deletionTimestamp": timestamp(began + timedelta(seconds=1))}
    assert grace_left(meta, began) == 1
    assert grace_left(meta, began + timedelta(seconds=3)) == 0
    assert grace_left({**meta, "deletionGracePeriodSeconds": 0}, began) == 0
