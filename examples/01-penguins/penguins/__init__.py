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


def render(species, counts, accuracy, candidate):
    """Make the report: rows of ``counts`` are what the penguins were, columns what the model said."""
    from html import escape
    from string import Template

    sums = [sum(row) for row in counts]
    said = [sum(column) for column in zip(*counts)]
    matrix, measures = "", ""
    for index, (name, row) in enumerate(zip(species, counts)):
        shares = [count / max(1, sums[index]) for count in row]
        cells = "".join(
            f'<td style="--share: {share:.2f}"{" class=strong" if share > 0.5 else ""}>{count}</td>'
            for count, share in zip(row, shares)
        )
        matrix += f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>'
        precision = row[index] / max(1, said[index])
        measures += (
            f'<tr><th scope="row">{escape(name)}</th><td>{precision:.1%}</td>'
            f"<td>{shares[index]:.1%}</td><td>{sums[index]}</td></tr>"
        )
    template = Template(DATA.with_name("report.html").read_text(encoding="utf-8"))
    return template.substitute(
        accuracy=f"{accuracy:.1%}",
        birds=sum(sums),
        candidate=escape(", ".join(f"{name} {value}" for name, value in candidate.items())),
        columns="".join(f'<th scope="col">{escape(name)}</th>' for name in species),
        matrix=matrix,
        species=measures,
    )
