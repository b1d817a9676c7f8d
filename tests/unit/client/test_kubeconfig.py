"""Kubeconfigs are written for the owner alone, and users' own are read or refused by name."""

import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from kedge import errors
from kedge.client import kubeconfig
from kedge.client.kubeconfig import Access

_ACCESS = Access("https://127.0.0.1:6443", ca="-----CA-----\n", token="secret-token", namespace="team-a")


def test_it_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text("old")
    kubeconfig.write(path, _ACCESS)
    assert kubeconfig.load(path) == _ACCESS
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["kubeconfig"]


def test_a_client_certificate_is_read_back(tmp_path: Path) -> None:
    access = Access("https://h", certificate="CERT", key="KEY")
    kubeconfig.write(tmp_path / "k", access)
    assert kubeconfig.load(tmp_path / "k") == access


def test_representations_hold_no_secrets() -> None:
    assert "secret-token" not in repr(_ACCESS)


def _write(path: Path, *, user: Any = None, cluster: Any = None, **rest: Any) -> Path:
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": "https://h:1/"} | (cluster or {})}],
        "users": [{"name": "u", "user": user or {}}],
    }
    path.write_text(yaml.safe_dump(config | rest))
    return path


def test_files_that_it_names_are_relative_to_it(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("CA")
    (tmp_path / "token").write_text("t\n")
    path = _write(tmp_path / "k", user={"tokenFile": "token"}, cluster={"certificate-authority": "ca.pem"})
    access = kubeconfig.load(path)
    assert (access.server, access.ca, access.token, access.namespace) == ("https://h:1", "CA", None, "default")
    assert access.token_file == tmp_path / "token"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"user": {"auth-provider": {}}}, errors.UnsupportedError, "user 'u': logins through auth-provider are not supported"),
        ({"user": {"username": "x"}}, errors.UnsupportedError, "user 'u': logins through username are not supported"),
        (
            {"user": {"exec": {"apiVersion": "client.authentication.k8s.io/v1alpha1"}}},
            errors.UnsupportedError,
            "v1alpha1' is not",
        ),
        ({"user": {"exec": {"apiVersion": "client.authentication.k8s.io/v1"}}}, errors.StateError, "exec.command: is required"),
        ({"current-context": "x"}, errors.StateError, "contexts has no entry named 'x'; it has c. Choose one of them."),
        ({"clusters": []}, errors.StateError, "clusters has no entry named 'k'; it has none"),
        ({"cluster": {"server": None}}, errors.StateError, "clusters[k].cluster.server: is required"),
        ({"cluster": {"certificate-authority-data": "?"}}, errors.StateError, "certificate-authority-data: is no base64"),
        ({"cluster": {"certificate-authority": "missing.pem"}}, errors.StateError, "missing.pem: cannot be read"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, change: dict[str, Any], error: type[Exception], message: str) -> None:
    path = _write(tmp_path / "k", **change)
    with pytest.raises(error) as raised:
        kubeconfig.load(path)
    assert message in str(raised.value)


@pytest.mark.parametrize(("text", "message"), [("a: [", "is no YAML"), ("- a", "is no kubeconfig")])
def test_what_is_no_kubeconfig_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "k"
    path.write_text(text)
    with pytest.raises(errors.StateError, match=message):
        kubeconfig.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.StateError, match="nowhere: cannot be read"):
        kubeconfig.load(tmp_path / "nowhere")


def test_several_files_are_one_and_the_first_holds(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("CA")
    one = _write(tmp_path / "one", cluster={"certificate-authority": "ca.pem"}, contexts=[], users=[])
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "token").write_text("t")
    two = _write(tmp_path / "sub" / "two", user={"tokenFile": "token"}, **{"current-context": "other"})
    access = kubeconfig.load(Path(f"{one}:{tmp_path / 'missing'}:{two}"))
    assert (access.ca, access.token_file) == ("CA", tmp_path / "sub" / "token")
    assert kubeconfig.current_context(Path(f"{one}:{two}")) == "c"
    with pytest.raises(errors.StateError, match="none of these files is there"):
        kubeconfig.load(Path(f"{tmp_path / 'missing'}:{tmp_path / 'neither'}"))


def test_the_way_to_the_server_is_read(tmp_path: Path) -> None:
    cluster = {"tls-server-name": "api.internal", "proxy-url": "http://proxy:3128", "insecure-skip-tls-verify": True}
    user = {"token": "t", "as": "jane", "as-groups": ["dev", "ops"], "as-user-extra": {"team": ["a"]}}
    access = kubeconfig.load(_write(tmp_path / "k", cluster=cluster, user=user))
    assert (access.server_name, access.proxy, access.verify) == ("api.internal", "http://proxy:3128", False)
    assert access.impersonates == (
        ("Impersonate-User", "jane"),
        ("Impersonate-Group", "dev"),
        ("Impersonate-Group", "ops"),
        ("Impersonate-Extra-team", "a"),
    )


def test_a_login_program_is_read_and_its_path_is_relative_to_the_file(tmp_path: Path) -> None:
    said = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "./login",
        "args": ["--now"],
        "env": [{"name": "A", "value": "1"}],
        "provideClusterInfo": True,
        "installHint": "get it",
    }
    program = kubeconfig.load(_write(tmp_path / "k", user={"exec": said})).program
    assert program is not None
    assert (program.command, program.args, program.env) == (str(tmp_path / "login"), ("--now",), (("A", "1"),))
    assert program.cluster == {"server": "https://h:1/", "insecure-skip-tls-verify": False}
