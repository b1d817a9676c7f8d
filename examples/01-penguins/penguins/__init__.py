"""What the steps of the pipeline share: the data, what its columns mean, and how a candidate becomes a model.

This package lies beside the pipeline file; steps that import it get it, data and all.
"""

from pathlib import Path

SPECIES = ["Adelie", "Chinstrap", "Gentoo"]
MEASURES = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
DATA = Path(__file__).with_name("penguins.csv")


def build(candidate):
    """Make the untrained model that a candidate describes, such as ``{"model": "neighbours", "n_neighbors": 5}``."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    settings = {name: value for name, value in candidate.items() if name != "model"}
    if candidate["model"] == "logistic":
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, **settings))
    if candidate["model"] == "neighbours":
        return make_pipeline(StandardScaler(), KNeighborsClassifier(**settings))
    if candidate["model"] == "forest":
        return RandomForestClassifier(random_state=0, **settings)
    raise ValueError(f"there is no model {candidate['model']!r}; there are logistic, neighbours and forest")
