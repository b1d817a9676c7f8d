"""A hub on this machine that works against a cluster: the pipelines, the clients and the promises of the embedded host."""

from pathlib import Path

from sized import begun, document, ends_well

from kedge.testing.host import RunningHost


def test_a_pipeline_runs_in_the_clusters_pods(hub: RunningHost, tmp_path: Path) -> None:
    ends_well(hub, str(hub.client.run(document(tmp_path))["run_id"]))


def test_a_hub_that_was_killed_takes_up_its_runs(own_hub: RunningHost, tmp_path: Path) -> None:
    run = begun(own_hub, tmp_path)
    own_hub.kill()
    own_hub.start()
    ends_well(own_hub, run)
