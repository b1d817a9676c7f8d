"""What callers may do on a cluster, and whose word for who calls is taken."""

from typing import Any

import pytest

from kedge import errors
from kedge.kube.kinds import Kind, Obj
from kedge.server.auth import User
from kedge.server.cluster_callers import ALLOWED_SECONDS, DENIED_SECONDS, ClusterCallers, TrustedProxy
from kedge.server.cluster_tokens import ClusterTokens
from kedge.testing.clock import FakeClock

EDITOR = User("system:serviceaccount:a:editor", "uid", ("system:serviceaccounts",))


class Cluster:
    """Allows what is in its list; counts what it is asked."""

    def __init__(self, *allowed: tuple[str, ...]) -> None:
        self.allowed = set(allowed)
        self.asked: list[Obj] = []
        self.failures: list[errors.ApiError] = []

    async def document(self, path: str) -> Obj:
        raise errors.Unavailable(path)

    async def create(self, kind: Kind, obj: Obj) -> Obj:
        self.asked.append(obj)
        if self.failures:
            raise self.failures.pop(0)
        about = obj["spec"]["resourceAttributes"]
        assert kind.path(obj["metadata"]["namespace"]).endswith(f"/namespaces/{about['namespace']}/localsubjectaccessreviews")
        question = obj["spec"]["user"], about["verb"], about["resource"], about["namespace"]
        named = (*question, about.get("name", ""))
        return {"status": {"allowed": question in self.allowed or named in self.allowed}}


def callers(cluster: Cluster, clock: FakeClock | None = None, proxy: TrustedProxy | None = None) -> ClusterCallers:
    clock = clock or FakeClock()
    return ClusterCallers(cluster, ClusterTokens(cluster, clock), clock, ("kedge", ("a", "b", "x")), proxy)


async def test_the_cluster_is_asked_in_kubeflows_words() -> None:
    cluster = Cluster((EDITOR.name, "terminate", "runs", "a"))
    await callers(cluster).check(EDITOR, "terminate", "runs", "a", "run-1")
    spec = cluster.asked[0]["spec"]
    assert spec["resourceAttributes"] == {
        "namespace": "a", "verb": "terminate", "group": "pipelines.kubeflow.org", "version": "v1beta1", "resource": "runs",
    }  # fmt: skip
    assert (spec["user"], spec["uid"], spec["groups"]) == (EDITOR.name, "uid", ["system:serviceaccounts"])


async def test_a_right_to_one_object_is_a_right_to_that_one() -> None:
    cluster = Cluster((EDITOR.name, "get", "runs", "a", "mine"))
    asked = callers(cluster)
    await asked.check(EDITOR, "get", "runs", "a", "mine")
    for name in ("another", ""):
        with pytest.raises(errors.Forbidden):
            await asked.check(EDITOR, "get", "runs", "a", name)


async def test_a_refusal_says_who_what_where_and_how_to_allow_it() -> None:
    with pytest.raises(errors.Forbidden) as caught:
        await callers(Cluster()).check(EDITOR, "create", "runs", "b")
    assert caught.value.message == (
        'runs.pipelines.kubeflow.org is forbidden: User "system:serviceaccount:a:editor" cannot create resource "runs" in '
        'API group "pipelines.kubeflow.org" in the namespace "b". To allow it: kubectl create rolebinding NAME --namespace b '
        "--role kedge-edit --serviceaccount=a:editor (with Kubeflow: --clusterrole kubeflow-pipelines-edit)"
    )


async def test_a_hub_of_all_namespaces_names_the_clusters_role() -> None:
    cluster, clock = Cluster(), FakeClock()
    everywhere = ClusterCallers(cluster, ClusterTokens(cluster, clock), clock, ("kedge", None))
    with pytest.raises(errors.Forbidden, match="--namespace b --clusterrole kedge-view --serviceaccount=a:editor"):
        await everywhere.check(EDITOR, "list", "runs", "b")


