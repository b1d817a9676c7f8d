"""`kedge.run` in a real notebook: no server started before, the run draws itself, errors are short."""

import hashlib
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from environments import client_environment

from kedge.testing.host import RunningHost, running_host

ROOT = Path(__file__).resolve().parents[2]
KERNEL = ["ipykernel==6.30.1", "nbclient==0.10.2", "nbformat==5.10.4"]

CELLS = [
    """
    import kedge
    from kedge import dsl
    """,
    """
    @dsl.component
    def double(n: int) -> int:
        return 2 * n

    @dsl.component
    def fail(n: int):
        raise ValueError(f"{n} is too many")

    @dsl.pipeline
    def twice(n: int) -> int:
        return double(n=double(n=n).output).output
    """,
    "run = kedge.run(twice, n=5)\nrun",
    "print(run.state, run.outputs, sorted(run.tasks))",
    "list(run.logs('double'))",
    """
    try:
        kedge.run(fail, n=7)
    except kedge.KedgeError as error:
        print(type(error).__name__, error)
    """,
    """
    try:
        kedge.run(twice, m=7)
    except kedge.KedgeError as error:
        print(type(error).__name__, error)
    """,
]

EXECUTE = """
import json, sys, nbformat
from nbclient import NotebookClient
cells = [nbformat.v4.new_code_cell(text) for text in json.load(sys.stdin)]
notebook = nbformat.v4.new_notebook(cells=cells)
NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
print(json.dumps([[dict(output) for output in cell["outputs"]] for cell in notebook.cells]))
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_cell_needs_no_server_and_a_run_draws_itself(tmp_path: Path) -> None:
    version = hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + str(ROOT).encode()).hexdigest()[:8]
    pinned = f"--constraint={ROOT / 'constraints' / 'kedge.txt'}"
    python = client_environment(f"notebook-{version}", [*KERNEL, f"--editable={ROOT}", pinned])
    with running_host(start=False) as kedge:
        environ = {**kedge.settings.environ, "KEDGE_HOME": str(kedge.home), "PATH": f"{python.parent}:/usr/bin:/bin"}
        cells = json.dumps([textwrap.dedent(cell).strip() for cell in CELLS])
        done = subprocess.run(
            [python, "-W", "ignore", "-c", EXECUTE],
            input=cells,
            env=environ,
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    outputs = json.loads(done.stdout)
    drawing, last = outputs[2]
    assert drawing["data"]["text/html"].count("<svg") == 1
    assert "succeeded" in drawing["data"]["text/html"]
    assert "pending" not in drawing["data"]["text/html"]
    assert last["data"]["text/html"].count("<svg") == 1
    assert outputs[3][0]["text"] == "SUCCEEDED {'Output': 20} ['', 'double', 'double-2']\n"
    failed, refused = outputs[5][-1]["text"], outputs[6][-1]["text"]
    assert failed.startswith("RunFailed Run ")
    assert "step fail failed: ValueError: 7 is too many" in failed
    assert refused.startswith("PipelineError ")
    assert "m" in refused


def test_a_client_without_an_address_speaks_to_the_host_of_this_machine(own_either_host: RunningHost, tmp_path: Path) -> None:
    program = "import kedge; print(kedge.Client().list())"
    done = subprocess.check_output([sys.executable, "-c", program], env=own_either_host.environ, cwd=tmp_path, text=True)
    assert done == "[]\n"
