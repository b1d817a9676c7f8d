"""OpenAPI v3 schemas of the core kinds: what ``kubectl explain`` and client-side checks need, and no more.

They are open: a field that is not described is allowed, as on an API server newer than this table. What breaks a rule is refused
by `Kind.validate`, whose messages name the field and what to do.
"""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer", "format": "int64"}
BOOLEAN: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time"}
ANY: Schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
QUANTITIES: Schema = {"type": "object", "additionalProperties": {"x-kubernetes-int-or-string": True}}
STRINGS: Schema = {"type": "object", "additionalProperties": STRING}


def described(schema: Schema, description: str) -> Schema:
    """The same schema with a sentence for ``kubectl explain``."""
    return {**schema, "description": description}


def record(description: str, /, *, required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    """An object with known properties, open to others.

    Examples:
        >>> record("A lease.", holder=STRING)["properties"]
        {'holder': {'type': 'string'}}
    """
    schema: dict[str, Any] = {"type": "object", "description": description, "properties": properties}
    if required:
        schema["required"] = list(required)
    return {**schema, "x-kubernetes-preserve-unknown-fields": True}


def listed(items: Schema) -> Schema:
    """A list of one thing."""
    return {"type": "array", "items": items}


_ENV = record("One environment variable.", required=("name",), name=STRING, value=STRING, valueFrom=ANY)
_MOUNT = record("Where a volume appears.", required=("name", "mountPath"), name=STRING, mountPath=STRING, readOnly=BOOLEAN)
_RESOURCES = record("What it asks for and may use.", requests=QUANTITIES, limits=QUANTITIES)
_PORT = record("A port it listens on.", required=("containerPort",), containerPort=INTEGER, name=STRING, protocol=STRING)
_CONTAINER = record(
    "One container.",
    required=("name",),
    name=described(STRING, "A DNS label, unique in the Pod."),
    image=described(STRING, "What it runs."),
    command=described(listed(STRING), "Replaces the image's entry point."),
    args=described(listed(STRING), "Arguments of the command."),
    workingDir=STRING,
    env=listed(_ENV),
    envFrom=listed(ANY),
    ports=listed(_PORT),
    resources=_RESOURCES,
    volumeMounts=listed(_MOUNT),
    restartPolicy=described(STRING, "Always makes an init container a sidecar."),
    livenessProbe=ANY,
    readinessProbe=ANY,
    startupProbe=ANY,
    lifecycle=ANY,
    securityContext=ANY,
    imagePullPolicy=STRING,
    terminationMessagePath=STRING,
    terminationMessagePolicy=STRING,
)
_VOLUME = record(
    "A volume of the Pod.", required=("name",), name=STRING, emptyDir=ANY, configMap=ANY, secret=ANY, projected=ANY, hostPath=ANY
)
POD_SPEC = record(
    "What the Pod shall be.",
    required=("containers",),
    containers=listed(_CONTAINER),
    initContainers=listed(_CONTAINER),
    volumes=listed(_VOLUME),
    restartPolicy=described(STRING, "Always, OnFailure or Never."),
    activeDeadlineSeconds=described(INTEGER, "Seconds after which the Pod is ended as failed."),
    terminationGracePeriodSeconds=described(INTEGER, "Seconds between SIGTERM and SIGKILL."),
    serviceAccountName=STRING,
    nodeName=STRING,
    nodeSelector=STRINGS,
    tolerations=listed(ANY),
    securityContext=ANY,
)
_CONDITION = record(
    "One aspect of how it is.", type=STRING, status=STRING, reason=STRING, message=STRING, lastTransitionTime=TIME
)
_POD_STATUS = record(
    "How the Pod is.",
    phase=described(STRING, "Pending, Running, Succeeded, Failed or Unknown."),
    reason=STRING,
    message=STRING,
    podIP=STRING,
    startTime=TIME,
    conditions=listed(_CONDITION),
    containerStatuses=listed(ANY),
    initContainerStatuses=listed(ANY),
)

POD = record("A Pod: containers that run together on one node.", spec=POD_SPEC, status=_POD_STATUS)
NAMESPACE = record(
    "A Namespace: a scope for names.",
    spec=record("How it is.", finalizers=listed(STRING)),
    status=record("How it is.", phase=STRING),
)
CONFIG_MAP = record(
    "A ConfigMap: texts and bytes for Pods.",
    data=STRINGS,
    binaryData={"type": "object", "additionalProperties": {"type": "string", "format": "byte"}},
    immutable=BOOLEAN,
)
SECRET = record(
    "A Secret: like a ConfigMap, for what must not be shown.",
    data={"type": "object", "additionalProperties": {"type": "string", "format": "byte"}},
    stringData=STRINGS,
    type=STRING,
    immutable=BOOLEAN,
)
SERVICE_ACCOUNT = record(
    "A ServiceAccount: who a Pod is.", secrets=listed(ANY), imagePullSecrets=listed(ANY), automountServiceAccountToken=BOOLEAN
)
EVENT = record(
    "An Event: something that happened to an object.",
    involvedObject=ANY,
    reason=STRING,
    message=STRING,
    type=STRING,
    count=INTEGER,
    firstTimestamp=TIME,
    lastTimestamp=TIME,
    eventTime=TIME,
    source=ANY,
    reportingComponent=STRING,
    reportingInstance=STRING,
    action=STRING,
)
LEASE = record(
    "A Lease: who leads.",
    spec=record(
        "Who holds it and until when.",
        holderIdentity=STRING,
        leaseDurationSeconds=INTEGER,
        acquireTime=TIME,
        renewTime=TIME,
        leaseTransitions=INTEGER,
    ),
)
NODE = record("A Node: what runs Pods.", spec=ANY, status=ANY)
REVIEW = record("A question to the server.", spec=ANY, status=ANY)
