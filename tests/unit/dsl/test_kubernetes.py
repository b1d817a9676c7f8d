"""Options for Kubernetes: what is written beside the pipeline, and what is refused while it is defined."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from kedge import dsl
from kedge.dsl import compiling, kubernetes


@dsl.component
def name() -> str:
    return "settings"


@dsl.component
def rows() -> int:
    return 3


@dsl.component
def step() -> None:
    pass


def options(pipeline: Any) -> dict[str, Any]:
    """Options by executor."""
    return compiling.compile(pipeline).platforms["kubernetes"]["deploymentSpec"]["executors"]


def test_a_constant_is_written_in_both_spellings_and_a_value_as_where_it_comes_from() -> None:
    @dsl.pipeline
    def p(secret: str) -> None:
        task = step()
        for given in ("fixed", secret, name().output):
            assert kubernetes.use_secret_as_volume(task, given, "/etc/secret") is task

    produced = {"taskOutputParameter": {"producerTask": "name", "outputParameterKey": "Output"}}
    common = {"mountPath": "/etc/secret", "optional": False}
    assert options(p) == {
        "exec-step": {
            "secretAsVolume": [
                {"secretName": "fixed", "secretNameParameter": {"runtimeValue": {"constant": "fixed"}}, **common},
                {"secretNameParameter": {"componentInputParameter": "secret"}, **common},
                {"secretNameParameter": produced, **common},
            ]
        }
    }
    task = compiling.compile(p).pipeline["root"]["dag"]["tasks"]["step"]
    assert (task["dependentTasks"], "inputs" in task) == (["name"], False)


def test_text_around_a_value_refers_to_an_input_of_the_task() -> None:
    @dsl.pipeline
    def p(team: str) -> None:
        kubernetes.use_config_map_as_env(step(), f"{team}-settings", {"level": "LEVEL"})

    (found,) = options(p)["exec-step"]["configMapAsEnv"]
    text = "{{$.inputs.parameters['pipelinechannel--team']}}-settings"
    assert found["configMapNameParameter"] == {"runtimeValue": {"constant": text}}
    assert "configMapName" not in found
    inputs = compiling.compile(p).pipeline["root"]["dag"]["tasks"]["step"]["inputs"]
    assert inputs == {"parameters": {"pipelinechannel--team": {"componentInputParameter": "team"}}}


def test_a_part_of_an_item_is_selected_from_it() -> None:
    @dsl.pipeline
    def p() -> None:
        with dsl.ParallelFor([{"claim": "a"}]) as row:
            kubernetes.mount_pvc(step(), row.claim, "/data")

    (found,) = options(p)["exec-step"]["pvcMount"]
    selector = {"parameterExpressionSelector": 'parseJson(string_value)["claim"]'}
    source = {"componentInputParameter": "pipelinechannel--loop-item-param-1", **selector}
    assert found == {"pvcNameParameter": source, "mountPath": "/data"}


def test_tasks_with_the_same_options_share_an_executor() -> None:
    @dsl.pipeline
    def p() -> None:
        for seconds in (5, 5, 6, 0):
            kubernetes.set_timeout(step(), seconds)

    assert options(p) == {
        "exec-step": {"activeDeadlineSeconds": "5"},
        "exec-step-2": {"activeDeadlineSeconds": "6"},
        "exec-step-3": {},
    }
    assert sorted(compiling.compile(p).pipeline["deploymentSpec"]["executors"]) == ["exec-step", "exec-step-2", "exec-step-3"]


def test_the_last_word_counts_where_there_can_be_one() -> None:
    @dsl.pipeline
    def p(affinity: dict[str, Any]) -> None:
        task = step()
        kubernetes.add_node_affinity_json(task, {})
        kubernetes.add_node_affinity_json(task, affinity)
        kubernetes.add_pod_label(task, "a", "1")
        kubernetes.add_pod_label(task, "a", "2")
        kubernetes.set_image_pull_policy(task, "Always")
        kubernetes.set_image_pull_policy(task, "Never")

    assert options(p)["exec-step"] == {
        "nodeAffinity": [{"nodeAffinityJson": {"componentInputParameter": "affinity"}}],
        "podMetadata": {"labels": {"a": "2"}},
        "imagePullPolicy": "Never",
    }


def test_options_for_which_there_is_no_function_are_put_in_by_hand() -> None:
    @dsl.pipeline
    def p() -> None:
        step().platform_config["kubernetes"] = {"newOption": [{"a": 1}]}

    assert options(p) == {"exec-step": {"newOption": [{"a": 1}]}}


def test_pods_to_run_beside_or_apart_from() -> None:
    expression = {"key": "app", "operator": "In", "values": ["db"]}

    @dsl.pipeline
    def p(term: dict[str, Any]) -> None:
        task = step()
        kubernetes.add_pod_affinity(task, [expression], {"a": "b"}, "zone", ["x"], [expression], {"c": "d"}, weight=3)
        kubernetes.add_pod_affinity(task, topology_key="zone", anti=True)
        for anti in (None, True, True):
            kubernetes.add_pod_affinity_json(task, term, anti=anti)

    given = {"podAffinityJson": {"componentInputParameter": "term"}}
    assert options(p)["exec-step"]["podAffinity"] == [
        {
            "matchPodExpressions": [expression],
            "matchPodLabels": {"a": "b"},
            "topologyKey": "zone",
            "namespaces": ["x"],
            "matchNamespaceExpressions": [expression],
            "matchNamespaceLabels": {"c": "d"},
            "weight": 3,
        },
        {"topologyKey": "zone", "anti": True},
        given,
        {**given, "anti": True},
    ]


def test_containers_before_a_step_and_beside_it() -> None:
    @dsl.pipeline
    def p() -> None:
        task = kubernetes.enable_shared_memory(step(), size="1Gi")
        kubernetes.add_init_container(task, "first", "busybox")
        kubernetes.add_init_container(
            task, "beside", "busybox", ["sh"], ["-c", "x"], {"A": "b"}, {"shm": "/shm"}, "Always", {"cpu": "1"}, {"memory": "1G"}
        )

    assert options(p)["exec-step"] == {
        "enabledSharedMemory": {"volumeName": "shm", "size": "1Gi"},
        "initContainers": [
            {"name": "first", "image": "busybox"},
            {
                "name": "beside",
                "image": "busybox",
                "command": ["sh"],
                "args": ["-c", "x"],
                "env": [{"name": "A", "value": "b"}],
                "volumeMounts": [{"volumeName": "shm", "mountPath": "/shm"}],
                "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1G"}},
                "restartPolicy": "Always",
            },
        ],
    }


def twice(task: Any) -> None:
    for _ in range(2):
        kubernetes.add_init_container(task, "a", "busybox")


WRONG: dict[str, tuple[Callable[[Any], object], str]] = {
    "no-name": (lambda t: kubernetes.use_secret_as_env(t, "", {}), "Task \"step\" is given '' for secretName."),
    "name-of-a-wrong-type": (
        lambda t: kubernetes.mount_pvc(t, rows().output, "/data"),
        'Task "step" gets output "Output" of task "rows", which is an int, for pvcNameParameter.',
    ),
    "no-task": (lambda _: kubernetes.set_timeout("x", 1), "kedge.dsl.kubernetes is given 'x' as a task."),  # pyright: ignore[reportArgumentType]
    "no-container": (
        lambda _: kubernetes.set_timeout(inner(), 1),
        'Task "inner" is pipeline "inner", which has no container to configure.',
    ),
    "timeout": (lambda t: kubernetes.set_timeout(t, -1), 'Task "step" is given a timeout of -1 seconds.'),
    "priority": (lambda t: kubernetes.set_priority_class(t, ""), "Task \"step\" is given '' as priority class."),
    "scheduler": (lambda t: kubernetes.set_scheduler(t, 1), 'Task "step" is given 1 as scheduler.'),  # pyright: ignore[reportArgumentType]
    "policy": (lambda t: kubernetes.set_image_pull_policy(t, "Maybe"), "Task \"step\" is given the image pull policy 'Maybe'."),
    "weight": (
        lambda t: kubernetes.add_node_affinity(t, weight=101),
        'Task "step" is given 101 as the weight of a node affinity.',
    ),
    "operator": (
        lambda t: kubernetes.add_node_affinity(t, [{"key": "a", "operator": "Near"}]),
        "Task \"step\" is given {'key': 'a', 'operator': 'Near'} as a term of a node affinity.",
    ),
    "affinity": (
        lambda t: kubernetes.add_node_affinity_json(t, {"required": []}),
        "Task \"step\" is given a node affinity with the key 'required'.",
    ),
    "toleration": (lambda t: kubernetes.add_toleration_json(t, ["gpu"]), "Task \"step\" is given 'gpu' as a toleration."),  # pyright: ignore[reportArgumentType]
    "init-container": (twice, "Task \"step\" is given an init container 'a' of image 'busybox'."),
    "restart-policy": (
        lambda t: kubernetes.add_init_container(t, "a", "busybox", restart_policy="Never"),
        "Task \"step\" is given an init container with restart_policy='Never'.",
    ),
    "init-volume": (
        lambda t: kubernetes.add_init_container(t, "a", "busybox", volume_mounts={"v": "x"}),
        "Task \"step\" is given an init container with a volume at 'x'.",
    ),
    "pod-operator": (
        lambda t: kubernetes.add_pod_affinity(t, [{"key": "a", "operator": "Gt"}]),
        "Task \"step\" is given {'key': 'a', 'operator': 'Gt'} as a term of a pod affinity.",
    ),
    "user": (lambda t: kubernetes.set_security_context(t, run_as_user=-1), 'Task "step" is given run_as_user=-1.'),
    "nobody": (kubernetes.set_security_context, 'Task "step" is given a security context that says nothing.'),
    "non-root": (
        lambda t: kubernetes.set_security_context(t, run_as_non_root=1),  # pyright: ignore[reportArgumentType]
        'Task "step" is given run_as_non_root=1.',
    ),
}


@dsl.pipeline
def inner() -> None:
    step()


@pytest.mark.parametrize("case", WRONG)
def test_what_no_pod_can_have_is_refused_at_its_line(case: str) -> None:
    call, message = WRONG[case]

    def p() -> None:
        call(step())

    with pytest.raises(dsl.DslError) as caught:
        dsl.pipeline(p)
    assert str(caught.value).splitlines()[0] == message
    assert __file__ in str(caught.value)
    assert "  fix:   " in str(caught.value)


def test_the_language_is_imported_without_it() -> None:
    program = "import sys; from kedge import dsl; print('kedge.dsl.kubernetes' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"


def test_importing_it_loads_the_standard_library_only() -> None:
    program = "import sys; from kedge.dsl import kubernetes; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {program}"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert set(done.stdout.split()) - set(sys.stdlib_module_names) <= {"kedge", "__main__"}
