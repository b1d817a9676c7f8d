"""What cannot be installed is refused by the name of its option."""

import pytest

from kedge.errors import StateError, UnsupportedError
from kedge.installation.installer import is_older
from kedge.manifests.options import Options

GOOD = Options("ml", "kedge:1", "s3://bucket/ml", "1.0")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"image": ""}, "--image: is required"),
        ({"artifacts": ""}, "--artifacts: is not given: a cluster's Pods share no folder"),
        ({"artifacts": "/data"}, "--artifacts: /data: a cluster's Pods share no folder"),
        ({"artifacts": "file:///data"}, "--artifacts: file:///data"),
        ({"replicas": 2}, "--replicas: 2 hubs need a database that all of them reach"),
        ({"replicas": 0}, "--replicas: must be 1 or more"),
        ({"namespaces": ("*", "a")}, "--namespaces: all of them, or some"),
        ({"namespaces": ("A_b",)}, "--namespaces: 'A_b'"),
        ({"database_secret": "a b"}, "--database-secret: 'a b'"),
        ({"pull_secrets": ("a b",)}, "--image-pull-secret: 'a b'"),
        ({"node_selector": {"pool": "a b"}}, "--node-selector: pool=a b: must be letters"),
        (
            {"tolerations": ("spot:Never",)},
            "--toleration: spot:Never: its effect must be NoSchedule, PreferNoSchedule or NoExecute",
        ),
        ({"tolerations": ("a=b=c",)}, "--toleration: a=b=c: is no toleration. Write KEY[=VALUE][:EFFECT]"),
        ({"storage": "much"}, "--storage: must be a size"),
        ({"env": {"a b": "1"}}, "--set-env: 'a b' is no name of a variable"),
        ({"env": {"KEDGE_DATABASE": "postgresql://u:p@h/d"}}, "--set-env: KEDGE_DATABASE is set by --database-secret"),
        ({"env": {"KEDGE_TRUSTED_PROXY_SECRET": "s"}}, "--set-env: KEDGE_TRUSTED_PROXY_SECRET is set by a key of that name"),
        ({"env": {"AWS_SECRET_ACCESS_KEY": "s"}}, "in the Secret that --artifacts-secret names"),
    ],
    ids=lambda value: "-".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else "",
)
def test_what_cannot_work_is_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(UnsupportedError, match=None) as refused:
        GOOD.changed(**change).checked()
    assert says in str(refused.value)


def test_options_come_back_as_they_were_written() -> None:
    options = GOOD.changed(namespaces=("a", "b"), env={"A": "1"}, replicas=2, database_secret="db", alias=False)
    options = options.changed(pull_secrets=("r",), node_selector={"pool": "a"}, tolerations=("spot", "a=b:NoExecute"))
    assert Options.read(options.dumped()) == options


def test_variables_that_are_not_named_again_stay_and_an_empty_one_goes() -> None:
    options = GOOD.changed(env={"A": "1", "B": "2"}).changed(env={"B": "3", "C": "4"})
    assert options.env == {"A": "1", "B": "3", "C": "4"}
    assert options.changed(env={"A": ""}).env == {"B": "3", "C": "4"}
    assert options.changed(env=None).env == options.env


def test_options_of_other_versions_are_read() -> None:
    assert Options.read('{"namespace": "ml", "image": "i", "artifacts": "s3://b", "version": "9", "later": 1}').version == "9"


def test_options_that_nobody_can_read_are_told_of() -> None:
    with pytest.raises(StateError, match=r"kedge\.dev/options cannot be read"):
        Options.read("[]")


@pytest.mark.parametrize(
    ("versions"), [("0.9.1", "0.10.0"), ("1.0.0rc1", "1.0.0"), ("1.0.0.dev1", "1.0.0rc1"), ("1.2", "1.2.1")], ids=" < ".join
)
def test_versions_have_an_order(versions: tuple[str, str]) -> None:
    assert is_older(*versions)
    assert not is_older(*reversed(versions))
    assert not is_older(versions[0], versions[0])
