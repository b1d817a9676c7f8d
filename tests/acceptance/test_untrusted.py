"""What steps write is never trusted: no route that serves it lets a browser run it, and no page of another site gets it."""

import base64
from typing import Any

import httpx
import pytest
from hosts import StartHost

from kedge.testing.host import RunningHost

SCRIPT = "<script>document.title = 'mine'</script>"
PIPELINE = f"""
from kedge import dsl

SCRIPT = "{SCRIPT}"


@dsl.component
def write(
    page: dsl.Output[dsl.HTML], text: dsl.Output[dsl.Markdown], image: dsl.Output[dsl.Artifact], folder: dsl.Output[dsl.Dataset]
):
    import os

    script = "{SCRIPT}"
    svg = "<svg xmlns='http://www.w3.org/2000/svg'>" + script + "</svg>"
    for artifact, content in ((page, script), (text, script), (image, svg)):
        with open(artifact.path, "w") as file:
            file.write(content)
    os.makedirs(folder.path)
    with open(os.path.join(folder.path, "index.html"), "w") as file:
        file.write(script)
    print(script)


@dsl.pipeline
def writes():
    write()
"""


@pytest.fixture(scope="module")
def served(start_host: StartHost, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A host on which the run has ended, a client of it, and the paths at which something of the step's is served."""
    source = tmp_path_factory.mktemp("pipeline") / "writes.py"
    source.write_text(PIPELINE)
    with start_host() as kedge:
        kedge.cli("run", str(source), "--name", "writes", check=True)
        with httpx.Client(base_url=kedge.host.http, trust_env=False, headers=bearer(kedge), timeout=60) as http:
            yield http, paths(http)


def bearer(kedge: RunningHost) -> dict[str, str]:
    return {"Authorization": f"Bearer {kedge.host.token}"}


def paths(http: httpx.Client) -> dict[str, str]:
    prefix = "/apis/v2beta1"
    (run,) = http.get(f"{prefix}/runs").json()["runs"]
    one = f"{prefix}/runs/{run['run_id']}"
    (step,) = [task for task in http.get(f"{one}/tasks").json()["tasks"] if task["type"] == "RUNTIME"]
    made = {each["name"]: each["artifact_id"] for each in http.get(f"{prefix}/artifacts").json()["artifacts"]}
    pod = run_pod(http.get(one).json())
    return {
        **{name: f"{prefix}/artifacts/{made[name]}/content" for name in ("page", "text", "image")},
        "file of a folder": f"{prefix}/artifacts/{made['folder']}/content?path=index.html",
        "read": f"{one}/nodes/{pod}/artifacts/page:read",
        "log": f"{one}/tasks/{step['task_id']}/logs",
        "log of a node": f"/apis/v1alpha1/runs/{run['run_id']}/nodes/{pod}/log",
        "export": f"{one}:export",
    }


def run_pod(run: dict[str, Any]) -> str:
    return next(task["pod_name"] for task in run["run_details"]["task_details"] if task.get("pod_name"))


ROUTES = ["page", "text", "image", "file of a folder", "read", "log", "log of a node", "export"]
DOWNLOADS = {"page", "text", "image", "file of a folder", "export"}


@pytest.mark.parametrize("route", ROUTES)
def test_what_a_step_wrote_is_data_for_a_browser_and_no_page(served: Any, route: str) -> None:
    http, found = served
    response = http.get(found[route]).raise_for_status()
    content = base64.b64decode(response.json()["data"]).decode() if route == "read" else response.text
    assert route == "export" or SCRIPT in content
    assert response.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert response.headers["x-content-type-options"] == "nosniff"
    media = response.headers["content-type"].partition(";")[0]
    assert media in {"application/octet-stream", "application/json", "application/gzip", "text/plain"}
    assert response.headers.get("content-disposition", "").startswith("attachment; filename=") == (route in DOWNLOADS)


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:1", "null"])
@pytest.mark.parametrize("route", ROUTES)
def test_a_page_of_another_site_gets_nothing(served: Any, route: str, origin: str) -> None:
    http, found = served
    response = http.get(found[route], headers={"Origin": origin})
    assert response.status_code == 403
    assert SCRIPT not in response.text
    assert f"Origin '{origin}' is another site" in response.text
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("route", ROUTES)
def test_nothing_is_served_to_who_has_no_token(served: Any, route: str) -> None:
    http, found = served
    response = httpx.get(str(http.base_url).rstrip("/") + found[route], trust_env=False, timeout=60)
    assert response.status_code == 401
    assert SCRIPT not in response.text
