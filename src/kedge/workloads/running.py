"""The host's built-in controllers, together."""

import asyncio
from collections.abc import Iterable

from kedge.client.types import Client
from kedge.kube.clock import Clock
from kedge.kube.kinds import Kind
from kedge.workloads.events import events_controller
from kedge.workloads.garbage import garbage_controller
from kedge.workloads.graph import Graph
from kedge.workloads.namespaces import namespaces_controller


async def run(client: Client, kinds: Iterable[Kind], clock: Clock) -> None:
    """Run all built-in controllers until cancelled.

    Args:
        client: Reads and writes objects.
        kinds: All kinds that the host serves, the features' own too: what they own is collected.
        clock: For delays and ages.
    """
    graph = Graph(client, kinds, clock)
    controllers = (
        garbage_controller(graph, client, clock),
        namespaces_controller(graph, client, clock),
        events_controller(client, clock),
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(graph.run())
        for controller in controllers:
            tasks.create_task(controller.run())
