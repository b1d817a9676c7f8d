"""ClusterRoles that are put together of others have their rules, and lose them with them."""

import pytest

from kedge.client.types import Client
from kedge.control.controller import reconcile
from kedge.kube.kinds import Obj
from kedge.kube.roles import CLUSTER_ROLE
from kedge.server.api import Api
from kedge.testing.api import memory_api
from kedge.testing.clock import FakeClock
from kedge.testing.reconcilers import ReconcilerConformance, Scenario, World
from kedge.workloads.roles import AggregatedRoles, Seen

PART = {"example.com/part": "true"}


def rule(resource: str) -> Obj:
    return {"apiGroups": [""], "resources": [resource], "verbs": ["get"]}


def role(name: str, *resources: str, labels: dict[str, str] | None = None) -> Obj:
    return {"metadata": {"name": name, "labels": labels or {}}, "rules": [rule(each) for each in resources]}


WHOLE: Obj = {**role("whole", "old"), "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": PART}]}}


def test_rules_are_those_of_the_parts_each_once_in_the_order_of_names() -> None:
    others = (role("a", "pods", "secrets", labels=PART), role("b", "pods", "events", labels=PART), role("c", "nodes"), WHOLE)
    (change,) = AggregatedRoles().desire(Seen(WHOLE, others), FakeClock().now()).changes
    assert change.after["rules"] == [rule(each) for each in ("pods", "secrets", "events")]  # pyright: ignore[reportAttributeAccessIssue]  # an Update


class TestAggregatedRolesConverge(ReconcilerConformance):
    @pytest.fixture
    def scenario(self) -> Scenario:
        async def make() -> World:
            clock = FakeClock()
            api: Api = memory_api(clock=clock, namespaces=("default",))
            for obj in (WHOLE, role("a", "pods", labels=PART), role("b", "nodes")):
                api.create(CLUSTER_ROLE, obj)

            async def one_pass(client: Client) -> None:
                for name in ("whole", "a", "b"):
                    await reconcile(AggregatedRoles(), client, name, clock.now())

            def is_settled() -> bool:
                return api.get(CLUSTER_ROLE, "whole")["rules"] == [rule("pods")]

            return World(api, one_pass, is_settled, _nothing)

        return make


async def _nothing() -> None:
    pass
