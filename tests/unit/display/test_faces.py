"""What the box of a task says fits into it."""

import pytest

from kedge.display.faces import Faces
from kedge.kube.clock import SystemClock

LETTERS = 27  # of small letters in a box
TIMES = {"started_at": "2026-11-29T02:00:00Z", "finished_at": "2026-11-29T13:45:10Z"}
TOLD = [("FAILED", ""), ("SUCCEEDED", ""), ("PENDING", "retry"), ("PENDING", "start"), ("PENDING", "cache"), ("CACHED", "")]


@pytest.mark.parametrize(("state", "waits"), TOLD)
@pytest.mark.parametrize("attempt", [0, 1, 11])
def test_whatever_attempt_it_is_the_box_of_a_task_has_room_for_what_it_says(state: str, waits: str, attempt: int) -> None:
    task = {"id": "t", "name": "t", "parent": "", "kind": "step", "state": state, "waiting": waits, "attempt": attempt, **TIMES}
    detail = Faces([task]).of("t", SystemClock().now()).detail
    assert 0 < len(detail) <= LETTERS
