# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false
"""The official Python client, as its users call it: KUBECONFIG and a namespace that is not there yet are its arguments."""

import base64
import json
import re
import sys
from typing import Any

import asked as steps
from asked import Steps, until
from kubernetes import client, config, watch
from kubernetes.stream import portforward, stream

KUBECONFIG, NAMESPACE = sys.argv[1:]
EVICTED = 'NotFound: pods "echo" not found'
GROUP = f"{NAMESPACE}.example.com"
api_client = config.new_client_from_config(KUBECONFIG)
core = client.CoreV1Api(api_client)
apps = client.AppsV1Api(api_client)
batch = client.BatchV1Api(api_client)
custom = client.CustomObjectsApi(api_client)
NAMED = {"group": GROUP, "version": "v1", "namespace": NAMESPACE, "plural": "boxes"}


def told(error: Exception) -> str:
    if isinstance(error, client.ApiException) and error.body:
        return steps.status(error.body if isinstance(error.body, str) else error.body.decode())
    raise error


told_by = Steps(NAMESPACE, told)
step = told_by.step


def create(body: dict[str, Any], **options: Any) -> Any:
    return core.create_namespaced_config_map(NAMESPACE, body, **options)


def read(name: str) -> Any:
    return core.read_namespaced_config_map(name, NAMESPACE)


def lists(**options: Any) -> str:
    return steps.names(each.metadata.name for each in core.list_namespaced_config_map(NAMESPACE, **options).items)


def missing(name: str) -> bool:
    return str(told_by.tried(lambda: read(name))).startswith("NotFound")


def patched(body: Any, kind: str, **options: Any) -> Any:
    """A patch of `one` of a type that the client's own methods choose by the body's form alone."""
    query = {"fieldManager": "client", **options}
    return api_client.call_api(
        f"/api/v1/namespaces/{NAMESPACE}/configmaps/one",
        "PATCH",
        query_params=list(query.items()),
        header_params={"Content-Type": kind, "Accept": "application/json"},
        body=body,
        auth_settings=["BearerToken"],
        response_type="V1ConfigMap",
        _return_http_data_only=True,
    )


def objects() -> None:
    namespace = {"metadata": {"name": NAMESPACE}}
    step("create a Namespace", lambda: core.create_namespace(namespace).status.phase)
    until(lambda: str(told_by.tried(lambda: core.read_namespaced_service_account("default", NAMESPACE).metadata.name)), "default")
    step("create a ConfigMap", lambda: steps.data(create(steps.config("one")).data))
    step("create one that is there", lambda: create(steps.config("one")))
    step("create with `generateName`", lambda: steps.made(create({"metadata": {"generateName": "made-"}}).metadata.name))
    step("create, dry run", lambda: steps.data(create(steps.config("dry"), dry_run="All").data))
    step("get what a dry run has created", lambda: read("dry"))
    unknown = {**steps.config("odd"), "sizes": {}}
    step("create with an unknown field, strictly", lambda: create(unknown, field_validation="Strict"))
    step("create an invalid Service", lambda: core.create_namespaced_service(NAMESPACE, steps.service("bad")))
    step("get", lambda: steps.data(read("one").data))
    step("get what is missing", lambda: read("nothing"))
    step("create a Secret with `stringData`", secret)


def secret() -> str:
    body = {"metadata": {"name": "secret"}, "stringData": {"word": "hidden"}}
    return core.create_namespaced_secret(NAMESPACE, body).data["word"]


def collections() -> None:
    for name, side in (("a", "left"), ("b", "left"), ("c", "right")):
        create(steps.config(name, labels={"side": side, "of": "three"}))
    step("list by label", lambda: lists(label_selector="side=left"))
    step("list by a set of labels", lambda: lists(label_selector="side in (left, right), side notin (left)"))
    step("list by field", lambda: lists(field_selector="metadata.name=one"))
    step("list in pages of two", pages)
    step("list as a Table", table)
    step("watch", watched)
    step("watch with `sendInitialEvents`", initial)
    step("delete a collection by label", collection)


def pages() -> str:
    found, going_on = list[str](), None
    while True:
        page = core.list_namespaced_config_map(NAMESPACE, label_selector="of=three", limit=2, _continue=going_on)
        assert len(page.items) <= 2
        found += [each.metadata.name for each in page.items]
        going_on = page.metadata._continue
        if not going_on:
            return steps.names(found)


