"""``kedge upgrade``: the database first, never backwards, and nothing where nothing is."""

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from access import Cluster
from deployed_s3 import DeployedS3
from installed import Database, Home, database, home
from kedge_image import own_name
from sqlalchemy import NullPool, create_engine

from kedge import __version__
from kedge.client import kubeconfig as kubeconfigs
from kedge.db import schema

PLACED = ("--image-pull-secret", "registry", "--node-selector", "kubernetes.io/os=linux", "--toleration", "pool=cpu:NoSchedule")


@pytest.fixture(scope="module")
def place(cluster: Cluster, s3: DeployedS3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with home(cluster, s3, tmp_path_factory.mktemp("home")) as found:
        yield found


@pytest.fixture(scope="module")
def postgres(place: Home) -> Iterator[Database]:
    with database(place) as found:
        place.install("--database-secret", "database", *PLACED)
        yield found


def was(place: Home, version: str) -> None:
    """Make an installation look as if another version had made it."""
    place.kubectl("label", "deployment/kedge", f"app.kubernetes.io/version={version}", "--overwrite")
    annotations = json.loads(place.kubectl("get", "deployment", "kedge", "--output", "json"))["metadata"]["annotations"]
    options = {**json.loads(annotations["kedge.dev/options"]), "version": version}
    place.kubectl("annotate", "deployment/kedge", f"kedge.dev/options={json.dumps(options)}", "--overwrite")


def test_where_nothing_is_nothing_is_upgraded(place: Home) -> None:
    assert f"namespace {place.name} has no Kedge to upgrade" in place.kedge("upgrade", fails=True)
    assert f"namespace {place.name} has no Kedge to uninstall" in place.kedge("uninstall", fails=True)


def test_a_newer_one_is_not_made_older(place: Home, postgres: Database) -> None:
    del postgres
    was(place, "99.0.0")
    for command in (("upgrade",), ("install",)):
        assert "99.0.0" in place.kedge(*command, fails=True)
    was(place, __version__)


def test_what_helm_has_installed_is_left_to_helm(place: Home, postgres: Database) -> None:
    del postgres
    label = "app.kubernetes.io/managed-by"
    place.kubectl("label", "deployment/kedge", f"{label}=Helm", "--overwrite")
    for command in (("upgrade",), ("install",), ("uninstall",)):
        assert "is managed by Helm" in place.kedge(*command, fails=True)
    place.kubectl("label", "deployment/kedge", f"{label}=kedge", "--overwrite")


def test_the_database_is_brought_to_the_new_version_first_and_what_is_no_more_is_deleted(place: Home, postgres: Database) -> None:
    was(place, "0.0.1")
    place.kubectl("scale", "deployment/kedge", "--replicas=0")
    place.kubectl("wait", "pods", "--selector=app.kubernetes.io/component=hub", "--for=delete", "--timeout=60s")
    postgres.ask("DROP SCHEMA public CASCADE")
    postgres.ask("CREATE SCHEMA public")
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(postgres.server.url()), poolclass=NullPool)
    with engine.begin() as connection:
        schema.migrate(connection, schema.REVISIONS[-2])
    assert postgres.ask("SELECT version_num FROM alembic_version") == [(schema.REVISIONS[-2],)]
    assert "Run kedge upgrade" in place.kedge("install", fails=True)
    said = place.kedge("upgrade", "--image", own_name(), "--no-alias")
    assert f"Service {place.name}/ml-pipeline deleted" in said
    assert postgres.ask("SELECT version_num FROM alembic_version") == [(schema.REVISIONS[-1],)]
    found = json.loads(place.kubectl("get", "deployment", "kedge", "--output", "json"))
    assert found["metadata"]["labels"]["app.kubernetes.io/version"] == __version__
    assert found["status"]["readyReplicas"] == 1  # also where there were none
    pod = found["spec"]["template"]["spec"]  # options that were not given again have stayed
    assert "secretKeyRef" in str(pod)
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert pod["tolerations"] == [{"key": "pool", "operator": "Equal", "value": "cpu", "effect": "NoSchedule"}]
    place.install("--toleration", "", "--no-wait")
    template = "jsonpath={.spec.template.spec.nodeSelector}{.spec.template.spec.tolerations}"
    assert place.kubectl("get", "deployment", "kedge", "--output", template) == '{"kubernetes.io/os":"linux"}'


def test_a_database_of_a_newer_version_stops_the_upgrade_and_the_old_hub_goes_on(place: Home, postgres: Database) -> None:
    was(place, "0.0.1")
    before = place.kubectl("get", "deployment", "kedge", "--output", "jsonpath={.spec.template}")
    now = postgres.ask("SELECT version_num FROM alembic_version")[0][0]
    postgres.ask("UPDATE alembic_version SET version_num = '9999'")
    said = place.kedge("upgrade", "--replicas", "2", fails=True)
    postgres.ask(f"UPDATE alembic_version SET version_num = '{now}'")  # noqa: S608  # our own word
    assert "the database was not migrated, and the hub of before goes on" in said
    assert "has schema 9999, which a newer version of Kedge wrote" in said
    assert place.kubectl("get", "deployment", "kedge", "--output", "jsonpath={.spec.template}") == before
    place.kubectl("rollout", "status", "deployment/kedge", "--timeout=120s")
    was(place, __version__)


def test_who_lacks_rights_is_told_which_before_anything_is_done(place: Home, tmp_path: Path) -> None:
    token = place.kubectl("create", "token", "default").strip()
    access = kubeconfigs.load(place.kubeconfig)
    weak = tmp_path / "weak"
    kubeconfigs.write(weak, kubeconfigs.Access(access.server, access.ca, token, namespace=place.name))
    said = place.kedge("install", "--image", "x", *place.options, fails=True, kubeconfig=weak)
    assert f"deployments.apps in namespace {place.name}" in said
