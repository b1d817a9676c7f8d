"""The host's built-in controllers, together."""

import asyncio
from collections.abc import Iterable

from kedge.client.types import Client
from kedge.control.informer import Informer
from kedge.kube.clock import Clock
from kedge.kube.crds import CRD
from kedge.kube.kinds import Kind
from kedge.workloads.account_secrets import Access, account_secrets_controller
from kedge.workloads.batch import Batch
from kedge.workloads.definitions import definitions_controller
from kedge.workloads.disruptions import disruptions_controller
from kedge.workloads.events import events_controller
from kedge.workloads.garbage import garbage_controller
from kedge.workloads.graph import Graph
from kedge.workloads.keeping import Keeping
from kedge.workloads.namespaces import namespaces_controller
from kedge.workloads.quotas import Usage, quotas_controller
from kedge.workloads.reaching import Reaching
from kedge.workloads.roles import roles_controller
from kedge.workloads.stale_disruptions import stale_disruptions_controller


async def run(client: Client, kinds: Iterable[Kind], clock: Clock, usage: Usage, access: Access) -> None:
    """Run all built-in controllers until cancelled.

    Args:
        client: Reads and writes objects.
        kinds: All kinds that the host serves, the features' own too: what they own is collected.
        clock: For delays and ages.
        usage: Counts what is used of ResourceQuotas.
        access: How the API is reached, which every namespace is told.
    """
    graph = Graph(client, kinds, clock)
    definitions, keeping, batch = Informer(client, CRD, clock), Keeping(client, clock), Batch(client, clock)
    reaching = Reaching(client, clock)
    graph.follow(definitions)
    quotas, quotas_follower = quotas_controller(usage, client, clock)
    roles, roles_follower = roles_controller(client, clock)
    secrets, secrets_follower = account_secrets_controller(graph, client, clock, access)
    budgets, disruptions = disruptions_controller(client, clock, keeping.pods)
    controllers = (
        definitions_controller(client, clock, definitions),
        garbage_controller(graph, client, clock),
        namespaces_controller(graph, client, clock, access.authority),
        events_controller(client, clock),
        *keeping.controllers,
        *batch.controllers,
        *reaching.controllers,
        secrets_follower,
        roles_follower,
        quotas_follower,
        disruptions,
        stale_disruptions_controller(client, clock, keeping.pods),
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(graph.run())
        for informer in (definitions, secrets, roles, quotas, budgets, *keeping.informers, *batch.informers, *reaching.informers):
            tasks.create_task(informer.run())
        for controller in controllers:
            tasks.create_task(controller.run())
