"""The objects of an installation: who the hub is, what it may do, where it runs and how it is reached."""

from collections.abc import Iterable, Sequence

from kedge.kube.crds import crd
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import INSTALLED_LABEL
from kedge.manifests import kinds, placing, rights
from kedge.manifests.options import ALL, Options

NAME = "kedge"
OPTIONS_ANNOTATION = "kedge.dev/options"
"""On the Deployment: what it was made with, so that an upgrade says only what is new."""
VERSION_LABEL = "app.kubernetes.io/version"
LEADER_LABEL = "kedge.dev/leader"
"""On the Pod of the hub that works, where there are several."""
CLAIM = "kedge-data"
PORT, ALIAS_PORT = 8080, 8888
USER_ID = 65532
DATA, SCRATCH = "/var/lib/kedge", "/tmp"  # noqa: S108  # the Pod's own, on a volume
DATABASE = "/etc/kedge/database"
"""The keys of the database's Secret as files: certificates, which its address may name."""
_POD = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/component": "hub"}
PODS = ",".join(f"{name}={value}" for name, value in _POD.items())
"""Selects the Pods of hubs."""


def objects(options: Options, served: Iterable[Kind]) -> list[Obj]:
    """All objects of an installation, in the order in which they are made.

    Args:
        options: Which one; checked.
        served: The kinds that the cluster must serve.
    """
    found = [crd(kind) for kind in served]
    found += [_account(options, name, namespace) for name, namespace in _accounts(options)]
    found += _rights(options)
    if not options.database_secret:
        found.append(_claim(options))
    found += _services(options)
    if options.elects:
        found.append(_budget(options))
    found.append(deployment(options))
    order = [kind.kind for kind in kinds.ORDER]
    return sorted(found, key=lambda obj: order.index(obj["kind"]))


def hub_account(options: Options) -> str:
    """The service account as which the hub runs."""
    return options.service_account or NAME


def _meta(options: Options, name: str, namespace: str = "") -> Obj:
    labels = {
        "app.kubernetes.io/name": NAME,
        "app.kubernetes.io/managed-by": NAME,
        VERSION_LABEL: options.version,
        INSTALLED_LABEL: options.namespace,
    }
    return {"name": name, **({"namespace": namespace} if namespace else {}), "labels": labels}


def _accounts(options: Options) -> list[tuple[str, str]]:
    hub = [] if options.service_account else [(NAME, options.namespace)]
    return [*hub, *((rights.USER_ACCOUNT, namespace) for namespace in _users(options))]


def _users(options: Options) -> tuple[str, ...]:
    """Where there is an account as which the command line calls the hub."""
    return (options.namespace,) if options.everywhere else options.watched


def _account(options: Options, name: str, namespace: str) -> Obj:
    meta = _meta(options, name, namespace)
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta, "automountServiceAccountToken": False}


# ---- rights


def _rights(options: Options) -> list[Obj]:
    hub = _subject(hub_account(options), options.namespace)
    own = list(rights.ELECTION) if options.elects else []
    if options.namespace not in options.watched and not options.everywhere:
        own.append(rights.REVIEWS)  # for what belongs to no namespace
    found: list[Obj] = []
    if options.everywhere:
        found += _granted(options, f"kedge-{options.namespace}-runs", "", rights.RUNS, (hub,))
    else:
        for namespace in options.watched:
            found += _granted(options, "kedge-runs", namespace, rights.RUNS, (hub,))
    if own:
        found += _granted(options, "kedge-hub", options.namespace, own, (hub,))
    for namespace in ("",) if options.everywhere else options.watched:
        found += _granted(options, "kedge-edit", namespace, rights.EDIT, ())
        found += _granted(options, "kedge-view", namespace, rights.VIEW, ())
    for namespace in _users(options):
        # What a binding leads to cannot be changed, so the one to the cluster's role has another name.
        name, prefix = ("kedge-edit-user", "Cluster") if options.everywhere else ("kedge-edit", "")
        reference = {"apiGroup": kinds.ROLE.group, "kind": f"{prefix}Role", "name": "kedge-edit"}
        found.append(_bound(_meta(options, name, namespace), reference, (_subject(rights.USER_ACCOUNT, namespace),)))
        found += _granted(options, "kedge-user", namespace, rights.CALL, ())
    found += _granted(options, "kedge-proxy", options.namespace, rights.PROXY, ())
    return found


def _subject(name: str, namespace: str) -> Obj:
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


def _granted(options: Options, name: str, namespace: str, rules: Sequence[Obj], subjects: Sequence[Obj]) -> list[Obj]:
    """A role, and who has it; in one namespace, or in all."""
    prefix = "" if namespace else "Cluster"
    meta = _meta(options, name, namespace)
    found: list[Obj] = [{"apiVersion": kinds.ROLE.api_version, "kind": f"{prefix}Role", "metadata": meta, "rules": list(rules)}]
    if subjects:
        found.append(_bound(meta, {"apiGroup": kinds.ROLE.group, "kind": f"{prefix}Role", "name": name}, subjects))
    return found


def _bound(meta: Obj, role: Obj, subjects: Sequence[Obj]) -> Obj:
    """Who has a role, in the namespace of the binding, or in all."""
    kind = "RoleBinding" if "namespace" in meta else "ClusterRoleBinding"
    return {"apiVersion": kinds.ROLE.api_version, "kind": kind, "metadata": meta, "roleRef": role, "subjects": list(subjects)}


# ---- the hub


def selector(options: Options) -> Obj:
    """What the labels of the Pod are that the Service leads to."""
    return {**_POD, **({LEADER_LABEL: "true"} if options.elects else {})}


