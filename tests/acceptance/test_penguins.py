"""The main job: the penguin pipeline, run as a newcomer runs it, computes what scikit-learn computes."""

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from kedge.display.results import place
from kedge.testing.host import RunningHost, running_host

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "01-penguins"
UV = Path(sys.executable).with_name("uv")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# The same question, asked of scikit-learn without Kedge, from the file to the answer.
DIRECTLY = """
import json, sys
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

measures = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
birds = pd.read_csv(sys.argv[1]).dropna(subset=measures)
train, test = train_test_split(birds, test_size=0.3, random_state=7, stratify=birds["species"])
models = [
    make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)),
    make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000)),
    make_pipeline(StandardScaler(), KNeighborsClassifier(3)),
    make_pipeline(StandardScaler(), KNeighborsClassifier(9)),
    RandomForestClassifier(50, random_state=0),
    RandomForestClassifier(200, random_state=0),
]
scores = [cross_val_score(model, train[measures], train["species"], cv=5).mean() for model in models]
best = models[scores.index(max(scores))].fit(train[measures], train["species"])
told = best.predict(test[measures])
matrix = confusion_matrix(test["species"], told, labels=["Adelie", "Chinstrap", "Gentoo"]).tolist()
print(json.dumps({"scores": scores, "accuracy": float((told == test["species"]).mean()), "matrix": matrix}))
"""


@pytest.fixture(scope="module")
def kedge() -> Iterator[RunningHost]:
    with running_host() as host:
        yield host


def run(kedge: RunningHost, *arguments: str) -> dict[str, Any]:
    done = kedge.cli("run", str(EXAMPLE / "pipeline.py"), "-o", "json", *arguments, timeout=880)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    return {task["id"]: task for task in shown["tasks"]}


@pytest.fixture(scope="module")
def first(kedge: RunningHost) -> dict[str, Any]:
    return run(kedge, "--name", "first")


@pytest.fixture(scope="module")
def directly() -> dict[str, Any]:
    packages = [part for name in ("pandas==2.3.3", "scikit-learn==1.7.2") for part in ("--with", name)]
    argv = [
        UV,
        "run",
        "--quiet",
        "--no-project",
        "--python",
        sys.executable,
        *packages,
        "python",
        "-c",
        textwrap.dedent(DIRECTLY),
    ]
    environ = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}  # noqa: TID251
    done = subprocess.run([*argv, EXAMPLE / "penguins/penguins.csv"], check=True, capture_output=True, text=True, env=environ)
    return json.loads(done.stdout)


def test_its_numbers_are_those_of_scikit_learn_called_directly(first: dict[str, Any], directly: dict[str, Any]) -> None:
    scores = [first[f"for-loop-1.{index}.fit"]["outputs"]["parameters"]["Output"] for index in range(6)]
    assert scores == pytest.approx(directly["scores"], abs=1e-12)
    assert first[""]["outputs"]["parameters"] == {"Output": pytest.approx(directly["accuracy"], abs=1e-12)}
    confusion = first["choose"]["outputs"]["artifacts"]["confusion"][0]["metadata"]["confusionMatrix"]
    assert [row["row"] for row in confusion["rows"]] == directly["matrix"]


def test_its_artifacts_have_their_types_and_lie_where_it_says(first: dict[str, Any]) -> None:
    types = {
        f"{task_id}.{name}": artifact["schema_title"]
        for task_id, task in first.items()
        for name, artifacts in (task["outputs"].get("artifacts") or {}).items()
        for artifact in artifacts
        if "for-loop" not in task_id
    }
    assert types == {
        "clean.table": "system.Dataset",
        "clean.facts": "system.Metrics",
        "split.train": "system.Dataset",
        "split.test": "system.Dataset",
        "choose.best": "system.Model",
        "choose.quality": "system.Metrics",
        "choose.confusion": "system.ClassificationMetrics",
        "condition-2.describe.card": "system.Markdown",
        "condition-2.report.page": "system.HTML",
    }
    card, page, model = (
        Path(place(first[task]["outputs"]["artifacts"][name][0]["uri"]))
        for task, name in (("condition-2.describe", "card"), ("condition-2.report", "page"), ("choose", "best"))
    )
    assert card.read_text().startswith("# Penguin species")
    HTMLParser().feed(page.read_text())
    assert model.stat().st_size > 0


def test_a_second_run_runs_nothing(kedge: RunningHost, first: dict[str, Any]) -> None:
    again = run(kedge, "--name", "again")
    steps = {task_id: task["state"] for task_id, task in again.items() if task["kind"] == "step"}
    assert len(steps) == 11
    assert set(steps.values()) == {"CACHED"}, steps
    assert again[""]["outputs"] == first[""]["outputs"]


def test_a_bar_that_it_misses_leaves_the_card_and_the_report_out(kedge: RunningHost, first: dict[str, Any]) -> None:
    assert first["condition-2.describe"]["state"] in {"SUCCEEDED", "CACHED"}
    missed = run(kedge, "--name", "missed", "--param", "min_accuracy=1.01")
    assert missed["choose"]["state"] == "CACHED"
    assert missed["condition-2"]["state"] == "SKIPPED"
    assert "condition-2.report" not in missed or missed["condition-2.report"]["state"] == "SKIPPED"


def test_the_demo_shows_it_twice_and_stops_what_it_started() -> None:
    with running_host(start=False) as kedge:
        shown = kedge.cli("demo", timeout=880)
        assert shown.returncode == 0, shown.stdout + shown.stderr
        assert "Confusion matrix" in shown.stdout
        assert "11 cached: the second run took" in shown.stdout
        assert str(kedge.home / "demo" / "artifacts") in shown.stdout
        listed = subprocess.run(["ps", "-eo", "args"], check=True, capture_output=True, text=True).stdout
        assert str(kedge.home) not in listed
