"""What a host lets be seen: metrics of steps on the command line, its own for Prometheus, and its health."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hosts import StartHost
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from kedge.testing.host import RunningHost

PIPELINE = """
from kedge import dsl
from kedge.dsl import Metrics, Output

@dsl.component
def train(epochs: int, metrics: Output[Metrics]):
    for epoch in range(epochs):
        metrics.log_metric("loss", 1 / (1 + epoch), step=epoch)
    metrics.log_metric("accuracy", 0.97)

@dsl.pipeline
def training(epochs: int = 8):
    train(epochs=epochs)
"""


@pytest.fixture(scope="module")
def host(start_host: StartHost) -> Iterator[RunningHost]:
    """One that has run nothing else."""
    with start_host() as found:
        yield found


@pytest.fixture(scope="module")
def trained(host: RunningHost, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("pipeline") / "training.py"
    file.write_text(PIPELINE)
    return str(json.loads(host.cli("run", str(file), "-o", "json", check=True).stdout)["run_id"])


def scrape(kedge: RunningHost, **headers: str) -> httpx.Response:
    return httpx.get(f"{kedge.host.http}/metrics", headers=headers, timeout=60)


def test_metrics_of_a_run_are_shown_on_the_command_line(host: RunningHost, trained: str) -> None:
    lines = host.cli("runs", "metrics", trained, check=True).stdout.splitlines()
    assert lines[0].split() == ["OUTPUT", "METRIC", "LAST", "MIN", "MAX", "POINTS", "COURSE"]
    assert lines[1].split() == ["train/metrics", "accuracy", "0.97"]
    assert lines[2].split() == ["train/metrics", "loss", "0.125", "0.125", "1", "8", "█▄▂▂▁▁▁▁"]
    rows = list(
        csv.DictReader(io.StringIO(host.cli("runs", "metrics", trained, "--name", "loss", "-o", "csv", check=True).stdout))
    )
    assert [(int(row["step"]), float(row["value"])) for row in rows] == [(step, 1 / (1 + step)) for step in range(8)]
    (found,) = json.loads(host.cli("runs", "metrics", trained, "--name", "loss", "-o", "json", check=True).stdout)
    assert (found["count"], found["points"][7]["value"]) == (8, 0.125)
    assert host.cli("runs", "metrics", trained, "--name", "nope", check=True).stdout == "No metrics of the name nope yet.\n"


def told(kedge: RunningHost) -> tuple[dict[str, Metric], dict[Any, float]]:
    """The families that Prometheus reads, by name; and their values, by name and labels."""
    answer = scrape(kedge, authorization=f"Bearer {kedge.host.token}")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    samples = [sample for family in families.values() for sample in family.samples]
    return families, {(sample.name, *sorted(sample.labels.items())): sample.value for sample in samples}


def test_prometheus_reads_what_the_host_has_done(host: RunningHost, trained: str) -> None:
    del trained
    families, values = told(host)
    assert values["kedge_runs", ("state", "SUCCEEDED")] == 1
    assert values["kedge_runs_finished_total", ("state", "SUCCEEDED")] == 1
    assert values["kedge_step_attempts_total", ("state", "SUCCEEDED")] == 1
    assert values["kedge_step_duration_seconds_count", ("state", "SUCCEEDED")] == 1
    assert values["kedge_metric_points_total",] == 8
    assert values["kedge_artifacts_committed_total",] == 1
    assert values["kedge_database_write_duration_seconds_count", ("database", "history")] > 0
    assert values["process_resident_memory_bytes",] < 300 << 20
    assert {
        "workqueue_depth",
        "workqueue_adds",
        "workqueue_queue_duration_seconds",
        "process_cpu_seconds",
        "process_open_fds",
    } <= set(families)
    assert all(family.documentation and family.type != "unknown" for family in families.values())


def test_prometheus_reads_what_the_node_has_done(host: RunningHost, trained: str) -> None:
    del trained
    families, values = told(host)
    assert values["kedge_supervisor_up",] == 1
    assert values["kedge_warm_interpreters",] >= 1
    assert sum(sample.value for sample in families["kedge_container_starts"].samples) == 1
    assert values["apiserver_request_total", ("code", "200"), ("resource", "runs"), ("verb", "create")] == 1


def test_metrics_are_the_owners_unless_a_setting_says_otherwise(host: RunningHost, start_host: StartHost) -> None:
    assert scrape(host).status_code == 401
    assert scrape(host, authorization="Bearer nope").status_code == 401
    with start_host({"KEDGE_METRICS_AUTH": "none", "KEDGE_LOG_FORMAT": "json"}) as opened:
        assert scrape(opened).status_code == 200
        on_loopback = "//127.0.0.1:" in opened.host.http  # where a page of a browser may be deceived about the name
        assert scrape(opened, host="evil.example").status_code == (403 if on_loopback else 200)
        log = (opened.home / "hub.log").read_text()
    (ready,) = [line for line in map(json.loads, log.splitlines()) if line["message"] == "ready"]
    assert (ready["http"], ready["level"]) == (opened.host.http, "info")
    assert opened.host.token not in log


def test_health_is_told_check_by_check(host: RunningHost) -> None:
    for path in ("healthz", "livez", "readyz"):
        assert httpx.get(f"{host.host.http}/{path}", timeout=60).text == "ok"
    first, *checks, last = httpx.get(f"{host.host.http}/readyz?verbose", timeout=60).text.splitlines()
    assert (first, last) == ("[+]ping ok", "readyz check passed")
    assert "[+]history ok" in checks
    assert all(check.startswith("[+]") for check in checks)


def test_an_unknown_setting_of_metrics_is_refused(start_host: StartHost) -> None:
    with start_host(start=False) as host:
        host.settings.environ["KEDGE_METRICS_AUTH"] = "maybe"  # type: ignore[index]  # the environment of a process
        done = host.cli("up", *host.options)
    assert done.returncode == 1
    assert "KEDGE_METRICS_AUTH: must be token or none, got 'maybe'" in done.stderr
