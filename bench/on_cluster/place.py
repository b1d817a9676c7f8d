"""Where the benchmarks of a cluster run: a hub of this checkout on this machine, an object store, a namespace of their own.

Everything that is measured without Kedge goes through `Bare`, with a client that calls itself ``bench``: the audit log tells the
two apart.
"""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, Generator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import s3
import yaml
from access import Cluster
from images import Image

from kedge import clusters, host
from kedge.client.http import HttpClient
from kedge.client.kubeconfig import load
from kedge.client.types import pages
from kedge.config import Settings
from kedge.errors import NotFound
from kedge.home import Host
from kedge.kube.core import POD
from kedge.kube.kinds import Obj
from kedge.pipelines import compiler
from kedge.pipelines.client import Client
from kedge.pipelines.kinds import RUN

POD_SECONDS = 120.0
START_SECONDS = 60.0


@dataclass(frozen=True)
class Hub:
    """A hub that works in one namespace.

    Attributes:
        client: Of its REST API.
        process: The hub.
        namespace: Where its runs are.
        http: Its address.
        home: Its data directory.
    """

    client: Client
    process: psutil.Process
    namespace: str
    http: str
    home: Path

    def submit(self, pipeline: Any) -> Any:
        """Run a pipeline to its end and return the run, which must be a success."""
        run = self.client.wait(self.client.run(compiler.compile_pipeline(pipeline))["run_id"])
        assert run["state"] == "SUCCEEDED", run
        return run

    def seconds(self) -> float:
        """Processor time so far."""
        times = self.process.cpu_times()
        return times.user + times.system


class Bare:
    """Pods without Kedge."""

    def __init__(self, client: HttpClient, namespace: str) -> None:
        self.client = client
        self.namespace = namespace

    async def time(self, pod: Obj) -> float:
        """Create a Pod, watch it until it has succeeded, and return the seconds that this took."""
        name = pod["metadata"]["name"]
        page = await self.client.list(POD, self.namespace, fields=f"metadata.name={name}")
        watch = self.client.watch(POD, self.namespace, resource_version=page.resource_version, fields=f"metadata.name={name}")
        start = time.perf_counter()
        await self.client.create(POD, {**pod, "metadata": {**pod["metadata"], "namespace": self.namespace}})
        async with asyncio.timeout(POD_SECONDS), contextlib.aclosing(watch):  # pyright: ignore[reportArgumentType]
            async for event in watch:
                phase = (event.object.get("status") or {}).get("phase")
                assert phase != "Failed", event.object["status"]
                if phase == "Succeeded":
                    return time.perf_counter() - start
        raise AssertionError("the watch ended")


class Place:
    """A cluster, and what the benchmarks put onto it.

    Args:
        cluster: Whose administrator they are.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def bring(self, image: Image) -> None:
        """Have an image on the node, unless it is there: importing takes longer than some benchmarks."""
        there = {
            name
            for node in self.cluster.get("nodes")["items"]
            for each in node["status"]["images"]
            for name in each["names"] or ()
        }
        if not there.intersection(image.names):
            self.cluster.bring(image)

    @property
    def audit_log(self) -> Path:
        """Where the API server writes what it is asked, on our own cluster."""
        path = self.cluster.kubeconfig.parent / "audit.log"
        assert path.exists(), f"{path} is not there: start the cluster with --audit"
        return path

    def asked(self, offset: int) -> list[Obj]:
        """What Kedge has asked of the API server since the audit log was so long, as events of it."""
        with self.audit_log.open("rb") as log:
            log.seek(offset)
            lines = [line for line in log if line.startswith(b"{") and line.endswith(b"}\n")]  # not what is half written
        return [event for event in map(json.loads, lines) if event["userAgent"].startswith("kedge")]

    @contextlib.contextmanager
    def hub(self, environ: Mapping[str, str] | None = None, *, prepare: Any = None) -> Generator[Hub]:
        """Start a hub in a namespace of its own, with an object store that Pods reach; end it and all of its Pods afterwards.

        Args:
            environ: Variables on top.
            prepare: Called with the settings and the namespace before the hub starts.
        """
        home = Path(tempfile.mkdtemp(prefix="kedge-bench-"))
        with self.cluster.namespace() as namespace, s3.running_s3(self.cluster.host) as store:
            kubeconfig = self._kubeconfig(home, namespace)
            inherited = Settings.from_environment().environ
            given = {name: value for name, value in inherited.items() if not name.startswith(("KEDGE_", "AWS_"))}
            given |= {
                **store.environ,
                "KEDGE_HOME": str(home),
                "KEDGE_ARTIFACTS": f"s3://{s3.BUCKET}/kedge",
                "KEDGE_LISTEN": self.cluster.host,
                "KEDGE_WATCH_NAMESPACES": namespace,
                **(environ or {}),
            }
            settings = clusters.choose(Settings.from_environment(given), kubeconfig, None).settings
            if prepare is not None:
                prepare(settings, namespace)
            found = _started(settings, home, kubeconfig)
            try:
                with Client(found.http, found.token) as client:
                    yield Hub(client, psutil.Process(found.pid), namespace, found.http, settings.home)
            finally:
                if os.environ.get("BENCH_KEEP_LOG"):  # noqa: TID251  # of the benchmark alone
                    shutil.copy(home / "hub.log", os.environ["BENCH_KEEP_LOG"])  # noqa: TID251  # likewise
                host.stop(found)
                asyncio.run(self._release(namespace))
                shutil.rmtree(home, ignore_errors=True)

    def _kubeconfig(self, home: Path, namespace: str) -> Path:
        """The administrator's file, with the namespace as that of its context."""
        config = yaml.safe_load(self.cluster.kubectl("config", "view", "--minify", "--raw", "--flatten"))
        config["contexts"][0]["context"]["namespace"] = namespace
        path = home / "kubeconfig"
        path.write_text(json.dumps(config))
        path.chmod(0o600)
        return path

    async def _release(self, namespace: str) -> None:
        """Runs that a stopped hub left hold their namespace; nobody is there any more to let go of them."""
        async with self.bare(namespace) as bare:
            for kind in (RUN, POD):
                async for page in pages(bare.client, kind, namespace):
                    for obj in page.items:
                        if obj["metadata"].get("finalizers"):
                            with contextlib.suppress(NotFound):
                                name = obj["metadata"]["name"]
                                await bare.client.patch(kind, name, namespace, {"metadata": {"finalizers": None}})

    @contextlib.asynccontextmanager
    async def bare(self, namespace: str) -> AsyncGenerator[Bare]:
        """What creates Pods without Kedge."""
        access = load(self.cluster.kubeconfig, context=self.cluster.context or None)
        async with HttpClient(replace(access, namespace=namespace), user_agent="bench") as client:
            yield Bare(client, namespace)


def _started(settings: Settings, home: Path, kubeconfig: Path) -> Host:
    """Start a hub in a process of its own, and wait until it is ready."""
    argv = [sys.executable, "-P", "-m", "kedge.cli.main", "up", f"--kubeconfig={kubeconfig}"]
    with (home / "hub.log").open("ab") as log:
        process = subprocess.Popen(
            argv, env={**settings.environ, "KEDGE_HOME": str(home)}, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    end = time.monotonic() + START_SECONDS
    while (found := host.read(settings.home)) is None or found.pid != process.pid or not host.ready(found):
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            raise RuntimeError((home / "hub.log").read_text())
        threading.Event().wait(0.05)
    return found