def _services(options: Options) -> list[Obj]:
    ports = {NAME: PORT} | ({"ml-pipeline": ALIAS_PORT} if options.alias else {})
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": _meta(options, name, options.namespace),
            "spec": {
                "selector": selector(options),
                "ports": [{"name": "http", "port": port, "targetPort": "http", "protocol": "TCP"}],
            },
        }
        for name, port in ports.items()
    ]


def _claim(options: Options) -> Obj:
    spec: Obj = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": options.storage}}}
    if options.storage_class:
        spec["storageClassName"] = options.storage_class
    meta = _meta(options, CLAIM, options.namespace)
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec}


def _budget(options: Options) -> Obj:
    meta = _meta(options, NAME, options.namespace)
    spec = {"minAvailable": 1, "selector": {"matchLabels": dict(_POD)}}
    return {"apiVersion": kinds.DISRUPTION_BUDGET.api_version, "kind": "PodDisruptionBudget", "metadata": meta, "spec": spec}


def deployment(options: Options) -> Obj:
    """The Deployment of the hub."""
    meta = _meta(options, NAME, options.namespace)
    meta["annotations"] = {OPTIONS_ANNOTATION: options.dumped()}
    # A file is one hub's at a time, and a second one would only wait for the database's lock.
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    labels = {**_POD, INSTALLED_LABEL: options.namespace, VERSION_LABEL: options.version}
    return {
        "apiVersion": kinds.DEPLOYMENT.api_version,
        "kind": "Deployment",
        "metadata": meta,
        "spec": {
            "replicas": options.replicas,
            "selector": {"matchLabels": dict(_POD)},
            "strategy": rolling if options.elects else {"type": "Recreate"},
            "template": {"metadata": {"labels": labels}, "spec": _pod(options, ["hub", f"--port={PORT}"], probed=True)},
        },
    }


def migration(options: Options) -> Obj:
    """The Job that brings the database to the version of an image, and says so or why not."""
    meta = _meta(options, "kedge-migration", options.namespace)
    labels = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/component": "migration", INSTALLED_LABEL: options.namespace}
    pod = {**_pod(options, ["hub", "--migrate"], probed=False), "restartPolicy": "Never"}
    spec = {"backoffLimit": 0, "ttlSecondsAfterFinished": 3600, "template": {"metadata": {"labels": labels}, "spec": pod}}
    return {"apiVersion": kinds.JOB.api_version, "kind": "Job", "metadata": meta, "spec": spec}


def _pod(options: Options, arguments: list[str], *, probed: bool) -> Obj:
    data: Obj = {"emptyDir": {}} if options.database_secret else {"persistentVolumeClaim": {"claimName": CLAIM}}
    found: Obj = {
        "serviceAccountName": hub_account(options),
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "fsGroup": USER_ID,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(options, arguments, probed=probed)],
        "volumes": [{"name": "data", **data}, {"name": "scratch", "emptyDir": {}}],
    }
    if options.database_secret:
        # libpq takes a private key only where nobody but root and its own group may read it.
        found["volumes"].append({"name": "database", "secret": {"secretName": options.database_secret, "defaultMode": 0o440}})
    found |= placing.fields(options.pull_secrets, options.node_selector, options.tolerations)
    if probed and options.elects:
        apart = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
        found["topologySpreadConstraints"] = [{**apart, "labelSelector": {"matchLabels": dict(_POD)}}]
    return found


def _container(options: Options, arguments: list[str], *, probed: bool) -> Obj:
    found: Obj = {
        "name": "hub",
        "image": options.image,
        "args": arguments,
        "env": _variables(options),
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "data", "mountPath": DATA}, {"name": "scratch", "mountPath": SCRATCH}],
    }
    if options.database_secret:
        found["volumeMounts"].append({"name": "database", "mountPath": DATABASE, "readOnly": True})
    if options.artifacts_secret:
        found["envFrom"] = [{"secretRef": {"name": options.artifacts_secret}}]
    if probed:
        found["ports"] = [{"name": "http", "containerPort": PORT, "protocol": "TCP"}]
        found["startupProbe"] = _probe("/healthz", periodSeconds=1, failureThreshold=300)
        found["livenessProbe"] = _probe("/healthz", periodSeconds=10, failureThreshold=6, timeoutSeconds=5)
        found["readinessProbe"] = _probe("/readyz", periodSeconds=2, failureThreshold=2, timeoutSeconds=5)
    return found


def _probe(path: str, **how: int) -> Obj:
    return {"httpGet": {"path": path, "port": "http"}, **how}


def _variables(options: Options) -> list[Obj]:
    values = {
        "KEDGE_HOME": f"{DATA}/home",  # a folder of the user's own, which the root of a volume is not
        "KEDGE_CACHE": f"{SCRATCH}/kedge",
        "HOME": SCRATCH,
        "KEDGE_LISTEN": "0.0.0.0",  # noqa: S104  # the Pod's own address; a Service leads here
        "KEDGE_HUB_ADDRESS": f"http://{NAME}.{options.namespace}.svc:{PORT}",
        "KEDGE_WATCH_NAMESPACES": ALL if options.everywhere else ",".join(options.watched),
        "KEDGE_ARTIFACTS": options.artifacts,
        "KEDGE_STAGER_IMAGE": options.image,
        "KEDGE_LOG_FORMAT": "json",
        **options.env,
    }
    found: list[Obj] = [{"name": name, "value": value} for name, value in values.items()]
    if options.database_secret:
        secret = {"secretKeyRef": {"name": options.database_secret, "key": "url"}}
        found.append({"name": "KEDGE_DATABASE", "valueFrom": secret})
    if options.elects:
        found.append({"name": "KEDGE_LEASE", "value": rights.LEASE_NAME})
        found.append({"name": "KEDGE_POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}})
    return found
