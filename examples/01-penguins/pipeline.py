"""Which penguin is it? Tell the species from four measures.

clean the data → split it → train candidates in a loop → the best of them, tried on the part kept aside → if it is good enough, a
model card and a report.

    kedge run pipeline.py
    kedge run pipeline.py --param min_accuracy=0.99 --param seed=2
"""

from typing import List, NamedTuple

from kedge import dsl
from kedge.dsl import HTML, ClassificationMetrics, Dataset, Input, Markdown, Metrics, Model, Output

# The interpreter that Kedge runs under; any python:X.Y works as well.
IMAGE = "python:3"
PACKAGES = ["pandas==2.3.3", "scikit-learn==1.7.2"]
CANDIDATES = [
    {"model": "logistic", "C": 0.1},
    {"model": "logistic", "C": 1.0},
    {"model": "neighbours", "n_neighbors": 3},
    {"model": "neighbours", "n_neighbors": 9},
    {"model": "forest", "n_estimators": 50},
    {"model": "forest", "n_estimators": 200},
]


@dsl.component(base_image=IMAGE, packages_to_install=PACKAGES)
def clean(table: Output[Dataset], facts: Output[Metrics]):
    """Check that the data are what the rest expects, and drop penguins that were not measured."""
    import pandas as pd
    from penguins import DATA, MEASURES, SPECIES

    raw = pd.read_csv(DATA)
    missing = {"species", *MEASURES} - set(raw.columns)
    unknown = set(raw["species"]) - set(SPECIES)
    if missing or unknown:
        raise ValueError(f"the data are not as expected: columns missing {sorted(missing)}, species unknown {sorted(unknown)}")
    measured = raw.dropna(subset=MEASURES)
    if not (measured[MEASURES] > 0).all().all():
        raise ValueError("a measure is not positive")
    measured.to_csv(table.path, index=False)
    table.metadata["rows"] = len(measured)
    facts.log_metric("rows", len(measured))
    facts.log_metric("dropped", len(raw) - len(measured))
    print(f"{len(measured)} of {len(raw)} penguins were measured")


@dsl.component(base_image=IMAGE, packages_to_install=PACKAGES)
def split(table: Input[Dataset], seed: int, held_out: float, train: Output[Dataset], test: Output[Dataset]):
    """Keep a part aside, with every species in the same share as in the whole."""
    import pandas as pd
    from sklearn.model_selection import train_test_split

    penguins = pd.read_csv(table.path)
    parts = train_test_split(penguins, test_size=held_out, random_state=seed, stratify=penguins["species"])
    for part, artifact in zip(parts, (train, test)):
        part.to_csv(artifact.path, index=False)
        artifact.metadata["rows"] = len(part)


@dsl.component(base_image=IMAGE, packages_to_install=PACKAGES)
def fit(candidate: dict, train: Input[Dataset], model: Output[Model]) -> float:
    """Train one candidate; returns its accuracy in five-fold cross-validation."""
    import joblib
    import pandas as pd
    from penguins import MEASURES, build
    from sklearn.model_selection import cross_val_score

    penguins = pd.read_csv(train.path)
    untrained = build(candidate)
    score = float(cross_val_score(untrained, penguins[MEASURES], penguins["species"], cv=5).mean())
    joblib.dump(untrained.fit(penguins[MEASURES], penguins["species"]), model.path)
    model.metadata.update(candidate=candidate, cross_validated=score, framework="scikit-learn")
    print(f"{candidate}: {score:.4f}")
    return score


@dsl.component(base_image=IMAGE, packages_to_install=PACKAGES)
def choose(
    scores: List[float],
    models: Input[List[Model]],
    test: Input[Dataset],
    best: Output[Model],
    quality: Output[Metrics],
    confusion: Output[ClassificationMetrics],
) -> NamedTuple("Evaluation", [("accuracy", float), ("candidate", dict)]):
    """Take the candidate with the best score (the first of equals) and try it on the part kept aside."""
    import shutil
    from collections import namedtuple

    import joblib
    import pandas as pd
    from penguins import MEASURES, SPECIES
    from sklearn.metrics import accuracy_score, confusion_matrix

    winner = models[max(range(len(scores)), key=scores.__getitem__)]
    shutil.copyfile(winner.path, best.path)
    best.metadata.update(winner.metadata)
    penguins = pd.read_csv(test.path)
    predicted = joblib.load(best.path).predict(penguins[MEASURES])
    accuracy = float(accuracy_score(penguins["species"], predicted))
    quality.log_metric("accuracy", accuracy)
    quality.log_metric("cross_validated", max(scores))
    quality.log_metric("candidates", len(scores))
    matrix = confusion_matrix(penguins["species"], predicted, labels=SPECIES)
    confusion.log_confusion_matrix(SPECIES, matrix.tolist())
    print(
        f"best of {len(scores)}: {winner.metadata['candidate']}, accuracy {accuracy:.4f} on {len(penguins)} penguins kept aside"
    )
    return namedtuple("Evaluation", ["accuracy", "candidate"])(accuracy, winner.metadata["candidate"])


@dsl.component(base_image=IMAGE)
def describe(accuracy: float, candidate: dict, model: Input[Model], card: Output[Markdown]):
    """Write the model card."""
    settings = "\n".join(f"- {name}: `{value}`" for name, value in candidate.items())
    with open(card.path, "w") as file:
        file.write(
            f"# Penguin species from four measures\n\n{settings}\n\n"
            f"Accuracy {accuracy:.1%} on penguins that it had not seen, "
            f"{model.metadata['cross_validated']:.1%} in cross-validation.\n\n"
            "Trained on the Palmer penguins (CC0). Adult birds of three species of one archipelago: it knows no others.\n"
        )


@dsl.component(base_image=IMAGE)
def report(accuracy: float, candidate: dict, confusion: Input[ClassificationMetrics], page: Output[HTML]):
    """Write the confusion matrix as a page."""
    from penguins import render

    matrix = confusion.metadata["confusionMatrix"]
    names = [spec["displayName"] for spec in matrix["annotationSpecs"]]
    counts = [row["row"] for row in matrix["rows"]]
    with open(page.path, "w", encoding="utf-8") as file:
        file.write(render(names, counts, accuracy=accuracy, candidate=candidate))


@dsl.pipeline(name="penguins", description="Tell penguin species from four measures")
def penguins(min_accuracy: float = 0.9, seed: int = 7, held_out: float = 0.3, candidates: List[dict] = CANDIDATES) -> float:
    """Train candidates, take the best, and describe it when it is good enough."""
    table = clean().outputs["table"]
    parts = split(table=table, seed=seed, held_out=held_out)
    with dsl.ParallelFor(candidates, name="candidates") as candidate:
        fitted = fit(candidate=candidate, train=parts.outputs["train"])
    chosen = choose(
        scores=dsl.Collected(fitted.outputs["Output"]),
        models=dsl.Collected(fitted.outputs["model"]),
        test=parts.outputs["test"],
    )
    with dsl.If(chosen.outputs["accuracy"] >= min_accuracy, name="good-enough"):
        describe(accuracy=chosen.outputs["accuracy"], candidate=chosen.outputs["candidate"], model=chosen.outputs["best"])
        report(
            accuracy=chosen.outputs["accuracy"],
            candidate=chosen.outputs["candidate"],
            confusion=chosen.outputs["confusion"],
        )
    return chosen.outputs["accuracy"]
