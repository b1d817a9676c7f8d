"""What an installation consists of, whatever its options."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from kedge.kube.kinds import Obj
from kedge.manifests import charts, hub
from kedge.manifests.kinds import ORDER, kind_of
from kedge.manifests.options import Options
from kedge.pipelines.kinds import RUN

SMALL = Options("ml", "kedge:1", "s3://bucket/ml", "1.0")
TWO = SMALL.changed(replicas=2, database_secret="db", artifacts_secret="keys", env={"AWS_REGION": "x"})
MANY = SMALL.changed(namespaces=("a", "b"))
EVERYWHERE = TWO.changed(namespaces=("*",))
ALL = pytest.mark.parametrize(
    "options", [SMALL, TWO, MANY, EVERYWHERE], ids=["one hub", "two hubs", "other namespaces", "all namespaces"]
)


def of(objects: list[Obj], kind: str) -> list[Obj]:
    return [obj for obj in objects if obj["kind"] == kind]


def deployment(options: Options) -> Any:
    (found,) = of(hub.objects(options, (RUN,)), "Deployment")
    return found


@ALL
def test_the_pod_keeps_to_the_restricted_standard(options: Options) -> None:
    for pod in (deployment(options)["spec"]["template"]["spec"], hub.migration(options)["spec"]["template"]["spec"]):
        security, (container,) = pod["securityContext"], pod["containers"]
        assert security["runAsNonRoot"]
        assert security["runAsUser"] > 0
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@ALL
def test_no_secret_is_written_anywhere(options: Options) -> None:
    (container,) = deployment(options)["spec"]["template"]["spec"]["containers"]
    variables = {one["name"]: one for one in container["env"]}
    assert container["args"] == ["hub", "--port=8080"]
    if options.database_secret:
        assert variables["KEDGE_DATABASE"]["valueFrom"]["secretKeyRef"] == {"name": "db", "key": "url"}
    else:
        assert "KEDGE_DATABASE" not in variables


@pytest.mark.parametrize("options", [SMALL, TWO, MANY], ids=["one hub", "two hubs", "other namespaces"])
def test_nothing_is_the_clusters_but_the_kinds(options: Options) -> None:
    assert {obj["kind"] for obj in hub.objects(options, (RUN,)) if not obj["metadata"].get("namespace")} == {
        "CustomResourceDefinition"
    }


@ALL
def test_every_object_says_whose_it_is_and_comes_after_what_it_needs(options: Options) -> None:
    objects = hub.objects(options, (RUN,))
    places = [ORDER.index(kind_of(obj)) for obj in objects]
    assert places == sorted(places)
    for obj in objects:
        if obj["kind"] != "CustomResourceDefinition":
            assert obj["metadata"]["labels"]["kedge.dev/installed"] == "ml"


def test_the_hub_and_its_migration_run_where_the_options_say() -> None:
    options = SMALL.changed(pull_secrets=("one", "two"), node_selector={"pool": "cpu"}, tolerations=("a=b:NoSchedule", "spot"))
    for pod in (deployment(options)["spec"]["template"]["spec"], hub.migration(options)["spec"]["template"]["spec"]):
        assert pod["imagePullSecrets"] == [{"name": "one"}, {"name": "two"}]
        assert pod["nodeSelector"] == {"pool": "cpu"}
        assert pod["tolerations"] == [
            {"key": "a", "operator": "Equal", "value": "b", "effect": "NoSchedule"},
            {"key": "spot", "operator": "Exists"},
        ]
    assert not {"imagePullSecrets", "nodeSelector", "tolerations"} & deployment(SMALL)["spec"]["template"]["spec"].keys()


def test_one_hub_on_a_file_never_has_a_second_one_beside_it() -> None:
    assert deployment(SMALL)["spec"]["strategy"] == {"type": "Recreate"}
    assert of(hub.objects(SMALL, (RUN,)), "PodDisruptionBudget") == []


def test_of_several_hubs_the_service_leads_to_the_leader() -> None:
    objects = hub.objects(TWO, (RUN,))
    assert all(one["spec"]["selector"]["kedge.dev/leader"] == "true" for one in of(objects, "Service"))
    assert "kedge.dev/leader" not in deployment(TWO)["spec"]["template"]["metadata"]["labels"]
    assert len(of(objects, "PodDisruptionBudget")) == 1
    assert of(objects, "PersistentVolumeClaim") == []


def test_rights_are_where_the_runs_are_and_no_word_means_all() -> None:
    roles = of(hub.objects(MANY, (RUN,)), "Role")
    assert {(role["metadata"]["name"], role["metadata"]["namespace"]) for role in roles} >= {
        ("kedge-runs", "a"),
        ("kedge-runs", "b"),
        ("kedge-hub", "ml"),
    }
    assert ("kedge-runs", "ml") not in {(role["metadata"]["name"], role["metadata"]["namespace"]) for role in roles}
    assert "*" not in {word for role in roles for rule in role["rules"] for words in rule.values() for word in words}


def test_a_hub_of_all_namespaces_has_roles_for_people_in_all_of_them() -> None:
    objects = hub.objects(EVERYWHERE, (RUN,))
    assert {role["metadata"]["name"] for role in of(objects, "ClusterRole")} == {"kedge-ml-runs", "kedge-edit", "kedge-view"}
    assert [one["roleRef"]["name"] for one in of(objects, "ClusterRoleBinding")] == ["kedge-ml-runs"]
    bound = {one["metadata"]["name"]: one for one in of(objects, "RoleBinding")}
    assert bound["kedge-edit-user"]["roleRef"]["kind"] == "ClusterRole"
    assert (bound["kedge-edit-user"]["metadata"]["namespace"], "kedge-edit" in bound) == ("ml", False)


@ALL
def test_every_binding_leads_to_a_role_that_is_there(options: Options) -> None:
    objects = hub.objects(options, (RUN,))
    roles = {(obj["kind"], obj["metadata"]["name"], obj["metadata"].get("namespace")) for obj in objects}
    for one in (*of(objects, "RoleBinding"), *of(objects, "ClusterRoleBinding")):
        kind, name = one["roleRef"]["kind"], one["roleRef"]["name"]
        assert (kind, name, one["metadata"].get("namespace") if kind == "Role" else None) in roles


@ALL
def test_a_kustomize_base_has_every_object_once(options: Options) -> None:
    objects = hub.objects(options, (RUN,))
    files = charts.kustomize(objects)
    listed = yaml.safe_load(files["kustomization.yaml"])["resources"]
    assert [yaml.safe_load(files[name]) for name in listed] == objects


@ALL
def test_a_chart_names_no_namespace_but_its_releases(options: Options) -> None:
    files = charts.helm(options, (RUN,))
    texts = [text for name, text in files.items() if name.startswith("templates/")]
    assert len(texts) == len(hub.objects(options, ()))
    assert not [line for text in texts for line in lines(text) if "@" in line]


def lines(text: str) -> Iterator[str]:
    yield from (line for line in text.splitlines() if "description" not in line)
