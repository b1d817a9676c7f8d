"""What a real API server says to a Pod: the words and places of Kubernetes 1.36, after its source and documentation."""

from typing import Any

import pytest

from kedge.kube import apps, core
from kedge.kube.kinds import Obj
from kedge.kube.pods import default_pod, validate_pod

LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an "
    "alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with "
    "an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
NAME_PART = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
PORTS = "must be between 1 and 65535, inclusive"
USERS = "must be between 0 and 2147483647, inclusive"
C = "spec.containers[0]"
V = "spec.volumes[0]"
REQUIRED_TERMS = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED_TERMS = "preferredDuringSchedulingIgnoredDuringExecution"


def pod(**spec: Any) -> Obj:
    made: Obj = {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "main", "image": "busybox"}], **spec}}
    default_pod(made)
    return made


def of(**container: Any) -> Obj:
    return {"containers": [{"name": "main", "image": "busybox", **container}], "volumes": [{"name": "v", "emptyDir": {}}]}


def volume(**source: Any) -> Obj:
    return {"volumes": [{"name": "v", **source}]}


def told(new: Obj, old: Obj | None = None) -> list[str]:
    return [f"{cause.field}: {cause.message}" for cause in validate_pod(new, old)]


ROWS: dict[str, tuple[Obj, list[str]]] = {
    "no containers": ({"containers": []}, ["spec.containers: Required value"]),
    "no name": ({"containers": [{"image": "x"}]}, [f"{C}.name: Required value"]),
    "name": ({"containers": [{"name": "A_", "image": "x"}]}, [f'{C}.name: Invalid value: "A_": {LABEL}']),
    "name with a dot": (
        {"containers": [{"name": "a.b", "image": "x"}]},
        [f'{C}.name: Invalid value: "a.b": must not contain dots'],
    ),
    "name twice": (
        {"containers": [{"name": "a", "image": "x"}, {"name": "a", "image": "x"}]},
        ['spec.containers[1].name: Duplicate value: "a"'],
    ),
    "name of an init container": (
        {"initContainers": [{"name": "main", "image": "x"}]},
        ['spec.initContainers[0].name: Duplicate value: "main"'],
    ),
    "no image": ({"containers": [{"name": "a"}]}, [f"{C}.image: Required value"]),
    "image with spaces": (of(image=" x"), [f'{C}.image: Invalid value: " x": must not have leading or trailing whitespace']),
    "pull policy": (
        of(imagePullPolicy="Foo"),
        [f'{C}.imagePullPolicy: Unsupported value: "Foo": supported values: "Always", "IfNotPresent", "Never"'],
    ),
    "message policy": (
        of(terminationMessagePolicy="Foo"),
        [f'{C}.terminationMessagePolicy: Unsupported value: "Foo": supported values: "File", "FallbackToLogsOnError"'],
    ),
    "restarting container": (
        of(restartPolicy="Always"),
        [f"{C}.restartPolicy: Forbidden: may not be set for non-init containers"],
    ),
    "port": (of(ports=[{"containerPort": 70000}]), [f"{C}.ports[0].containerPort: Invalid value: 70000: {PORTS}"]),
    "no port": (of(ports=[{"name": "a"}]), [f"{C}.ports[0].containerPort: Required value"]),
    "host port": (of(ports=[{"containerPort": 1, "hostPort": -1}]), [f"{C}.ports[0].hostPort: Invalid value: -1: {PORTS}"]),
    "protocol": (
        of(ports=[{"containerPort": 1, "protocol": "FOO"}]),
        [f'{C}.ports[0].protocol: Unsupported value: "FOO": supported values: "SCTP", "TCP", "UDP"'],
    ),
    "port name": (
        of(ports=[{"containerPort": 1, "name": "a--b"}]),
        [f'{C}.ports[0].name: Invalid value: "a--b": must not contain consecutive hyphens'],
    ),
    "port name twice": (
        of(ports=[{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]),
        [f'{C}.ports[1].name: Duplicate value: "a"'],
    ),
    "host port twice": (
        of(ports=[{"containerPort": 1, "hostPort": 5}, {"containerPort": 2, "hostPort": 5}]),
        [f'{C}.ports[1].hostPort: Duplicate value: "TCP//5"'],
    ),
    "host port of the machine's network": (
        {**of(ports=[{"containerPort": 1, "hostPort": 5}]), "hostNetwork": True},
        [f"{C}.ports[0].hostPort: Invalid value: 5: must match `containerPort` when `hostNetwork` is true"],
    ),
    "no variable": (of(env=[{"value": "x"}]), [f"{C}.env[0].name: Required value"]),
    "variable": (
        of(env=[{"name": "a=b"}]),
        [
            (
                f'{C}.env[0].name: Invalid value: "a=b": '
                "a valid environment variable name must consist only of printable ASCII characters other than '='"
            )
        ],
    ),
    "variable of nothing": (
        of(env=[{"name": "A", "valueFrom": {}}]),
        [
            (
                f'{C}.env[0].valueFrom: Invalid value: "": '
                "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
            )
        ],
    ),
    "variable of two": (
        of(env=[{"name": "A", "value": "1", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]),
        [f'{C}.env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty'],
    ),
    "variable of no key": (
        of(env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c"}}}]),
        [f"{C}.env[0].valueFrom.configMapKeyRef.key: Required value"],
    ),
    "variable of a field": (
        of(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.phase"}}}]),
        [
            (
                f'{C}.env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "status.phase": supported values: "metadata.name", '
                '"metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", '
                '"status.hostIPs", "status.podIP", "status.podIPs"'
            )
        ],
    ),
    "variable of no field": (
        of(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "a.b"}}}]),
        [
            (
                f'{C}.env[0].valueFrom.fieldRef.fieldPath: Invalid value: "a.b": error converting fieldPath: '
                "field label not supported: a.b"
            )
        ],
    ),
    "variable of a resource": (
        of(env=[{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "2"}}}]),
        [
            (
                f'{C}.env[0].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.cpu": '
                "only divisor's values 1m and 1 are supported with the cpu resource"
            )
        ],
    ),
    "variables of nothing": (
        of(envFrom=[{}]),
        [f'{C}.envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`'],
    ),
    "variables of no name": (of(envFrom=[{"secretRef": {}}]), [f"{C}.envFrom[0].secretRef.name: Required value"]),
    "mount of nothing": (of(volumeMounts=[{"name": "w", "mountPath": "/a"}]), [f'{C}.volumeMounts[0].name: Not found: "w"']),
    "mount nowhere": (of(volumeMounts=[{"name": "v"}]), [f"{C}.volumeMounts[0].mountPath: Required value"]),
    "mount twice": (
        of(volumeMounts=[{"name": "v", "mountPath": "/a"}] * 2),
        [f'{C}.volumeMounts[1].mountPath: Invalid value: "/a": must be unique'],
    ),
    "mount out of a volume": (
        of(volumeMounts=[{"name": "v", "mountPath": "/a", "subPath": "/../x"}]),
        [
            f'{C}.volumeMounts.subPath: Invalid value: "/../x": must be a relative path',
            f"{C}.volumeMounts.subPath: Invalid value: \"/../x\": must not contain '..'",
        ],
    ),
    "mount propagation": (
        of(volumeMounts=[{"name": "v", "mountPath": "/a", "mountPropagation": "x"}]),
        [
            (
                f'{C}.volumeMounts.mountPropagation: Unsupported value: "x": supported values: "Bidirectional", '
                '"HostToContainer", "None"'
            )
        ],
    ),
    "resource": (
        of(resources={"limits": {"bogus": "1"}, "requests": {}}),
        [
            f'{C}.resources.{part}[bogus]: Invalid value: "bogus": {why}'
            for part in ("limits", "requests")
            for why in ("must be a standard resource type or fully qualified", "must be a standard resource for containers")
        ],
    ),
    "half a device": (
        of(resources={"limits": {"nvidia.com/gpu": "0.5"}}),
        [f'{C}.resources.{part}[nvidia.com/gpu]: Invalid value: "500m": must be an integer' for part in ("limits", "requests")],
    ),
    "devices": (
        of(resources={"limits": {"nvidia.com/gpu": 2}, "requests": {"nvidia.com/gpu": 1}}),
        [f'{C}.resources.requests: Invalid value: "1": must be equal to nvidia.com/gpu limit of 2'],
    ),
    "device without a limit": (
        of(resources={"requests": {"nvidia.com/gpu": 1}}),
        [f"{C}.resources.limits: Required value: Limit must be set for non overcommitable resources"],
    ),
    "more than the limit": (
        of(resources={"requests": {"cpu": 2}, "limits": {"cpu": "0.5"}}),
        [f'{C}.resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 500m'],
    ),
    "less than nothing": (
        of(resources={"requests": {"cpu": "-1"}}),
        [f'{C}.resources.requests[cpu]: Invalid value: "-1": must be greater than or equal to 0'],
    ),
    "huge pages alone": (
        of(resources={"limits": {"hugepages-2Mi": "2Mi"}}),
        [f"{C}.resources: Forbidden: HugePages require cpu or memory"],
    ),
    "user of a container": (
        of(securityContext={"runAsUser": -5}),
        [f"{C}.securityContext.runAsUser: Invalid value: -5: {USERS}"],
    ),
    "seccomp": (
        of(securityContext={"seccompProfile": {"type": "Localhost"}}),
        [f"{C}.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost"],
    ),
    "group of a Pod": (
        {"securityContext": {"fsGroup": -1, "supplementalGroups": [-2]}},
        [
            f"spec.securityContext.fsGroup: Invalid value: -1: {USERS}",
            f"spec.securityContext.supplementalGroups[0]: Invalid value: -2: {USERS}",
        ],
    ),
    "volume twice": (
        {"volumes": [{"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}]},
        ['spec.volumes[1].name: Duplicate value: "v"'],
    ),
    "two sources": (
        volume(emptyDir={}, hostPath={"path": "/x"}),
        [f"{V}.hostPath: Forbidden: may not specify more than 1 volume type"],
    ),
    "no ConfigMap": (volume(configMap={}), [f"{V}.configMap.name: Required value"]),
    "no Secret": (volume(secret={}), [f"{V}.secret.secretName: Required value"]),
    "no path of the machine": (volume(hostPath={}), [f"{V}.hostPath.path: Required value"]),
    "path of the machine": (
        volume(hostPath={"path": "/a/../b"}),
        [f"{V}.hostPath.path: Invalid value: \"/a/../b\": must not contain '..'"],
    ),
    "kind of path": (
        volume(hostPath={"path": "/a", "type": "Foo"}),
        [
            (
                f'{V}.hostPath.type: Unsupported value: "Foo": supported values: "", "BlockDevice", "CharDevice", "Directory", '
                '"DirectoryOrCreate", "File", "FileOrCreate", "Socket"'
            )
        ],
    ),
    "no claim": (volume(persistentVolumeClaim={}), [f"{V}.persistentVolumeClaim.claimName: Required value"]),
    "mode": (
        volume(configMap={"name": "c", "defaultMode": 4096}),
        [f"{V}.configMap.defaultMode: Invalid value: 4096: must be a number between 0 and 0777 (octal), both inclusive"],
    ),
    "short token": (
        volume(projected={"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 5}}]}),
        [
            (
                f"{V}.projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 5: "
                "may not specify a duration less than 10 minutes"
            )
        ],
    ),
    "fact of nothing": (
        volume(downwardAPI={"items": [{"path": "a"}]}),
        [f"{V}.downwardAPI: Required value: one of fieldRef and resourceFieldRef is required"],
    ),
    "restart policy": (
        {"restartPolicy": "never"},
        ['spec.restartPolicy: Unsupported value: "never": supported values: "Always", "OnFailure", "Never"'],
    ),
    "names of hosts": (
        {"dnsPolicy": "Foo"},
        [
            (
                'spec.dnsPolicy: Unsupported value: "Foo": supported values: "ClusterFirstWithHostNet", "ClusterFirst", '
                '"Default", "None"'
            )
        ],
    ),
    "no names of hosts": (
        {"dnsPolicy": "None"},
        ["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"],
    ),
    "deadline": (
        {"activeDeadlineSeconds": 0},
        ["spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"],
    ),
    "hostname": ({"hostname": "a b\n127.0.0.9 evil"}, [f'spec.hostname: Invalid value: "a b\\n127.0.0.9 evil": {LABEL}']),
    "account": ({"serviceAccountName": "No!"}, [f'spec.serviceAccountName: Invalid value: "No!": {SUBDOMAIN}']),
    "alias": (
        {"hostAliases": [{"ip": "x"}]},
        ['spec.hostAliases[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'],
    ),
    "gate": (
        {"schedulingGates": [{"name": "a"}, {"name": "a"}]},
        ['spec.schedulingGates[1]: Duplicate value: "a"'],
    ),
    "gate and node": (
        {"schedulingGates": [{"name": "a"}], "nodeName": "n"},
        ["spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"],
    ),
    "spread": (
        {"topologySpreadConstraints": [{"maxSkew": 0, "whenUnsatisfiable": "x"}]},
        [
            "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
            "spec.topologySpreadConstraints[0].topologyKey: Required value: can not be empty",
            (
                'spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: "x": supported values: "DoNotSchedule", '
                '"ScheduleAnyway"'
            ),
        ],
    ),
    "weight": (
        {
            "affinity": {
                "podAffinity": {PREFERRED_TERMS: [{"weight": 0, "podAffinityTerm": {"topologyKey": "a"}}]},
            }
        },
        [f"spec.affinity.podAffinity.{PREFERRED_TERMS}[0].weight: Invalid value: 0: must be in the range 1-100"],
    ),
    "no terms": (
        {"affinity": {"nodeAffinity": {REQUIRED_TERMS: {"nodeSelectorTerms": []}}}},
        [
            (
                f"spec.affinity.nodeAffinity.{REQUIRED_TERMS}.nodeSelectorTerms: Required value: "
                "must have at least one node selector term"
            )
        ],
    ),
    "toleration": (
        {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]},
        ["spec.tolerations[0].operator: Invalid value: \"b\": value must be empty when `operator` is 'Exists'"],
    ),
    "toleration of an effect": (
        {"tolerations": [{"key": "a", "effect": "Foo"}]},
        ['spec.tolerations[0].effect: Unsupported value: "Foo": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"'],
    ),
    "selector of nodes": ({"nodeSelector": {"a b": "x"}}, [f'spec.nodeSelector: Invalid value: "a b": {NAME_PART}']),
    "container for debugging": (
        {"ephemeralContainers": [{"name": "d", "image": "x"}]},
        ["spec.ephemeralContainers: Forbidden: cannot be set on create"],
    ),
    "users of its own": (
        {"hostUsers": False, "hostNetwork": True},
        ["spec.hostNetwork: Forbidden: when `pod.Spec.HostUsers` is false"],
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_a_pod_is_told_what_is_wrong_as_on_a_cluster(row: str) -> None:
    spec, said = ROWS[row]
    assert told(pod(**spec)) == said


GOOD: dict[str, Obj] = {
    "everything": {
        **of(
            ports=[{"containerPort": 80, "name": "http"}, {"containerPort": 53, "protocol": "UDP"}],
            env=[{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}}],
            envFrom=[{"configMapRef": {"name": "c"}, "prefix": "P_"}],
            volumeMounts=[{"name": "v", "mountPath": "/a", "subPath": "b/c"}],
            resources={"limits": {"cpu": 1, "memory": "1Gi", "nvidia.com/gpu": 1}, "requests": {"cpu": "100m"}},
            securityContext={"runAsUser": 0, "allowPrivilegeEscalation": False, "seccompProfile": {"type": "RuntimeDefault"}},
        ),
        "hostname": "a",
        "subdomain": "b",
        "tolerations": [{"operator": "Exists"}],
        "dnsConfig": {"searches": ["_a.b.", "."]},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
    },
    "volumes of others": volume(csi={"driver": "x"}),
    "a sidecar": {"initContainers": [{"name": "s", "image": "x", "restartPolicy": "Always"}]},
}


@pytest.mark.parametrize("name", GOOD)
def test_what_is_right_is_taken(name: str) -> None:
    assert told(pod(**GOOD[name])) == []


def test_templates_are_told_the_same_at_their_place() -> None:
    bad = pod(**of(ports=[{"containerPort": 70000}]))["spec"]
    wrong = f"spec.containers[0].ports[0].containerPort: Invalid value: 70000: {PORTS}"
    keeper: Obj = {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}}}
    owners: list[tuple[str, Obj, str]] = [
        ("Deployment", dict(keeper), "spec.template"),
        ("StatefulSet", dict(keeper), "spec.template"),
        ("Job", {"template": {}}, "spec.template"),
        ("CronJob", {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": {}}}}, "spec.jobTemplate.spec.template"),
    ]
    for kind, spec, place in owners:
        holder = spec["jobTemplate"]["spec"] if kind == "CronJob" else spec
        policy = "Never" if "Job" in kind else "Always"
        holder["template"] = {**holder["template"], "spec": {**bad, "restartPolicy": policy}}
        entry = next(each for each in (*core.KINDS, *apps.KINDS) if each.kind == kind)
        obj: Obj = {"metadata": {"name": "x", "uid": "u"}, "spec": spec}
        assert entry.default is not None
        assert entry.validate is not None
        entry.default(obj)
        assert f"{place}.{wrong}" in [f"{cause.field}: {cause.message}" for cause in entry.validate(obj, None)]


CHANGES: dict[str, tuple[Obj, Obj, list[str]]] = {
    "a container more": (
        {},
        {"containers": [{"name": "main", "image": "x"}, {"name": "b", "image": "x"}]},
        ["spec.containers: Forbidden: pod updates may not add or remove containers"],
    ),
    "a longer deadline": (
        {"activeDeadlineSeconds": 5},
        {"activeDeadlineSeconds": 6},
        ["spec.activeDeadlineSeconds: Invalid value: 6: must be less than or equal to previous value"],
    ),
    "no deadline": (
        {"activeDeadlineSeconds": 5},
        {},
        ["spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value"],
    ),
    "a toleration less": (
        {"tolerations": [{"key": "a"}]},
        {},
        ["spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"],
    ),
    "a gate more": (
        {},
        {"schedulingGates": [{"name": "a"}]},
        ["spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'a'"],
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_may_not_change_is_told_as_on_a_cluster(name: str) -> None:
    old, new, said = CHANGES[name]
    assert told(pod(**new), pod(**old)) == said


def test_other_fields_are_told_together() -> None:
    (said,) = told(pod(restartPolicy="Never", hostname="a"), pod())
    assert said.startswith("spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,")
    assert said.endswith("\nchanged: hostname, restartPolicy")


def test_what_may_change_does() -> None:
    assert told(pod(containers=[{"name": "main", "image": "other"}]), pod()) == []
    assert (
        told(pod(tolerations=[{"key": "a"}, {"key": "b"}]), pod(tolerations=[{"key": "a", "effect": ""}, {"key": "b"}][1:])) == []
    )
    gated = {"schedulingGates": [{"name": "a"}]}
    assert told(pod(nodeSelector={"a": "b"}), pod(**gated)) == []
