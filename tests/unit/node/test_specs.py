"""What the supervisor is asked for."""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kedge.config import Settings
from kedge.kube.kinds import Obj
from kedge.kube.service_accounts import PLACE
from kedge.launcher import bundle
from kedge.node.env import Environment
from kedge.node.images import Image
from kedge.node.launchers import Launchers, recognise
from kedge.node.refusals import Refusal
from kedge.node.runtimes import Processes
from kedge.node.specs import Machine, Prepared, request_of, with_files
from kedge.node.volumes import Volumes

LAUNCHER = {"name": "l", "configMap": {"name": "kedge-launcher-0123456789"}}
COMMAND = ["python3", "/kedge/launcher/launcher.pyz"]
MOUNT = {"name": "l", "mountPath": "/kedge/launcher"}


def pod(**container: Any) -> Obj:
    base = {"name": "main", "image": "python:3", "command": COMMAND, "args": ["run"], "volumeMounts": [MOUNT]}
    volumes = [LAUNCHER, {"name": "c", "configMap": {"name": "code"}}, {"name": "t", "projected": {}}]
    meta = {"name": "p", "uid": "u", "namespace": "default"}
    return {"metadata": meta, "spec": {"containers": [base | container], "volumes": volumes}}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    environ = {"PATH": "/bin", "https_proxy": "http://proxy", "SSL_CERT_FILE": "/ca", "SECRET": "x"}
    settings = Settings(tmp_path / "home", tmp_path / "cache", environ=environ)
    return Machine(settings, Launchers(tmp_path / "cache" / "launchers"))


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    paths = {name: tmp_path / name for name in ("l", "c", "t")}
    for path in paths.values():
        path.mkdir()
    (paths["l"] / "launcher.pyz").write_bytes(bundle.build())
    place = tmp_path / "pod"
    place.mkdir()
    volumes = Volumes(paths=paths, readonly={"l", "c", "t"})
    return Prepared(place, volumes, {"main": Image("python:3", "3")}, {"main": tmp_path / "env"})


def request(made: Obj, prepared: Prepared, machine: Machine, **values: str) -> Any:
    return request_of(made, made["spec"]["containers"][0], Environment(values), prepared, machine)


def test_a_step_of_ours_is_run_from_the_expanded_launcher(machine: Machine, prepared: Prepared) -> None:
    """By the environment's interpreter, and forked."""
    found = request(pod(), prepared, machine)
    python, main, *rest = found.spec["argv"]
    assert python == str(prepared.environments["main"] / "bin" / "python")
    assert Path(main).read_text().startswith("from kedge.launcher.__main__ import")
    assert rest == ["run"]
    if sys.platform == "linux":
        assert found.spec["warm"] == {"python": python, "launcher": str(Path(main).parent)}
        assert found.spawned == ("", "")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"command": ["python3", "/elsewhere/launcher.pyz"]}, id="another place"),
        pytest.param({"command": ["python3", "-X", "dev"]}, id="options"),
        pytest.param({"command": ["bash", "/kedge/launcher/launcher.pyz"]}, id="another program"),
        pytest.param({"volumeMounts": [{"name": "c", "mountPath": "/kedge/launcher"}]}, id="another ConfigMap"),
        pytest.param({"volumeMounts": [{**MOUNT, "subPath": "x"}]}, id="a part of it"),
        pytest.param({"command": []}, id="nothing"),
    ],
)
def test_what_is_not_our_launcher_is_left_alone(change: Obj) -> None:
    made = pod(**change)
    assert recognise(made, made["spec"]["containers"][0]) is None


def test_variables_come_from_the_pod_and_a_few_from_the_machine(machine: Machine, prepared: Prepared) -> None:
    values = request(pod(), prepared, machine, MINE="1").spec["env"]
    environment = prepared.environments["main"]
    assert values["PATH"] == f"{environment}/bin:/bin"
    assert values["VIRTUAL_ENV"] == str(environment)
    assert values["HOME"] == str(prepared.directory / "home")
    assert (values["MINE"], values["https_proxy"], values["SSL_CERT_FILE"]) == ("1", "http://proxy", "/ca")
    assert (values["TMPDIR"], values["HOSTNAME"], values["KEDGE_PACKAGES_INSTALLED"]) == ("/tmp", "p", "1")  # noqa: S108
    assert "SECRET" not in values


def test_the_pods_own_path_is_kept_behind_the_environments(machine: Machine, prepared: Prepared) -> None:
    values = request(pod(), prepared, machine, PATH="/opt/bin").spec["env"]
    assert values["PATH"] == f"{prepared.environments['main']}/bin:/opt/bin"


def test_the_pods_own_tmp_is_its_tmp(machine: Machine, prepared: Prepared) -> None:
    mounts = [MOUNT, {"name": "c", "mountPath": "/tmp"}]  # noqa: S108
    spec = request(pod(volumeMounts=mounts), prepared, machine).spec
    assert spec["tmp"]["source"] == str(prepared.volumes.paths["c"])
    assert [mount["target"] for mount in spec["mounts"]] == ["/kedge/launcher"]


def test_a_working_directory_that_is_not_there_is_made_for_the_pod(machine: Machine, prepared: Prepared) -> None:
    spec = request(pod(workingDir="/no/such/place"), prepared, machine).spec
    assert spec["cwd"] == "/no/such/place"
    assert {"source": str(prepared.directory / "work"), "target": "/no/such/place", "readonly": False} in spec["mounts"]


