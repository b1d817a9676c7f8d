"""Runs from beginning to end over the real server and a real history."""

from typing import Any


async def test_a_chain_runs_to_its_end(kit: Any) -> None:
    world = kit.world()
    async with kit.hub(world) as hub:
        run = await hub.submit(kit.chain(3), {"start": 4})
        ended = await hub.end(run.id)
        assert ended.state == "SUCCEEDED"
        assert ended.outputs.parameters == {"Output": 7}
        assert sorted(hub.pods_of_attempts(run.id)) == sorted(world.machine.started)
