"""What the README shows is true."""

import re
from pathlib import Path

from kedge.cli.files import load
from kedge.cli.main import COMMANDS

README = (Path(__file__).resolve().parents[3] / "README.md").read_text()


def test_its_pipeline_compiles(tmp_path: Path) -> None:
    block = next(text for text in re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL) if "@dsl.pipeline" in text)
    path = tmp_path / "pipeline.py"
    path.write_text(block)
    pipeline = load(path).pipeline
    assert pipeline["pipelineInfo"]["name"] == "iris"
    assert pipeline["root"]["inputDefinitions"]["parameters"]["depths"]["defaultValue"] == [1, 2, 3, 4]


def test_its_table_names_every_command() -> None:
    table = README[README.index("## Commands") : README.index("## What works today")]
    assert {name for name in COMMANDS if f"`{name}`" not in table and f"`kedge {name}" not in table} == set()
