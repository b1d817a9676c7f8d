"""Volumes that somebody makes by hand, with an unmodified `kubectl`: claims get them, and leave them, the same on both hosts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hosts import HOSTS, shared_folder
from places import WAIT, Place, place_on

Obj = dict[str, Any]
PHASE = "--for=jsonpath={.status.phase}"


@pytest.fixture(scope="module", params=HOSTS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Either host. Volumes have no namespace: each test takes away its own."""
    allowed = {"KEDGE_HOST_PATHS": str(shared_folder())}
    with place_on(request, tmp_path_factory.mktemp("volumes"), allowed) as made:
        yield made


class Volumes:
    """Volumes and a class of this test's own."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.class_ = f"by-hand-{place.namespace()}"
        self.names: list[str] = []

    def volume(self, name: str, size: str, *, labels: Obj | None = None, **spec: Any) -> str:
        """Make a volume; returns its name."""
        source = {} if "local" in spec else {"hostPath": {"path": "/srv/nothing"}}
        made = {
            "capacity": {"storage": size},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": self.class_,
            **source,
            **spec,
        }
        whole = f"{name}-{self.class_}"
        self.names.append(whole)
        meta = {"name": whole, "labels": labels or {}}
        self.place.apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": meta, "spec": made})
        return whole

    def claim(self, name: str, size: str, **spec: Any) -> None:
        """Make a claim."""
        asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, "storageClassName": self.class_}
        made = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": {**asked, **spec}}
        self.place.apply(made)

    def bound(self, name: str) -> str:
        """The volume of a claim, once it has one."""
        self.place("wait", f"pvc/{name}", f"{PHASE}=Bound", WAIT)
        return self.place("get", "pvc", name, "-o", "jsonpath={.spec.volumeName}")

    def told(self, name: str, *reasons: str) -> str:
        """The message of an event of a claim, once it is there."""
        found: list[str] = []

        def look() -> bool:
            events = self.place.json("get", "events", "--field-selector", f"involvedObject.name={name}")["items"]
            found[:] = [event["message"] for event in events if event["reason"] in reasons]
            return bool(found)

        self.place.found(look, True, f"{' or '.join(reasons)} of {name}")
        return found[0]


@pytest.fixture
def volumes(place: Place) -> Iterator[Volumes]:
    made = Volumes(place)
    yield made
    place("delete", "pods,pvc", "--all", "--now")
    for name in made.names:
        place("delete", "pv", name, "--ignore-not-found", WAIT)


def test_a_claim_gets_the_smallest_volume_that_fits_and_leaves_it(volumes: Volumes, place: Place) -> None:
    volumes.volume("large", "9Gi")
    middle = volumes.volume("middle", "3Gi")
    volumes.volume("shared", "2Gi", accessModes=["ReadWriteOnce", "ReadOnlyMany"])
    small = volumes.volume("small", "1Gi")
    for name in volumes.names:
        place("wait", f"pv/{name}", f"{PHASE}=Available", WAIT)
    volumes.claim("data", "2Gi")
    assert volumes.bound("data") == middle
    claim, volume = place.json("get", "pvc", "data"), place.json("get", "pv", middle)
    assert claim["status"] == {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "3Gi"}}
    notes = {"pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes"}
    assert notes.items() <= claim["metadata"]["annotations"].items()
    reference = volume["spec"]["claimRef"]
    assert (reference["kind"], reference["name"], reference["uid"]) == ("PersistentVolumeClaim", "data", claim["metadata"]["uid"])
    assert volume["metadata"]["annotations"]["pv.kubernetes.io/bound-by-controller"] == "yes"
    assert place("get", "pv", middle, "--no-headers").split()[3:6] == ["Retain", "Bound", f"{place.namespace()}/data"]
    more = '{"spec":{"resources":{"requests":{"storage":"3Gi"}}}}'
    refused = place("patch", "pvc", "data", "-p", more, fails=True)
    assert (
        'persistentvolumeclaims "data" is forbidden: only dynamically provisioned pvc can be resized and the storageclass '
        "that provisions the pvc must support resize"
    ) in refused
    place("delete", "pv", middle, "--wait=false")
    assert place("get", "pv", middle, "--no-headers").split()[4] == "Terminating"
    place("delete", "pvc", "data")
    place("wait", "--for=delete", f"pv/{middle}", WAIT)
    volumes.claim("data", "1Gi")
    assert volumes.bound("data") == small
    place("delete", "pvc", "data")
    place("wait", f"pv/{small}", f"{PHASE}=Released", WAIT)
    place("delete", "pv", small, WAIT)


def test_a_claim_names_its_volume_or_selects_it(volumes: Volumes, place: Place) -> None:
    named, gold = volumes.volume("named", "1Gi"), volumes.volume("gold", "5Gi", labels={"grade": "gold"})
    place("wait", f"pv/{named}", f"{PHASE}=Available", WAIT)
    volumes.claim("chosen", "1Gi", selector={"matchLabels": {"grade": "gold"}})
    assert volumes.bound("chosen") == gold
    volumes.claim("greedy", "2Gi", volumeName=named)
    assert volumes.told("greedy", "VolumeMismatch") == f'Cannot bind to requested volume "{named}": requested PV is too small'
    volumes.claim("modest", "1Gi", volumeName=named)
    assert volumes.bound("modest") == named
    notes = place.json("get", "pvc", "modest")["metadata"]["annotations"]
    assert "pv.kubernetes.io/bound-by-controller" not in notes
    volumes.claim("late", "1Gi", volumeName=named)
    assert volumes.told("late", "FailedBinding") == f'volume "{named}" already bound to a different claim.'


def test_a_volume_is_kept_for_the_claim_that_it_names(volumes: Volumes, place: Place) -> None:
    reference = {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": place.namespace(), "name": "expected"}
    kept = volumes.volume("kept", "1Gi", claimRef=reference)
    place("wait", f"pv/{kept}", f"{PHASE}=Available", WAIT)
    volumes.claim("other", "1Gi", storageClassName="")
    told = volumes.told("other", "FailedBinding")
    assert told == "no persistent volumes available for this claim and no storage class is set"
    volumes.claim("expected", "1Gi")
    assert volumes.bound("expected") == kept


def test_a_volume_that_nobody_can_delete_has_failed(volumes: Volumes, place: Place) -> None:
    expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["nowhere"]}
    here = {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}
    source: Obj = {"local": {"path": "/srv/nothing"}, "nodeAffinity": here}
    gone = volumes.volume("gone", "1Gi", persistentVolumeReclaimPolicy="Delete", **source)
    volumes.claim("data", "1Gi")
    assert volumes.bound("data") == gone
    place("delete", "pvc", "data")
    place("wait", f"pv/{gone}", f"{PHASE}=Failed", WAIT)
    told = f'error getting deleter volume plugin for volume "{gone}": no volume plugin matched'
    assert place.json("get", "pv", gone)["status"]["message"] == told


def test_a_claim_that_waits_for_its_first_pod_is_bound_with_it_and_keeps_what_is_written(
    volumes: Volumes, place: Place, shared: Path
) -> None:
    class_ = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": volumes.class_}}
    place.apply({**class_, "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"})
    volumes.volume("later", "1Gi", hostPath={"path": str(shared / "kept"), "type": "DirectoryOrCreate"})
    volumes.claim("data", "1Gi")
    assert volumes.told("data", "WaitForFirstConsumer") == "waiting for first consumer to be created before binding"
    for name, script in (
        ("writer", "open('/data/greeting', 'w').write('hello')"),
        ("reader", "print(open('/data/greeting').read())"),
    ):
        container = {"name": "main", "image": "python:3.11", "command": ["python3", "-c", script]}
        mounted = {**container, "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
        held = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
        spec = {"restartPolicy": "Never", "containers": [mounted], "volumes": held}
        place.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
        place("wait", f"pod/{name}", f"{PHASE}=Succeeded", WAIT)
    assert place("logs", "reader") == "hello\n"
    assert (shared / "kept" / "greeting").read_text() == "hello"
    place("delete", "storageclass", volumes.class_)


def files_of_the_machine(place: Place, name: str, script: str, *volumes: Obj, **mount: Any) -> None:
    """Run a script in a Pod that has files of the machine, the first one at ``/0``."""
    mounts = [{"name": f"v{index}", "mountPath": f"/{index}", **mount} for index in range(len(volumes))]
    held = [{"name": f"v{index}", "hostPath": source} for index, source in enumerate(volumes)]
    container = {"name": "main", "image": "python:3.11", "command": ["python3", "-c", script], "volumeMounts": mounts}
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container], "volumes": held}
    place.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})


def test_files_of_the_machine_are_mounted_as_their_type_says(place: Place, shared: Path) -> None:
    (shared / "there").mkdir()
    (shared / "there" / "file").write_text("told")
    script = (
        "import os; open('/0/made', 'w').write('by the Pod'); open('/2', 'a').write('x')\n"
        "print(open('/1/file').read(), open('/3').read(), os.listdir('/4'))"
    )
    sources: list[Obj] = [
        {"path": f"{shared}/new/deep", "type": "DirectoryOrCreate"},
        {"path": f"{shared}/there", "type": "Directory"},
        {"path": f"{shared}/fresh", "type": "FileOrCreate"},
        {"path": f"{shared}/there/file", "type": "File"},
        {"path": f"{shared}/none"},
    ]
    files_of_the_machine(place, "files", script, *sources)
    place("wait", "pod/files", f"{PHASE}=Succeeded", WAIT)
    assert place("logs", "files") == "told told []\n"
    assert (shared / "new" / "deep" / "made").read_text() == "by the Pod"
    assert ((shared / "fresh").read_text(), (shared / "none").is_dir()) == ("x", True)
    inner = "print(open('/0/file').read()); open('/0/file', 'w')"
    files_of_the_machine(place, "part", inner, {"path": str(shared)}, subPath="there", readOnly=True)
    place("wait", "pod/part", f"{PHASE}=Failed", WAIT)
    logged = place("logs", "part")
    assert ("told\n" in logged, "Read-only file system" in logged) == (True, True)
    place("delete", "pod", "files", "part", "--now")


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("Directory", "a directory"),
        ("File", "a file"),
        ("Socket", "a socket file"),
        ("CharDevice", "a character device"),
        ("BlockDevice", "a block device"),
    ],
)
def test_a_file_of_the_machine_that_is_something_else_is_waited_for(place: Place, shared: Path, kind: str, what: str) -> None:
    path = shared / "other"
    if kind == "File":
        path.mkdir()
    else:
        path.write_text("")
    files_of_the_machine(place, "waits", "", {"path": str(path), "type": kind})
    told = f'MountVolume.SetUp failed for volume "v0" : hostPath type check failed: {path} is not {what}'

    def look() -> set[str]:
        events = place.json("get", "events", "--field-selector", "involvedObject.name=waits,reason=FailedMount")["items"]
        return {event["message"] for event in events} & {told}

    place.found(look, {told})
    place("delete", "pod", "waits", "--now")