def table() -> str:
    found = api_client.call_api(
        f"/api/v1/namespaces/{NAMESPACE}/configmaps",
        "GET",
        header_params={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"},
        auth_settings=["BearerToken"],
        response_type="object",
        _return_http_data_only=True,
    )
    return ", ".join(each["name"].upper() for each in found["columnDefinitions"])


def watched() -> str:
    since = core.list_namespaced_config_map(NAMESPACE).metadata.resource_version
    create(steps.config("seen", labels={"of": "watch"}))
    core.patch_namespaced_config_map("seen", NAMESPACE, {"data": {"size": "2"}})
    core.delete_namespaced_config_map("seen", NAMESPACE)
    found, events = list[str](), watch.Watch()
    options = {"label_selector": "of=watch", "resource_version": since, "timeout_seconds": steps.SECONDS}
    for event in events.stream(core.list_namespaced_config_map, NAMESPACE, **options):
        found.append(event["type"])
        if event["type"] == "DELETED":
            events.stop()
    return ", ".join(found)


def initial() -> str:
    found, events = list[str](), watch.Watch()
    options = {
        "label_selector": "of=three",
        "send_initial_events": True,
        "resource_version_match": "NotOlderThan",
        "allow_watch_bookmarks": True,
        "timeout_seconds": steps.SECONDS,
    }
    for event in events.stream(core.list_namespaced_config_map, NAMESPACE, **options):
        found.append(event["type"])
        if event["type"] == "BOOKMARK":
            assert event["raw_object"]["metadata"]["annotations"]["k8s.io/initial-events-end"] == "true"
            events.stop()
    return ", ".join(found)


def collection() -> str:
    core.delete_collection_namespaced_config_map(NAMESPACE, label_selector="side=left")
    return lists(label_selector="of=three")


def changes() -> None:
    stale = read("one")
    step("update", lambda: steps.data(core.replace_namespaced_config_map("one", NAMESPACE, steps.config("one", size="2")).data))
    stale.data = {"size": "3"}
    step("update of an old version", lambda: core.replace_namespaced_config_map("one", NAMESPACE, stale))
    operations = [{"op": "add", "path": "/data/json", "value": "yes"}]
    step("patch, JSON", lambda: steps.data(patched(operations, "application/json-patch+json").data))
    step("patch, merge", lambda: steps.data(patched({"data": {"json": None}}, "application/merge-patch+json").data))
    apps.create_namespaced_deployment(NAMESPACE, steps.deployment("web"))
    sidecar = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": steps.IMAGE}]}}}}
    step("patch, strategic merge, of a list of containers", lambda: containers(apps, sidecar))
    core.delete_namespaced_config_map("one", NAMESPACE)
    apply = "application/apply-patch+yaml"
    step("apply (server-side)", lambda: owner(patched(steps.config("one"), apply, fieldManager="first")))
    step("apply what another manager owns", lambda: patched(steps.config("one", size="2"), apply, fieldManager="second"))
    forced = {"fieldManager": "second", "force": "true"}
    step("apply by force", lambda: owner(patched(steps.config("one", size="2"), apply, **forced)))


def containers(apps: Any, body: Any) -> str:
    found = apps.patch_namespaced_deployment("web", NAMESPACE, body).spec.template.spec.containers
    apps.patch_namespaced_deployment(
        "web", NAMESPACE, {"spec": {"template": {"spec": {"containers": [{"name": "side", "$patch": "delete"}]}}}}
    )
    return steps.names(each.name for each in found)


def owner(found: Any) -> str:
    owners = steps.names(each.manager for each in found.metadata.managed_fields if each.fields_v1.get("f:data"))
    return f"{steps.data(found.data)} of {owners}"


def deletions() -> None:
    for how in ("Background", "Foreground", "Orphan"):
        parent = create(steps.config("parent")).metadata
        create(steps.owned("child", {"name": "parent", "uid": parent.uid}))
        step(f"delete, {how.lower()}", lambda how=how: deleted(how))
    core.delete_namespaced_config_map("child", NAMESPACE)
    create(steps.config("kept", finalizers=["example.com/kept"]))
    core.delete_namespaced_config_map("kept", NAMESPACE)
    step("delete what has a finalizer", lambda: "kept" if read("kept").metadata.deletion_timestamp else "not deleted")
    core.patch_namespaced_config_map("kept", NAMESPACE, {"metadata": {"finalizers": None}})
    step("take the last finalizer away", lambda: read("kept"))


def deleted(how: str) -> str:
    core.delete_namespaced_config_map("parent", NAMESPACE, propagation_policy=how)
    until(lambda: missing("parent"), True)
    if how == "Orphan":
        return until(lambda: "child left" if not read("child").metadata.owner_references else "owned", "child left")
    return until(lambda: "child gone" if missing("child") else "left", "child gone")


def rights() -> None:
    core.create_namespaced_service_account(NAMESPACE, {"metadata": {"name": "runner"}})
    token = core.create_namespaced_service_account_token("runner", NAMESPACE, {"spec": {"expirationSeconds": 600}}).status.token
    mine = client.Configuration()
    mine.host, mine.ssl_ca_cert = api_client.configuration.host, api_client.configuration.ssl_ca_cert
    mine.api_key = {"authorization": f"Bearer {token}"}
    runner = client.ApiClient(mine)
    review = client.AuthenticationV1Api(runner)
    step("request a token, and say who it is", lambda: review.create_self_subject_review({}).status.user_info.username)
    runners = client.CoreV1Api(runner)
    step("list without the right to", lambda: runners.list_namespaced_config_map(NAMESPACE))
    step("ask for one's own rights", lambda: allowed(runner))
    rbac = client.RbacAuthorizationV1Api(api_client)
    rbac.create_namespaced_role(NAMESPACE, steps.role("runner", ["list"]))
    rbac.create_namespaced_role_binding(NAMESPACE, steps.binding("runner", NAMESPACE))
    step("ask again with a Role bound", lambda: until(lambda: allowed(runner), "yes"))


def allowed(runner: Any) -> str:
    attributes = {"namespace": NAMESPACE, "verb": "list", "resource": "configmaps"}
    review = client.AuthorizationV1Api(runner).create_self_subject_access_review({"spec": {"resourceAttributes": attributes}})
    return "yes" if review.status.allowed else "no"


def customs() -> None:
    extensions = client.ApiextensionsV1Api(api_client)
    name = f"boxes.{GROUP}"
    extensions.create_custom_resource_definition(steps.definition(GROUP))
    step("define a kind", lambda: until(lambda: established(extensions, name), "Established"))
    until(lambda: not str(told_by.tried(lambda: custom.list_namespaced_custom_object(**NAMED))).startswith("NotFound"), True)
    body = steps.box(GROUP, "mine", size=1, replicas=1, more=True)
    step("create a custom object: defaulted and pruned", lambda: spec(custom.create_namespaced_custom_object(**NAMED, body=body)))
    bad = steps.box(GROUP, "bad", size=9)
    step("create one that its schema forbids", lambda: custom.create_namespaced_custom_object(**NAMED, body=bad))
    status = {"status": {"phase": "Ready", "replicas": 1}, "spec": {"size": 2}}
    step(
        "patch its status, which leaves its spec",
        lambda: phase(custom.patch_namespaced_custom_object_status(**NAMED, name="mine", body=status)),
    )
    scale = {"spec": {"replicas": 3}}
    step(
        "scale it",
        lambda: custom.patch_namespaced_custom_object_scale(**NAMED, name="mine", body=scale)["spec"]["replicas"],
    )
    extensions.delete_custom_resource_definition(name)
    step("delete the kind", lambda: until(lambda: established(extensions, name), "gone"))


def established(extensions: Any, name: str) -> str:
    found = told_by.tried(lambda: extensions.read_custom_resource_definition(name))
    if isinstance(found, str):
        return "gone" if found.startswith("NotFound") else found
    return steps.names(
        each.type for each in found.status.conditions or () if each.type == "Established" and each.status == "True"
    )


def spec(found: Any) -> str:
    return json.dumps(found["spec"], sort_keys=True)


def phase(found: Any) -> str:
    return f"{found['status']['phase']}, size {found['spec']['size']}"


def workloads() -> None:
    apps.patch_namespaced_deployment_scale("web", NAMESPACE, {"spec": {"replicas": 2}})
    step("scale a Deployment", lambda: apps.read_namespaced_deployment_scale("web", NAMESPACE).spec.replicas)
    step(
        "its Pods become ready", lambda: until(lambda: apps.read_namespaced_deployment("web", NAMESPACE).status.ready_replicas, 2)
    )
    apps.delete_namespaced_deployment("web", NAMESPACE)
    batch.create_namespaced_job(NAMESPACE, steps.job("quick"))
    step("a Job ends", lambda: until(lambda: batch.read_namespaced_job("quick", NAMESPACE).status.succeeded, 1))


def pods() -> None:
    core.create_namespaced_pod(NAMESPACE, steps.shell())
    core.create_namespaced_pod(NAMESPACE, steps.pod("echo", ["python3", "-c", steps.ECHOES]))
    step("a Pod runs", lambda: until(lambda: core.read_namespaced_pod("shell", NAMESPACE).status.phase, "Running"))
    step("log", lambda: until(lambda: log("shell"), "said\n").strip())
    step("exec", executed)
    step("attach", attached)
    step("port-forward", forwarded)
    step("its events", lambda: until(started, "Started"))
    eviction = {"metadata": {"name": "echo"}}
    core.create_namespaced_pod_eviction("echo", NAMESPACE, eviction)
    step("evict", lambda: until(lambda: told_by.tried(lambda: core.read_namespaced_pod("echo", NAMESPACE) and "there"), EVICTED))


def log(pod: str) -> str:
    """What a Pod has said, or why that cannot be read yet."""
    return str(told_by.tried(lambda: core.read_namespaced_pod_log(pod, NAMESPACE)))


def executed() -> str:
    command = ["sh", "-c", steps.ANSWERS]
    session = stream(
        core.connect_get_namespaced_pod_exec,
        "shell",
        NAMESPACE,
        command=command,
        stdin=True,
        stdout=True,
        stderr=True,
        _preload_content=False,
    )
    session.write_stdin("this\n")
    session.run_forever(timeout=steps.SECONDS)
    return f"{session.read_stdout().strip()}, status {session.returncode}"


def attached() -> str:
    session = stream(
        core.connect_get_namespaced_pod_attach, "shell", NAMESPACE, stdin=True, stdout=True, stderr=True, _preload_content=False
    )
    seen = ""
    while not (found := re.search(r"(heard .*)\n", seen)):
        session.write_stdin("this\n")  # again and again: a container runtime passes input on before it passes output back
        seen += session.read_stdout(timeout=2) or ""
    session.close()
    return found[1]


def forwarded() -> str:
    until(lambda: log("echo").startswith("at "), True)
    (port,) = re.findall(r"at (\d+)", log("echo"))
    socket = portforward(core.connect_get_namespaced_pod_portforward, "echo", NAMESPACE, ports=port).socket(int(port))
    socket.settimeout(steps.SECONDS)
    return socket.recv(100).decode()


def started() -> str:
    found = core.list_namespaced_event(NAMESPACE, field_selector="involvedObject.name=shell").items
    return steps.names({each.reason for each in found} & {"Started"})


def leases() -> None:
    leasing = client.CoordinationV1Api(api_client)
    leasing.create_namespaced_lease(NAMESPACE, {"metadata": {"name": "lead"}, "spec": {"holderIdentity": "first"}})
    lease = leasing.read_namespaced_lease("lead", NAMESPACE)
    lease.spec.holder_identity = "second"
    step("take a Lease over", lambda: leasing.replace_namespaced_lease("lead", NAMESPACE, lease).spec.holder_identity)
    step("take it over again from the same version", lambda: leasing.replace_namespaced_lease("lead", NAMESPACE, lease))


objects()
assert base64.b64decode(core.read_namespaced_secret("secret", NAMESPACE).data["word"]) == b"hidden"
collections()
changes()
deletions()
rights()
customs()
leases()
workloads()
pods()
core.delete_namespace(NAMESPACE)
GONE = f'NotFound: namespaces "{NAMESPACE}" not found'
step("delete the Namespace", lambda: until(lambda: told_by.tried(lambda: core.read_namespace(NAMESPACE) and "there"), GONE))
told_by.printed()
