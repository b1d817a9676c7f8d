"""A metrics API for a cluster that has none: an aggregated API server on this machine, which says the same of every step.

It stands where metrics-server does (``APIService`` v1beta1.metrics.k8s.io), and answers alike; a cluster's own is left alone.
"""

import json
import re
import ssl
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qs, urlsplit

from access import Cluster
from certificates import Authority

from kedge.kube.clock import SystemClock, timestamp

CPU, MEMORY = "500m", "48Mi"
"""What every `main` uses."""
_NAME = "v1beta1.metrics.k8s.io"
_PODS = re.compile(r"/apis/metrics\.k8s\.io/v1beta1/namespaces/([a-z0-9-]+)/pods")
_RESOURCES = {
    "kind": "APIResourceList",
    "apiVersion": "v1",
    "groupVersion": "metrics.k8s.io/v1beta1",
    "resources": [{"name": "pods", "singularName": "", "namespaced": True, "kind": "PodMetrics", "verbs": ["get", "list"]}],
}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    cluster: Cluster

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # the other one asks DNS for a name that nobody needs

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever hangs up has no need of an answer."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        if asked.path == "/apis/metrics.k8s.io/v1beta1":
            self._answer(_RESOURCES)
        elif (found := _PODS.fullmatch(asked.path)) is not None:
            labels = parse_qs(asked.query).get("labelSelector", [""])[0]
            self._answer(self._metrics(found[1], labels))
        else:
            self._answer({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404}, 404)

    def _metrics(self, namespace: str, labels: str) -> Any:
        assert isinstance(self.server, _Server)
        pods = self.server.cluster.get("pods", "--namespace", namespace, "--selector", labels)["items"]
        now = timestamp(SystemClock().now())
        used = [{"name": "main", "usage": {"cpu": CPU, "memory": MEMORY}}]
        items = [
            {
                "metadata": {"name": pod["metadata"]["name"], "namespace": namespace},
                "timestamp": now,
                "window": "15.04s",
                "containers": used,
            }
            for pod in pods
            if pod["status"]["phase"] == "Running"
        ]
        return {"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": items}

    def _answer(self, body: Any, code: int = 200) -> None:
        content = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # as its class has it
        del format, args


@contextmanager
def metrics_api(cluster: Cluster) -> Generator[bool]:
    """Have a metrics API in the cluster.

    Yields:
        Whether it is ours, which says `CPU` and `MEMORY`; a cluster's own says what is true.
    """
    if f"apiservice.apiregistration.k8s.io/{_NAME}" in cluster.kubectl("get", "apiservices", "--output=name").split():
        yield False
        return
    with _served(cluster) as port, cluster.namespace() as namespace:
        slice_of = {"name": "metrics", "labels": {"kubernetes.io/service-name": "metrics"}}
        cluster.apply(
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "metrics"}, "spec": {"ports": [{"port": 443}]}},
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": slice_of,
                "addressType": "IPv4",
                "endpoints": [{"addresses": [cluster.host], "conditions": {"ready": True}}],
                "ports": [{"port": port, "protocol": "TCP"}],
            },
            namespace=namespace,
        )
        service = {"name": "metrics", "namespace": namespace, "port": 443}
        spec = {"group": "metrics.k8s.io", "version": "v1beta1", "service": service, "insecureSkipTLSVerify": True}
        spec |= {"groupPriorityMinimum": 100, "versionPriority": 100}
        try:
            meta = {"name": _NAME}
            cluster.apply({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": meta, "spec": spec})
            cluster.kubectl("wait", "--for=condition=Available", f"apiservice/{_NAME}", "--timeout=120s")
            yield True
        finally:
            cluster.kubectl("delete", "apiservice", _NAME, "--ignore-not-found")


@contextmanager
def _served(cluster: Cluster) -> Generator[int]:
    issued = Authority.new().server(cluster.host)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as folder:
        certificate, key = Path(folder, "tls.crt"), Path(folder, "tls.key")
        certificate.write_text(issued.certificate)
        key.write_text(issued.key)
        context.load_cert_chain(certificate, key)
    with _Server((cluster.host, 0), _Handler) as server:
        server.cluster = cluster
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
