"""A client for what a kubeconfig names: an embedded host's or a cluster's, so that both can be asked the same."""

import base64
import ssl
import tempfile
from pathlib import Path
from typing import Any

import httpx
import yaml

SECONDS = 60


def client(kubeconfig: Path, name: str = "") -> httpx.Client:
    """A client for what a context of a kubeconfig names, the current one if none is named."""
    config = yaml.safe_load(kubeconfig.read_text())
    context = next(each["context"] for each in config["contexts"] if each["name"] == (name or config["current-context"]))
    cluster = next(each["cluster"] for each in config["clusters"] if each["name"] == context["cluster"])
    user = next(each["user"] for each in config["users"] if each["name"] == context["user"])
    trust = ssl.create_default_context(cadata=_part(kubeconfig, cluster, "certificate-authority").decode())
    headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
    if not headers:
        with tempfile.TemporaryDirectory() as folder:
            pair = Path(folder, "pair.pem")
            pair.touch(mode=0o600)
            pair.write_bytes(_part(kubeconfig, user, "client-certificate") + b"\n" + _part(kubeconfig, user, "client-key"))
            trust.load_cert_chain(pair)
    return httpx.Client(base_url=cluster["server"], verify=trust, headers=headers, timeout=SECONDS)


def _part(kubeconfig: Path, values: dict[str, Any], name: str) -> bytes:
    if f"{name}-data" in values:
        return base64.b64decode(values[f"{name}-data"])
    return (kubeconfig.parent / values[name]).read_bytes()