async def test_answers_are_used_for_some_seconds_and_a_no_for_less() -> None:
    clock, cluster = FakeClock(), Cluster((EDITOR.name, "list", "runs", "a"))
    asked = callers(cluster, clock)
    for _ in range(3):
        await asked.check(EDITOR, "list", "runs", "a")
    assert len(cluster.asked) == 1
    await clock.advance(ALLOWED_SECONDS)
    cluster.allowed.clear()
    for _ in range(2):
        with pytest.raises(errors.Forbidden):
            await asked.check(EDITOR, "list", "runs", "a")
    assert len(cluster.asked) == 2
    cluster.allowed.add((EDITOR.name, "list", "runs", "a"))
    await clock.advance(DENIED_SECONDS)
    await asked.check(EDITOR, "list", "runs", "a")


async def test_an_answer_for_one_group_of_rights_is_no_answer_for_another() -> None:
    cluster = Cluster((EDITOR.name, "list", "runs", "a"))
    asked = callers(cluster)
    await asked.check(EDITOR, "list", "runs", "a")
    for question in (("get", "runs", "a"), ("list", "jobs", "a"), ("list", "runs", "b")):
        with pytest.raises(errors.Forbidden):
            await asked.check(EDITOR, *question)
    with pytest.raises(errors.Forbidden):
        await asked.check(User("somebody"), "list", "runs", "a")


async def test_nobody_passes_while_the_api_server_is_away() -> None:
    cluster = Cluster((EDITOR.name, "list", "runs", "a"))
    asked = callers(cluster)
    cluster.failures = [errors.Unavailable("away"), errors.Unavailable("away")]
    with pytest.raises(errors.Unavailable, match="cannot be asked what"):
        await asked.check(EDITOR, "list", "runs", "a")
    cluster.failures = [errors.Unavailable("a stale connection")]
    await asked.check(EDITOR, "list", "runs", "a")


@pytest.mark.parametrize("failure", [errors.ServerError("x"), errors.TooManyRequests("x"), errors.Unauthorized("the hub's own")])
async def test_a_failure_of_the_api_server_is_no_answer(failure: errors.ApiError) -> None:
    cluster = Cluster((EDITOR.name, "list", "runs", "a"))
    cluster.failures = [failure]
    with pytest.raises(errors.Unavailable):
        await callers(cluster).check(EDITOR, "list", "runs", "a")


async def test_a_namespace_in_which_the_hub_may_not_ask_is_not_served() -> None:
    cluster = Cluster()
    cluster.failures = [errors.Forbidden("cannot create localsubjectaccessreviews")]
    with pytest.raises(errors.Forbidden, match="'a' is not served by this hub"):
        await callers(cluster).check(EDITOR, "list", "runs", "a")


async def test_a_namespace_that_the_hub_does_not_look_into_is_not_served() -> None:
    cluster = Cluster((EDITOR.name, "list", "runs", "c"))
    with pytest.raises(errors.Forbidden, match=r"'c' is not served by this hub, only a, b, x.*kedge install --namespaces"):
        await callers(cluster).check(EDITOR, "list", "runs", "c")
    assert not cluster.asked


@pytest.mark.parametrize("namespace", ["../kube-system", "a/pods", "A", "a?x=1", "*"])
async def test_a_namespace_is_a_name_before_it_is_a_path(namespace: str) -> None:
    cluster = Cluster()
    with pytest.raises(errors.BadRequest, match="namespace: must be"):
        await callers(cluster).check(EDITOR, "list", "runs", namespace)
    assert not cluster.asked


async def test_what_all_share_is_read_by_all_and_written_by_few() -> None:
    cluster = Cluster((EDITOR.name, "create", "pipelines", "kedge"))
    asked = callers(cluster)
    await asked.check(User("anyone"), "get", "pipelines", "")
    await asked.check(EDITOR, "create", "pipelines", "")
    with pytest.raises(errors.Forbidden, match="in the hub's own, 'kedge'"):
        await asked.check(EDITOR, "delete", "pipelines", "")


# ---- the proxy


