"""A step's options for Kubernetes, put onto its Pod.

Everything goes to the user's container (``main``) or to the Pod as a whole; containers of ours that stage files are left as they
are. What the Pod asks for is the node's business: the embedded host refuses what it cannot do, a cluster does it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from kedge.errors import PipelineError
from kedge.kube.kinds import Obj
from kedge.pipelines.platform_spec import (
    WORKSPACE_PATH,
    EphemeralVolume,
    ExecutorOptions,
    InitContainer,
    NodeAffinityTerm,
    PodAffinityTerm,
    Requirement,
    constant,
    is_constant,
    reference_key,
)
from kedge.pipelines.spec import ParameterSource

_REQUIRED, _PREFERRED = "requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution"
_OURS = "kedge.dev/"


WORKSPACE_VOLUME = "kedge-workspace"


def mount_workspace(pod: Obj, claim: str, *, bring: bool = False) -> None:
    """Give a step's own container the workspace of its run.

    Args:
        pod: Its Pod.
        claim: The workspace's.
        bring: Whether artifacts are brought there: the container that brings inputs is given it too.
    """
    spec, main = pod["spec"], pod["spec"]["containers"][0]
    spec["volumes"] = [*spec.get("volumes", ()), {"name": WORKSPACE_VOLUME, "persistentVolumeClaim": {"claimName": claim}}]
    users = [main, *(each for each in spec.get("initContainers", ()) if bring and each["name"] == "stage-in")]
    for container in users:
        container["volumeMounts"] = [
            *container.get("volumeMounts", ()),
            {"name": WORKSPACE_VOLUME, "mountPath": WORKSPACE_PATH},
        ]


def apply(pod: Obj, options: ExecutorOptions, values: Mapping[str, Any]) -> None:
    """Put the options of a step onto its Pod.

    Args:
        pod: Lists and mappings that it shares with other Pods are replaced, not changed.
        options: Of the step's executor.
        values: What the engine resolved, by `reference_key`.

    Raises:
        PipelineError: A value is not what the option needs.
    """
    _Patch(pod, options, values).apply()


class _Patch:
    """One Pod and its options."""

    def __init__(self, pod: Obj, options: ExecutorOptions, values: Mapping[str, Any]) -> None:
        self._spec: Obj = pod["spec"]
        self._metadata: Obj = pod["metadata"]
        self._main: Obj = self._spec["containers"][0]
        self._options = options
        self._values = values
        self._volumes: dict[str, Obj] = {}
        # What init containers call volumes that are named for what they hold.
        self._called: dict[str, str] = {}
        self._mounts: list[Obj] = []

    def apply(self) -> None:
        self._environment()
        self._files()
        self._claims()
        if self._mounts:
            self._spec["volumes"] = [*self._spec.get("volumes", ()), *self._volumes.values()]
            self._main["volumeMounts"] = [*self._main.get("volumeMounts", ()), *self._mounts]
        if self._options.init_containers:
            # Before our own: sidecars are stopped in reverse, so a user's that ignores SIGTERM would keep the outputs waiting for
            # the Pod's whole grace. A step in Python, too, brings its inputs after these.
            self._spec["initContainers"] = [
                *map(self._before, self._options.init_containers),
                *self._spec.get("initContainers", ()),
            ]
        self._placement()
        self._pod()

    # ---- environment and files

    def _environment(self) -> None:
        options, made = self._options, list[Obj]()
        for secret in options.secret_as_env:
            name = self._name("secretAsEnv", secret.secret_name_parameter, "Secret")
            for one in secret.key_to_env:
                reference = {"name": name, "key": one.secret_key, "optional": secret.optional}
                made.append({"name": one.env_var, "valueFrom": {"secretKeyRef": reference}})
        for config in options.config_map_as_env:
            name = self._name("configMapAsEnv", config.config_map_name_parameter, "ConfigMap")
            for one in config.key_to_env:
                reference = {"name": name, "key": one.config_map_key, "optional": config.optional}
                made.append({"name": one.env_var, "valueFrom": {"configMapKeyRef": reference}})
        made += [
            {"name": one.name, "valueFrom": {"fieldRef": {"fieldPath": one.field_path}}} for one in options.field_path_as_env
        ]
        if made:
            self._main["env"] = [*self._main.get("env", ()), *made]

    def _files(self) -> None:
        options = self._options
        for number, secret in enumerate(options.secret_as_volume):
            name = self._name("secretAsVolume", secret.secret_name_parameter, "Secret")
            source = {"secret": {"secretName": name, "optional": secret.optional}}
            self._called[name] = f"option-secret-{number}"
            self._mount(f"option-secret-{number}", source, secret.mount_path)
        for number, config in enumerate(options.config_map_as_volume):
            name = self._name("configMapAsVolume", config.config_map_name_parameter, "ConfigMap")
            self._called[name] = f"option-config-{number}"
            self._mount(f"option-config-{number}", {"configMap": {"name": name, "optional": config.optional}}, config.mount_path)
        for one in options.empty_dir_mounts:
            folder = {"medium": one.medium, "sizeLimit": one.size_limit}
            self._mount(one.volume_name, {"emptyDir": {key: value for key, value in folder.items() if value}}, one.mount_path)
        if (memory := options.enabled_shared_memory) is not None:
            folder = {"medium": "Memory", **({"sizeLimit": memory.size} if memory.size else {})}
            self._mount(memory.volume_name, {"emptyDir": folder}, "/dev/shm")  # noqa: S108  # its place on Linux

    def _claims(self) -> None:
        claims: dict[str, str] = {}
        for one in self._options.pvc_mount:
            name = self._name("pvcMount", one.pvc_name_parameter, "PersistentVolumeClaim")
            volume = self._called[name] = claims.setdefault(name, f"option-claim-{len(claims)}")
            self._mount(volume, {"persistentVolumeClaim": {"claimName": name}}, one.mount_path, one.sub_path)
        for one in self._options.generic_ephemeral_volume:
            self._mount(one.volume_name, {"ephemeral": {"volumeClaimTemplate": _template(one)}}, one.mount_path)

    def _mount(self, volume: str, source: Obj, path: str, inner: str = "") -> None:
        """Mount a volume; one that several options name alike is one volume."""
        made = {"name": volume, **source}
        if self._volumes.setdefault(volume, made) != made:
            raise PipelineError(f"two volumes of the step are named {volume!r}. Give them names of their own.")
        self._mounts.append({"name": volume, "mountPath": path, **({"subPath": inner} if inner else {})})

    def _before(self, container: InitContainer) -> Obj:
        mounts: list[Obj] = []
        for mount in container.volume_mounts:
            volume = mount.volume_name if mount.volume_name in self._volumes else self._called.get(mount.volume_name)
            if volume is None:
                known = ", ".join(sorted({*self._volumes, *self._called})) or "none"
                raise PipelineError(
                    f"the init container {container.name!r} mounts {mount.volume_name!r}, which is no volume of the step (it has "
                    f"{known}). Give the task the volume too."
                )
            mounts.append({"name": volume, "mountPath": mount.mount_path})
        resources = {"requests": container.resources.requests, "limits": container.resources.limits}
        made = {
            "name": container.name,
            "image": container.image,
            "command": container.command,
            "args": container.args,
            "env": [{"name": variable.name, "value": variable.value} for variable in container.env],
            "volumeMounts": mounts,
            "restartPolicy": container.restart_policy,
            "resources": {side: found for side, found in resources.items() if found},
        }
        return {key: value for key, value in made.items() if value}

    # ---- where it runs

    def _placement(self) -> None:
        selector = self._json("nodeSelector", self._options.node_selector.node_selector_json)
        if selector is None:
            selector = self._options.node_selector.labels
        if not isinstance(selector, dict) or not all(isinstance(value, str) for value in selector.values()):
            raise _wrong("nodeSelector", selector, 'a mapping of labels, such as {"disk": "ssd"}')
        if selector:
            self._spec["nodeSelector"] = dict(selector)
        if tolerations := list(self._tolerations()):
            self._spec["tolerations"] = tolerations
        affinity = {"nodeAffinity": self._node_affinity(), **self._pod_affinity()}
        if affinity := {kind: terms for kind, terms in affinity.items() if terms}:
            self._spec["affinity"] = affinity

    def _tolerations(self) -> Iterator[Obj]:
        for one in self._options.tolerations:
            if one.toleration_json is None:
                made = {"key": one.key, "operator": one.operator, "value": one.value, "effect": one.effect}
                made = {key: value for key, value in made.items() if value}
                yield made if one.toleration_seconds is None else {**made, "tolerationSeconds": one.toleration_seconds}
                continue
            found = self._json("tolerations", one.toleration_json)
            for toleration in found if isinstance(found, list) else [] if found is None else [found]:
                if not isinstance(toleration, dict):
                    raise _wrong(
                        "tolerations", found, 'a toleration such as {"key": "gpu", "operator": "Exists"}, or a list of them'
                    )
                yield toleration

    def _node_affinity(self) -> Obj:
        required: list[Obj] = []
        preferred: list[Obj] = []
        for term in self._options.node_affinity:
            if term.node_affinity_json is not None:
                found = self._json("nodeAffinity", term.node_affinity_json)
                if found is None:
                    continue
                if not isinstance(found, dict) or set(found) - {_REQUIRED, _PREFERRED}:
                    raise _wrong("nodeAffinity", found, f"a mapping with the keys {_REQUIRED} and {_PREFERRED}")
                required += (found.get(_REQUIRED) or {}).get("nodeSelectorTerms", [])
                preferred += found.get(_PREFERRED) or []
            elif made := _node_term(term):
                if term.weight is None:
                    required.append(made)
                else:
                    preferred.append({"weight": term.weight, "preference": made})
        terms: Obj = {_REQUIRED: {"nodeSelectorTerms": required}} if required else {}
        return {**terms, **({_PREFERRED: preferred} if preferred else {})}

    def _pod_affinity(self) -> dict[str, Obj]:
        found: dict[str, Obj] = {"podAffinity": {}, "podAntiAffinity": {}}
        for term in self._options.pod_affinity:
            kind, made = found["podAntiAffinity" if term.anti else "podAffinity"], _pod_term(term)
            if term.pod_affinity_json is not None:
                made = self._json("podAffinity", term.pod_affinity_json)
                if made is None:
                    continue
                if not isinstance(made, dict):
                    raise _wrong("podAffinity", made, 'a term such as {"topologyKey": "zone", "labelSelector": {…}}')
            if term.weight is None:
                kind.setdefault(_REQUIRED, []).append(made)
            else:
                kind.setdefault(_PREFERRED, []).append({"weight": term.weight, "podAffinityTerm": made})
        return found

    # ---- the Pod as a whole

    def _pod(self) -> None:
        options = self._options
        for kind, given in (("labels", options.pod_metadata.labels), ("annotations", options.pod_metadata.annotations)):
            if given:
                ours = self._metadata.get(kind, {})
                self._metadata[kind] = {**ours, **{key: value for key, value in given.items() if not key.startswith(_OURS)}}
        if options.image_pull_policy:
            self._main["imagePullPolicy"] = options.image_pull_policy
        secrets = [self._name("imagePullSecret", one.secret_name_parameter, "Secret") for one in options.image_pull_secret]
        if secrets:
            self._spec["imagePullSecrets"] = [{"name": name} for name in dict.fromkeys(secrets)]
        if options.active_deadline_seconds:
            self._spec["activeDeadlineSeconds"] = options.active_deadline_seconds
        if options.priority_class_name:
            self._spec["priorityClassName"] = options.priority_class_name
        if options.scheduler_name:
            self._spec["schedulerName"] = options.scheduler_name
        context = options.security_context
        identity = {"runAsUser": context.run_as_user, "runAsGroup": context.run_as_group, "runAsNonRoot": context.run_as_non_root}
        if identity := {key: value for key, value in identity.items() if value is not None}:
            self._main["securityContext"] = identity

    # ---- values

    def _value(self, field: str, source: ParameterSource) -> Any:
        return constant(source) if is_constant(source) else self._values.get(reference_key(field, source))

    def _name(self, field: str, source: ParameterSource, kind: str) -> str:
        found = self._value(field, source)
        if not isinstance(found, str) or not found:
            raise _wrong(field, found, f"the name of a {kind}")
        return found

    def _json(self, field: str, source: ParameterSource | None) -> Any:
        return None if source is None else self._value(field, source)


def _wrong(field: str, found: Any, wanted: str) -> PipelineError:
    return PipelineError(f"kubernetes option {field}: must be {wanted}, got {found!r:.200}. Give the task another value.")


def _template(volume: EphemeralVolume) -> Obj:
    spec: Obj = {"accessModes": volume.access_modes, "resources": {"requests": {"storage": volume.size}}}
    if not volume.default_storage_class:
        spec["storageClassName"] = volume.storage_class_name
    metadata = {"labels": volume.metadata.labels, "annotations": volume.metadata.annotations}
    kept = {key: value for key, value in metadata.items() if value}
    return {**({"metadata": kept} if kept else {}), "spec": spec}


def _expressions(found: list[Requirement]) -> list[Obj]:
    return [{"key": one.key, "operator": one.operator, **({"values": one.values} if one.values else {})} for one in found]


def _node_term(term: NodeAffinityTerm) -> Obj:
    made = {"matchExpressions": _expressions(term.match_expressions), "matchFields": _expressions(term.match_fields)}
    return {key: value for key, value in made.items() if value}


def _pod_term(term: PodAffinityTerm) -> Obj:
    made = {
        "topologyKey": term.topology_key,
        "labelSelector": _selector(term.match_pod_expressions, term.match_pod_labels),
        "namespaceSelector": _selector(term.match_namespace_expressions, term.match_namespace_labels),
        "namespaces": term.namespaces,
    }
    return {key: value for key, value in made.items() if value}


def _selector(expressions: list[Requirement], labels: dict[str, str]) -> Obj:
    made = {"matchExpressions": _expressions(expressions), "matchLabels": labels}
    return {key: value for key, value in made.items() if value}
