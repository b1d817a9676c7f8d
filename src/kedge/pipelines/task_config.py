"""What a task is configured with, told to its component: ``taskConfigPassthroughs`` of the IR.

A component that starts a workload of its own (a TrainJob, a Job) wants that to have the resources, variables and volumes which
the pipeline's author gave the task. It is told them as the value of its ``TASK_CONFIG`` input; the step's own Pod is then
without them, unless ``applyToTask`` says that it gets them too. A field that is not passed on is applied as ever.
"""

from collections.abc import Sequence

from kedge.kube.kinds import Obj
from kedge.pipelines.spec import Component, ParameterType, TaskConfigField, TaskConfigPassthrough

# Where a field of the IR stands in a Pod's spec, and what the launcher calls it.
_OF_POD = {
    TaskConfigField.KUBERNETES_AFFINITY: "affinity",
    TaskConfigField.KUBERNETES_TOLERATIONS: "tolerations",
    TaskConfigField.KUBERNETES_NODE_SELECTOR: "nodeSelector",
}


def inputs(component: Component) -> list[str]:
    """The inputs of a component that are given its task's configuration."""
    return [name for name, found in component.input_definitions.parameters.items() if found.kind is ParameterType.TASK_CONFIG]


def told(component: Component, configured: Obj) -> Obj:
    """What a component is told.

    Args:
        component: Says which fields it wants.
        configured: A Pod with nothing but what the task was configured with.
    """
    spec, made = configured["spec"], Obj()
    main = spec["containers"][0]
    for one in component.task_config_passthroughs:
        if one.field is TaskConfigField.RESOURCES:
            made["resources"] = main.get("resources", {})
        elif one.field is TaskConfigField.ENV:
            made["env"] = main.get("env", [])
        elif one.field is TaskConfigField.KUBERNETES_VOLUMES:
            made |= {"volumes": spec.get("volumes", []), "volumeMounts": main.get("volumeMounts", [])}
        elif one.field in _OF_POD and (found := spec.get(_OF_POD[one.field])) is not None:
            made[_OF_POD[one.field]] = found
    return made


def withhold(pod: Obj, wanted: Sequence[TaskConfigPassthrough], configured: Obj) -> None:
    """Take off a step's Pod what its component hands on, and the step itself shall not have.

    Args:
        pod: Of the step.
        wanted: What its component asks for.
        configured: A Pod with nothing but what the task was configured with.
    """
    fields = {one.field for one in wanted if not one.apply_to_task}
    spec, main = pod["spec"], pod["spec"]["containers"][0]
    own = configured["spec"]["containers"][0]
    if TaskConfigField.RESOURCES in fields:
        main.pop("resources", None)
    if TaskConfigField.ENV in fields:
        _without(main, "env", "name", {one["name"] for one in own.get("env", ())})
    if TaskConfigField.KUBERNETES_VOLUMES in fields:
        volumes = {one["name"] for one in configured["spec"].get("volumes", ())}
        _without(spec, "volumes", "name", volumes)
        for container in [main, *spec.get("initContainers", ())]:
            _without(container, "volumeMounts", "name", volumes)
    for field in fields & _OF_POD.keys():
        spec.pop(_OF_POD[field], None)


def _without(holder: Obj, field: str, key: str, names: set[str]) -> None:
    if field in holder and names:
        holder[field] = [one for one in holder[field] if one[key] not in names]