def proxy(networks: str = "", secret: str = "") -> TrustedProxy:
    found = TrustedProxy.of(networks, secret)
    assert found is not None
    return found


SAID = {"kubeflow-userid": "ann@example.com", "kubeflow-groups": "team-a, ml"}


async def test_a_trusted_proxy_says_who_calls() -> None:
    user = await callers(Cluster(), proxy=proxy("10.0.0.0/8")).caller(SAID, "10.1.2.3")
    assert (user.name, user.groups) == ("ann@example.com", ("team-a", "ml", "system:authenticated"))


@pytest.mark.parametrize(
    ("trusted", "peer", "sent"),
    [
        (None, "10.1.2.3", {}),
        (proxy("10.0.0.7"), "10.0.0.8", {}),
        (proxy("10.0.0.0/24"), "127.0.0.1", {"x-forwarded-for": "10.0.0.7"}),
        (proxy("10.0.0.0/24"), "", {}),
        (proxy(secret="right"), "10.0.0.7", {}),
        (proxy(secret="right"), "10.0.0.7", {"x-kedge-proxy-secret": "wrong"}),
        (proxy("10.0.0.7", "right"), "10.0.0.8", {"x-kedge-proxy-secret": "right"}),
        (proxy("10.0.0.7", "right"), "10.0.0.7", {}),
    ],
    ids=["no-proxy", "address", "forwarded", "no-address", "no-secret", "secret", "both-address", "both-secret"],
)
async def test_nobody_else_is_believed(trusted: TrustedProxy | None, peer: str, sent: dict[str, str]) -> None:
    with pytest.raises(errors.Unauthorized, match="believed from the trusted proxy alone"):
        await callers(Cluster(), proxy=trusted).caller({**SAID, **sent}, peer)


@pytest.mark.parametrize("said", [{"kubeflow-userid": "system:admin"}, {**SAID, "kubeflow-groups": "ml,system:masters"}])
async def test_a_proxy_makes_nobody_the_cluster_s_own(said: dict[str, str]) -> None:
    with pytest.raises(errors.Unauthorized, match="names that begin with system:"):
        await callers(Cluster(), proxy=proxy("10.0.0.7")).caller(said, "10.0.0.7")


async def test_a_page_of_another_site_cannot_use_the_proxy_s_word() -> None:
    asked = callers(Cluster(), proxy=proxy("10.0.0.7"))
    with pytest.raises(errors.Forbidden, match="a page of another site"):
        await asked.caller({**SAID, "sec-fetch-site": "cross-site"}, "10.0.0.7")
    assert (await asked.caller({**SAID, "sec-fetch-site": "same-origin"}, "10.0.0.7")).name == "ann@example.com"


async def test_an_address_that_is_mapped_to_ipv6_is_the_same() -> None:
    assert (await callers(Cluster(), proxy=proxy("10.0.0.7")).caller(SAID, "::ffff:10.0.0.7")).name == "ann@example.com"


async def test_a_proxy_that_cannot_be_read_is_refused_at_the_start() -> None:
    with pytest.raises(errors.KedgeError, match="KEDGE_TRUSTED_PROXY: "):
        TrustedProxy.of("10.0.0.7/8", "")
    assert TrustedProxy.of(" , ", "") is None


@pytest.mark.parametrize("headers", [{}, {"authorization": "Basic eDp5"}, {"authorization": "Bearer "}])
async def test_who_sends_nothing_is_told_what_to_send(headers: dict[str, str]) -> None:
    with pytest.raises(errors.Unauthorized, match="kubectl create token NAME --audience"):
        await callers(Cluster()).caller(headers, "10.0.0.1")


async def test_the_header_that_a_proxy_leaves_alone_comes_first() -> None:
    headers: dict[str, Any] = {"authorization": "Bearer the-proxys-own", "x-kedge-authorization": "Bearer a.b.c"}
    with pytest.raises(errors.Unauthorized, match="no service account's of this cluster"):
        await callers(Cluster()).caller(headers, "10.0.0.1")
