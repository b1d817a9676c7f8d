"""Who may run now."""

import pytest

from kedge.kube.kinds import Obj
from kedge.node.admission import Admission, Size, size_of

MACHINE = Size(2.0, 1000)


def admitted(queue: Admission) -> list[str]:
    found: list[str] = []
    while (uid := queue.next()) is not None:
        found.append(uid)
    return found


def test_pods_run_until_the_machine_is_full_and_then_in_their_order() -> None:
    queue = Admission(MACHINE, max_pods=100)
    for name in "abcde":
        queue.queue(name, Size(0.5, 10))
    assert admitted(queue) == ["a", "b", "c", "d"]
    queue.release("b")
    assert admitted(queue) == ["e"]


def test_no_more_run_than_may() -> None:
    queue = Admission(MACHINE, max_pods=2)
    for name in "abc":
        queue.queue(name, Size(0, 0))
    assert admitted(queue) == ["a", "b"]


def test_a_large_pod_is_not_overtaken() -> None:
    queue = Admission(MACHINE, max_pods=100)
    queue.queue("small", Size(1, 10))
    queue.queue("large", Size(2, 10))
    queue.queue("late", Size(0.1, 10))
    assert admitted(queue) == ["small"]
    queue.release("small")
    assert admitted(queue) == ["large"]
    queue.release("large")
    assert admitted(queue) == ["late"]


def test_memory_counts_too() -> None:
    queue = Admission(MACHINE, max_pods=100)
    queue.queue("a", Size(0, 600))
    queue.queue("b", Size(0, 600))
    assert admitted(queue) == ["a"]


def test_tenths_of_processors_add_up() -> None:
    """Twenty tenths are two, whatever floats say."""
    queue = Admission(MACHINE, max_pods=100)
    for number in range(21):
        queue.queue(str(number), Size(0.1, 0))
    assert len(admitted(queue)) == 20


def test_a_pod_that_waits_can_be_taken_out() -> None:
    queue = Admission(MACHINE, max_pods=1)
    for name in "abc":
        queue.queue(name, Size(0, 0))
    assert admitted(queue) == ["a"]
    queue.release("b")
    queue.release("a")
    assert admitted(queue) == ["c"]


def test_what_runs_already_counts_even_when_it_is_too_much() -> None:
    queue = Admission(MACHINE, max_pods=1)
    queue.force("a", Size(2, 10))
    queue.force("b", Size(2, 10))
    queue.queue("c", Size(0.1, 10))
    assert admitted(queue) == []
    queue.release("a")
    queue.release("b")
    assert admitted(queue) == ["c"]


def test_asking_twice_changes_nothing() -> None:
    queue = Admission(MACHINE, max_pods=10)
    queue.queue("a", Size(1, 0))
    queue.queue("a", Size(1, 0))
    assert admitted(queue) == ["a"]
    queue.queue("a", Size(1, 0))
    assert (admitted(queue), queue.queued) == ([], 0)


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        (Size(2.0, 1000), ""),
        (Size(2.1, 0), "OutOfcpu"),
        (Size(0, 1001), "OutOfmemory"),
        (Size(0, 0, (("nvidia.com/gpu", 1.0),)), "OutOfnvidia.com/gpu"),
    ],
)
def test_what_can_never_fit_is_known_at_once(size: Size, reason: str) -> None:
    assert Admission(MACHINE, max_pods=1).misfit(size)[0] == reason


def container(cpu: str = "", **more: str) -> Obj:
    return {"resources": {"requests": {"cpu": cpu} if cpu else {}}, **more}


@pytest.mark.parametrize(
    ("spec", "cpu"),
    [
        pytest.param({"containers": [container()]}, 0.25, id="the default"),
        pytest.param({"containers": [container("1"), container()]}, 1.25, id="a sum"),
        pytest.param({"containers": [container("1")], "initContainers": [container("500m")]}, 1.0, id="a small init"),
        pytest.param({"containers": [container("1")], "initContainers": [container("3")]}, 3.0, id="a large init"),
        pytest.param(
            {"containers": [container("1")], "initContainers": [container("1", restartPolicy="Always")]}, 2.0, id="a sidecar"
        ),
        pytest.param({"containers": [{"resources": {"limits": {"cpu": "2"}}}]}, 2.0, id="a limit is a request"),
        pytest.param({"containers": [{"resources": {"requests": {"cpu": "0"}}}]}, 0.0, id="nothing at all"),
    ],
)
def test_what_a_pod_asks_for_is_added_up_as_the_scheduler_does(spec: Obj, cpu: float) -> None:
    assert size_of(spec, default_cpu=0.25, default_memory=64).cpu == cpu


def test_pods_that_do_not_end_by_themselves_take_no_turn() -> None:
    """They would keep it for ever; they count for what they ask for, and for no more."""
    server = {"restartPolicy": "Always", "containers": [{}]}
    admission = Admission(Size(2, 1 << 30), max_pods=1)
    for name in "abc":
        admission.queue(name, size_of(server, default_cpu=1, default_memory=64))
    admission.queue("step", size_of({**server, "restartPolicy": "Never"}, default_cpu=1, default_memory=64))
    admission.queue("next", size_of({**server, "restartPolicy": "Never"}, default_cpu=1, default_memory=64))
    assert [admission.next() for _ in range(5)] == ["a", "b", "c", "step", None]
    assert admission.ahead("next") == 0
    admission.release("step")
    assert admission.next() == "next"


def test_what_they_ask_for_is_counted() -> None:
    asks = {"restartPolicy": "Always", "containers": [{"resources": {"requests": {"cpu": "1500m"}}}]}
    admission = Admission(Size(2, 1 << 30), max_pods=4)
    for name in "ab":
        admission.queue(name, size_of(asks, default_cpu=1, default_memory=64))
    assert [admission.next(), admission.next(), admission.queued] == ["a", None, 1]
