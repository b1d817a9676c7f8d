"""A hub against a cluster for a test: a real ``kedge up --kubeconfig``, which works in one namespace.

with running_hub(kubeconfig, {"KEDGE_ARTIFACTS": "s3://bucket/tests", "AWS_ENDPOINT_URL": …}, namespace="mine") as kedge:
    run = kedge.client.run(document)  # as on `kedge.testing.host.running_host`'s
"""

import contextlib
from collections.abc import Generator, Mapping
from dataclasses import replace
from pathlib import Path

from kedge import clusters
from kedge.client import kubeconfig as kubeconfigs
from kedge.client.kubeconfig import load
from kedge.testing.host import RunningHost, new_home, settings_of


@contextlib.contextmanager
def running_hub(
    kubeconfig: Path, environ: Mapping[str, str], *, context: str = "", namespace: str = "default", start: bool = True
) -> Generator[RunningHost]:
    """Start a hub in a new data directory and end it and its relay afterwards; runs and their Pods stay in the cluster.

    Args:
        kubeconfig: Of the cluster.
        environ: Variables on top of the process's own: an object store that Pods reach (``KEDGE_ARTIFACTS`` and what its client
            reads, such as ``AWS_ACCESS_KEY_ID``), and where Pods reach the hub (``KEDGE_LISTEN``), if not through a relay.
        context: Of the kubeconfig; its current one when empty.
        namespace: Where the hub works and where runs go. It must be there; two hubs must not share one.
        start: Whether to start it at once; otherwise the test calls `RunningHost.start`.
    """
    with new_home() as home:
        own = home / "kubeconfig"
        kubeconfigs.write(own, replace(load(kubeconfig, context=context or None), namespace=namespace), name="tests")
        settings = settings_of(home, {**environ, "KUBECONFIG": str(own)})
        kedge = RunningHost(clusters.choose(settings, own, None).settings, (f"--kubeconfig={own}",))
        try:
            if start:
                kedge.start()
            yield kedge
        finally:
            kedge.end()
            clusters.remove_relay(kedge.settings)