class TestWithoutAPrivateView:
    """macOS, or a Linux that does not allow user namespaces."""

    @pytest.fixture
    def shared(self, machine: Machine) -> Machine:
        return replace(machine, view_refusal="Darwin has no mount namespaces")

    def test_a_pod_runs_without_access_to_the_api(self, shared: Machine, prepared: Prepared) -> None:
        """Nothing can be put where its clients look for it."""
        prepared.volumes.paths["kube-api-access-abcde"] = prepared.directory / "access"
        access = {"name": "kube-api-access-abcde", "mountPath": PLACE, "readOnly": True}
        made = pod(volumeMounts=[MOUNT, access])
        container = made["spec"]["containers"][0]
        spec = Processes(shared).request(made, container, Environment(), prepared, None).spec
        assert [mount["target"] for mount in spec["mounts"]] == ["/kedge/launcher"]
        own = {**access, "name": "t"}  # which it asks for itself
        with pytest.raises(Refusal, match="volumeMounts needs a private view"):
            Processes(shared).request(made, {**container, "volumeMounts": [own]}, Environment(), prepared, None)

    def test_the_launcher_is_told_where_its_places_are(self, shared: Machine, prepared: Prepared) -> None:
        mounts = [
            MOUNT,
            {"name": "c", "mountPath": "/kedge/code"},
            {"name": "t", "mountPath": "/var/run/secrets/kedge.dev"},
        ]
        made = pod(volumeMounts=mounts)
        container = made["spec"]["containers"][0]
        spec = with_files(request(made, prepared, shared), container, prepared, attempt=0, limit=1, masks=[])
        values, paths = spec["env"], prepared.volumes.paths
        assert spec["private"] is False
        assert values["KEDGE_CODE"] == str(paths["c"])
        assert values["KEDGE_TOKEN"] == str(paths["t"] / "token")
        assert values["KEDGE_TMP"] == str(prepared.directory / "tmp" / "kedge")
        assert values["KEDGE_TERMINATION_LOG"] == str(prepared.directory / "main.0.message")
        assert values["TMPDIR"] == str(prepared.directory / "tmp")

    def test_plain_linux_is_refused(self, shared: Machine, prepared: Prepared) -> None:
        prepared.images["main"] = Image("debian:12")
        prepared.environments.clear()
        with pytest.raises(Refusal, match="container main: image 'debian:12' needs a private view") as caught:
            request(pod(command=["true"]), prepared, shared)
        assert caught.value.reason == "ViewNotSupported"
        assert "Darwin has no mount namespaces" in caught.value.message

    def test_mounts_of_another_program_are_refused(self, shared: Machine, prepared: Prepared) -> None:
        with pytest.raises(Refusal, match="container main: volumeMounts needs a private view"):
            request(pod(command=["true"]), prepared, shared)

    def test_volumes_of_a_step_that_cannot_be_mounted_are_refused(self, shared: Machine, prepared: Prepared) -> None:
        mounts = [MOUNT, {"name": "c", "mountPath": "/data"}]
        with pytest.raises(Refusal, match="container main: volumeMounts needs a private view"):
            request(pod(volumeMounts=mounts), prepared, shared)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
    def test_a_directory_that_is_closed_to_the_user_is_named(self, shared: Machine, prepared: Prepared, tmp_path: Path) -> None:
        """Nothing can be covered here."""
        prepared.environments["main"].mkdir()
        closed = next(place for place in reversed(tmp_path.parents) if not place.stat().st_mode & 0o001)
        made = pod(command=["python3", "-V"], args=[], volumeMounts=[], securityContext={"runAsUser": 4242})
        with pytest.raises(Refusal) as caught:
            request(made, prepared, shared)
        assert caught.value.reason == "ClosedToUser"
        environment = prepared.environments["main"]
        why = f"securityContext.runAsUser: user 4242 may not pass through {closed}, so it cannot reach {environment}."
        assert caught.value.message == f"{why} Open it (chmod o+x {closed}), or remove runAsUser."

    def test_another_python_program_without_mounts_runs(self, shared: Machine, prepared: Prepared) -> None:
        spec = request(pod(command=["python3", "-V"], args=[], volumeMounts=[]), prepared, shared).spec
        assert (spec["argv"], spec["private"]) == (["python3", "-V"], False)


@pytest.mark.parametrize(
    ("name", "number"), [("SIGTERM", None), ("SIGUSR1", signal.SIGUSR1), ("SIGRTMIN+3", int(signal.SIGRTMIN) + 3)]
)
def test_a_container_is_told_to_end_by_the_signal_that_it_names(
    machine: Machine, prepared: Prepared, name: str, number: int | None
) -> None:
    assert request(pod(lifecycle={"stopSignal": name}), prepared, machine).spec.get("stop") == number


def test_a_signal_that_is_none_is_refused(machine: Machine, prepared: Prepared) -> None:
    with pytest.raises(Refusal, match=r"container main: lifecycle.stopSignal SIGNONE: this machine has no such signal"):
        request(pod(lifecycle={"stopSignal": "SIGNONE"}), prepared, machine)
