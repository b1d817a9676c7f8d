"""`kedge backup` of a host that is being written to, and `kedge restore` of what it made."""

import json
import ssl
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from kedge.testing.host import RunningHost

pytestmark = pytest.mark.timeout(300)
MAPS = "/api/v1/namespaces/default/configmaps"


def kubernetes(kedge: RunningHost) -> httpx.Client:
    context = ssl.create_default_context(cafile=str(kedge.home / "pki" / "ca.crt"))
    headers = {"authorization": f"Bearer {kedge.host.token}"}
    return httpx.Client(base_url=kedge.host.https, verify=context, headers=headers, timeout=60)


def config_map(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"of": name}}


def test_a_host_that_is_written_to_is_backed_up_and_comes_back_as_it_was(own_host: RunningHost, tmp_path: Path) -> None:
    kedge = own_host
    stop, begun = threading.Event(), threading.Event()
    answered: list[str] = []

    def write() -> None:
        with kubernetes(kedge) as api:
            while not stop.is_set():
                name = f"written-{len(answered)}"
                assert api.post(MAPS, json=config_map(name)).status_code == 201
                answered.append(name)
                if len(answered) == 20:
                    begun.set()

    writer = threading.Thread(target=write)
    writer.start()
    file = tmp_path / "host.backup"
    try:
        assert begun.wait(60)
        before = len(answered)
        made = kedge.cli("backup", str(file), "--output", "json")
        assert made.returncode == 0, made.stderr
        after = len(answered) + 1  # one may have been written, and not been answered yet
    finally:
        stop.set()
        writer.join()
    told = json.loads(made.stdout)
    assert {"objects.db", "history.db", "pki", "version.json"} <= set(told["parts"])
    assert file.stat().st_mode & 0o777 == 0o600

    with kubernetes(kedge) as api:
        newest = int(api.get(MAPS).json()["metadata"]["resourceVersion"])
        refused = kedge.cli("restore", str(file), "--force")
        assert refused.returncode == 1
        assert "another host uses this data directory" in refused.stderr
        assert api.get(f"{MAPS}/written-0").status_code == 200
    kedge.cli("down", check=True)
    kept = kedge.cli("restore", str(file))
    assert kept.returncode == 1
    assert "is in use: objects.db is there" in kept.stderr
    kedge.cli("restore", str(file), "--force", check=True)
    kedge.start()

    with kubernetes(kedge) as api:
        listed = api.get(MAPS).json()
        names = {item["metadata"]["name"] for item in listed["items"]} & {*answered}
        assert before <= len(names) <= after
        assert names == set(answered[: len(names)])
        assert int(listed["metadata"]["resourceVersion"]) > newest
        # A client that watched before the restore may have seen any revision until then: it is told to list again.
        for version in (told["revision"], newest):
            gone = api.get(MAPS, params={"watch": "1", "resourceVersion": str(version)})
            said = gone.json()
            assert said.get("object", said)["code"] == 410
        assert api.post(MAPS, json=config_map("new")).status_code == 201
